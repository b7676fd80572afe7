import { basename } from 'node:path';
import { command } from './command.ts';
import { exitCodes } from './exit.ts';

export const devCommand = command({
  name: 'dev',
  summary: 'Run the service of this folder on a private, temporary database',
  details:
    'Migrates, serves on PORT (default: 5000) and restarts after each change in src/, until Ctrl-C. It uses MariaDB or MySQL of this machine, else Docker, and connects to no server that already runs, unless DATABASE_HOST names one.',
  options: {
    run: {
      type: 'string',
      value: 'COMMAND',
      help: 'run this with the address of the service in BASE_URL, on free ports, and end with its exit code',
    },
    help: { type: 'boolean', short: 'h', help: 'this text' },
  },
  examples: [
    ['plusone dev', 'then the browser at http://localhost:5000'],
    ['plusone dev --run "mocha test/integration"', 'tests over HTTP'],
  ],
  async run(values) {
    // It loads the client of MySQL, which few commands need.
    const { develop } = await import('../process/develop.ts');
    await develop({ folder: process.cwd(), name: basename(process.cwd()) }, values.run);
    return exitCodes.done;
  },
});
