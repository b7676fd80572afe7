/** What the drills of monitoring need in the cluster: a receiver of pages and spans, and the monitoring of `make dashboard`. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { loadImages } from '../../../local-kind/cluster.ts';
import { allContainers, imagesOf, type KubernetesObject, list, parseObjects } from '../../../local-kind/objects.ts';
import { portForward } from '../../../local-kind/port-forward.ts';
import { rolledOut } from '../../../local-kind/wait-for-rollout.ts';
import { CHECKS, putProbe } from '../../alerts/probe.ts';
import { output } from '../../terminal/programs.ts';
import type { KindFixture } from './fixture.ts';

export const NAMESPACE = 'drill';
export const MONITORING_NAMESPACE = `${NAMESPACE}-monitoring`;
/** Alertmanager's network policy lets it reach this port of any address. */
const PORT = 443;
const READY_SECONDS = 60;
/** The key of PagerDuty. */
export const PAGER_KEY = randomBytes(16).toString('hex');
const INSTALLED = ['prometheus', 'alertmanager', 'blackbox'];
const LEFT_OUT = ['grafana', 'kube-state-metrics'];

/** What Alertmanager sends to PagerDuty: https://developer.pagerduty.com/docs/events-api-v2-overview */
const pagerEvent = z.object({
  routing_key: z.literal(PAGER_KEY),
  event_action: z.enum(['trigger', 'resolve']),
  dedup_key: z.string(),
  payload: z
    .object({
      summary: z.string(),
      custom_details: z.object({ alerts: z.string(), since: z.string(), runbook: z.string() }),
    })
    .optional(),
  links: z.array(z.object({ href: z.string() })).nullish(),
});
/** `at` is when it was received, in milliseconds since 1970. */
export type PagerEvent = z.output<typeof pagerEvent> & { readonly at: number };

const received = z.array(
  z.object({ at: z.number(), url: z.string(), headers: z.record(z.string(), z.string()), body: z.string() }),
);

/** Receives HTTP requests in the cluster, in place of PagerDuty or of a vendor of telemetry. */
export interface Sink {
  /** Its address in the cluster. */
  readonly url: string;
  /** The events that Alertmanager sent, oldest first. */
  pagerEvents(): Promise<PagerEvent[]>;
  /** The header `authorization` of each export of spans by OTLP. */
  exports(): Promise<readonly (string | undefined)[]>;
  /** Whether requests stay without an answer from now on. */
  setSilent(isSilent: boolean): Promise<void>;
}

const PROGRAM = `
import { createServer } from 'node:http';
const received = [];
let isSilent = false;
createServer(async (request, response) => {
  const { method, url, headers } = request;
  const body = Buffer.concat(await request.toArray());
  if (method !== 'POST') {
    // A forwarded connection learns late that it was closed.
    response.setHeader('connection', 'close');
    if (method === 'PUT') isSilent = body.toString() === 'silent';
    return response.end(JSON.stringify(received));
  }
  const text = headers['content-type'] === 'application/json' ? body.toString() : '';
  received.push({ at: Date.now(), url, headers, body: text });
  if (isSilent) return;
  response.writeHead(202, { 'content-type': 'application/json' });
  response.end('{"status":"success"}');
}).listen(${PORT});
`;

/** Starts the receiver in a namespace of its own, with the image of the service; it is removed after the drill. */
export async function startSink(fixture: KindFixture): Promise<Sink> {
  const { cluster } = fixture;
  fixture.defer(() => cluster.kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found']));
  const labels = { app: 'sink' };
  const container = {
    name: 'sink',
    image: fixture.image,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '--input-type=module', '-e', PROGRAM],
    // For its port.
    securityContext: { runAsUser: 0 },
    readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
  };
  const objects: KubernetesObject[] = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'sink', namespace: NAMESPACE, labels },
      spec: { containers: [container], enableServiceLinks: false },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'sink', namespace: NAMESPACE },
      spec: { selector: labels, ports: [{ port: PORT }] },
    },
  ];
  await cluster.kubectl(['apply', '-f', '-'], list(objects));
  await cluster.kubectl(['wait', 'pod/sink', '-n', NAMESPACE, '--for=condition=Ready', `--timeout=${READY_SECONDS}s`]);
  const { url, end } = await portForward(cluster.connection, NAMESPACE, 'pod/sink', PORT);
  fixture.defer(end);
  const all = async () => received.parse(await (await fetch(url)).json());
  return {
    url: `http://sink.${NAMESPACE}:${PORT}`,
    async pagerEvents() {
      const pages = (await all()).filter((request) => request.url === '/v2/enqueue');
      return pages.map(({ at, body }) => ({ at, ...pagerEvent.parse(JSON.parse(body)) }));
    },
    async exports() {
      const exported = (await all()).filter((request) => request.url === '/v1/traces');
      return exported.map(({ headers }) => headers.authorization);
    },
    async setSilent(isSilent) {
      await fetch(url, { method: 'PUT', body: isSilent ? 'silent' : 'answering' });
    },
  };
}

/**
 * Installs Prometheus, Alertmanager and the blackbox exporter as `make dashboard` does, beside it in another namespace;
 * pages go to the sink. Resolves when all that is measured is well; returns the reason if an image is not available.
 */
export async function startMonitoring(fixture: KindFixture, sink: Sink): Promise<string | undefined> {
  const { cluster } = fixture;
  const { kubectl, connection, port } = cluster;
  const objects = await monitoringObjects(sink);
  const missing = await useLocalImages(objects);
  if (missing !== undefined) return missing;
  fixture.defer(async () => {
    const ours = ['-l', `app.kubernetes.io/part-of=${NAMESPACE}`];
    await kubectl(['delete', 'namespace', MONITORING_NAMESPACE, '--ignore-not-found']);
    await kubectl(['delete', 'role,rolebinding,networkpolicy', '-n', 'plusone', ...ours]);
  });
  await loadImages(cluster, imagesOf(objects));
  await kubectl(['apply', '-f', '-'], list(objects));
  const status = await putProbe(new URL(`http://localhost:${port}`), fixture.writeToken);
  if (status >= 300) throw new Error(`PUT ${CHECKS.birthday.path} was answered with ${status}`);
  await Promise.all(INSTALLED.map((workload) => rolledOut(kubectl, MONITORING_NAMESPACE, `deployment/${workload}`)));
  const { url, end } = await portForward(connection, MONITORING_NAMESPACE, 'service/prometheus', 9090);
  try {
    const query = 'count(up{job="plusone"} == 1) > 0 and on() sum(probe_success) == 2';
    const answer = z.object({ data: z.object({ result: z.array(z.unknown()) }) });
    for (const deadline = Date.now() + READY_SECONDS * 1000; ; await sleep(500)) {
      const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query })}`);
      if (answer.parse(await response.json()).data.result.length > 0) return undefined;
      if (Date.now() > deadline) throw new Error(`Prometheus has no result of ${query} after ${READY_SECONDS} s`);
    }
  } finally {
    end();
  }
}

/** The objects of `make dashboard` without what only shows them, under other names, and with the sink for PagerDuty. */
async function monitoringObjects(sink: Sink): Promise<KubernetesObject[]> {
  const text = await output('kubectl', ['kustomize', 'tools/dashboard']);
  const names = new Map([
    ['monitoring', MONITORING_NAMESPACE],
    ['dashboard', NAMESPACE],
  ]);
  const objects = parseObjects(text)
    .filter(({ metadata: { name } }) => !LEFT_OUT.some((left) => name.startsWith(left)))
    .flatMap((object) =>
      parseObjects(
        JSON.stringify(object, (_, value) => (typeof value === 'string' ? names.get(value) : undefined) ?? value),
      ),
    );
  for (const object of objects) {
    const { kind, metadata } = object;
    if (metadata.namespace === 'plusone') {
      metadata.name = `${metadata.name}-${NAMESPACE}`;
      const reference = z.looseObject({ name: z.string() }).safeParse(object.roleRef);
      if (reference.success) object.roleRef = { ...reference.data, name: `${reference.data.name}-${NAMESPACE}` };
    }
    if (kind === 'ConfigMap' && metadata.name.startsWith('alertmanager')) {
      const data = z.record(z.string(), z.string()).parse(object.data);
      const settings = z.record(z.string(), z.unknown()).parse(parse(data['alertmanager.yml'] ?? ''));
      const global = { pagerduty_url: `${sink.url}/v2/enqueue` };
      object.data = { ...data, 'alertmanager.yml': stringify({ global, ...settings }) };
    }
  }
  const metadata = { name: 'pagerduty', namespace: MONITORING_NAMESPACE };
  return [...objects, { apiVersion: 'v1', kind: 'Secret', metadata, stringData: { key: PAGER_KEY } }];
}

/** Replaces images that this machine does not have by another version that it has. Returns the reason if there is none. */
async function useLocalImages(objects: readonly KubernetesObject[]): Promise<string | undefined> {
  for (const container of allContainers(objects)) {
    const [repository = ''] = container.image.split(':');
    const format = '{{.Repository}}:{{.Tag}}';
    const local = (await output('docker', ['image', 'ls', '--format', format, repository])).split('\n').filter(Boolean);
    if (local.includes(container.image)) continue;
    const [other] = local;
    if (other !== undefined) container.image = other;
    else if (!(await isPulled(container.image))) return `it needs the image ${container.image}, which cannot be pulled`;
  }
  return undefined;
}

async function isPulled(image: string): Promise<boolean> {
  return await output('docker', ['pull', '--quiet', image]).then(
    () => true,
    () => false,
  );
}
