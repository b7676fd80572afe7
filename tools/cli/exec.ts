import { objectName } from '../../manifest/names.ts';
import { common, connect, help, shown, workloadNamed } from './cluster.ts';
import { command } from './command.ts';

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
