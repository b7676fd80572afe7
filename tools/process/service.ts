import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startCleanupWatchdog } from './cleanup-watchdog.ts';
import { type Database, startDatabase } from './database.ts';
import { freePort } from './free-port.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const START_SECONDS = 30;
/** The number of characters of a process's output in an error: the end of the output, which has the reason. */
const MOST_OUTPUT = 4_000;

/** How a process ended: by an exit code, or by the signal that killed it. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process of the service ended or did not get ready; the message has the end of its output if that was kept. */
export class ServiceError extends Error {
  override name = 'ServiceError';
}

/** A process of the service. It ends with this process at the latest. */
export interface ServiceProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  /** Its output so far; empty if the output was inherited. */
  stdout(): string;
  stderr(): string;
  /** Sends SIGTERM and waits until it has ended. */
  stop(): Promise<Exit>;
}

/** Kills the processes and waits until they have ended. */
export async function killAll(processes: readonly ServiceProcess[]): Promise<void> {
  for (const { child, exited } of processes) {
    child.kill('SIGKILL');
    await exited;
  }
}

/** A running service that accepts requests. */
export interface Service extends ServiceProcess {
  /** Without a slash at the end: http://127.0.0.1:20123 */
  readonly url: string;
  readonly metricsUrl: string;
}

/** How a process is started. */
interface Start {
  /** The destination of its output: kept for the caller, or inherited from this process. */
  readonly output?: 'pipe' | 'inherit';
  /** The program; by default that of this repository. */
  readonly main?: string;
}

/**
 * Starts `node src/main.ts <command>` with exactly these variables, PATH and HOME.
 */
export function startProcess(
  command: string,
  env: NodeJS.ProcessEnv,
  { output = 'pipe', main = MAIN }: Start = {},
): ServiceProcess {
  const child = spawn(process.execPath, [main, command], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', output, output],
    // Its own session, so that Ctrl-C reaches it once, from this process, and not from the terminal too.
    detached: true,
  });
  const callOff = startCleanupWatchdog('kill -KILL "$1"', String(child.pid));
  child.once('exit', callOff);

  const written = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    written.stdout += chunk;
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    written.stderr += chunk;
  });
  // 'close' comes after 'exit', when all output has been read.
  const exited = once(child, 'close').then(([code, signal]): Exit => ({ code, signal }));
  return {
    child,
    exited,
    stdout: () => written.stdout,
    stderr: () => written.stderr,
    async stop() {
      child.kill('SIGTERM');
      return await exited;
    },
  };
}

/**
 * Starts `serve` on free ports with these variables and waits until it is ready. It has short shutdown delays unless
 * `env` sets others. Throws with the process's output if it ends or is not ready in time.
 */
export async function startServing(env: NodeJS.ProcessEnv): Promise<Service> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const serving = startProcess('serve', {
    PORT: String(port),
    METRICS_PORT: String(metricsPort),
    SHUTDOWN_DRAIN_SECONDS: '0',
    ...env,
  });
  const url = `http://127.0.0.1:${env.PORT ?? port}`;
  await untilReady(serving, url);
  return { ...serving, url, metricsUrl: `http://127.0.0.1:${env.METRICS_PORT ?? metricsPort}` };
}

/** Waits until `/readyz` of the process's service answers 200. Throws a ServiceError if it ends before. */
export async function untilReady(serving: ServiceProcess, url: string): Promise<void> {
  let exit: Exit | undefined;
  serving.exited.then((how) => {
    exit = how;
  });
  const deadline = Date.now() + START_SECONDS * 1000;
  while (exit === undefined && Date.now() < deadline) {
    const ready = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
    await ready?.arrayBuffer();
    if (ready?.status === 200) return;
    await sleep(25);
  }
  if (exit !== undefined) throw failure('the service', serving, exit);
  serving.child.kill('SIGKILL');
  throw failure(`the service was not ready after ${START_SECONDS} s`, serving, await serving.exited);
}

/** Migrates the database with `migrate`. Throws a ServiceError if that fails. */
export async function migrate(env: NodeJS.ProcessEnv, start: Start = {}): Promise<void> {
  const migrating = startProcess('migrate', env, start);
  const exit = await migrating.exited;
  if (exit.code !== 0) throw failure('migrate', migrating, exit);
}

function failure(what: string, { stdout, stderr }: ServiceProcess, { code, signal }: Exit): ServiceError {
  const output = (stdout() + stderr()).trimEnd().slice(-MOST_OUTPUT);
  return new ServiceError(`${what} ended with ${signal ?? `exit code ${code}`}\n${output}`.trimEnd());
}

/**
 * A complete service for a black-box test: database (see {@link startDatabase}), schema, process. `stop` ends all of
 * them; otherwise they end with this process.
 */
export async function startService(env: NodeJS.ProcessEnv = {}): Promise<Service & { readonly database: Database }> {
  const database = await startDatabase();
  try {
    await migrate({ ...database.env, ...env });
    const service = await startServing({ ...database.env, ...env });
    return {
      ...service,
      database,
      async stop() {
        const exit = await service.stop();
        await database.stop();
        return exit;
      },
    };
  } catch (error) {
    await database.stop();
    throw error;
  }
}
