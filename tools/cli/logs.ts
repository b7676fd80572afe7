import { objectName } from '../../manifest/names.ts';
import { common, connect, help, shown, workloadNamed } from './cluster.ts';
import { command, wholeNumber } from './command.ts';

export const logsCommand = command({
  name: 'logs',
  summary: 'Show what workloads log',
  operands: '[NAME]',
  completes: 'workloads',
  options: {
    ...common,
    follow: { type: 'boolean', short: 'f', help: 'also show new lines, until Ctrl-C' },
    since: { type: 'string', value: 'TIME', help: 'only lines that are not older, such as 30s, 10m, 2h' },
    limit: { type: 'string', value: 'LINES', help: 'the last lines of each container (default: 100)' },
    previous: { type: 'boolean', help: 'the log of the previous container, such as one that crashed' },
    container: { type: 'string', value: 'NAME', help: 'only this container, such as a sidecar' },
    help,
  },
  examples: [['plusone logs web --follow --since 10m', 'as copilot svc logs --follow --since 10m']],
  async run(values, [name]) {
    const { connection, namespace, found } = await connect(values);
    const selector =
      name === undefined
        ? 'app.kubernetes.io/managed-by=cdk8s'
        : `app.kubernetes.io/name=${workloadNamed(name, found)}`;
    const limit = wholeNumber('--limit', values.limit ?? '100', 0, 1_000_000);
    return await shown([
      ...connection,
      ...['logs', '-n', namespace, '-l', selector, '--prefix', '--max-log-requests=100', `--tail=${limit}`],
      ...(values.container === undefined ? ['--all-containers'] : ['-c', objectName(values.container)]),
      ...(values.follow ? ['--follow'] : []),
      ...(values.previous ? ['--previous'] : []),
      ...(values.since === undefined ? [] : [`--since=${values.since}`]),
    ]);
  },
});
