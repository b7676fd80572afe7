import { setTimeout as sleep } from 'node:timers/promises';
import { Load, type LoadSettings } from '../load/load.ts';
import type { Assertion } from './assertions.ts';
import { type Figures, figuresOf, type Recording } from './figures.ts';

export const TARGETS = ['process', 'kind', 'aws'] as const;
export type Target = (typeof TARGETS)[number];

/** A fault, its assertions, and how to inject it on one target. */
export interface Drill<F> {
  /** In lower-case words with hyphens. */
  readonly name: string;
  /** What happens, in one sentence. */
  readonly fault: string;
  readonly assertions: readonly Assertion[];
  /** How long the fault lasts, in seconds; a drill without `quick` is not part of the quick runs. */
  readonly duration: { readonly full: number; readonly quick?: number };
  /** Requests per second; 200 by default. */
  readonly rate?: number;
  /** The number of usernames that all writes go to; see {@link LoadSettings}. */
  readonly names?: number;
  /** Starts the service and returns the fault, or the reason why it can't be injected on this machine. */
  prepare(fixture: F): Promise<Fault | string>;
}

export interface Fault {
  begin(run: Run): Promise<unknown> | unknown;
  /** Resolves when the failed part is back. */
  end(run: Run): Promise<unknown> | unknown;
  /** Undoes the rest of the fault, before the audit. */
  settle?(run: Run): Promise<unknown> | unknown;
}

/** The target of drills. */
export interface Environment<F> {
  readonly target: Target;
  /** The machine and the versions, for the report. */
  readonly description: string;
  /** A fixture without traces of the previous drill. */
  open(): Promise<F>;
  close(): Promise<void>;
}

/** The service under test in one drill, independent of the target. */
export interface Fixture {
  /** The addresses of the service. */
  readonly urls: readonly string[];
  /** See {@link LoadSettings}. */
  readonly lateWritesEnd: boolean;
  /** The variables that name a proxy, where the addresses are reached through one. */
  readonly proxyEnv?: NodeJS.ProcessEnv;
  /** The WRITE_TOKEN of a service that others started. */
  readonly writeToken?: string | undefined;
  /** Whether others use its database: then the users of the drill are deleted afterwards. */
  readonly isShared?: boolean;
  /** See {@link LoadSettings}. */
  readonly timeoutSeconds?: number | undefined;
  /** Resident memory of the service in MiB; undefined where it can't be read. */
  memory(): Promise<number | undefined>;
  /** Processes of the service that ended unexpectedly. */
  restarts(): Promise<number>;
  close(): Promise<void>;
}

/** The traffic of a running drill, and what the fault observes. */
export interface Run {
  readonly load: Load;
  readonly observations: Record<string, number | string>;
  readonly quick: boolean;
}

export interface Result {
  readonly name: string;
  readonly fault: string;
  /** Why it was not run; then there is nothing else. */
  readonly skipped?: string;
  readonly assertions: readonly AssertionResult[];
  readonly figures?: Figures;
  readonly recording?: Recording;
}

interface AssertionResult {
  readonly description: string;
  readonly measured: string;
  readonly passed: boolean;
}

const RATE = 200;
const WARM_UP_SECONDS = { full: 2, quick: 1 };
/** Longer than the two seconds that a recovery may take. */
const AFTERWARDS_SECONDS = { full: 5, quick: 2.5 };
const SAMPLE_MILLISECONDS = 1_000;

/**
 * Runs a drill: load, fault, its end, audit. The fixture is closed in any case, and at once if the signal aborts. A failed
 * assertion is part of the result; throws what the preparation or the fault throws, or the reason of the signal.
 */
export async function runDrill<F extends Fixture>(
  drill: Drill<F>,
  environment: Environment<F>,
  { quick, signal }: { quick: boolean; signal?: AbortSignal },
): Promise<Result> {
  const aborted = Promise.withResolvers<never>();
  // It may be rejected before anything waits for it.
  aborted.promise.catch(() => {});
  signal?.addEventListener('abort', () => aborted.reject(signal.reason), { once: true });
  const fixture = await environment.open();
  try {
    return await Promise.race([perform(drill, fixture, quick), aborted.promise]);
  } finally {
    await fixture.close();
  }
}

async function perform<F extends Fixture>(drill: Drill<F>, fixture: F, quick: boolean): Promise<Result> {
  const { name, fault } = drill;
  const prepared = await drill.prepare(fixture);
  if (typeof prepared === 'string') return { name, fault, skipped: prepared, assertions: [] };
  const recording = await record(drill, prepared, fixture, quick);
  const figures = figuresOf(recording);
  const assertions = drill.assertions.map(({ description, check }) => ({ description, ...check(figures) }));
  return { name, fault, assertions, figures, recording };
}

async function record<F>(drill: Drill<F>, fault: Fault, fixture: Fixture, quick: boolean): Promise<Recording> {
  const mode = quick ? 'quick' : 'full';
  const { urls, lateWritesEnd, proxyEnv, writeToken, timeoutSeconds } = fixture;
  const { rate = RATE, names } = drill;
  const load = new Load({ rate, names, urls, lateWritesEnd, proxyEnv, writeToken, timeoutSeconds });
  const run: Run = { load, observations: {}, quick };
  const memory = watchMemory(fixture, load);
  try {
    await sleep(WARM_UP_SECONDS[mode] * 1000);
    // At least one sample from before the fault.
    await memory.sample();
    const began = load.now();
    await fault.begin(run);
    await sleep((drill.duration[mode] ?? drill.duration.full) * 1000);
    await fault.end(run);
    const returned = load.now();
    await sleep(AFTERWARDS_SECONDS[mode] * 1000);
    await load.stop();
    const ended = load.now();
    memory.stop();
    const restarts = await fixture.restarts();
    await fault.settle?.(run);
    const audit = await load.audit();
    if (fixture.isShared) await load.removeUsers();
    const { answers, longestPause } = load;
    const { observations } = run;
    return { answers, began, returned, ended, audit, memory: memory.samples, restarts, observations, longestPause };
  } finally {
    memory.stop();
    await load.stop();
  }
}

function watchMemory(fixture: Fixture, load: Load) {
  const samples: { at: number; mebibytes: number }[] = [];
  async function sample() {
    const mebibytes = await fixture.memory();
    if (mebibytes !== undefined) samples.push({ at: load.now(), mebibytes });
  }
  const sampling = setInterval(sample, SAMPLE_MILLISECONDS);
  return { samples, sample, stop: () => clearInterval(sampling) };
}

/** Whether every assertion passed; true as well for a drill that was not run. */
export function hasPassed({ assertions }: Result): boolean {
  return assertions.every(({ passed }) => passed);
}
