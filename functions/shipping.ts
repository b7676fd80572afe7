import type { Answer, Form, Intake, IntakeRequest, Verdict } from './intakes.ts';
import type { LogEvent } from './log-events.ts';

/** What shipping needs of the world around it. */
export interface World {
  /** Sends a request. Rejects when there is no answer: a refused connection, a timeout. */
  send(request: IntakeRequest): Promise<Answer>;
  /** How long there is still time, in milliseconds. */
  remaining(): number;
  sleep(milliseconds: number): Promise<void>;
}

/** What became of some events, and why of those that are not stored. */
export interface Outcome {
  /** Events that the intake has now. */
  readonly stored: number;
  /** Those of them that it had already. */
  readonly again: number;
  /** Those of them that it has as shortened plain text only. */
  readonly plain: number;
  /** Events that it does not have: their ids and the reason, never their text. */
  readonly failed: readonly { readonly id: string; readonly reason: string }[];
  /** Requests that had to be repeated, at least in part. */
  readonly retries: number;
}

/** The first pause before a request is repeated; each further one is twice as long, up to the longest. */
const FIRST_PAUSE_MILLISECONDS = 250;
const LONGEST_PAUSE_MILLISECONDS = 5_000;

interface Pending {
  readonly event: LogEvent;
  readonly form: Form;
  /** The event as the intake takes it, made once: it is measured, and sent perhaps more than once. */
  readonly entry: string;
}

/**
 * Sends events to an intake until it has them, or says why not, or the time is over. Only what failed is sent again. A
 * rejected request is halved until the rejected event is alone; that one is sent as plain text. Never throws.
 */
export async function ship(events: readonly LogEvent[], intake: Intake, world: World): Promise<Outcome> {
  const failed: { id: string; reason: string }[] = [];
  let stored = 0;
  let again = 0;
  let plain = 0;
  let retries = 0;
  let pause = FIRST_PAUSE_MILLISECONDS;
  let batches = split(
    events.map((event) => pendingIn({ kind: 'whole' }, event)),
    intake,
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
      const judgement = await attempt(batch, intake, world);
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
      // Half of the batches may have gone through: the pause is for those that did not.
      if (pause >= world.remaining()) {
        fail(later, lastReason);
      } else {
        retries += 1;
        await world.sleep(pause);
        pause = Math.min(2 * pause, LONGEST_PAUSE_MILLISECONDS);
        next.push(...split(later, intake));
      }
    }
    batches = next;
  }
  return { stored, again, plain, failed, retries };

  function pendingIn(form: Form, event: LogEvent): Pending {
    return { event, form, entry: intake.entry(event, form) };
  }

  function fail(batch: readonly Pending[], reason: string): void {
    for (const { event } of batch) failed.push({ id: event.id, reason });
  }
}

const NO_VERDICT: Verdict = { kind: 'retry', reason: 'the answer has no result for this event' };

async function attempt(batch: readonly Pending[], intake: Intake, world: World): Promise<Verdict | Verdict[]> {
  const request = intake.request(batch.map(({ entry }) => entry));
  let answer: Answer;
  try {
    answer = await world.send(request);
  } catch (error) {
    return { kind: 'retry', reason: `${intake.name} did not answer: ${describe(error)}` };
  }
  return intake.judge(answer, batch.length);
}

/** Requests of as many events as the intake takes at once. An event that is too large alone is a request of its own. */
function split(pending: readonly Pending[], intake: Intake): Pending[][] {
  const batches: Pending[][] = [];
  let batch: Pending[] = [];
  let bytes = 0;
  for (const one of pending) {
    const size = Buffer.byteLength(one.entry);
    if (batch.length === intake.limits.events || (batch.length > 0 && bytes + size > intake.limits.bytes)) {
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

/** With its causes: fetch says only that it failed, and its cause says why. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && error.message === '' ? String(error.code) : error.message;
  return error.cause === undefined ? code : `${code}: ${describe(error.cause)}`;
}
