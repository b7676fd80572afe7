import { setGlobalProxyFromEnv } from 'node:http';
import { cpus } from 'node:os';
import { loadBalancer } from '../../aws/cloud.ts';
import { confirm, readTarget } from '../../aws/command.ts';
import { identity } from '../../aws/credentials.ts';
import { isEmulator } from '../../aws/endpoint.ts';
import { Workspace } from '../../aws/workspace-copy.ts';
import { Refusal } from '../../terminal/refusal.ts';
import { Deferred } from '../deferred.ts';
import type { Environment, Fixture } from '../drill.ts';

/** The length of CloudWatch's minute: an emulator can shorten it; the seconds are in CLOUDWATCH_MINUTE. */
export const MINUTE_MILLISECONDS = Number(process.env.CLOUDWATCH_MINUTE || 60) * 1000;
/** While an emulator deploys a service, neither it nor its load balancer answers other requests. */
const EMULATOR_SECONDS = 60;

/** The service behind the load balancer of one environment, as `make publish` released it. */
export class AwsFixture implements Fixture {
  readonly urls: readonly string[];
  // Several tasks write, independently of each other.
  readonly lateWritesEnd = false;
  readonly isShared = true;
  readonly writeToken = process.env.WRITE_TOKEN || undefined;
  // An emulator of AWS is reached through a proxy.
  readonly proxyEnv = process.env;
  /** A copy of this tree, for releases. */
  readonly workspace = new Workspace();
  readonly timeoutSeconds: number | undefined;
  readonly isEmulated: boolean;
  readonly #deferred = new Deferred();
  readonly #release: { readonly AWS_ACCOUNT: string; readonly ENV: string };

  constructor(url: string, account: string, environment: string, isEmulated: boolean) {
    this.urls = [url];
    this.#release = { AWS_ACCOUNT: account, ENV: environment };
    this.isEmulated = isEmulated;
    this.timeoutSeconds = isEmulated ? EMULATOR_SECONDS : undefined;
  }

  /** Releases the workspace as `make publish` does. Returns the exit code and the output. */
  async publish(): Promise<{ code: number; output: string }> {
    this.workspace.commit();
    return await this.workspace.run('tools/aws/publish.ts', [], this.#release);
  }

  /** The version of the service that answers. */
  async version(): Promise<string> {
    const options = { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(10_000) };
    const answer = await fetch(this.urls[0] ?? '', options);
    return String(Object(await answer.json()).version);
  }

  /** Registers an action to run after the drill, even if it fails; in reverse order. */
  defer(action: () => unknown): void {
    this.#deferred.add(action);
  }

  // Only the log has it, and these drills replace the tasks.
  async memory(): Promise<undefined> {
    return undefined;
  }

  async restarts(): Promise<number> {
    return 0;
  }

  async close(): Promise<void> {
    try {
      await this.#deferred.run();
    } finally {
      this.workspace.remove();
    }
  }
}

/**
 * The environment `ENV`, after asking for confirmation. Throws a Refusal when it doesn't exist, or without
 * confirmation.
 */
export async function openAwsEnvironment(): Promise<Environment<AwsFixture>> {
  const target = readTarget(process.env);
  process.env.AWS_REGION = process.env.AWS_DEFAULT_REGION = target.region;
  setGlobalProxyFromEnv();
  const { account } = await identity();
  const { application, environment, region } = target;
  const url = await loadBalancer(target);
  if (url === undefined)
    throw new Refusal(`${application}/${environment} has no load balancer yet: ENV=${environment} make publish`);
  const isEmulated = await isEmulator();
  if (!isEmulated)
    await confirm(
      `This releases this tree to ${application}/${environment} in ${region}, account ${account}, and then a release that cannot start. Are you sure?`,
      'yes',
    );
  const [cpu] = cpus();
  return {
    target: 'aws',
    description: isEmulated
      ? `an emulator of AWS on ${cpus().length} × ${cpu?.model ?? 'CPU'}, two real containers behind a load balancer that stops while it deploys`
      : `AWS, ${region}`,
    async open() {
      return new AwsFixture(url, account, environment, isEmulated);
    },
    async close() {},
  };
}
