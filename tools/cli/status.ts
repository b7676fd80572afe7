import { objectName } from '../../manifest/names.ts';
import { say } from '../terminal/progress.ts';
import { common, connect, cronJobList, help, podList } from './cluster.ts';
import { command, table } from './command.ts';
import { exitCodes } from './exit.ts';

export const statusCommand = command({
  name: 'status',
  summary: 'Show the pods of each workload and their state',
  options: { ...common, json: { type: 'boolean', help: 'as JSON' }, help },
  async run(values) {
    const { kubectl, namespace, found } = await connect(values);
    const pods = podList.parse(JSON.parse(await kubectl(['get', 'pods', '-n', namespace, '-o', 'json']))).items;
    const cronJobs = await kubectl(['get', 'cronjobs', '-n', namespace, '-o', 'json']);
    const schedules = cronJobList.parse(JSON.parse(cronJobs)).items;
    const rows = found.workloads.map((workload) => {
      const name = objectName(workload);
      const own = pods.filter(({ metadata }) => metadata.labels['app.kubernetes.io/name'] === name);
      const schedule = schedules.find(({ metadata }) => metadata.name === name)?.spec.schedule;
      return {
        workload,
        ...(schedule === undefined ? {} : { schedule }),
        pods: own.map(({ metadata, status }) => ({
          name: metadata.name,
          ready: status.containerStatuses.length > 0 && status.containerStatuses.every(({ ready }) => ready),
          state: status.containerStatuses.map(({ state }) => state.waiting?.reason).find(Boolean) ?? status.phase,
          restarts: status.containerStatuses.reduce((sum, { restartCount }) => sum + restartCount, 0),
        })),
      };
    });
    if (values.json) say(JSON.stringify(rows, undefined, 2));
    else
      say(
        table(
          rows.flatMap(({ workload, schedule, pods: own }) => {
            const lines = own.map(({ name, ready, state, restarts }) => {
              const restarted = restarts > 0 ? `, restarted ${restarts} times` : '';
              return `${ready || state === 'Succeeded' ? '✓' : '✗'} ${name}  ${state}${restarted}`;
            });
            const all = [...(schedule === undefined ? [] : [`scheduled: ${schedule} (UTC)`]), ...lines];
            return (all.length > 0 ? all : ['✗ no pod']).map((line, i) => [i === 0 ? workload : '', line] as const);
          }),
        ).join('\n'),
      );
    const isWell = rows.every(
      ({ schedule, pods: own }) =>
        schedule !== undefined || (own.length > 0 && own.every(({ ready, state }) => ready || state === 'Succeeded')),
    );
    return isWell ? exitCodes.done : exitCodes.failed;
  },
});
