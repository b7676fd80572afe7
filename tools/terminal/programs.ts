/** Runs external programs quietly. Their output is kept for the progress display and for errors. */
import { spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { isVerbose, listener } from './progress.ts';

const LINES_OF_A_FAILURE = 30;
/** Shorter values could be part of ordinary words. */
const SHORTEST_SECRET = 8;
const stop = new AbortController();

/** Options of a run. */
interface RunOptions {
  /** Its stdin. */
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** It is killed after this time. */
  readonly limitMilliseconds?: number;
}

/** A program did not exit with 0. The message has the last lines of its output. */
export class Failed extends Error {
  override name = 'Failed';
  /** Undefined if it was killed. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** The program is not installed. */
  readonly isMissing: boolean;
  /** It was killed because it took too long. */
  readonly isLate: boolean;

  constructor(how: string, ending: Partial<Ending>) {
    const { code, stdout = '', stderr = '', said = '', isMissing = false, isLate = false } = ending;
    super(`${how}${said && `:\n${said.split('\n').slice(-LINES_OF_A_FAILURE).join('\n')}`}`);
    this.code = code;
    this.stdout = stdout;
    this.stderr = stderr;
    this.isMissing = isMissing;
    this.isLate = isLate;
  }
}

interface Ending {
  code: number | undefined;
  stdout: string;
  stderr: string;
  /** Its output to the user, in order. */
  said: string;
  isMissing: boolean;
  isLate: boolean;
}

/** Whether a process with this id runs, also one of another user. */
export function isRunning(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/**
 * Runs a program and returns its stdout without the trailing newline. Stdout is never shown, not even with VERBOSE=1,
 * because it may contain a secret.
 * @throws {Failed} if the program doesn't exit with 0
 */
export async function output(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return await ended(program, args, options, false);
}

/** The same as {@link output}, but the whole output may be shown. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return await ended(program, args, options, true);
}

/**
 * Runs a program attached to this terminal.
 * @throws {Failed} if it doesn't exit with 0
 */
export async function attached(program: string, args: readonly string[], env = process.env): Promise<void> {
  const child = spawn(program, args, { env, stdio: 'inherit', signal: stop.signal });
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  if (code !== 0) throw new Failed(`\`${[program, ...args].join(' ')}\` ended with ${code}`, { code });
}

/** Ends the running programs. */
export function stopAll(): void {
  stop.abort();
}

function ended(program: string, args: readonly string[], options: RunOptions, isShown: boolean): Promise<string> {
  const { input, env = process.env, cwd, limitMilliseconds } = options;
  const command = `\`${[program, ...args].join(' ')}\``;
  const told = listener();
  // The output of a query is not progress.
  const hear = (line: string) => told.hear(withoutSecrets(line, env), isShown);
  if (isVerbose) hear(`$ ${[program, ...args].join(' ')}`);
  const child = spawn(program, args, { env, cwd, stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
  const abort = () => child.kill('SIGTERM');
  stop.signal.addEventListener('abort', abort);
  // EPIPE if it ended without reading; its exit code says more.
  child.stdin?.on('error', () => {}).end(input);

  let [stdout, stderr, said] = ['', '', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (isShown) said += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    said += text;
  });
  if (isShown) eachLine(child.stdout, hear);
  eachLine(child.stderr, hear);

  return new Promise((resolve, reject) => {
    let limit: NodeJS.Timeout | undefined;
    const fail = (how: string, ending: Partial<Ending> = {}) =>
      reject(
        new Failed(how, {
          stdout: stdout.trimEnd(),
          stderr: stderr.trimEnd(),
          said: withoutSecrets(stripVTControlCharacters(said), env).trimEnd(),
          ...ending,
        }),
      );
    if (limitMilliseconds !== undefined)
      limit = setTimeout(() => {
        child.kill('SIGKILL');
        // Its children may continue and keep these open.
        child.stdout?.destroy();
        child.stderr?.destroy();
        fail(`${command} did not end within ${limitMilliseconds / 1000} s`, { isLate: true });
      }, limitMilliseconds);
    const done = () => {
      clearTimeout(limit);
      told.end();
      stop.signal.removeEventListener('abort', abort);
    };
    child.once('error', (error: NodeJS.ErrnoException) => {
      done();
      const isMissing = error.code === 'ENOENT';
      fail(isMissing ? `${program} is not installed` : `${command}: ${error.message}`, { isMissing });
    });
    child.once('close', (code, signal) => {
      done();
      if (code === 0) resolve(stdout.trimEnd());
      else fail(`${command} ended with ${code ?? signal}`, { code: code ?? undefined });
    });
  });
}

/** The text without the values of variables whose names mark them as secrets. */
export function withoutSecrets(text: string, env: NodeJS.ProcessEnv = process.env): string {
  return Object.entries(env)
    .filter(([name]) => /(KEY|KEY_ID|SECRET|TOKEN|PASSWORD)$/.test(name))
    .reduce((rest, [, value = '']) => (value.length < SHORTEST_SECRET ? rest : rest.replaceAll(value, '…')), text);
}

/** Passes on whole lines; text before a carriage return counts as a line. */
function eachLine(stream: NodeJS.ReadableStream | null, take: (line: string) => void): void {
  let rest = '';
  stream?.on('data', (text: string) => {
    const lines = `${rest}${text}`.split(/[\r\n]+/);
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  });
  stream?.on('end', () => take(rest));
}
