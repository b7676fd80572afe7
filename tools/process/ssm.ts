import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  GetParametersByPathCommand,
  type GetParametersByPathCommandOutput,
  type ParameterType,
  PutParameterCommand,
  SSMClient,
} from '@aws-sdk/client-ssm';
import { startCleanupWatchdog } from './cleanup-watchdog.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { programFromPyPI } from './pypi.ts';

/** The same version as in the kind cluster. */
const PACKAGE = 'ministack==1.5.33';

/** A local SSM Parameter Store with the HTTP API of AWS. */
export interface ParameterStore {
  /** The variables with which the AWS SDK of another process finds it. */
  readonly env: Record<string, string>;
  put(name: string, value: string, type?: ParameterType): Promise<void>;
  /** One page of GetParametersByPath, by default not decrypted. */
  page(path: string): Promise<GetParametersByPathCommandOutput>;
  /** Suspends its process: connections are accepted and nothing answers. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

/**
 * Starts MiniStack (PyPI) with SSM only, from a Python environment in the user's cache directory. Throws NoProgram with
 * the reason if Python or the package is not available.
 */
export async function startParameterStore(): Promise<ParameterStore> {
  const program = await programFromPyPI(PACKAGE, 'ministack');
  const port = await freePort();
  const server = spawn(program, [], {
    env: { ...process.env, GATEWAY_PORT: String(port), BIND_HOST: '127.0.0.1', SERVICES: 'ssm' },
    stdio: 'ignore',
    detached: true,
  });
  server.once('exit', startCleanupWatchdog('kill -KILL "$1"', String(server.pid)));
  server.unref();
  const endpoint = `http://127.0.0.1:${port}`;
  await eventually(async () => {
    const health = await fetch(`${endpoint}/_ministack/health`).catch(() => undefined);
    return health?.status === 200;
  }, 30);

  const env = {
    AWS_REGION: 'us-west-2',
    AWS_ENDPOINT_URL_SSM: endpoint,
    // The emulator accepts any credentials.
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  };
  const client = new SSMClient({
    region: env.AWS_REGION,
    endpoint,
    credentials: { accessKeyId: env.AWS_ACCESS_KEY_ID, secretAccessKey: env.AWS_SECRET_ACCESS_KEY },
  });
  return {
    env,
    async put(Name, Value, Type = 'SecureString') {
      await client.send(new PutParameterCommand({ Name, Value, Type, Overwrite: true }));
    },
    page: async (Path) => await client.send(new GetParametersByPathCommand({ Path })),
    freeze: () => void server.kill('SIGSTOP'),
    thaw: () => void server.kill('SIGCONT'),
    async stop() {
      client.destroy();
      server.ref();
      const exit = once(server, 'exit');
      server.kill('SIGKILL');
      await exit;
    },
  };
}
