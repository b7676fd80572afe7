import { setTimeout as sleep } from 'node:timers/promises';
import {
  CloudWatchLogsClient,
  paginateFilterLogEvents,
  ResourceNotFoundException,
} from '@aws-sdk/client-cloudwatch-logs';
import { DescribeServicesCommand, ECSClient, ListTasksCommand } from '@aws-sdk/client-ecs';
import { openWorkspace } from '../manifest/workspace.ts';
import { attached } from '../tools/terminal/programs.ts';
import { Refusal } from '../tools/terminal/refusal.ts';
import { clients, deployedResources, handler } from './aws.ts';

/** A service of an environment. */
export interface Running {
  readonly workspace: string | undefined;
  readonly environment: string;
  readonly service: string;
}

const eventsShown = 5;

/** Prints how many tasks of a service run, its deployments, and the last events. Throws Refusal when there is none. */
export async function status(running: Running): Promise<void> {
  const { ecs, cluster, arn } = await find(running);
  const { services: [found] = [] } = await ecs.send(new DescribeServicesCommand({ cluster, services: [arn] }));
  if (!found) throw new Refusal(`ECS has no service ${arn}`);
  console.log(`${found.runningCount} of ${found.desiredCount} tasks run`);
  const deployments = [...(found.deployments ?? [])].sort(
    // The present one first; AWS says nothing of their order.
    (one, other) => Number(other.status === 'PRIMARY') - Number(one.status === 'PRIMARY'),
  );
  for (const { status, rolloutState, runningCount, desiredCount, taskDefinition, updatedAt } of deployments)
    console.log(
      `${status} ${rolloutState ?? ''}: ${runningCount} of ${desiredCount}, ${taskDefinition?.split('/').at(-1)}, ${updatedAt?.toISOString() ?? ''}`,
    );
  for (const { createdAt, message } of (found.events ?? []).slice(0, eventsShown))
    console.log(`${createdAt?.toISOString() ?? ''}  ${message}`);
}

/**
 * Prints the log of a service or job from a time on: an age such as `10m`, or a time in ISO 8601. Each line has the task's
 * stream before it. With `follow` it never ends. Throws Refusal.
 */
export async function logs(
  { workspace, environment, service }: Running,
  since: string,
  follow: boolean,
): Promise<void> {
  const group = `/copilot/${openWorkspace(workspace).application}-${environment}-${service}`;
  const client = new CloudWatchLogsClient({ requestHandler: handler(process.env) });
  let startTime = startOf(since, Date.now());
  const printed = new Map<string, number>();
  do {
    try {
      for await (const { events = [] } of paginateFilterLogEvents({ client }, { logGroupName: group, startTime })) {
        for (const { eventId = '', timestamp = 0, logStreamName = '', message = '' } of events) {
          if (printed.has(eventId)) continue;
          printed.set(eventId, timestamp);
          startTime = Math.max(startTime, timestamp - LATE_MILLISECONDS);
          console.log(`${logStreamName} ${message.trimEnd()}`);
        }
      }
    } catch (error) {
      if (error instanceof ResourceNotFoundException) throw new Refusal(`there is no log ${group}`);
      throw error;
    }
    for (const [id, time] of printed) if (time < startTime) printed.delete(id);
    if (follow) await sleep(POLL_MILLISECONDS);
  } while (follow);
}

/** A line can be stored later than one that was written after it. */
const LATE_MILLISECONDS = 10_000;
const POLL_MILLISECONDS = 1000;
const UNITS: ReadonlyMap<string, number> = new Map([
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** The time, in milliseconds since 1970, that an age or a time means. Throws Refusal. */
export function startOf(since: string, now: number): number {
  const [, count, unit = ''] = /^(\d+)([smhd])$/.exec(since) ?? [];
  if (count !== undefined) return now - Number(count) * (UNITS.get(unit) ?? 0);
  const time = /^\d{4}-/.test(since) ? Date.parse(since) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new Refusal(
    `--since ${since}: expected an age such as 30s, 10m, 2h or 1d, or a time such as 2026-11-30T10:00Z`,
  );
}

/** Runs a command in a container of a running task. Throws Refusal and Failed. */
export async function exec(running: Running, container: string, command: string): Promise<void> {
  const { ecs, cluster, arn } = await find(running);
  const { services: [found] = [] } = await ecs.send(new DescribeServicesCommand({ cluster, services: [arn] }));
  if (!found?.enableExecuteCommand)
    throw new Refusal(`${running.service} allows no commands: set exec: true in its manifest, and deploy it`);
  const { taskArns: [task] = [] } = await ecs.send(
    new ListTasksCommand({ cluster, serviceName: arn.split('/').at(-1), desiredStatus: 'RUNNING' }),
  );
  if (task === undefined) throw new Refusal(`no task of ${running.service} runs`);
  await runAws([
    ...['ecs', 'execute-command', '--cluster', cluster, '--task', task],
    ...['--container', container, '--interactive', '--command', command],
  ]);
}

/** Runs the AWS CLI attached to this terminal. Throws Refusal and Failed. */
async function runAws(words: readonly string[]): Promise<void> {
  try {
    await attached('aws', words);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new Refusal('the AWS CLI is not installed: https://aws.amazon.com/cli/');
    throw error;
  }
}

async function find({
  workspace,
  environment,
  service,
}: Running): Promise<{ ecs: ECSClient; cluster: string; arn: string }> {
  const { cloudFormation } = clients();
  const main = `${openWorkspace(workspace).application}-${environment}`;
  const cluster = (await deployedResources(cloudFormation, main)).Cluster?.physicalId;
  const arn = (await deployedResources(cloudFormation, `${main}-${service}`)).Service?.physicalId;
  if (cluster === undefined || arn === undefined) throw new Refusal(`${main}-${service} has no service of ECS`);
  return { ecs: new ECSClient({ requestHandler: handler(process.env) }), cluster, arn };
}
