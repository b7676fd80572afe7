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

/** Prints the log of a service or job from a time on. Throws Refusal and Failed. */
export async function logs(
  { workspace, environment, service }: Running,
  since: string,
  follow: boolean,
): Promise<void> {
  const group = `/copilot/${openWorkspace(workspace).application}-${environment}-${service}`;
  await runAws(['logs', 'tail', group, '--since', since, ...(follow ? ['--follow'] : [])]);
}

/** Runs a command in a container of a running task. Throws Refusal and Failed. */
export async function exec(running: Running, container: string, command: string): Promise<void> {
  const { ecs, cluster, arn } = await find(running);
  const { services: [found] = [] } = await ecs.send(new DescribeServicesCommand({ cluster, services: [arn] }));
  if (!found?.enableExecuteCommand)
    throw new Refusal(`${running.service} allows no commands: set exec: true in its manifest, and deploy it`);
  const { taskArns: [task] = [] } = await ecs.send(
    new ListTasksCommand({ cluster, serviceName: arn, desiredStatus: 'RUNNING' }),
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
