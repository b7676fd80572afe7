import { setTimeout as sleep } from 'node:timers/promises';
import { type Course, type Figures, figuresOf } from './figures.ts';
import { Load, type LoadSettings } from './load.ts';
import type { Pledge } from './promises.ts';

export const TARGETS = ['process', 'kind', 'aws'] as const;
export type Target = (typeof TARGETS)[number];

/** A fault, what holds in spite of it, and how it is brought about on one target. */
export interface Drill<Scene> {
  /** In lower-case words with hyphens. */
  readonly name: string;
  /** What happens, in one sentence. */
  readonly fault: string;
  readonly promises: readonly Pledge[];
  /** How long the fault lasts, in seconds; without `quick`, it is left out where time is short. */
  readonly lasts: { readonly full: number; readonly quick?: number };
  /** Requests a second; 200 unless it says otherwise. */
  readonly rate?: number;
  /** All writes go to this many names; see {@link LoadSettings}. */
  readonly names?: number;
  /** Brings the service up and gives back the fault, or a text that says why it cannot be had on this machine. */
  prepare(scene: Scene): Promise<Fault | string>;
}

export interface Fault {
  begin(running: Running): Promise<unknown> | unknown;
  /** Comes back when what had failed is back. */
  end(running: Running): Promise<unknown> | unknown;
  /** Puts right what `end` left as it was, before the audit. */
  settle?(): Promise<unknown> | unknown;
}

/** A place where drills are run. */
export interface Place<Scene> {
  readonly target: Target;
  /** The machine and the versions, for the report. */
  readonly description: string;
  /** A scene without traces of the drill before. */
  open(): Promise<Scene>;
  close(): Promise<void>;
}

/** What every scene can tell once it is prepared. */
export interface OpenScene {
  /** The front doors of the service. */
  readonly urls: readonly string[];
  readonly lateWritesEnd: boolean;
  /** The variables that name a proxy, where the way to the front doors leads through one. */
  readonly proxyEnv?: NodeJS.ProcessEnv;
  /** See {@link LoadSettings}. */
  readonly patienceSeconds?: number | undefined;
  /** Resident memory of the service in MiB; undefined where it cannot be seen. */
  memory(): Promise<number | undefined>;
  /** Processes of the service that ended though nobody ended them. */
  restarts(): Promise<number>;
  close(): Promise<void>;
}

/** The traffic of a running drill, and a place for what the fault finds out. */
export interface Running {
  readonly load: Load;
  readonly notes: Record<string, number | string>;
  readonly quick: boolean;
}

export interface Result {
  readonly name: string;
  readonly fault: string;
  /** Why it could not be run; then there is nothing else. */
  readonly skipped?: string;
  readonly promises: readonly { readonly words: string; readonly measured: string; readonly kept: boolean }[];
  readonly figures?: Figures;
  readonly course?: Course;
}

const RATE = 200;
const WARM_UP_SECONDS = { full: 2, quick: 1 };
/** Longer than the two seconds that a recovery may take. */
const AFTERWARDS_SECONDS = { full: 5, quick: 2.5 };
const SAMPLE_MILLISECONDS = 1_000;

/**
 * Runs a drill: load, fault, its end, audit. The scene is closed however it goes. Throws what the fault or the
 * preparation throws; a broken promise is not thrown but told in the result.
 */
export async function conduct<Scene extends OpenScene>(
  drill: Drill<Scene>,
  place: Place<Scene>,
  { quick }: { quick: boolean },
): Promise<Result> {
  const { name, fault } = drill;
  const scene = await place.open();
  try {
    const prepared = await drill.prepare(scene);
    if (typeof prepared === 'string') return { name, fault, skipped: prepared, promises: [] };
    const course = await run(drill, prepared, scene, quick);
    const figures = figuresOf(course);
    const promises = drill.promises.map(({ words, check }) => ({ words, ...check(figures) }));
    return { name, fault, promises, figures, course };
  } finally {
    await scene.close();
  }
}

async function run<Scene>(drill: Drill<Scene>, fault: Fault, scene: OpenScene, quick: boolean): Promise<Course> {
  const pace = quick ? 'quick' : 'full';
  const { urls, lateWritesEnd, proxyEnv, patienceSeconds } = scene;
  const { rate = RATE, names } = drill;
  const load = new Load({ rate, names, urls, lateWritesEnd, proxyEnv, patienceSeconds });
  const running: Running = { load, notes: {}, quick };
  const memory = watchMemory(scene, load);
  try {
    await sleep(WARM_UP_SECONDS[pace] * 1000);
    // However short the warm-up was, there is something to compare with.
    await memory.sample();
    const began = load.now();
    await fault.begin(running);
    await sleep((drill.lasts[pace] ?? drill.lasts.full) * 1000);
    await fault.end(running);
    const returned = load.now();
    await sleep(AFTERWARDS_SECONDS[pace] * 1000);
    await load.stop();
    const ended = load.now();
    memory.stop();
    const restarts = await scene.restarts();
    await fault.settle?.();
    const audit = await load.audit();
    const { notes } = running;
    return { answers: load.answers, began, returned, ended, audit, memory: memory.samples, restarts, notes };
  } finally {
    memory.stop();
    await load.stop();
  }
}

function watchMemory(scene: OpenScene, load: Load) {
  const samples: { at: number; mebibytes: number }[] = [];
  async function sample() {
    const mebibytes = await scene.memory();
    if (mebibytes !== undefined) samples.push({ at: load.now(), mebibytes });
  }
  const sampling = setInterval(sample, SAMPLE_MILLISECONDS);
  return { samples, sample, stop: () => clearInterval(sampling) };
}

/** Whether every promise was kept; true as well for a drill that could not be run. */
export function isKept({ promises }: Result): boolean {
  return promises.every(({ kept }) => kept);
}
