import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const LONGEST_OUTPUT = 64 * 1024 * 1024;
const LINES_OF_A_FAILURE = 30;
const stop = new AbortController();

/** Something that the person at the terminal can put right: the message says what and how. */
export class Refusal extends Error {}

/** A program did not end with 0. */
export class Failed extends Error {
  readonly stderr: string;

  constructor(command: string, stderr: string, cause: unknown) {
    super(`\`${command}\` failed:\n${stderr.split('\n').slice(-LINES_OF_A_FAILURE).join('\n') || cause}`, { cause });
    this.stderr = stderr;
  }
}

/**
 * Runs a program and gives back what it wrote to stdout, without the line end. Throws Failed when it
 * doesn't end with 0.
 */
export async function output(program: string, args: string[], input = ''): Promise<string> {
  const running = promisify(execFile)(program, args, { maxBuffer: LONGEST_OUTPUT, signal: stop.signal });
  // EPIPE when it ended without reading: how it ended says more.
  running.child.stdin?.on('error', () => {}).end(input);
  try {
    return (await running).stdout.trimEnd();
  } catch (error) {
    const written = error instanceof Error && 'stderr' in error ? String(error.stderr).trimEnd() : '';
    throw new Failed([program, ...args].join(' '), written, error);
  }
}

/** Ends the programs that are still running. */
export function stopAll(): void {
  stop.abort();
}

/** Does a part of the work and says how long it took, with what it has to tell. */
export async function step<T>(name: string, work: (tell: (what: string) => void) => Promise<T>): Promise<T> {
  const started = performance.now();
  const told: string[] = [];
  say(`→ ${name}`);
  const result = await work((what) => told.push(what));
  say(`✓ ${name.padEnd(11)}${seconds(started).padStart(6)}  ${told.join(', ')}`);
  return result;
}

/** The time since then: "3.2 s". */
export function seconds(started: number): string {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
