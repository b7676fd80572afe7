/** Other programs: run quietly, with their words kept for the progress and for whoever has to find out why they failed. */
import { spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { isVerbose, listener } from './progress.ts';

const LINES_OF_A_FAILURE = 30;
/** Anything shorter would be found in the middle of words. */
const SHORTEST_SECRET = 8;
const stop = new AbortController();

/** How a program is run. */
interface Way {
  /** What it reads from stdin. */
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** When it is ended, finished or not. */
  readonly limitMilliseconds?: number;
}

/** A program did not end with 0: the message has the last lines of what it said. */
export class Failed extends Error {
  override name = 'Failed';
  /** Undefined when it did not end by itself. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** There is no such program on this machine. */
  readonly isMissing: boolean;
  /** It was ended for taking too long. */
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
  /** What it wrote for people, in the order in which it came. */
  said: string;
  isMissing: boolean;
  isLate: boolean;
}

/**
 * Asks a program something: gives back what it wrote to stdout, without the line end. That answer is shown to nobody,
 * not even with VERBOSE=1: it may hold a secret. Throws Failed when the program doesn't end with 0.
 */
export async function output(program: string, args: readonly string[], way: Way = {}): Promise<string> {
  return await ended(program, args, way, false);
}

/** Has a program do something. The same as {@link output}, but all that it writes is for people. */
export async function run(program: string, args: readonly string[], way: Way = {}): Promise<string> {
  return await ended(program, args, way, true);
}

/** Gives a program this terminal until it ends. Throws Failed when it doesn't end with 0. */
export async function attached(program: string, args: readonly string[], env = process.env): Promise<void> {
  const child = spawn(program, args, { env, stdio: 'inherit', signal: stop.signal });
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  if (code !== 0) throw new Failed(`\`${[program, ...args].join(' ')}\` ended with ${code}`, { code });
}

/** Ends the programs that are still running. */
export function stopAll(): void {
  stop.abort();
}

function ended(program: string, args: readonly string[], way: Way, isForPeople: boolean): Promise<string> {
  const { input, env = process.env, cwd, limitMilliseconds } = way;
  const command = `\`${[program, ...args].join(' ')}\``;
  const told = listener();
  // Of a question it is no news that the answer is no.
  const hear = (line: string) => told.hear(withoutSecrets(line, env), isForPeople);
  if (isVerbose) hear(`$ ${[program, ...args].join(' ')}`);
  const child = spawn(program, args, { env, cwd, stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
  const abort = () => child.kill('SIGTERM');
  stop.signal.addEventListener('abort', abort);
  // EPIPE when it ended without reading: how it ended says more.
  child.stdin?.on('error', () => {}).end(input);

  let [stdout, stderr, said] = ['', '', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (isForPeople) said += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    said += text;
  });
  if (isForPeople) eachLine(child.stdout, hear);
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
        // Its own children may live on, and keep these open.
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

/** The text without the values of variables that are secrets by their names. */
export function withoutSecrets(text: string, env: NodeJS.ProcessEnv = process.env): string {
  return Object.entries(env)
    .filter(([name]) => /(KEY|KEY_ID|SECRET|TOKEN|PASSWORD)$/.test(name))
    .reduce((rest, [, value = '']) => (value.length < SHORTEST_SECRET ? rest : rest.replaceAll(value, '…')), text);
}

/** Hands on whole lines; what a program overwrites with a carriage return counts as one. */
function eachLine(stream: NodeJS.ReadableStream | null, take: (line: string) => void): void {
  let rest = '';
  stream?.on('data', (text: string) => {
    const lines = `${rest}${text}`.split(/[\r\n]+/);
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  });
  stream?.on('end', () => take(rest));
}
