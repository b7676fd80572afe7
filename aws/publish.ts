import { environmentStack, hasEnvironment, hasService, loadBalancer, requireSettled, serviceStack } from './cloud.ts';
import { command, Refusal, say, step } from './command.ts';
import { requireLimits } from './limits.ts';
import { output, run } from './run.ts';

// Builds the image from this tree, pushes it tagged with the commit, rolls the service and waits until it is stable.
await command('publish', ['copilot', 'aws', 'docker', 'git'], async (target, account) => {
  const { environment, service } = target;
  const { AWS_ACCOUNT } = process.env;
  if (!AWS_ACCOUNT)
    throw new Refusal(`AWS_ACCOUNT is missing: AWS_ACCOUNT=${account} make publish, if this account is the right one`);
  if (AWS_ACCOUNT !== account)
    throw new Refusal(`AWS_ACCOUNT is ${AWS_ACCOUNT}, and the credentials belong to ${account}`);
  requireLimits(target);
  if (!(await hasEnvironment(target)) || !(await hasService(target))) {
    throw new Refusal(
      `${target.application}/${environment} is not there in ${target.region}: ENV=${environment} make infra-create`,
    );
  }
  await requireSettled(environmentStack(target), serviceStack(target));

  const tag = await imageTag();
  await step(`image ${tag} and its roll-out`, () =>
    run('copilot', ['svc', 'deploy', '--name', service, '--env', environment, '--tag', tag]),
  );
  say(`\n${tag} is live at ${await loadBalancer(target)}`);
});

/** The commit, marked when the tree holds something else. */
async function imageTag(): Promise<string> {
  const commit = (await output('git', ['rev-parse', '--short=12', 'HEAD'])).trim();
  const changes = (await output('git', ['status', '--porcelain'])).trim();
  return changes ? `${commit}-dirty` : commit;
}
