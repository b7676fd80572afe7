import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  GetParametersByPathCommand,
  type GetParametersByPathCommandOutput,
  type ParameterType,
  PutParameterCommand,
  SSMClient,
} from '@aws-sdk/client-ssm';
import { lastWill } from '../../local-process/last-will.ts';
import { freePort } from '../../local-process/port.ts';
import { eventually } from './requests.ts';

const run = promisify(execFile);

/** The version that stands in for SSM in the kind cluster as well. */
const PACKAGE = 'ministack==1.5.33';

/** An SSM Parameter Store that speaks AWS's protocol over HTTP. */
export interface ParameterStore {
  /** What leads the AWS SDK of another process to it. */
  readonly env: Record<string, string>;
  put(name: string, value: string, type?: ParameterType): Promise<void>;
  /** One page as AWS gives it, by default not decrypted. */
  page(path: string): Promise<GetParametersByPathCommandOutput>;
  /** Stops its process without ending it: connections are taken and nothing answers. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

/** Why there can be no parameter store on this machine. */
export class NoParameterStore extends Error {
  override name = 'NoParameterStore';
}

/**
 * Starts MiniStack (PyPI) with SSM alone, from a Python environment that is kept in the user's cache directory.
 * Throws NoParameterStore with the reason when Python or the package cannot be had.
 */
export async function startParameterStore(): Promise<ParameterStore> {
  const program = await installed();
  const port = await freePort();
  const server = spawn(program, [], {
    env: { ...process.env, GATEWAY_PORT: String(port), BIND_HOST: '127.0.0.1', SERVICES: 'ssm' },
    stdio: 'ignore',
    detached: true,
  });
  server.once('exit', lastWill('kill -KILL "$1"', String(server.pid)));
  server.unref();
  const endpoint = `http://127.0.0.1:${port}`;
  await eventually(async () => {
    const health = await fetch(`${endpoint}/_ministack/health`).catch(() => undefined);
    return health?.status === 200;
  }, 30);

  const env = {
    AWS_REGION: 'us-west-2',
    AWS_ENDPOINT_URL_SSM: endpoint,
    // It takes any credentials; these are the ones of AWS's own examples of a stand-in.
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

/** The program, after installing it the first time. */
async function installed(): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'plusone');
  const environment = join(cache, PACKAGE.replace('==', '-'));
  const program = join(environment, 'bin', 'ministack');
  if (existsSync(program)) return program;
  try {
    await run('python3', ['-m', 'venv', environment]);
    await run(join(environment, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', PACKAGE]);
    return program;
  } catch (error) {
    rmSync(environment, { recursive: true, force: true });
    const reason = error instanceof Error ? error.message.split('\n').slice(0, 3).join(' ') : String(error);
    throw new NoParameterStore(`${PACKAGE} cannot be installed with python3 -m venv and pip: ${reason}`);
  }
}
