import { attached } from '../terminal/programs.ts';
import { command } from './command.ts';

// Follows the service's log until Ctrl-C.
await command('logs-aws', ['copilot', 'aws'], async ({ service, environment }) => {
  await attached('copilot', [
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
