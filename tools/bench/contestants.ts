/** The compared servers: how to prepare, start, observe and stop each. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, statSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startCleanupWatchdog } from '../process/cleanup-watchdog.ts';
import { freePort } from '../process/free-port.ts';
import { output as ask, Failed, run } from '../terminal/programs.ts';
import { remark, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { username } from './users.ts';

const PEERS = fileURLToPath(new URL('peers', import.meta.url));
const START_SECONDS = 30;
const POLL_MILLISECONDS = 2;

/** A server in the comparison. */
export interface Contestant {
  readonly name: string;
  readonly command: readonly [program: string, ...args: string[]];
  /** The path of a user up to the name. */
  readonly path: string;
}

/** A running server. */
export interface Running {
  readonly contestant: Contestant;
  /** Without a trailing slash. */
  readonly url: string;
  /** From the start of its process to its first 200. */
  readonly startMilliseconds: number;
  /** Its resident memory now, in MiB. */
  memory(): Promise<number>;
  stop(): Promise<void>;
}

/** Of the servers that do what the service does. */
const PATH = '/hello/';

export const SERVICE: Contestant = {
  name: 'Plusone',
  command: [process.execPath, fileURLToPath(new URL('../../src/main.ts', import.meta.url)), 'serve'],
  path: PATH,
};

export const RAW: Contestant = {
  name: 'node:http + mysql2',
  command: [process.execPath, join(PEERS, 'raw.ts')],
  path: PATH,
};

export const GO = 'Go net/http + database/sql';
export const RUST = 'Rust axum + mysql_async';

/**
 * The servers that can run on this machine, the service first and the raw server second. Installs the dependencies of
 * the other Node servers, and builds the Go and the Rust server into `directory`; without a compiler, prints why and omits it.
 */
export async function prepareContestants(directory: string): Promise<Contestant[]> {
  await installPeers();
  const go = join(directory, 'go-peer');
  // Kept between runs, since its build takes two minutes.
  const rust = join(PEERS, 'rust/target/release/rust-peer');
  return [
    SERVICE,
    RAW,
    ...(await built(RUST, rust, 'cargo', ['build', '--release', '--quiet', '--locked'], 'rust')),
    ...(await built(GO, go, 'go', ['build', '-o', go, '.'], 'go')),
    { name: 'Fastify + Knex', command: [process.execPath, join(PEERS, 'fastify.ts')], path: PATH },
    { name: 'Express + Knex', command: [process.execPath, join(PEERS, 'express.ts')], path: PATH },
  ];
}

async function installPeers(): Promise<void> {
  const installed = join(PEERS, 'node_modules/.package-lock.json');
  const lock = join(PEERS, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  await step('installing Express and Fastify below tools/bench/peers', () =>
    run('npm', ['ci', '--no-audit', '--no-fund', '--omit=dev'], { cwd: PEERS }),
  );
}

/** The server that a compiler makes of `folder`, as a list of one; an empty list, with a remark, if it cannot. */
async function built(
  name: string,
  program: string,
  compiler: string,
  args: readonly string[],
  folder: string,
): Promise<Contestant[]> {
  try {
    const way = { cwd: join(PEERS, folder), env: { ...process.env, CGO_ENABLED: '0' } };
    await step(`building ${name}`, () => run(compiler, args, way));
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    remark(`${name} is left out: ${error.message}`);
    return [];
  }
  return [{ name, command: [program], path: PATH }];
}

/**
 * Starts a server as in production, with its output in a file in `directory`, and waits until it answers for a user with
 * 200. It ends with this process at the latest. Throws a Refusal when it doesn't start.
 */
export async function start(
  contestant: Contestant,
  databaseEnv: Record<string, string>,
  directory: string,
): Promise<Running> {
  const port = await freePort();
  const metricsPort = await freePort();
  const log = join(directory, `${contestant.name.replace(/\W+/g, '-')}-${port}.log`);
  const output = openSync(log, 'a');
  const url = `http://127.0.0.1:${port}`;
  const [program, ...args] = contestant.command;
  const path = contestant.path + username(0);

  const begin = performance.now();
  const child = spawn(program, args, {
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      // As the image has it; the other Node servers get the same.
      NODE_OPTIONS: '--max-semi-space-size=8',
      NODE_COMPILE_CACHE: join(directory, 'compile-cache'),
      PORT: String(port),
      METRICS_PORT: String(metricsPort),
      SHUTDOWN_DRAIN_SECONDS: '0',
      ...databaseEnv,
    },
    stdio: ['ignore', output, output],
  });
  const callOff = startCleanupWatchdog('kill -KILL "$1"', String(child.pid));
  child.once('exit', callOff);

  while ((await statusOf(url + path)) !== 200) {
    if (child.exitCode !== null || performance.now() - begin > START_SECONDS * 1000) {
      child.kill('SIGKILL');
      throw new Refusal(`${contestant.name} does not answer ${path} with 200; its output is in ${log}`);
    }
    await sleep(POLL_MILLISECONDS);
  }
  const startMilliseconds = performance.now() - begin;

  return {
    contestant,
    url,
    startMilliseconds,
    async memory() {
      return Number(await ask('ps', ['-o', 'rss=', '-p', String(child.pid)])) / 1024;
    },
    stop: async () => await end(child),
  };
}

/** How long Node takes to start and end with an empty program, in milliseconds. */
export async function bareNodeMilliseconds(): Promise<number> {
  const begin = performance.now();
  await once(spawn(process.execPath, ['--eval', '0'], { stdio: 'ignore' }), 'exit');
  return performance.now() - begin;
}

async function end(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}

/** On a new connection, and without fetch, whose first use takes longer than a start. */
function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    });
    request.once('error', () => resolve(undefined));
  });
}
