/** The load: wrk with load.lua. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { SetupError } from '../local-process/database.ts';

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('load.lua', import.meta.url));

/** One kind of load. */
export interface Load {
  readonly method: 'GET' | 'PUT';
  readonly connections: number;
}

/** What came of a load. */
export interface Outcome {
  /** Answers below 400 in a second. */
  readonly perSecond: number;
  /** In milliseconds. */
  readonly p99: number;
  /** Answers of 400 and above, broken connections and requests without an answer within 2 s. */
  readonly errors: number;
}

const RESULT = z.object({
  requests: z.number(),
  microseconds: z.number(),
  p99: z.number(),
  refused: z.number(),
  broken: z.number(),
});

/** Sends requests for random ones of `users` users to `url` for some seconds, always one on each connection. */
export async function measure(load: Load, url: string, users: number, seconds: number, seed: number): Promise<Outcome> {
  const { method, connections } = load;
  // One thread: wrk has no use for more at these rates, and shares the processors with the server.
  const options = ['--threads', '1', '--connections', String(connections), '--duration', `${seconds}s`];
  const args = [...options, '--timeout', '2s', '--script', SCRIPT, url, '--', method, String(users), String(seed)];
  const { stdout } = await run('wrk', args);
  const result = RESULT.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''));
  return {
    perSecond: (result.requests - result.refused) / (result.microseconds / 1e6),
    p99: result.p99 / 1000,
    errors: result.refused + result.broken,
  };
}

/** Makes sure that wrk is here; installs it where we may, after saying so. Throws a SetupError when there is no way. */
export async function requireWrk(say: (line: string) => void): Promise<string> {
  const found = await wrkVersion();
  if (found !== undefined) return found;
  if (process.getuid?.() === 0) {
    say('wrk is not here: installing it with apt-get');
    for (const args of [
      ['update', '-qq'],
      ['install', '-qq', '-y', '--no-install-recommends', 'wrk'],
    ]) {
      const child = spawn('apt-get', args, { stdio: ['ignore', process.stderr, process.stderr] });
      await once(child, 'exit').catch(() => {});
    }
  }
  const installed = await wrkVersion();
  if (installed !== undefined) return installed;
  throw new SetupError(
    'The benchmark needs wrk (https://github.com/wg/wrk):\n' +
      '  Debian, Ubuntu  sudo apt-get install wrk\n' +
      '  macOS           brew install wrk',
  );
}

async function wrkVersion(): Promise<string | undefined> {
  try {
    await run('wrk', ['--version']);
  } catch (error) {
    // wrk tells its version and then exits with 1.
    const { stdout } = z.object({ stdout: z.string() }).parse(error);
    return /wrk \S*?(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  }
  return undefined;
}
