import { command } from './command.ts';
import { run } from './run.ts';

// The service's log as it comes, until Ctrl-C.
await command('logs-aws', ['copilot', 'aws'], async ({ service, environment }) => {
  await run('copilot', [
    'svc',
    'logs',
    '--name',
    service,
    '--env',
    environment,
    '--follow',
    '--since',
    process.env.SINCE || '5m',
  ]);
});
