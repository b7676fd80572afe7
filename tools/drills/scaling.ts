/** What the scaling drills on AWS and in kind have in common: the load that makes requests wait, and what must hold. */
import { randomInt } from 'node:crypto';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_THRESHOLDS } from '../../functions/decide.ts';
import type { Run } from '../../functions/scaler-runs.ts';
import { type Assertion, nothingFails, nothingLost, observed } from './assertions.ts';
import type { Run as DrillRun, Fixture } from './drill.ts';

/** A few requests with checked answers, in addition to the load of the drill. */
export const RATE = 10;
export const GROWTH_SECONDS = 240;
export const SHRINKING_SECONDS = 600;

/**
 * The load of these drills: MySQL delays each commit, as a slow disk does, unless those of three tasks come together. A task
 * deletes one name at a time, so requests wait in it, and more tasks help. How long that takes hardly depends on the machine.
 */
export interface Backlog {
  readonly clients: number;
  readonly commitMilliseconds: number;
}
/** Requests wait, and answers take less than the 500 ms of the alarm on slow answers. */
export const QUEUE: Backlog = { clients: 20, commitMilliseconds: 10 };
/** Answers take longer than those 500 ms, and with three tasks less; statements take less than the 150 ms of a busy database. */
export const SLOW: Backlog = { clients: 30, commitMilliseconds: 20 };
/** Of the scaler, with which no number of waiting requests is a reason to add a task, so that slow answers are. */
export const ONLY_SLOW_ANSWERS = { waitingPerExecuting: { out: 1_000, in: 999 } };

/** Describes a load, for the fault of a drill. */
export function describeBacklog({ clients, commitMilliseconds }: Backlog): string {
  return `MySQL delays each commit by ${commitMilliseconds} ms, and ${clients} clients save and delete names without pause`;
}

/** The statement with which MySQL delays commits by that; 0 ends it. */
export function commitDelay(milliseconds: number): string {
  const together = milliseconds === 0 ? 0 : 3;
  return `SET GLOBAL binlog_group_commit_sync_delay = ${milliseconds * 1000}, GLOBAL binlog_group_commit_sync_no_delay_count = ${together}`;
}

/** The fault of the drill flapping. */
export const FLAPPING = 'The load of queue-grows comes and goes with the period of the cooldown, ten times';

/** Before a drill: so few that no task is added for them. */
export const WARM_UP_CLIENTS = 3;

/** Clients that save a name of their own and delete it again, without a pause: deletions cannot share a statement. */
export class Pressure {
  readonly #agent: Agent;
  readonly #headers: Readonly<Record<string, string>>;
  #pressing = true;
  readonly #clients: Promise<void>[];
  answered = 0;
  failed = 0;

  /** Without `keepAlive` each request has its own connection. */
  constructor(
    { urls, proxyEnv, writeToken }: Fixture,
    { clients, keepAlive = true }: { clients: number; keepAlive?: boolean },
  ) {
    this.#agent = new Agent({ keepAlive, ...(proxyEnv === undefined ? {} : { proxyEnv }) });
    this.#headers = writeToken === undefined ? {} : { authorization: `Bearer ${writeToken}` };
    const [url = ''] = urls;
    this.#clients = Array.from({ length: clients }, async () => {
      while (this.#pressing) {
        const name = Array.from({ length: 64 }, () => String.fromCharCode(97 + randomInt(26))).join('');
        await this.#send('PUT', `${url}/hello/${name}`, JSON.stringify({ dateOfBirth: '1990-01-01' }));
        await this.#send('DELETE', `${url}/hello/${name}`);
      }
    });
  }

  async stop(): Promise<void> {
    this.#pressing = false;
    await Promise.all(this.#clients);
    this.#agent.destroy();
  }

  async #send(method: string, url: string, body?: string): Promise<void> {
    const headers = body === undefined ? this.#headers : { ...this.#headers, 'content-type': 'application/json' };
    const status = await new Promise((resolve) => {
      const sent = request(url, { method, agent: this.#agent, headers }, (response) => {
        // Not 'end', which an answer that was cut off never has.
        response.resume().once('close', () => resolve(response.complete ? response.statusCode : undefined));
      });
      sent.once('error', () => resolve(undefined)).end(body);
    });
    this.answered += 1;
    if (status !== 204) this.failed += 1;
  }
}

/** Waits until a condition holds; the seconds it took, or 'never' after `seconds`. */
export async function untilTrue(
  condition: () => Promise<boolean>,
  seconds: number,
  pollMilliseconds: number,
): Promise<number | string> {
  const began = performance.now();
  for (;;) {
    const took = Math.round((performance.now() - began) / 1000);
    if (await condition()) return took;
    if (took > seconds) return 'never';
    await sleep(pollMilliseconds);
  }
}

/** The seconds from an alarm, in milliseconds since the Unix epoch, to the first change; 'never' without one of them. */
export function secondsToChange(alarm: number | undefined, change: Run | undefined): number | string {
  if (alarm === undefined || change === undefined) return 'never';
  return Math.max(0, Math.round((Date.parse(change.time) - alarm) / 100) / 10);
}

/**
 * Waits until as many tasks run as are desired, and that is `count`; the seconds it took, or what there is instead after
 * `seconds`.
 */
export async function untilCount(
  scale: () => Promise<{ readonly desired: number; readonly running: number }>,
  count: number,
  seconds: number,
): Promise<number | string> {
  const began = performance.now();
  for (;;) {
    const { desired, running } = await scale();
    const took = Math.round((performance.now() - began) / 1000);
    if (desired === count && running === count) return took;
    if (took > seconds) return `desired ${desired}, running ${running} after ${took} s`;
    // Each question starts a program, which takes CPU that the load needs too.
    await sleep(5_000);
  }
}

/**
 * Has a load come and go with the period of the cooldown, ten times, and observes what the scaler changed and how much of it
 * too early. A minute of the scaler has `minuteMilliseconds`.
 */
export async function flap(
  observations: DrillRun['observations'],
  start: () => Pressure,
  runs: () => Promise<Run[]>,
  minuteMilliseconds: number,
): Promise<void> {
  const half = (DEFAULT_THRESHOLDS.cooldownMilliseconds.out * minuteMilliseconds) / 60_000 / 2;
  for (let periods = 0; periods < 10; periods += 1) {
    const pressure = start();
    await sleep(half);
    await pressure.stop();
    await sleep(half);
  }
  const changes = (await runs()).filter(({ changed }) => changed);
  observations.changes = changes.length;
  observations.early = earlyChanges(changes, minuteMilliseconds);
}

/** How many changes came before the cooldown of the one before them had passed. */
export function earlyChanges(changes: readonly Run[], minuteMilliseconds: number): number {
  const { cooldownMilliseconds: cooldown } = DEFAULT_THRESHOLDS;
  return changes.filter(({ time, reason }, at) => {
    const before = changes[at - 1]?.time;
    const least = ((reason.includes('below') ? cooldown.in : cooldown.out) * minuteMilliseconds) / 60_000;
    // The scaler's clock is read before its line is written, so that two lines may be nearer than two changes.
    return before !== undefined && Date.parse(time) - Date.parse(before) < least - 1_000;
  }).length;
}

/** The fewest tasks that were desired until `work` and another `after` seconds had passed. Throws what `work` throws. */
export async function fewestDesired(
  scale: () => Promise<{ readonly desired: number }>,
  work: Promise<unknown>,
  { after, pollMilliseconds }: { after: number; pollMilliseconds: number },
): Promise<number> {
  let end = Number.POSITIVE_INFINITY;
  const ended = work.finally(() => {
    end = Date.now() + after * 1000;
  });
  // Awaited below.
  ended.catch(() => {});
  let fewest = Number.POSITIVE_INFINITY;
  for (; Date.now() < end; await sleep(pollMilliseconds)) fewest = Math.min(fewest, (await scale()).desired);
  await ended;
  return fewest;
}

/** What a scaler changed in these runs, with its reasons; 0 if nothing. */
export function changesOf(runs: readonly Run[]): number | string {
  const changes = runs.filter(({ changed }) => changed);
  return changes.map(({ time, reason }) => `${time} ${reason}`).join('; ') || 0;
}

const within = (limit: number) => (value: number | string | undefined) => typeof value === 'number' && value <= limit;
const isNumber = (value: number | string | undefined) => typeof value === 'number';
const isZero = (value: number | string | undefined) => value === 0;
const isNone = (value: number | string | undefined) => value === 'none';

/** By the names of the drills; the names of the observations are those that a fault sets. */
export const ASSERTIONS = {
  'queue-grows': [
    nothingFails,
    observed('failed', 'No request of these clients fails', isZero),
    observed('grown', `From 1 to 3 tasks within ${GROWTH_SECONDS} s of the load`, within(GROWTH_SECONDS)),
    observed('shrunk', `Back to 1 within ${SHRINKING_SECONDS} s after it`, within(SHRINKING_SECONDS)),
    observed('paged', 'No page is sent', isNone),
    nothingLost,
  ],
  'slow-answers': [
    observed('added', 'A task is added within 5 s of the alarm', within(5)),
    observed('back', `The alarm ends within ${GROWTH_SECONDS} s of the last task`, within(GROWTH_SECONDS)),
    nothingLost,
  ],
  'slow-database': [
    observed('alarm', 'The alarm on slow answers invokes the scaler', (value) => value === 'yes'),
    observed('changes', 'No task is added', isZero),
    observed('reason', 'Its reason is the database', (value) =>
      String(value).includes('the database is the bottleneck'),
    ),
  ],
  'at-the-maximum': [
    observed('most', 'Never more tasks than the maximum', (value) => value === 1),
    observed('paged', 'It pages that the maximum is too low', isNumber),
    observed('resolved', 'It resolves after the load', isNumber),
    nothingLost,
  ],
  flapping: [
    observed('early', 'No change comes before its cooldown has passed', isZero),
    observed('changes', 'It changes something', (value) => Number(value) > 0),
    nothingLost,
  ],
  'scaler-broken': [
    nothingFails,
    observed('paged', 'Its alarm pages', isNumber),
    observed('kept', 'The service runs on at its size', (value) => value === 1),
    observed('resolved', 'The alarm resolves when it runs again', isNumber),
    // On a busy machine answers are slow, for which it rightly adds a task.
    observed('changes', 'It changes nothing on its return, unless answers are slow', isZero),
    nothingLost,
  ],
  'release-while-scaled': [
    nothingFails,
    observed('grown', '3 tasks run before the release', isNumber),
    observed('release', 'No fewer are desired while it is released', (value) => value === 3),
    observed('rollback', 'No fewer are desired while the next one is rolled back', (value) => value === 3),
    nothingLost,
  ],
} as const satisfies Readonly<Record<string, readonly Assertion[]>>;
