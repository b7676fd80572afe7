/**
 * Progress display of long commands, on stderr; results go to stdout. On a terminal, running steps show their duration and
 * the latest line of their tool; elsewhere there is one line for each finished step. With VERBOSE=1, all output of the
 * tools is shown instead.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { clearScreenDown, cursorTo, moveCursor } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';

const FRAME_MILLISECONDS = 100;
const TIME_WIDTH = 8;

interface Step {
  readonly name: string;
  readonly started: number;
  /** The latest line of its tool. */
  latest: string;
}

/** Whether to show all output of the tools: VERBOSE=1. */
export const isVerbose = !['', '0', undefined].includes(process.env.VERBOSE);
const isLive = process.stderr.isTTY === true && process.env.TERM !== 'dumb' && !isVerbose;

const current = new AsyncLocalStorage<Step>();
const running = new Set<Step>();
let drawnLines = 0;
let frames: NodeJS.Timeout | undefined;

/** The exit code that a shell shows for a program that SIGPIPE ended. */
const READER_ENDED = 141;
// Node turns SIGPIPE into this error, for example with `| head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(READER_ENDED);
});

/** Runs a part of the work and prints its duration, and what it reports with `tell`; also if it fails. */
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

/** Receives the output of a tool, for the step that started it. */
export interface Listener {
  /** A line of output; with `isNews` it is shown beside the step's name until the next one. */
  hear(line: string, isNews: boolean): void;
  /** It has ended. */
  end(): void;
}

/** Creates a listener for the current step. */
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

/** Writes a line of the result. */
export function say(line: string): void {
  write(process.stdout, line);
}

/** Writes a line between the progress lines. */
export function remark(line: string): void {
  write(process.stderr, line);
}

/** The time since `started`, such as "3.2 s" or "12 min 5 s". */
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
  // Some terminals report 0.
  const [columns, rows] = [process.stderr.columns || 80, process.stderr.rows || 24];
  const lines = [...running].slice(0, rows - 1).map(({ name, started, latest }) => {
    // Of a line that wraps, only the last row would be erased.
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
