/** The closed loop for benchmarks: wrk with wrk.lua. */
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { findProgram } from '../process/server-program.ts';
import { agreesToInstall } from '../terminal/install.ts';
import { output, run } from '../terminal/programs.ts';
import { step } from '../terminal/progress.ts';
import { lookAtTool, requireTools } from '../terminal/requirements.ts';

const SCRIPT = fileURLToPath(new URL('./wrk.lua', import.meta.url));

/** One kind of load. */
export interface Load {
  readonly method: 'GET' | 'PUT';
  readonly connections: number;
}

/** The result of a load. */
export interface Outcome {
  /** Answers with a status below 400 per second. */
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

/**
 * Sends requests for random users to `url` for some seconds, with one request in flight on each connection. `path` is the
 * path of a user up to the name.
 */
export async function measure(
  load: Load,
  url: string,
  users: number,
  seconds: number,
  seed: number,
  path = '/hello/',
): Promise<Outcome> {
  const { method, connections } = load;
  // One thread: wrk has no use for more at these rates, and shares the processors with the server.
  const options = ['--threads', '1', '--connections', String(connections), '--duration', `${seconds}s`];
  const args = [
    ...options,
    '--timeout',
    '2s',
    '--script',
    SCRIPT,
    url,
    '--',
    method,
    String(users),
    String(seed),
    path,
  ];
  const answer = await output('wrk', args);
  const result = RESULT.parse(JSON.parse(answer.split('\n').at(-1) ?? ''));
  return {
    perSecond: (result.requests - result.refused) / (result.microseconds / 1e6),
    p99: result.p99 / 1000,
    errors: result.refused + result.broken,
  };
}

/** The version of wrk, which is installed first if the user agrees. Throws a Refusal when it is missing. */
export async function requireWrk(): Promise<string> {
  const { mark, says } = await lookAtTool('wrk');
  if (mark === '✓') return says;
  if (process.getuid?.() === 0 && findProgram('apt-get') !== undefined) {
    const commands: [string, ...string[]][] = [
      ['apt-get', 'update', '-qq'],
      ['apt-get', 'install', '-qq', '-y', '--no-install-recommends', 'wrk'],
    ];
    if (await agreesToInstall('The benchmark needs wrk.', commands))
      await step('installing wrk', async () => {
        // requireTools() below says whether it worked.
        for (const [program, ...args] of commands) await run(program, args).catch(() => '');
      });
  }
  await requireTools(['wrk']);
  return (await lookAtTool('wrk')).says;
}
