/**
 * What a person sees of work that takes its time. Progress goes to stderr, what was asked for to stdout. On a terminal
 * the steps that run show how long they have been at it and the latest line of the tool that they wait for; elsewhere
 * there is one line for each step, when it is over. With VERBOSE=1 the tools' own lines are all there instead.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { clearScreenDown, cursorTo, moveCursor } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';

const FRAME_MILLISECONDS = 100;
const TIME_WIDTH = 8;

interface Step {
  readonly name: string;
  readonly started: number;
  /** What its tool said last. */
  latest: string;
}

/** Whether all that the tools say is to be shown: VERBOSE=1. */
export const isVerbose = !['', '0', undefined].includes(process.env.VERBOSE);
const isLive = process.stderr.isTTY === true && process.env.TERM !== 'dumb' && !isVerbose;

const current = new AsyncLocalStorage<Step>();
const running = new Set<Step>();
let drawnLines = 0;
let frames: NodeJS.Timeout | undefined;

/** Does a part of the work and says how long it took, with what it has to tell; also when it fails. */
export async function step<T>(name: string, work: (tell: (what: string) => void) => Promise<T>): Promise<T> {
  const it: Step = { name, started: performance.now(), latest: '' };
  const told: string[] = [];
  const over = (mark: string) => {
    running.delete(it);
    write(process.stderr, `${mark} ${duration(it.started).padStart(TIME_WIDTH)}  ${[name, ...told].join(', ')}`);
    if (running.size === 0) clearInterval(frames);
  };
  if (isVerbose) write(process.stderr, `→ ${name}`);
  if (isLive && running.size === 0) frames = setInterval(draw, FRAME_MILLISECONDS).unref();
  running.add(it);
  if (isLive) draw();
  try {
    const result = await current.run(it, () => work((what) => told.push(what)));
    over('✓');
    return result;
  } catch (error) {
    over('✗');
    throw error;
  }
}

/** Takes what a tool says in the step that began to listen to it. */
export interface Listener {
  /** A line that it writes; `isNews` when it belongs beside the step's name until another one comes. */
  hear(line: string, isNews: boolean): void;
  /** It has ended. */
  end(): void;
}

/** Begins to listen to a tool, for the step that runs it. */
export function listener(): Listener {
  const it = current.getStore();
  return {
    hear(line, isNews) {
      const text = stripVTControlCharacters(line).trim();
      if (text === '') return;
      if (it && isNews) it.latest = text;
      if (isVerbose) write(process.stderr, `  ${it ? `${it.name} | ` : ''}${text}`);
    },
    end() {
      if (it) it.latest = '';
    },
  };
}

/** Writes a line of what was asked for. */
export function say(line: string): void {
  write(process.stdout, line);
}

/** Writes a line beside the progress: a remark, a complaint. */
export function remark(line: string): void {
  write(process.stderr, line);
}

/** The time since then: "3.2 s", "12 min 5 s". */
export function duration(started: number): string {
  const seconds = (performance.now() - started) / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(Math.round(seconds) / 60)} min ${Math.round(seconds) % 60} s`;
}

function write(stream: NodeJS.WriteStream, line: string): void {
  erase();
  stream.write(`${line}\n`);
  draw();
}

function draw(): void {
  if (!isLive || running.size === 0) return;
  erase();
  // Some terminals say that they have none.
  const [columns, rows] = [process.stderr.columns || 80, process.stderr.rows || 24];
  const lines = [...running].slice(0, rows - 1).map(({ name, started, latest }) => {
    // A line that wraps would be two, and only one would be erased.
    return `→ ${duration(started).padStart(TIME_WIDTH)}  ${name}  ${latest}`.trimEnd().slice(0, columns - 1);
  });
  process.stderr.write(`${lines.join('\n')}\n`);
  drawnLines = lines.length;
}

function erase(): void {
  if (drawnLines === 0) return;
  moveCursor(process.stderr, 0, -drawnLines);
  cursorTo(process.stderr, 0);
  clearScreenDown(process.stderr);
  drawnLines = 0;
}
