import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { startService } from '../../tools/process/service.ts';

/** The service under the black-box tests. */
export interface ServiceUnderTest {
  /** Without a trailing slash. */
  readonly url: string;
  /** The URL of the metrics port; undefined if it cannot be reached. */
  readonly metricsUrl: string | undefined;
  /** Whether there is no proxy: the service itself answers malformed requests. */
  readonly direct: boolean;
}

/** The timeout of a `before` that may start the service. */
export const START_MILLISECONDS = 60_000;
const DAY_MILLISECONDS = 86_400_000;
const LONGEST_USERNAME = 64;

let starting: Promise<ServiceUnderTest> | undefined;
let stop: (() => Promise<unknown>) | undefined;
const made = new Set<string>();

/** The service at BASE_URL, or one that is started once for these tests and stopped after them. */
export function serviceUnderTest(): Promise<ServiceUnderTest> {
  starting ??= find();
  return starting;
}

async function find(): Promise<ServiceUnderTest> {
  const { BASE_URL, METRICS_URL } = process.env;
  if (BASE_URL !== undefined) {
    const { origin, hostname } = new URL(BASE_URL);
    return {
      url: origin,
      metricsUrl: METRICS_URL?.replace(/\/$/, ''),
      direct: ['localhost', '127.0.0.1', '[::1]'].includes(hostname),
    };
  }
  const service = await startService();
  stop = () => service.stop();
  return { url: service.url, metricsUrl: service.metricsUrl, direct: true };
}

/**
 * A random username of the maximum length, which no person has. It is deleted at the end, so that these tests can run
 * against a service in use.
 */
export function newName(): string {
  const name = Array.from({ length: LONGEST_USERNAME }, () =>
    String.fromCharCode('a'.charCodeAt(0) + randomInt(26)),
  ).join('');
  made.add(name);
  return name;
}

/** The headers for changes at BASE_URL: the bearer token from WRITE_TOKEN, if it is set. */
export function authorization(): Record<string, string> {
  const { BASE_URL, WRITE_TOKEN } = process.env;
  return BASE_URL && WRITE_TOKEN ? { authorization: `Bearer ${WRITE_TOKEN}` } : {};
}

/** The UTC date in `days`, as YYYY-MM-DD. Near midnight, waits until it has passed, so that a test runs within one day. */
export async function utcDate(days = 0): Promise<string> {
  const left = DAY_MILLISECONDS - (Date.now() % DAY_MILLISECONDS);
  if (left < 3_000) await sleep(left + 1_000);
  return new Date(Date.now() + days * DAY_MILLISECONDS).toISOString().slice(0, 10);
}

// A root hook: it runs once, at the end, even if several files import this one.
after(async function () {
  this.timeout(START_MILLISECONDS);
  if (starting === undefined) return;
  const { url } = await starting;
  for (const name of made) await fetch(`${url}/hello/${name}`, { method: 'DELETE', headers: authorization() });
  await stop?.();
});
