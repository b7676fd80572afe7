import { loadBalancer } from './cloud.ts';
import { command, Refusal, step } from './command.ts';
import { run } from './run.ts';

// The black-box suite against what is deployed: the environment's load balancer, or LOAD_BALANCER.
const given = process.env.LOAD_BALANCER;
await command('remote_validation', given ? [] : ['aws'], async (target) => {
  const url = given ? (given.includes('://') ? given : `http://${given}`) : await loadBalancer(target);
  if (!url) throw new Refusal(`${target.application}/${target.environment} has no load balancer yet: make publish`);
  await step(`integration tests against ${url}`, () =>
    run('npm', ['run', '--silent', 'test:integration'], { ...process.env, BASE_URL: url, NODE_USE_ENV_PROXY: '1' }),
  );
});
