/** The drills of monitoring in the kind cluster: what pages, which logs arrive, and what the telemetry sidecar costs. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { loadImage } from '../../../local-kind/cluster.ts';
import { makeImage } from '../../../local-kind/images.ts';
import { parseObjects, withImage } from '../../../local-kind/objects.ts';
import { portForward } from '../../../local-kind/port-forward.ts';
import { Workspace } from '../../aws/workspace-copy.ts';
import { quantile } from '../../load/quantile.ts';
import { Failed, output } from '../../terminal/programs.ts';
import { type Assertion, noRestart, nothingFails, nothingLost, observed } from '../assertions.ts';
import type { Drill, Run } from '../drill.ts';
import type { KindFixture } from './fixture.ts';
import {
  MONITORING_NAMESPACE,
  NAMESPACE,
  PAGER_KEY,
  type PagerEvent,
  type Sink,
  startMonitoring,
  startSink,
} from './monitoring-fixture.ts';

type KindDrill = Drill<KindFixture>;

const PAGE_SECONDS = 15;
/** How long is waited for what may be late, so that the report says how late. */
const WAIT_SECONDS = 90;

const isTrigger = ({ event_action: action }: PagerEvent) => action === 'trigger';
const isResolve = ({ event_action: action }: PagerEvent) => action === 'resolve';

/** The monitoring of a drill and its pages; or why it cannot run on this machine. */
async function startPaging(fixture: KindFixture): Promise<Sink | string> {
  const sink = await startSink(fixture);
  return (await startMonitoring(fixture, sink)) ?? sink;
}

/** Waits for an event; undefined if it does not come. */
async function awaitEvent(sink: Sink, wanted: (event: PagerEvent) => boolean): Promise<PagerEvent | undefined> {
  for (const deadline = Date.now() + WAIT_SECONDS * 1000; Date.now() < deadline; await sleep(250)) {
    const found = (await sink.pagerEvents()).find(wanted);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** After the end of a fault: whether every page resolves, and how many pages there were. */
async function observeEnd(sink: Sink, { observations }: Run): Promise<void> {
  await awaitEvent(sink, isResolve);
  const events = await sink.pagerEvents();
  const keys = new Set(events.filter(isTrigger).map(({ dedup_key: key }) => key));
  const resolved = new Set(events.filter(isResolve).map(({ dedup_key: key }) => key));
  observations.pages = keys.size;
  observations.alerts = events.findLast(isTrigger)?.payload?.custom_details.alerts ?? 'none';
  observations.resolved = [...keys].every((key) => resolved.has(key)) ? 'resolved' : 'not resolved';
}

const onePage = observed('pages', 'A person is paged once', (value) => value === 1);
const resolves = observed('resolved', 'The page resolves under the same key', (value) => value === 'resolved');

const nobodyAnswers: KindDrill = {
  name: 'nobody-answers',
  fault: 'The processes of all pods are stopped (SIGSTOP)',
  assertions: [
    observed(
      'page',
      `A person is paged within ${PAGE_SECONDS} s`,
      (value) => Number.parseFloat(String(value)) <= PAGE_SECONDS,
    ),
    observed(
      'content',
      'The page says what is wrong, since when, and where the runbook and the dashboard are',
      (value) => value === 'all of it',
    ),
    onePage,
    resolves,
    nothingLost,
  ],
  duration: { full: 20, quick: 0 },
  async prepare(fixture) {
    const sink = await startPaging(fixture);
    if (typeof sink === 'string') return sink;
    const pods = await fixture.pods();
    const signal = (name: string) => Promise.all(pods.map((pod) => fixture.signal(pod, name)));
    fixture.defer(() => signal('SIGCONT').catch(() => undefined));
    return {
      async begin({ observations }) {
        const from = Date.now();
        await signal('SIGSTOP');
        const page = await awaitEvent(sink, isTrigger);
        observations.page = page === undefined ? 'no page' : `${((page.at - from) / 1000).toFixed(1)} s`;
        observations.content = missingIn(page, from);
      },
      async end(run) {
        await signal('SIGCONT');
        await fixture.rolledOut();
        await observeEnd(sink, run);
      },
    };
  },
};

/** What a person needs and the page does not have. */
function missingIn(page: PagerEvent | undefined, from: number): string {
  const details = page?.payload?.custom_details;
  const age = Math.abs(Date.parse(details?.since ?? '') - from);
  const has = {
    'what is wrong': page?.payload?.summary.includes('plusone has no healthy task'),
    'since when': age < WAIT_SECONDS * 1000,
    'the runbook': details?.runbook.includes('docs/runbook.md#nohealthytask'),
    'the dashboard': page?.links?.some(({ href }) => href.includes('/d/plusone')),
  };
  const missing = Object.entries(has).flatMap(([what, isThere]) => (isThere ? [] : [what]));
  return missing.length === 0 ? 'all of it' : `not ${missing.join(', ')}`;
}

const alarmStorm: KindDrill = {
  name: 'alarm-storm',
  fault: 'MySQL is gone for so long that errors and both checks from outside are in alarm',
  assertions: [
    onePage,
    observed('alerts', 'It names more than one alarm', (value) => String(value).includes(', ')),
    resolves,
    nothingLost,
    noRestart,
  ],
  duration: { full: 240 },
  // So many that a minute of errors counts.
  rate: 20,
  async prepare(fixture) {
    const sink = await startPaging(fixture);
    if (typeof sink === 'string') return sink;
    const scale = (replicas: number) => fixture.kubectl(['scale', 'statefulset/mysql', `--replicas=${replicas}`]);
    const servers = Number(await fixture.kubectl(['get', 'statefulset/mysql', '-o', 'jsonpath={.spec.replicas}']));
    fixture.defer(() => scale(servers));
    return {
      begin: () => scale(0),
      async end(run) {
        await scale(servers);
        await fixture.databaseRolledOut();
        await observeEnd(sink, run);
      },
    };
  },
};

const quietDay: KindDrill = {
  name: 'quiet-day',
  fault: 'Nothing out of the ordinary: a release, and a node that is drained or, with one node, a pod that moves',
  assertions: [observed('pages', 'No page is sent', (value) => value === 0), nothingFails, nothingLost],
  duration: { full: 600, quick: 30 },
  rate: 50,
  async prepare(fixture) {
    const sink = await startPaging(fixture);
    if (typeof sink === 'string') return sink;
    return {
      async begin() {
        await fixture.restart();
        const [node = ''] = fixture.nodes;
        const [pod = ''] = await fixture.pods();
        if (fixture.nodes.length < 2) await fixture.kubectl(['delete', 'pod', pod]);
        else {
          await fixture.drain(node);
          await fixture.uncordon(node);
        }
        await fixture.rolledOut();
      },
      async end({ observations }) {
        // Those of the start of monitoring count, too.
        observations.pages = (await sink.pagerEvents()).filter(isTrigger).length;
      },
    };
  },
};

const LOGS = 'logs-plusone-local-*';
const ARRIVAL_SECONDS = 60;
const SEARCH_NAMESPACE = 'monitoring';

const logsArrive: KindDrill = {
  name: 'logs-arrive',
  fault: 'OpenSearch is stopped (SIGSTOP) while the service writes its log',
  assertions: [
    observed('arrived', `The line of every request is found, within ${ARRIVAL_SECONDS} s of the last`, (value) =>
      /^(\d+) of \1 after/.test(String(value)),
    ),
    observed('twice', 'No line is stored twice', (value) => value === 0),
    nothingFails,
    noRestart,
  ],
  duration: { full: 30, quick: 5 },
  async prepare(fixture) {
    const { cluster } = fixture;
    try {
      const env = { ...process.env, CLUSTER: cluster.name, QUERY: '*' };
      await output(process.execPath, ['tools/dashboard/logs-search.ts'], { env });
    } catch (error) {
      if (error instanceof Failed) return `make logs-search fails: ${error.stderr.trim()}`;
      throw error;
    }
    const pods = ['get', 'pods', '-n', SEARCH_NAMESPACE, '-l', 'app.kubernetes.io/name=opensearch', '-o', 'name'];
    const pod = (await cluster.kubectl(pods)).replace('pod/', '');
    const signal = (name: string) =>
      fixture.signalContainer(SEARCH_NAMESPACE, pod, '.status.containerStatuses[0]', name);
    const { url, end } = await portForward(cluster.connection, SEARCH_NAMESPACE, 'service/opensearch', 9200);
    fixture.defer(end);
    fixture.defer(() => signal('SIGCONT'));
    let current: Run | undefined;
    return {
      async begin(run) {
        current = run;
        await signal('SIGSTOP');
      },
      end: () => signal('SIGCONT'),
      async settle() {
        if (current === undefined) return;
        const { load, observations } = current;
        const ids = new Set(load.answers.flatMap(({ requestId }) => requestId ?? []));
        const from = Date.now();
        for (;;) {
          const counts = await countsByRequest(url);
          const found = [...ids].filter((id) => counts.has(id));
          const seconds = (Date.now() - from) / 1000;
          observations.arrived = `${found.length} of ${ids.size} after ${seconds.toFixed(1)} s`;
          observations.twice = found.filter((id) => counts.get(id) !== 1).length;
          if (found.length === ids.size || seconds > ARRIVAL_SECONDS) return;
          await sleep(500);
        }
      },
    };
  },
};

/** How many lines of the last minutes OpenSearch has of each request. */
async function countsByRequest(url: string): Promise<Map<string, number>> {
  const answer = z.object({
    aggregations: z.object({
      requests: z.object({ buckets: z.array(z.object({ key: z.string(), doc_count: z.number() })) }),
    }),
  });
  await fetch(`${url}/${LOGS}/_refresh`, { method: 'POST' });
  const response = await fetch(`${url}/${LOGS}/_search`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      size: 0,
      query: { bool: { filter: [{ term: { msg: 'request' } }, { range: { '@timestamp': { gte: 'now-10m' } } }] } },
      aggs: { requests: { terms: { field: 'requestId', size: 50_000 } } },
    }),
  });
  const { buckets } = answer.parse(await response.json()).aggregations.requests;
  return new Map(buckets.map(({ key, doc_count: count }) => [key, count]));
}

const COLLECTOR = 'otel-collector';
const SIDECAR_IMAGE = `plusone-${COLLECTOR}:drill`;
/** The key of the vendor. */
const TELEMETRY_KEY = randomBytes(16).toString('hex');
const STATUS = `.status.initContainerStatuses[?(@.name=="${COLLECTOR}")]`;
const SERVICE_STATUS = '.status.containerStatuses[0]';
/** The sampler of memory costs CPU, too. */
const SAMPLE_SECONDS = 3;
/** Of each p99 before the fault. */
const WINDOW_MILLISECONDS = 5_000;
/** Scheduling alone moves a p99 by so much on a machine with other work. */
const NOISE_MILLISECONDS = 10;
/** The limit of memory_limiter in collector.yaml is 96 MiB, and the program itself takes about as much. */
const COLLECTOR_MEBIBYTES = 200;
const SERVICE_GROWTH_MEBIBYTES = 50;

const costsNothing: readonly Assertion[] = [
  nothingFails,
  observed('p99', 'p99 is within 10 % of before, or 10 ms', (value) => !String(value).includes('slower')),
  observed(
    'collector memory',
    `The collector stays below ${COLLECTOR_MEBIBYTES} MiB`,
    (value) => Number(value) > 0 && Number(value) < COLLECTOR_MEBIBYTES,
  ),
  observed('service memory', `The service grows by at most ${SERVICE_GROWTH_MEBIBYTES} MiB`, (value) => {
    const [before = 0, peak = Number.POSITIVE_INFINITY] = String(value).split(' → ').map(Number);
    return before > 0 && peak - before <= SERVICE_GROWTH_MEBIBYTES;
  }),
  observed('exports', 'Spans arrived before the fault, and arrive after it', (value) => value === 'before and after'),
  nothingLost,
  noRestart,
];

/** A drill on the telemetry sidecar; `during` runs again and again while the fault lasts. */
function collectorDrill(
  name: string,
  fault: string,
  inject: (
    fixture: KindFixture,
    sink: Sink,
  ) => { begin(): Promise<unknown>; during?(): Promise<unknown>; end(): Promise<unknown> },
): KindDrill {
  return {
    name,
    fault,
    assertions: costsNothing,
    duration: { full: 0, quick: 0 },
    rate: 50,
    async prepare(fixture) {
      const sink = await startSink(fixture);
      const missing = await releaseWithCollector(fixture, sink);
      if (missing !== undefined) return missing;
      const injection = inject(fixture, sink);
      fixture.defer(() => injection.end().catch(() => undefined));
      return {
        async begin({ load, observations, quick }) {
          const [settle, seconds] = quick ? [5, 5] : [15, 30];
          const memory = watchMemory(fixture);
          // New processes are slower at first.
          await sleep((settle + seconds) * 1000);
          const began = load.now();
          const exportsBefore = (await sink.exports()).length;
          const memoryBefore = memory.service;
          await injection.begin();
          for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline; await sleep(1_000)) {
            await injection.during?.();
          }
          const ended = load.now();
          await injection.end();
          const exportsDuring = (await sink.exports()).length;
          // Kubernetes starts a container that ends again and again after longer and longer pauses.
          let exportsAfter = exportsDuring;
          for (const end = Date.now() + WAIT_SECONDS * 1000; exportsAfter === exportsDuring && Date.now() < end; ) {
            await sleep(1_000);
            exportsAfter = (await sink.exports()).length;
          }
          await memory.stop();
          const p99 = (from: number, to: number) => {
            const times = load.answers
              .filter(({ sent }) => sent >= from && sent < to)
              .map(({ sent, ended: at }) => at - sent);
            return quantile(
              times.sort((one, other) => one - other),
              0.99,
            );
          };
          const windows = Array.from({ length: Math.floor((seconds * 1000) / WINDOW_MILLISECONDS) }, (_, at) =>
            p99(began - (at + 1) * WINDOW_MILLISECONDS, began - at * WINDOW_MILLISECONDS),
          );
          const before = Math.max(...windows);
          const during = p99(began, ended);
          const isSlower = during > Math.max(1.1 * before, before + NOISE_MILLISECONDS);
          observations.p99 = `${before.toFixed(1)} → ${during.toFixed(1)} ms${isSlower ? ', slower' : ''}`;
          observations['collector memory'] = Math.round(memory.collector);
          observations['service memory'] = `${Math.round(memoryBefore)} → ${Math.round(memory.service)}`;
          const arrived = { before: exportsBefore > 0, after: exportsAfter > exportsDuring };
          observations.exports =
            Object.entries(arrived)
              .flatMap(([when, isSo]) => (isSo ? [when] : []))
              .join(' and ') || 'never';
        },
        end() {},
      };
    },
  };
}

function watchMemory(fixture: KindFixture) {
  const peak = { collector: 0, service: 0 };
  let isOver = false;
  const watching = (async () => {
    for (; !isOver; await sleep(SAMPLE_SECONDS * 1000)) {
      peak.collector = Math.max(peak.collector, await fixture.memoryOf(STATUS));
      peak.service = Math.max(peak.service, await fixture.memoryOf(SERVICE_STATUS));
    }
  })();
  return {
    get collector() {
      return peak.collector;
    },
    get service() {
      return peak.service;
    },
    async stop() {
      isOver = true;
      await watching;
    },
  };
}

/** Releases the service with the sidecar of docs/observability.md, whose vendor is the sink; or returns why it can't. */
async function releaseWithCollector(fixture: KindFixture, sink: Sink): Promise<string | undefined> {
  const [, base = ''] = /^FROM (\S+)/m.exec(readFileSync('copilot/plusone/telemetry/Dockerfile', 'utf8')) ?? [];
  const isThere = await output('docker', ['image', 'inspect', base]).then(
    () => true,
    () =>
      output('docker', ['pull', '--quiet', base]).then(
        () => true,
        () => false,
      ),
  );
  if (!isThere) return `it needs the image ${base}, which cannot be pulled`;
  const workspace = new Workspace();
  try {
    const context = 'copilot/plusone/telemetry';
    const build = { dockerfile: `${context}/Dockerfile`, context, args: { TELEMETRY: 'otlp' } };
    workspace.declare({
      'environments.local.variables.OTEL_EXPORTER_OTLP_ENDPOINT': 'http://localhost:4318',
      'environments.local.variables.OTEL_SERVICE_NAME': 'plusone',
      [`environments.local.sidecars.${COLLECTOR}`]: {
        image: { build },
        essential: false,
        variables: { TELEMETRY_ENDPOINT: sink.url },
        secrets: { TELEMETRY_KEY: '/copilot/plusone/local/secrets/TELEMETRY_KEY' },
      },
    });
    const name = 'plusone:drill';
    const synth = ['synth', '--image', name, '--platform-env', 'local-kind/platform.env'];
    const { code, output: said } = await workspace.run('tools/cli.ts', synth);
    if (code !== 0) throw new Error(said);
    const objects = parseObjects(readFileSync(join(workspace.folder, 'k8s/dist/plusone.k8s.yaml'), 'utf8'));
    const words = ['--build-arg', 'TELEMETRY=otlp', '--file', build.dockerfile, context];
    const image = await loadImage(fixture.cluster, await makeImage({ name: SIDECAR_IMAGE, build: words }));
    const released = withImage(withImage(objects, name, fixture.image), SIDECAR_IMAGE, image);
    await fixture.releaseObjects(released, { [`${COLLECTOR}.TELEMETRY_KEY`]: TELEMETRY_KEY });
    return undefined;
  } finally {
    workspace.remove();
  }
}

async function signalCollectors(fixture: KindFixture, pods: readonly string[], signal: string): Promise<void> {
  for (const pod of pods) await fixture.signalContainer('plusone', pod, STATUS, signal);
}

const collectorKilled = collectorDrill(
  'collector-killed',
  'The telemetry sidecar of a pod is killed (-9) as often as it starts',
  (fixture) => {
    // One pod's: Kubernetes takes a pod out of the Service while a sidecar of it does not run, which ECS does not.
    const kill = async () => signalCollectors(fixture, (await fixture.pods()).toSorted().slice(0, 1), 'SIGKILL');
    return {
      begin: kill,
      // It may not run yet.
      during: () => kill().catch(() => undefined),
      end: async () => {},
    };
  },
);

const collectorFrozen = collectorDrill(
  'collector-frozen',
  'The telemetry sidecar is stopped (SIGSTOP): it takes connections and never answers',
  (fixture) => ({
    begin: async () => signalCollectors(fixture, await fixture.pods(), 'SIGSTOP'),
    end: async () => signalCollectors(fixture, await fixture.pods(), 'SIGCONT'),
  }),
);

const collectorSlow = collectorDrill(
  'collector-slow',
  'The vendor of the telemetry sidecar does not answer',
  (_, sink) => ({ begin: () => sink.setSilent(true), end: () => sink.setSilent(false) }),
);

const secretHygiene: KindDrill = {
  name: 'secret-hygiene',
  fault: 'The keys of a vendor of telemetry and of PagerDuty are in use',
  assertions: [
    observed('used', 'Both keys arrive where they are for', (value) => value === 'both'),
    ...['objects', 'logs', 'process lists', 'images'].map((place) =>
      observed(place, `No key is in the ${place} of the cluster`, (value) => value === 'none'),
    ),
  ],
  duration: { full: 0, quick: 0 },
  async prepare(fixture) {
    const sink = await startPaging(fixture);
    if (typeof sink === 'string') return sink;
    const missing = await releaseWithCollector(fixture, sink);
    if (missing !== undefined) return missing;
    const pods = await fixture.pods();
    fixture.defer(() => Promise.all(pods.map((pod) => fixture.signal(pod, 'SIGCONT'))).catch(() => undefined));
    return {
      async begin({ observations }) {
        for (const end = Date.now() + WAIT_SECONDS * 1000; Date.now() < end; await sleep(1_000)) {
          if ((await sink.exports()).includes(TELEMETRY_KEY)) break;
        }
        for (const pod of pods) await fixture.signal(pod, 'SIGSTOP');
        const page = await awaitEvent(sink, isTrigger);
        for (const pod of pods) await fixture.signal(pod, 'SIGCONT');
        const isUsed = { telemetry: (await sink.exports()).includes(TELEMETRY_KEY), pager: page !== undefined };
        observations.used = Object.values(isUsed).every(Boolean) ? 'both' : JSON.stringify(isUsed);
        const texts = {
          objects: await objectsOf(fixture),
          logs: await logsOf(fixture),
          'process lists': await processesOf(fixture),
          images: await imagesOf(fixture),
        };
        for (const [place, text] of Object.entries(texts)) observations[place] = keysIn(text);
      },
      end: () => fixture.rolledOut(),
    };
  },
};

/** The names of the keys that a text has, as they are or in Base64. */
function keysIn(text: string): string {
  const keys = { TELEMETRY_KEY, PAGER_KEY };
  const found = Object.entries(keys).filter(([, key]) => text.includes(key) || text.includes(btoa(key)));
  return text === '' ? 'nothing to look at' : found.map(([name]) => name).join(', ') || 'none';
}

/** All objects but the Secrets, which are for keys. */
async function objectsOf({ cluster }: KindFixture): Promise<string> {
  const kinds = 'pods,deployments,replicasets,statefulsets,jobs,configmaps,services,events';
  return await cluster.kubectl(['get', kinds, '--all-namespaces', '-o', 'json']);
}

async function logsOf({ cluster }: KindFixture): Promise<string> {
  const logs = ['plusone', NAMESPACE, MONITORING_NAMESPACE].map(async (namespace) => {
    const pods = (await cluster.kubectl(['get', 'pods', '-n', namespace, '-o', 'name'])).split('\n').filter(Boolean);
    return await Promise.all(pods.map((pod) => cluster.kubectl(['logs', pod, '-n', namespace, '--all-containers'])));
  });
  return (await Promise.all(logs)).flat().join('\n');
}

/** The command lines of all processes of the nodes. */
async function processesOf({ nodes }: KindFixture): Promise<string> {
  const script = 'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " "';
  return (await Promise.all(nodes.map((node) => output('docker', ['exec', node, 'sh', '-c', script])))).join('\n');
}

/** How the images of the service and of the sidecar were built, and with what configuration. */
async function imagesOf({ image }: KindFixture): Promise<string> {
  const names = [image.split('-').at(-1) ?? '', SIDECAR_IMAGE];
  const texts = names.flatMap((name) => [
    output('docker', ['image', 'inspect', name]),
    output('docker', ['history', '--no-trunc', name]),
  ]);
  return (await Promise.all(texts)).join('\n');
}

/** The drills of monitoring, in the order in which they run. */
export const monitoringDrills: readonly KindDrill[] = [
  logsArrive,
  nobodyAnswers,
  alarmStorm,
  quietDay,
  collectorKilled,
  collectorFrozen,
  collectorSlow,
  secretHygiene,
];
