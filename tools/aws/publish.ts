import { z } from 'zod';
import { Failed, output } from '../terminal/programs.ts';
import { remark, say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import {
  aws,
  environmentStack,
  hasEnvironment,
  hasService,
  loadBalancer,
  requireSettled,
  serviceStack,
} from './cloud.ts';
import { command } from './command.ts';
import { copilot } from './copilot.ts';
import { requireLimits } from './limits.ts';

// Builds the image from this working tree, pushes it tagged with the commit, updates the service and waits until it is stable.
await command('publish', ['copilot', 'aws', 'docker', 'git'], async (target, account) => {
  const { environment, service } = target;
  const { AWS_ACCOUNT } = process.env;
  if (!AWS_ACCOUNT)
    throw new Refusal(`AWS_ACCOUNT is missing: AWS_ACCOUNT=${account} make publish, if this account is the right one`);
  if (AWS_ACCOUNT !== account)
    throw new Refusal(`AWS_ACCOUNT is ${AWS_ACCOUNT}, but the credentials belong to ${account}`);
  requireLimits(target);
  await step('existing resources', async () => {
    if (!(await hasEnvironment(target)) || !(await hasService(target))) {
      throw new Refusal(
        `${target.application}/${environment} does not exist in ${target.region}: ENV=${environment} make infra-create`,
      );
    }
    await requireSettled(environmentStack(target), serviceStack(target));
  });

  const tag = await imageTag();
  const start = Date.now();
  const deploy = ['svc', 'deploy', '--name', service, '--env', environment, '--tag', tag];
  await step(`image ${tag} and its rollout`, () => copilot(deploy)).catch(async (error: unknown) => {
    remark(await recentLog(serviceStack(target), start));
    throw error;
  });
  say(`\n${tag} is live at ${await loadBalancer(target)}`);
});

/** The commit, with `-dirty` if the working tree has other changes. */
async function imageTag(): Promise<string> {
  const commit = await output('git', ['rev-parse', '--short=12', 'HEAD']);
  const changes = await output('git', ['status', '--porcelain']);
  return changes ? `${commit}-dirty` : commit;
}

/** The latest log lines of the tasks since a time, which often have the reason of a failed release. */
async function recentLog(name: string, since: number): Promise<string> {
  const group = `/copilot/${name}`;
  try {
    const answer = z.object({ events: z.array(z.object({ logStreamName: z.string(), message: z.string() })) });
    const { events } = await aws(
      answer,
      ...['logs', 'filter-log-events', '--log-group-name', group, '--start-time', String(since)],
    );
    const relevant = events.filter(({ message }) => !message.includes('"msg":"request"'));
    const lines = relevant
      .slice(-20)
      .map(({ logStreamName, message }) => `  ${logStreamName.split('/')[1]}  ${message}`);
    return `\nThe latest log lines of the tasks (${group}):\n${lines.join('\n') || '  nothing'}`;
  } catch (error) {
    // The rollback of a service's first release deletes its log group.
    if (error instanceof Failed) return `\nThe tasks' log ${group} was deleted with the release.`;
    throw error;
  }
}
