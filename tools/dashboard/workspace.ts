/**
 * `plusone alarms`: the Prometheus of `make dashboard` in the cluster of any workspace, alone, with the alarms of the
 * workspace as its rules.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { z } from 'zod';
import { applyServerSide, type Cluster, loadImages } from '../../local-kind/cluster.ts';
import { imagesOf, parseObjects } from '../../local-kind/objects.ts';
import { portForward } from '../../local-kind/port-forward.ts';
import { NotReady, rolledOut } from '../../local-kind/wait-for-rollout.ts';
import type { WorkloadAlarm } from '../alerts/workspace.ts';
import { messageOf } from '../terminal/message.ts';

const NAMESPACE = 'monitoring';
const ANSWER_SECONDS = 60;
const PAUSE_MILLISECONDS = 500;

/** A workload whose pods report metrics. */
export interface MonitoredWorkload {
  /** Its name as its objects have it. */
  readonly name: string;
  /** The port of GET /metrics. */
  readonly port: number;
  readonly alarms: readonly WorkloadAlarm[];
}

/** The state of an alarm. */
export interface AlarmState {
  readonly workload: string;
  readonly name: string;
  /** pending: its condition is true, but not for long enough. */
  readonly state: 'inactive' | 'pending' | 'firing';
  /** When its condition became true. */
  readonly since: Date | undefined;
}

/** Prometheus, as it answers to this process. */
export interface Monitoring {
  states(): Promise<AlarmState[]>;
  end(): void;
}

/**
 * Starts Prometheus in the cluster, or gives it these alarms, and waits until it has evaluated all of them, and until a
 * pod of each workload has reported metrics.
 * @throws {NotReady} if Prometheus does not start, or no pod of a workload reports metrics
 */
export async function startMonitoring(
  cluster: Pick<Cluster, 'name' | 'kubectl' | 'connection'>,
  namespace: string,
  workloads: readonly MonitoredWorkload[],
  minuteSeconds: number,
): Promise<Monitoring> {
  const objects = monitoringObjects(namespace, workloads, minuteSeconds);
  await loadImages(cluster, imagesOf(objects));
  await applyServerSide(cluster.kubectl, objects);
  await rolledOut(cluster.kubectl, NAMESPACE, 'deployment/prometheus');
  const { url, end } = await portForward(cluster.connection, NAMESPACE, 'service/prometheus', 9090);
  try {
    await waitForMetrics(url, workloads);
  } catch (error) {
    end();
    throw error;
  }
  return { states: () => statesAt(url), end };
}

/** Namespace, rights, rules and server. */
export function monitoringObjects(namespace: string, workloads: readonly MonitoredWorkload[], minuteSeconds: number) {
  const files = {
    'prometheus.yml': stringify(configuration(namespace, workloads, minuteSeconds)),
    'alerts.yml': stringify(rules(workloads, minuteSeconds)),
  };
  const ports = [...new Set(workloads.map(({ port }) => port))];
  const hash = createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 16);
  const server = replaced(manifest('prometheus'), [
    ['namespace: plusone,', `namespace: ${namespace},`],
    ['kubernetes.io/metadata.name: plusone }', `kubernetes.io/metadata.name: ${namespace} }`],
    [
      'matchLabels: { app.kubernetes.io/name: plusone }',
      `matchExpressions: [{ key: app.kubernetes.io/name, operator: In, values: ${JSON.stringify(workloads.map(({ name }) => name))} }]`,
    ],
    ['ports: [{ port: 9464 }]', `ports: ${JSON.stringify(ports.map((port) => ({ port })))}`],
    // Prometheus reads its files only when it starts.
    ['    metadata:\n      labels:', `    metadata:\n      annotations: { configuration: '${hash}' }\n      labels:`],
  ]);
  const data = JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'prometheus', namespace: NAMESPACE },
    data: files,
  });
  return parseObjects([manifest('namespace'), data, server].join('\n---\n'));
}

const manifest = (name: string) => readFileSync(new URL(`./kubernetes/${name}.yaml`, import.meta.url), 'utf8');

function replaced(text: string, replacements: readonly (readonly [from: string, to: string])[]): string {
  return replacements.reduce((before, [from, to]) => {
    if (!before.includes(from)) throw new Error(`prometheus.yaml does not contain ${from}`);
    return before.replaceAll(from, () => to);
  }, text);
}

/** A twelfth of a minute, as in prometheus.yml; in seconds. */
const interval = (minuteSeconds: number) => Math.max(1, Math.round(minuteSeconds / 12));

function configuration(namespace: string, workloads: readonly MonitoredWorkload[], minuteSeconds: number) {
  const seconds = interval(minuteSeconds);
  return {
    global: { scrape_interval: `${seconds}s`, scrape_timeout: `${Math.min(2, seconds)}s` },
    rule_files: ['alerts.yml'],
    scrape_configs: workloads.map(({ name, port }) => ({
      job_name: name,
      kubernetes_sd_configs: [
        {
          role: 'pod',
          namespaces: { names: [namespace] },
          selectors: [{ role: 'pod', label: `app.kubernetes.io/name=${name}` }],
        },
      ],
      relabel_configs: [
        // One target a pod: the container of the service, not its sidecars.
        { source_labels: ['__meta_kubernetes_pod_container_name'], regex: name, action: 'keep' },
        { source_labels: ['__meta_kubernetes_pod_phase'], regex: 'Running', action: 'keep' },
        { source_labels: ['__meta_kubernetes_pod_ip'], target_label: '__address__', replacement: `$1:${port}` },
        { source_labels: ['__meta_kubernetes_pod_name'], target_label: 'instance' },
        { source_labels: ['__meta_kubernetes_pod_ready'], target_label: 'ready' },
      ],
    })),
  };
}

function rules(workloads: readonly MonitoredWorkload[], minuteSeconds: number) {
  return {
    groups: workloads.map(({ name: workload, alarms }) => ({
      name: workload,
      interval: `${interval(minuteSeconds)}s`,
      rules: alarms.flatMap(({ name, what, prometheus }) =>
        'missing' in prometheus
          ? []
          : [
              {
                alert: name,
                expr: prometheus.expression,
                for: `${prometheus.forSeconds}s`,
                labels: { workload },
                annotations: { summary: what },
              },
            ],
      ),
    })),
  };
}

const targets = z.object({
  data: z.object({
    activeTargets: z.array(
      z.object({ labels: z.object({ job: z.string() }), health: z.string(), lastError: z.string() }),
    ),
  }),
});
const ruleGroups = z.object({
  data: z.object({
    groups: z.array(
      z.object({
        name: z.string(),
        rules: z.array(
          z.object({
            name: z.string(),
            state: z.enum(['inactive', 'pending', 'firing']),
            health: z.string(),
            lastError: z.string().optional(),
            alerts: z.array(z.object({ activeAt: z.coerce.date() })),
          }),
        ),
      }),
    ),
  }),
});

async function ask<T>(url: string, path: string, schema: z.ZodType<T>): Promise<T> {
  const response = await fetch(`${url}/api/v1/${path}`, { signal: AbortSignal.timeout(10_000) }).catch(
    (error: unknown) => {
      throw new NotReady(`Prometheus does not answer: ${messageOf(error)}`);
    },
  );
  if (!response.ok) throw new Error(`Prometheus answers ${response.status} to ${path}: ${await response.text()}`);
  return schema.parse(await response.json());
}

async function waitForMetrics(url: string, workloads: readonly MonitoredWorkload[]): Promise<void> {
  for (const deadline = performance.now() + ANSWER_SECONDS * 1000; ; await sleep(PAUSE_MILLISECONDS)) {
    const { activeTargets } = (await ask(url, 'targets?state=active', targets)).data;
    const { groups } = (await ask(url, 'rules?type=alert', ruleGroups)).data;
    const silent = workloads.filter(
      ({ name }) => !activeTargets.some(({ labels, health }) => labels.job === name && health === 'up'),
    );
    const isEvaluated = groups.every((group) => group.rules.every(({ health }) => health !== 'unknown'));
    if (silent.length === 0 && isEvaluated) return;
    if (performance.now() < deadline) continue;
    const reasons = silent.map(({ name, port }) => {
      const reason = activeTargets.find(({ labels }) => labels.job === name)?.lastError || 'no pod runs';
      return `no pod of ${name} answers GET /metrics on port ${port}: ${reason}`;
    });
    throw new NotReady(reasons.join('\n') || `Prometheus did not evaluate its rules within ${ANSWER_SECONDS} s`);
  }
}

async function statesAt(url: string): Promise<AlarmState[]> {
  const { groups } = (await ask(url, 'rules?type=alert', ruleGroups)).data;
  return groups.flatMap(({ name: workload, rules: own }) =>
    own.map(({ name, state, health, lastError, alerts }) => {
      if (health === 'err') throw new NotReady(`Prometheus cannot evaluate ${name} of ${workload}: ${lastError}`);
      return { workload, name, state, since: alerts[0]?.activeAt };
    }),
  );
}
