import { watch } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Outcome, Wanted } from '../../local-kind/application.ts';
import { openWorkspace, type Workspace } from '../../manifest/workspace.ts';
import { messageOf } from '../terminal/message.ts';
import { stopAll } from '../terminal/programs.ts';
import { duration, remark, say } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { requireTools } from '../terminal/requirements.ts';
import {
  AFTER_INSTALLING,
  clusterOption,
  command,
  environmentOption,
  oneOf,
  wholeNumber,
  workspaceOptions,
} from './command.ts';
import { exitCodes } from './exit.ts';

const { workspace, help } = workspaceOptions;
const secretSources = ['aws'] as const;
const SETTLE_MILLISECONDS = 300;
/** What no image is built from, or what changes with every build. */
const UNWATCHED = /(^|\/)(\.git|node_modules|\.local|dist|plusone\.env)(\/|$)/;

export const upCommand = command({
  name: 'up',
  summary: 'Run every service and job of the workspace in a kind cluster of this machine',
  details:
    'Builds the images, starts local replacements for AWS, and routes every http of the workspace on one port. Needs Docker, kind and kubectl, and no AWS account. Run it again after a change: it replaces only what changed. A workload that fails does not affect the others, and the exit code is 1.',
  options: {
    workspace,
    environment: environmentOption,
    cluster: clusterOption,
    port: {
      type: 'string',
      short: 'p',
      value: 'PORT',
      help: 'the port of localhost (default: 5000); a cluster keeps its port',
    },
    'secrets-from': {
      type: 'string',
      value: 'SOURCE',
      choices: secretSources,
      help: 'read secrets that plusone.env has no value for from SSM and Secrets Manager of the account that your credentials are for',
    },
    watch: { type: 'boolean', help: 'keep running, and update after each change of a file' },
    json: { type: 'boolean', help: 'the outcome as JSON' },
    help,
  },
  examples: [
    ['plusone up', 'then the browser at http://localhost:5000'],
    ['plusone up -e test -p 8080', 'with the settings of test, on another port'],
    ['plusone up -e test --secrets-from aws', 'with the secrets of the deployed environment test'],
  ],
  async run(values) {
    const found = openWorkspace(values.workspace);
    const wanted = {
      environment: values.environment ?? 'local',
      cluster: values.cluster,
      port: values.port === undefined ? undefined : wholeNumber('--port', values.port, 1, 65535),
      secretsFromAws:
        values['secrets-from'] !== undefined &&
        oneOf('--secrets-from', values['secrets-from'], secretSources) === 'aws',
    };
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        stopAll();
        remark('\ninterrupted; the same command continues from there');
        process.exit(exitCodes.interrupted);
      });
    await requireTools(['docker', 'docker buildx', 'kind', 'kubectl'], AFTER_INSTALLING);
    const outcome = await bringUp(found, wanted, values.json ?? false);
    if (values.watch) await follow(found, wanted);
    return outcome.workloads.some(({ failure }) => failure !== undefined) ? exitCodes.failed : exitCodes.done;
  },
});

async function bringUp(found: Workspace, wanted: Wanted, json: boolean): Promise<Outcome> {
  // It loads cdk8s and the AWS SDK, which few commands need.
  const { up } = await import('../../local-kind/application.ts');
  const started = performance.now();
  const outcome = await up(found, wanted);
  say(json ? JSON.stringify(outcome, undefined, 2) : summary(found, wanted, outcome, duration(started)));
  return outcome;
}

/** The workloads as a tree, with the ways in. */
function summary({ application }: Workspace, { environment }: Wanted, outcome: Outcome, took: string): string {
  const { url, cluster, routes, workloads, unavailable } = outcome;
  const width = Math.max(0, ...workloads.map(({ name }) => name.length));
  const lines = workloads.flatMap(({ name, type, failure }, i) => {
    const isLast = i === workloads.length - 1;
    const ways = routes
      .filter(({ service }) => service === name)
      // A name with * is none for a browser; localhost serves the routes of all hosts.
      .map(({ host, path }) =>
        host && !host.includes('*') ? `${url.replace('localhost', `${host}.localhost`)}${path}` : `${url}${path}`,
      );
    const state =
      failure === undefined ? (type === 'Scheduled Job' ? `plusone job run ${name}` : ways.join('  ')) : 'failed';
    const head = `${isLast ? '└─' : '├─'} ${failure === undefined ? '✓' : '✗'} ${name.padEnd(width)}  ${state || type}`;
    const below = failure?.split('\n').map((line) => `${isLast ? ' ' : '│'}      ${line}`) ?? [];
    return [head.trimEnd(), ...below];
  });
  const missing = unavailable.map(({ what, remedy }) => `not available locally: ${what}: ${remedy}`);
  const again = cluster === application ? '' : ` --cluster ${cluster}`;
  return [
    '',
    `${application} as in "${environment}", in the kind cluster ${cluster} (${took})`,
    ...lines,
    ...(missing.length > 0 ? ['', ...missing] : []),
    '',
    `plusone logs NAME --follow${again}    the log of one of them`,
    `plusone status${again}                whether they are ready`,
    `plusone down${again}                  delete the cluster`,
  ].join('\n');
}

/** Brings the workspace up again after each change, until the process ends. */
async function follow(found: Workspace, wanted: Wanted): Promise<never> {
  let changed: string | undefined;
  let failure: Error | undefined;
  const isUnwatched = (name: string) => UNWATCHED.test(name.replaceAll('\\', '/'));
  // Linux needs a watch for each file, and has a limit. Node 22 knows no `ignore`.
  watch(found.root, { recursive: true, ignore: isUnwatched }, (_event, name) => {
    if (name && !isUnwatched(name)) changed = name;
  }).on('error', (error) => {
    failure = error;
  });
  remark(`\nwatching ${found.root}; Ctrl-C ends it, and leaves the cluster up`);
  for (;;) {
    await sleep(SETTLE_MILLISECONDS);
    if (failure !== undefined) throw new Refusal(`cannot watch ${found.root}: ${failure.message}`);
    if (changed === undefined) continue;
    const name = changed;
    changed = undefined;
    // An editor writes several files, and one file several times.
    await sleep(SETTLE_MILLISECONDS);
    remark(`\n${name} changed`);
    await bringUp(found, wanted, false).catch((error: unknown) => remark(messageOf(error)));
  }
}
