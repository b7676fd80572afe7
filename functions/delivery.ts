import type { Answer, Destination, DestinationRequest, Form, Verdict } from './destinations.ts';
import type { LogEvent } from './log-events.ts';
import { reasonOf } from './reason.ts';

/** The side effects of shipping. */
export interface World {
  /** Sends a request. Rejects if there is no response, because of a refused connection or a timeout. */
  send(request: DestinationRequest): Promise<Answer>;
  /** The remaining time, in milliseconds. */
  remaining(): number;
  /** Before events are sent again; `reason` is why the last of them is not stored. */
  sleep(milliseconds: number, reason: string): Promise<void>;
}

/** The result of shipping, with the reasons for events that were not stored. */
export interface Outcome {
  /** The number of events that the destination has stored. */
  readonly stored: number;
  /** How many of them had already been stored. */
  readonly again: number;
  /** How many of them are stored as shortened plain text. */
  readonly plain: number;
  /** The events that are not stored: ids and reasons, never their text. */
  readonly failed: readonly { readonly id: string; readonly reason: string }[];
  /** The number of rounds of retries. */
  readonly retries: number;
}

/** The pause before the first retry; each further one is twice as long, up to the maximum. */
const FIRST_PAUSE_MILLISECONDS = 250;
const LONGEST_PAUSE_MILLISECONDS = 5_000;

interface Pending {
  readonly event: LogEvent;
  readonly form: Form;
  /** The serialized event, because its size is needed, and it may be sent more than once. */
  readonly entry: string;
}

/**
 * Sends events to a destination until it has stored or rejected them, or the time is over. Only events that failed are sent
 * again. A rejected request is halved until the rejected event is alone; that one is sent as plain text. Never throws.
 */
export async function ship(events: readonly LogEvent[], destination: Destination, world: World): Promise<Outcome> {
  const failed: { id: string; reason: string }[] = [];
  let stored = 0;
  let again = 0;
  let plain = 0;
  let retries = 0;
  let pause = FIRST_PAUSE_MILLISECONDS;
  let batches = split(
    events.map((event) => pendingIn({ kind: 'whole' }, event)),
    destination,
  );

  while (batches.length > 0) {
    const later: Pending[] = [];
    const next: Pending[][] = [];
    let lastReason = '';
    let stopped: string | undefined;
    for (const batch of batches) {
      if (stopped !== undefined) {
        fail(batch, stopped);
        continue;
      }
      if (world.remaining() <= 0) {
        fail(batch, lastReason || 'there was no time left');
        continue;
      }
      const judgement = await attempt(batch, destination, world);
      if (!Array.isArray(judgement) && judgement.kind === 'rejected' && batch.length > 1) {
        const half = Math.ceil(batch.length / 2);
        next.push(batch.slice(0, half), batch.slice(half));
        continue;
      }
      for (const [at, pending] of batch.entries()) {
        const verdict = Array.isArray(judgement) ? (judgement[at] ?? NO_VERDICT) : judgement;
        if (verdict.kind === 'stored') {
          stored += 1;
          if (verdict.again) again += 1;
          if (pending.form.kind === 'plain') plain += 1;
        } else if (verdict.kind === 'retry') {
          later.push(pending);
          lastReason = verdict.reason;
        } else if (verdict.kind === 'stop') {
          stopped = verdict.reason;
          fail([pending], stopped);
        } else if (pending.form.kind === 'whole') {
          next.push([pendingIn({ kind: 'plain', reason: verdict.reason }, pending.event)]);
        } else {
          fail([pending], verdict.reason);
        }
      }
    }
    if (stopped !== undefined) {
      for (const batch of [later, ...next]) fail(batch, stopped);
      break;
    }
    if (later.length > 0) {
      // Some batches may have succeeded: the pause applies to the others.
      if (pause >= world.remaining()) {
        fail(later, lastReason);
      } else {
        retries += 1;
        await world.sleep(pause, lastReason);
        pause = Math.min(2 * pause, LONGEST_PAUSE_MILLISECONDS);
        next.push(...split(later, destination));
      }
    }
    batches = next;
  }
  return { stored, again, plain, failed, retries };

  function pendingIn(form: Form, event: LogEvent): Pending {
    try {
      return { event, form, entry: destination.entry(event, form) };
    } catch (error) {
      // Such as JSON that is nested too deeply to be written again.
      if (form.kind === 'plain') throw error;
      return pendingIn({ kind: 'plain', reason: reasonOf(error) }, event);
    }
  }

  function fail(batch: readonly Pending[], reason: string): void {
    for (const { event } of batch) failed.push({ id: event.id, reason });
  }
}

const NO_VERDICT: Verdict = { kind: 'retry', reason: 'the answer has no result for this event' };

async function attempt(
  batch: readonly Pending[],
  destination: Destination,
  world: World,
): Promise<Verdict | Verdict[]> {
  const request = destination.request(batch.map(({ entry }) => entry));
  let answer: Answer;
  try {
    answer = await world.send(request);
  } catch (error) {
    return { kind: 'retry', reason: `${destination.name} did not answer: ${reasonOf(error)}` };
  }
  return destination.judge(answer, batch.length);
}

/** Batches within the limits of the destination. An event above the limit is a batch of its own. */
function split(pending: readonly Pending[], destination: Destination): Pending[][] {
  const batches: Pending[][] = [];
  let batch: Pending[] = [];
  let bytes = 0;
  for (const one of pending) {
    const size = Buffer.byteLength(one.entry);
    if (batch.length === destination.limits.events || (batch.length > 0 && bytes + size > destination.limits.bytes)) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(one);
    bytes += size;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
