/** Commands on a workspace that is up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { UsageError } from '../../k8s/errors.ts';
import { objectName } from '../../manifest/names.ts';
import { openWorkspace } from '../../manifest/workspace.ts';
import { attached, Failed } from '../terminal/programs.ts';
import { say } from '../terminal/progress.ts';
import { requireTools } from '../terminal/requirements.ts';
import { AFTER_INSTALLING, clusterOption, command, table, wholeNumber, workspaceOptions } from './command.ts';
import { exitCodes } from './exit.ts';

const common = { workspace: workspaceOptions.workspace, cluster: clusterOption } as const;
const { help } = workspaceOptions;

interface Place {
  workspace?: string | undefined;
  cluster?: string | undefined;
}

async function connect({ workspace, cluster }: Place) {
  const found = openWorkspace(workspace);
  await requireTools(['docker', 'kind', 'kubectl'], AFTER_INSTALLING);
  const { connect: connectTo } = await import('../../local-kind/application.ts');
  return { ...(await connectTo(found, cluster)), found };
}

/** The name of a workload as its objects have it. Throws a UsageError for one that the workspace has not got. */
function workloadNamed(given: string, { workloads }: { workloads: readonly string[] }): string {
  if (!workloads.includes(given))
    throw new UsageError(`there is no workload "${given}"; found: ${workloads.join(', ') || 'none'}`);
  return objectName(given);
}

/** Runs kubectl attached to this terminal and gives back its exit code; it prints its errors itself. */
async function shown(args: readonly string[]): Promise<number> {
  try {
    await attached('kubectl', args);
    return exitCodes.done;
  } catch (error) {
    if (error instanceof Failed && error.code !== undefined) return error.code;
    throw error;
  }
}

const cronJobList = z.object({
  items: z.array(z.object({ metadata: z.object({ name: z.string() }), spec: z.object({ schedule: z.string() }) })),
});

const podList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }),
      status: z.object({
        phase: z.string().default('Unknown'),
        containerStatuses: z
          .array(
            z.object({
              ready: z.boolean(),
              restartCount: z.number(),
              state: z
                .looseObject({ waiting: z.looseObject({ reason: z.string().optional() }).optional() })
                .default({}),
            }),
          )
          .default([]),
      }),
    }),
  ),
});

export const statusCommand = command({
  name: 'status',
  summary: 'Show how the workloads are that run',
  options: { ...common, json: { type: 'boolean', help: 'as JSON' }, help },
  async run(values) {
    const { kubectl, namespace, found } = await connect(values);
    const pods = podList.parse(JSON.parse(await kubectl(['get', 'pods', '-n', namespace, '-o', 'json']))).items;
    const cronJobs = await kubectl(['get', 'cronjobs', '-n', namespace, '-o', 'json']);
    const schedules = cronJobList.parse(JSON.parse(cronJobs)).items;
    const rows = found.workloads.map((workload) => {
      const name = objectName(workload);
      const own = pods.filter(({ metadata }) => metadata.labels['app.kubernetes.io/name'] === name);
      const schedule = schedules.find(({ metadata }) => metadata.name === name)?.spec.schedule;
      return {
        workload,
        ...(schedule === undefined ? {} : { schedule }),
        pods: own.map(({ metadata, status }) => ({
          name: metadata.name,
          ready: status.containerStatuses.length > 0 && status.containerStatuses.every(({ ready }) => ready),
          state: status.containerStatuses.map(({ state }) => state.waiting?.reason).find(Boolean) ?? status.phase,
          restarts: status.containerStatuses.reduce((sum, { restartCount }) => sum + restartCount, 0),
        })),
      };
    });
    if (values.json) say(JSON.stringify(rows, undefined, 2));
    else
      say(
        table(
          rows.flatMap(({ workload, schedule, pods: own }) => {
            const lines = own.map(({ name, ready, state, restarts }) => {
              const restarted = restarts > 0 ? `, restarted ${restarts} times` : '';
              return `${ready || state === 'Succeeded' ? '✓' : '✗'} ${name}  ${state}${restarted}`;
            });
            const all = [...(schedule === undefined ? [] : [`scheduled: ${schedule} (UTC)`]), ...lines];
            return (all.length > 0 ? all : ['✗ no pod']).map((line, i) => [i === 0 ? workload : '', line] as const);
          }),
        ).join('\n'),
      );
    const isWell = rows.every(
      ({ schedule, pods: own }) =>
        schedule !== undefined || (own.length > 0 && own.every(({ ready, state }) => ready || state === 'Succeeded')),
    );
    return isWell ? exitCodes.done : exitCodes.failed;
  },
});

export const logsCommand = command({
  name: 'logs',
  summary: 'Show what workloads log',
  operands: '[NAME]',
  completes: 'workloads',
  options: {
    ...common,
    follow: { type: 'boolean', short: 'f', help: 'go on with what comes, until Ctrl-C' },
    since: { type: 'string', value: 'TIME', help: 'what is not older than that: 30s, 10m, 2h' },
    limit: { type: 'string', value: 'LINES', help: 'the last lines of each container (default: 100)' },
    previous: { type: 'boolean', help: 'of the container that ran before the present one' },
    container: { type: 'string', value: 'NAME', help: 'of one container, such as a sidecar' },
    help,
  },
  examples: [['plusone logs web --follow --since 10m', 'as copilot svc logs --follow --since 10m']],
  async run(values, [name]) {
    const { connection, namespace, found } = await connect(values);
    const selector =
      name === undefined
        ? 'app.kubernetes.io/managed-by=cdk8s'
        : `app.kubernetes.io/name=${workloadNamed(name, found)}`;
    const limit = wholeNumber('--limit', values.limit ?? '100', 0, 1_000_000);
    return await shown([
      ...connection,
      ...['logs', '-n', namespace, '-l', selector, '--prefix', '--max-log-requests=100', `--tail=${limit}`],
      ...(values.container === undefined ? ['--all-containers'] : ['-c', objectName(values.container)]),
      ...(values.follow ? ['--follow'] : []),
      ...(values.previous ? ['--previous'] : []),
      ...(values.since === undefined ? [] : [`--since=${values.since}`]),
    ]);
  },
});

export const execCommand = command({
  name: 'exec',
  summary: 'Run a command in a container of a service',
  details:
    'Without a command, a shell. What follows -- goes to the command as it is. The exit code is that of the command.',
  operands: 'NAME [COMMAND...]',
  completes: 'workloads',
  options: {
    ...common,
    container: { type: 'string', value: 'NAME', help: 'a sidecar instead of the service' },
    help,
  },
  examples: [
    ['plusone exec web', 'a shell'],
    ['plusone exec web -- node --version', 'one command'],
  ],
  async run(values, [name = '', ...words]) {
    const { connection, namespace, found } = await connect(values);
    const workload = workloadNamed(name, found);
    const terminal = process.stdin.isTTY ? ['-i', '-t'] : ['-i'];
    const inner = words.length > 0 ? words : ['sh', '-c', 'exec $(command -v bash || command -v sh)'];
    const container = objectName(values.container ?? workload);
    return await shown([
      ...connection,
      ...['exec', '-n', namespace, ...terminal, `deployment/${workload}`, '-c', container, '--', ...inner],
    ]);
  },
});

export const jobRunCommand = command({
  name: 'job run',
  summary: 'Run a Scheduled Job now, and show what it logs',
  operands: 'NAME',
  completes: 'workloads',
  options: { ...common, help },
  examples: [['plusone job run report', 'as copilot job run, with the log; the exit code says whether it succeeded']],
  async run(values, [name = '']) {
    const { kubectl, connection, namespace, found } = await connect(values);
    const workload = workloadNamed(name, found);
    const cronJobs = cronJobList.parse(JSON.parse(await kubectl(['get', 'cronjobs', '-n', namespace, '-o', 'json'])));
    const jobs = cronJobs.items.map(({ metadata }) => metadata.name);
    if (!jobs.includes(workload))
      throw new UsageError(`there is no Scheduled Job "${name}" in the cluster; found: ${jobs.join(', ') || 'none'}`);
    const job = `${workload.slice(0, 45)}-run-${Date.now().toString(36)}`;
    await kubectl(['create', 'job', job, `--from=cronjob/${workload}`, '-n', namespace]);
    const status = z.object({
      status: z.object({
        active: z.number().default(0),
        succeeded: z.number().default(0),
        failed: z.number().default(0),
      }),
    });
    // Each attempt is a pod of its own.
    const shown = new Set<string>();
    for (;;) {
      const { status: now } = status.parse(
        JSON.parse(await kubectl(['get', 'job', job, '-n', namespace, '-o', 'json'])),
      );
      const pods = podList.parse(
        JSON.parse(await kubectl(['get', 'pods', '-n', namespace, '-l', `job-name=${job}`, '-o', 'json'])),
      ).items;
      for (const { metadata, status: pod } of pods) {
        if (shown.has(metadata.name) || pod.phase === 'Pending') continue;
        shown.add(metadata.name);
        await attached('kubectl', [
          ...connection,
          'logs',
          '-n',
          namespace,
          metadata.name,
          '--all-containers',
          '--follow',
        ]);
      }
      const conditions = await kubectl([
        'get',
        'job',
        job,
        '-n',
        namespace,
        '-o',
        'jsonpath={.status.conditions[*].type}',
      ]);
      if (/Complete/.test(conditions)) return exitCodes.done;
      if (/Failed/.test(conditions)) {
        console.error(`the job ${name} failed after ${now.failed} attempts`);
        return exitCodes.failed;
      }
      await sleep(500);
    }
  },
});

export const downCommand = command({
  name: 'down',
  summary: 'Remove the cluster of the workspace, with all data in it',
  options: { ...common, help },
  async run(values) {
    const found = openWorkspace(values.workspace);
    await requireTools(['docker', 'kind'], AFTER_INSTALLING);
    const { down } = await import('../../local-kind/application.ts');
    const name = await down(found, values.cluster).catch((error: unknown) => {
      throw error instanceof Failed ? new Error(error.message) : error;
    });
    say(`deleted the cluster ${name}`);
    return exitCodes.done;
  },
});
