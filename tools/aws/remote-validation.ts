import { attached } from '../terminal/programs.ts';
import { remark } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { loadBalancer } from './cloud.ts';
import { command } from './command.ts';

// Runs the integration tests against the environment's load balancer, or LOAD_BALANCER.
const given = process.env.LOAD_BALANCER;
await command('remote_validation', given ? [] : ['aws'], async (target) => {
  const url = given ? (given.includes('://') ? given : `http://${given}`) : await loadBalancer(target);
  if (!url) throw new Refusal(`${target.application}/${target.environment} has no load balancer yet: make publish`);
  remark(`integration tests against ${url}`);
  const env = { ...process.env, BASE_URL: url, NODE_USE_ENV_PROXY: '1' };
  await attached('npm', ['run', '--silent', 'test:integration'], env);
});
