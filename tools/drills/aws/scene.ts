import { setGlobalProxyFromEnv } from 'node:http';
import { cpus } from 'node:os';
import { loadBalancer } from '../../aws/cloud.ts';
import { confirm, readTarget } from '../../aws/command.ts';
import { identity } from '../../aws/credentials.ts';
import { acceptsAnyone } from '../../aws/endpoint.ts';
import { Workspace } from '../../aws/workspace-copy.ts';
import { Refusal } from '../../terminal/refusal.ts';
import type { OpenScene, Place } from '../drill.ts';

/** While it deploys a service, an emulator that is one process answers nobody, its load balancer included. */
const EMULATOR_SECONDS = 60;

/** The service behind the load balancer of one environment, as `make publish` released it. */
export class AwsScene implements OpenScene {
  readonly urls: readonly string[];
  // Its tasks do not know of each other's statements.
  readonly lateWritesEnd = false;
  // A stand-in for AWS is where the proxy leads to.
  readonly proxyEnv = process.env;
  /** A copy of this tree, of which releases are made. */
  readonly workspace = new Workspace();
  readonly patienceSeconds: number | undefined;
  readonly #release: { readonly AWS_ACCOUNT: string; readonly ENV: string };

  constructor(url: string, account: string, environment: string, patienceSeconds: number | undefined) {
    this.urls = [url];
    this.#release = { AWS_ACCOUNT: account, ENV: environment };
    this.patienceSeconds = patienceSeconds;
  }

  /** Releases what the workspace has, as `make publish` does it. Gives back its exit code and what it said. */
  async publish(): Promise<{ code: number; output: string }> {
    this.workspace.commit();
    return await this.workspace.run('tools/aws/publish.ts', [], this.#release);
  }

  /** The version that whoever answers says it is. */
  async version(): Promise<string> {
    const options = { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(10_000) };
    const answer = await fetch(this.urls[0] ?? '', options);
    return String(Object(await answer.json()).version);
  }

  // Only their log tells, and the drills here replace the tasks.
  async memory(): Promise<undefined> {
    return undefined;
  }

  async restarts(): Promise<number> {
    return 0;
  }

  async close(): Promise<void> {
    this.workspace.remove();
  }
}

/**
 * The environment `ENV`, after asking whether it may be used. Throws a Refusal when it is not there, or may not.
 */
export async function openAwsPlace(): Promise<Place<AwsScene>> {
  const target = readTarget(process.env);
  process.env.AWS_REGION = process.env.AWS_DEFAULT_REGION = target.region;
  setGlobalProxyFromEnv();
  const { account } = await identity();
  const { application, environment, region } = target;
  const url = await loadBalancer(target);
  if (url === undefined)
    throw new Refusal(`${application}/${environment} has no load balancer yet: ENV=${environment} make publish`);
  const isEmulated = await acceptsAnyone();
  if (!isEmulated)
    await confirm(
      `This releases this tree to ${application}/${environment} in ${region}, account ${account}, and then a release that cannot start. Are you sure?`,
      'yes',
    );
  const [cpu] = cpus();
  return {
    target: 'aws',
    description: isEmulated
      ? `an emulator of AWS on ${cpus().length} × ${cpu?.model ?? 'CPU'}, two real containers behind a load balancer that stands still while it deploys`
      : `AWS, ${region}`,
    async open() {
      return new AwsScene(url, account, environment, isEmulated ? EMULATOR_SECONDS : undefined);
    },
    async close() {},
  };
}
