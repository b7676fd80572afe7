import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { startService } from '../../tools/process/service.ts';

/** The service that the black-box tests ask. */
export interface ServiceUnderTest {
  /** Without a slash at the end. */
  readonly url: string;
  /** Where `/metrics` is; undefined when that port cannot be reached from here. */
  readonly metricsUrl: string | undefined;
  /** Nothing that reads HTTP stands between: what the service itself says to broken requests can be seen. */
  readonly direct: boolean;
}

/** Time for a `before` that may have to start the service. */
export const START_MILLISECONDS = 60_000;
const DAY_MILLISECONDS = 86_400_000;
const LONGEST_USERNAME = 64;

let starting: Promise<ServiceUnderTest> | undefined;
let stop: (() => Promise<unknown>) | undefined;
const made = new Set<string>();

/** The service at BASE_URL, or one that is started for these tests, once, and stopped after them. */
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
 * A username that nobody has: as long as one may be, at random. What is saved for it is deleted at the end, so that
 * these tests may run against a service that is in use.
 */
export function newName(): string {
  const name = Array.from({ length: LONGEST_USERNAME }, () =>
    String.fromCharCode('a'.charCodeAt(0) + randomInt(26)),
  ).join('');
  made.add(name);
  return name;
}

/** What a request that writes to the service at BASE_URL needs: its WRITE_TOKEN, from the environment; else nothing. */
export function authorization(): Record<string, string> {
  const { BASE_URL, WRITE_TOKEN } = process.env;
  return BASE_URL && WRITE_TOKEN ? { authorization: `Bearer ${WRITE_TOKEN}` } : {};
}

/** The date in UTC, `days` from now, as YYYY-MM-DD. Waits past a midnight that is near, so that a test has one today. */
export async function utcDate(days = 0): Promise<string> {
  const left = DAY_MILLISECONDS - (Date.now() % DAY_MILLISECONDS);
  if (left < 3_000) await sleep(left + 1_000);
  return new Date(Date.now() + days * DAY_MILLISECONDS).toISOString().slice(0, 10);
}

// A hook at the root: it runs once, at the very end, however many files import this one.
after(async function () {
  this.timeout(START_MILLISECONDS);
  if (starting === undefined) return;
  const { url } = await starting;
  for (const name of made) await fetch(`${url}/hello/${name}`, { method: 'DELETE', headers: authorization() });
  await stop?.();
});
