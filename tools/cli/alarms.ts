import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readOptions } from '../../k8s/options.ts';
import { readWhatCanBe } from '../../k8s/read.ts';
import type { Workload } from '../../k8s/workload.ts';
import type { Workspace } from '../../manifest/workspace.ts';
import type { AlarmState, MonitoredWorkload } from '../dashboard/workspace.ts';
import { remark, say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { common, connect, help } from './cluster.ts';
import { command, environmentOption, table, wholeNumber } from './command.ts';
import { exitCodes } from './exit.ts';

/** Where a service that `plusone new` wrote has /metrics, unless its manifest says otherwise. */
const METRICS_PORT = '9464';
const PAUSE_MILLISECONDS = 1_000;

export const alarmsCommand = command({
  name: 'alarms',
  summary: 'Show which alarms of the services fire in the cluster',
  details: `Starts Prometheus in the cluster, with the CloudWatch alarms of copilot/*/addons as its rules. What the load balancer measures on AWS comes from the metrics of the services: http_request_duration_seconds of GET /metrics, on METRICS_PORT (default: ${METRICS_PORT}). The exit code is 1 while an alarm fires.`,
  options: {
    ...common,
    environment: environmentOption,
    minute: {
      type: 'string',
      value: 'SECONDS',
      help: 'how long a minute of the alarms lasts, 5 to 60 (default: 60); a shorter one makes them fire sooner, to try them',
    },
    follow: { type: 'boolean', short: 'f', help: 'also show each change, until Ctrl-C' },
    help,
  },
  examples: [['plusone alarms --minute 10 --follow', 'an alarm of three minutes fires after thirty seconds']],
  async run(values) {
    const minute = wholeNumber('--minute', values.minute ?? '60', 5, 60);
    const { name, kubectl, connection, namespace, found } = await connect(values);
    const workloads = await monitored(found, values.environment ?? 'local', minute);
    const { startMonitoring } = await import('../dashboard/workspace.ts');
    const monitoring = await step('Prometheus', () =>
      startMonitoring({ name, kubectl, connection }, namespace, workloads, minute),
    );
    try {
      for (const signal of ['SIGINT', 'SIGTERM'] as const)
        process.once(signal, () => process.exit(exitCodes.interrupted));
      let states = await monitoring.states();
      say(overview(workloads, states));
      while (values.follow) {
        await sleep(PAUSE_MILLISECONDS);
        const before = new Map(states.map((one) => [keyOf(one), one.state]));
        states = await monitoring.states();
        for (const one of states)
          if (before.get(keyOf(one)) !== one.state) say(`${clock(new Date())}  ${keyOf(one)}  ${described(one)}`);
      }
      return states.some(({ state }) => state === 'firing') ? exitCodes.failed : exitCodes.done;
    } finally {
      monitoring.end();
    }
  },
});

/**
 * The workloads whose addons have alarms that can be evaluated here.
 * @throws {Refusal} without any
 */
async function monitored(found: Workspace, environment: string, minute: number): Promise<MonitoredWorkload[]> {
  const { readTemplate } = await import('../../local-kind/addons.ts');
  const { workloadAlarms } = await import('../alerts/workspace.ts');
  const { workloads, broken } = readWhatCanBe(found, readOptions({ environment }));
  for (const { message } of broken) remark(message);
  const all = workloads.map(({ application, manifest }) => {
    const workload = manifest.fields.name ?? manifest.name;
    const template = readTemplate(join(found.folder, workload, 'addons'));
    const owner = { application, environment, workload, job: manifest.name };
    return {
      name: manifest.name,
      port: metricsPort(manifest),
      alarms: template ? workloadAlarms(template, owner, minute) : [],
    };
  });
  const some = all.filter(({ alarms }) => alarms.some(({ prometheus }) => !('missing' in prometheus)));
  if (some.length > 0) return some;
  throw new Refusal(
    `no addon in ${found.folder}/*/addons has an AWS::CloudWatch::Alarm on a metric of AWS/ApplicationELB that can be measured here`,
  );
}

function metricsPort({ fields }: Workload['manifest']): number {
  const stated = fields.variables?.METRICS_PORT;
  return wholeNumber('METRICS_PORT', typeof stated === 'string' ? stated : METRICS_PORT, 1, 65535);
}

/** All alarms with their state; those without a rule with the reason. */
function overview(workloads: readonly MonitoredWorkload[], states: readonly AlarmState[]): string {
  const byKey = new Map(states.map((one) => [keyOf(one), one]));
  return table(
    workloads.flatMap(({ name: workload, alarms }) =>
      alarms.map(({ name, what, prometheus }) => {
        const state = byKey.get(keyOf({ workload, name }));
        if (state === undefined)
          return [
            `- ${workload} ${name}`,
            'missing' in prometheus ? `not evaluated: ${prometheus.missing}` : '',
          ] as const;
        const mark = { inactive: '✓', pending: '…', firing: '✗' }[state.state];
        const about = state.state === 'inactive' ? '' : `: ${what}`;
        return [`${mark} ${workload} ${name}`, `${described(state)}${about}`] as const;
      }),
    ),
  ).join('\n');
}

const keyOf = ({ workload, name }: Pick<AlarmState, 'workload' | 'name'>) => `${workload} ${name}`;
const clock = (time: Date) => `${time.toISOString().slice(11, 19)} UTC`;

function described({ state, since }: AlarmState): string {
  if (state === 'inactive') return 'ok';
  return `${state}, true since ${since ? clock(since) : 'now'}`;
}
