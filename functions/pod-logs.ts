/**
 * The equivalent of ship.ts in a cluster: reads the logs of pods from Kubernetes' API, and stores each line in OpenSearch
 * by the same code. It keeps no state: after a restart it reads from the beginning, and an id of a line's own prevents
 * that it is stored twice.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { ship, type World } from './delivery.ts';
import { openSearch } from './destinations.ts';
import type { LogEvent } from './log-events.ts';
import { reasonOf } from './reason.ts';
import { preparations } from './search-index.ts';

/** How often new containers are looked for, and how long lines are collected before they are stored. */
const INTERVAL_MILLISECONDS = 1_000;
/** So many lines are held while OpenSearch does not answer; then no more are read, and Kubernetes keeps them. */
const MOST_HELD = 50_000;
const REQUEST_MILLISECONDS = 30_000;

/** A container whose log can be read. */
export interface PodContainer {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly container: string;
  /** How often it was started again. */
  readonly restarts: number;
  /** Whether its log grows no more, unless it is started again. */
  readonly ended: boolean;
}

const status = z.object({
  name: z.string(),
  restartCount: z.number().default(0),
  state: z.looseObject({ waiting: z.unknown(), terminated: z.unknown() }).partial().default({}),
});
const podList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), namespace: z.string(), uid: z.string() }),
      status: z.object({
        containerStatuses: z.array(status).default([]),
        initContainerStatuses: z.array(status).default([]),
      }),
    }),
  ),
});

/** The containers in a PodList that have been started: a waiting one has no log yet. */
export function startedContainers(list: unknown): PodContainer[] {
  return podList.parse(list).items.flatMap(({ metadata: { name: pod, namespace, uid }, status: all }) =>
    [...all.initContainerStatuses, ...all.containerStatuses]
      .filter(({ state }) => state.waiting === undefined)
      .map(({ name: container, restartCount: restarts, state }) => {
        return { namespace, pod, uid, container, restarts, ended: state.terminated !== undefined };
      }),
  );
}

/**
 * Reads lines of a container's log with `timestamps=true`, one after the other. The id of a line is the same each time
 * that it is read, as long as a log is read from the beginning of a second: lines of one instant are told apart by order.
 */
export function lineReader({ namespace, pod, uid, container }: PodContainer): (line: string) => LogEvent | undefined {
  let last = '';
  let count = 0;
  return (line) => {
    const { time, message } = /^(?<time>\S+Z) (?<message>.*)$/s.exec(line)?.groups ?? {};
    const timestamp = Date.parse(time ?? '');
    if (time === undefined || message === undefined || Number.isNaN(timestamp)) return undefined;
    count = time === last ? count + 1 : 0;
    last = time;
    const id = [uid, container, time, count].join('/');
    return { id, timestamp, message, group: `${namespace}/${container}`, stream: pod };
  };
}

const variables = z.object({
  LOGS_ENDPOINT: z.url({ protocol: /^https?$/ }),
  LOGS_NAME: z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
  LOGS_RETENTION_DAYS: z.coerce.number().int().min(1).default(7),
  /** The namespace, and which of its pods, as `kubectl get pods --selector` takes it. */
  PODS_NAMESPACE: z.string().min(1),
  PODS_SELECTOR: z.string().default(''),
  /** Kubernetes' API, and the file with the token for it. */
  KUBERNETES_URL: z.url().default('https://kubernetes.default.svc'),
  KUBERNETES_TOKEN_FILE: z.string().default('/var/run/secrets/kubernetes.io/serviceaccount/token'),
});
type Variables = z.output<typeof variables>;

let lastReason = '';

const world: World = {
  // Kubernetes and this process keep the lines meanwhile.
  remaining: () => Number.POSITIVE_INFINITY,
  sleep: (milliseconds, reason) => {
    if (reason !== lastReason) say('warn', `log events wait: ${reason}`);
    lastReason = reason;
    return sleep(milliseconds);
  },
  async send({ method, url, headers, body }) {
    const signal = AbortSignal.timeout(REQUEST_MILLISECONDS);
    const response = await fetch(url, { method, headers, body, signal });
    return { status: response.status, body: await response.text() };
  },
};

async function main(settings: Variables): Promise<never> {
  const { LOGS_ENDPOINT: endpoint, LOGS_NAME: name } = settings;
  const destination = openSearch(endpoint, name);
  const held: LogEvent[] = [];
  const followed = new Set<string>();
  await prepare(settings);
  void follow();
  for (;;) {
    const events = held.splice(0, destination.limits.events);
    if (events.length < destination.limits.events) await sleep(INTERVAL_MILLISECONDS);
    if (events.length === 0) continue;
    const { stored, again, plain, failed, retries } = await ship(events, destination, world);
    lastReason = '';
    const reasons = [...new Set(failed.map(({ reason }) => reason))].slice(0, 5);
    const counts = { stored: stored - again, plain, failed: failed.length, retries };
    say(failed.length === 0 ? 'info' : 'error', 'log events shipped', {
      ...counts,
      ...(reasons[0] ? { reasons } : {}),
    });
  }

  /** Looks for containers for ever, and reads each until its end. */
  async function follow(): Promise<never> {
    const lasts = new Map<string, string>();
    const done = new Set<string>();
    let trouble = '';
    for (; ; await sleep(INTERVAL_MILLISECONDS)) {
      const found = await containers(settings).catch((error: unknown) => {
        if (trouble !== reasonOf(error)) say('warn', `the pods cannot be listed: ${reasonOf(error)}`);
        trouble = reasonOf(error);
        return undefined;
      });
      if (found === undefined) continue;
      trouble = '';
      for (const one of found) {
        const key = `${one.uid}/${one.container}`;
        const run = `${key}/${one.restarts}`;
        if (followed.has(key) || done.has(run)) continue;
        followed.add(key);
        read(one, settings, lasts.get(key), async (event, time) => {
          lasts.set(key, time);
          held.push(event);
          while (held.length >= MOST_HELD) await sleep(INTERVAL_MILLISECONDS);
        })
          .then(() => one.ended && done.add(run))
          .catch((error: unknown) => say('warn', `${one.pod}/${one.container} cannot be read: ${reasonOf(error)}`))
          // Again at the next look, from there: it was started again, or the connection broke.
          .finally(() => followed.delete(key));
      }
    }
  }
}

/** Tries until OpenSearch answers: without the template, fields would be indexed as the first line happens to have them. */
async function prepare({ LOGS_ENDPOINT, LOGS_NAME, LOGS_RETENTION_DAYS }: Variables): Promise<void> {
  for (const request of preparations(LOGS_ENDPOINT, LOGS_NAME, LOGS_RETENTION_DAYS)) {
    for (;;) {
      const { status, reason } = await world.send(request).then(
        ({ status }) => ({ status, reason: `${request.url} answered ${status}` }),
        (error: unknown) => ({ status: undefined, reason: `${LOGS_ENDPOINT} cannot be reached: ${reasonOf(error)}` }),
      );
      if (status !== undefined && status < 500) {
        // 409: the policy is there already.
        if (status >= 300 && status !== 409) say('warn', reason);
        break;
      }
      await world.sleep(INTERVAL_MILLISECONDS, reason);
    }
  }
}

async function kubernetes(path: string, { KUBERNETES_URL, KUBERNETES_TOKEN_FILE }: Variables): Promise<Response> {
  // The kubelet replaces the token from time to time.
  const token = await readFile(KUBERNETES_TOKEN_FILE, 'utf8');
  const response = await fetch(`${KUBERNETES_URL}${path}`, { headers: { authorization: `Bearer ${token.trim()}` } });
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${(await response.text()).slice(0, 300)}`);
  return response;
}

async function containers(settings: Variables): Promise<PodContainer[]> {
  const selector = new URLSearchParams({ labelSelector: settings.PODS_SELECTOR });
  const path = `/api/v1/namespaces/${settings.PODS_NAMESPACE}/pods?${selector}`;
  return startedContainers(await (await kubernetes(path, settings)).json());
}

/** Reads a container's log until it ends, from the second of `since`; lines before `since` are passed over. */
async function read(
  container: PodContainer,
  settings: Variables,
  since: string | undefined,
  take: (event: LogEvent, time: string) => Promise<void>,
): Promise<void> {
  const parameters = new URLSearchParams({ container: container.container, follow: 'true', timestamps: 'true' });
  if (since !== undefined) parameters.set('sinceTime', since.replace(/(\.\d+)?Z$/, 'Z'));
  const path = `/api/v1/namespaces/${container.namespace}/pods/${container.pod}/log?${parameters}`;
  const { body } = await kubernetes(path, settings);
  if (body === null) return;
  const next = lineReader(container);
  let rest = '';
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = next(line);
      const [time = ''] = line.split(' ', 1);
      if (event !== undefined && (since === undefined || time >= since)) await take(event, time);
    }
  }
}

function say(level: 'info' | 'warn' | 'error', msg: string, more: object = {}): void {
  process.stdout.write(`${JSON.stringify({ level, time: new Date().toISOString(), msg, ...more })}\n`);
}

if (import.meta.main) {
  const { success, data, error } = variables.safeParse(process.env);
  if (!success) {
    process.stderr.write(`${error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n')}\n`);
    process.exit(78);
  }
  await main(data);
}
