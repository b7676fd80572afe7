import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failed } from '../terminal/programs.ts';
import { step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { type Database, startDatabase } from './database.ts';
import { freePort, isFree } from './free-port.ts';
import { migrate, ServiceError, type ServiceProcess, startProcess, untilReady } from './service.ts';

/** Editors save in several steps. */
const SETTLE_MILLISECONDS = 100;
/** Long enough to observe the service without its database. */
const REVIVE_MILLISECONDS = 3_000;

/** What to run. */
interface Service {
  /** The folder with `src/main.ts`. */
  readonly folder: string;
  /** The name in messages. */
  readonly name: string;
}

/**
 * Runs a service on a private database and restarts it when its code changes, until Ctrl-C. The process ends in it.
 * `command`, if there is one, runs with the address of the service in BASE_URL instead, on free ports; its exit code is
 * that of the process.
 */
export async function develop({ folder, name }: Service, command?: string): Promise<void> {
  const source = join(folder, 'src');
  const main = join(source, 'main.ts');
  if (!existsSync(main)) throw new Refusal(`there is no src/main.ts in ${folder}; run this in the folder of a service`);
  const ports =
    command === undefined
      ? { PORT: process.env.PORT || '5000', METRICS_PORT: process.env.METRICS_PORT || '9464' }
      : { PORT: String(await freePort()), METRICS_PORT: String(await freePort()) };
  const url = `http://localhost:${ports.PORT}`;
  let database: Database | undefined;
  let serving: ServiceProcess | undefined;
  let ending = false;
  let isRestarting = false;

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // A second signal does not wait; the watchdogs end the child processes.
    process.on(signal, () => (ending ? process.exit(1) : end(0)));
  }

  try {
    await requireFreePorts();
    database = await step('database', async (tell) => {
      const started = await startDatabase();
      tell(started.description);
      return started;
    });
    await updateSchema(database);
    await serve(database);
    if (command !== undefined) {
      await end(await runCommand(command, database));
      return;
    }
    say(
      `${url} is ready after ${Math.round(performance.now())} ms, with ${database.description}. Press Ctrl-C to stop.`,
    );
    if (database.isPrivate) say('The data are removed at the end; set DATABASE_* to use another database.');
    restartOnChange(database);
    keepAlive(database);
  } catch (error) {
    report(error);
    await end(1);
  }

  /** Checked before the service listens, because another process on its port could answer instead. */
  async function requireFreePorts(): Promise<void> {
    for (const [variable, port] of Object.entries(ports)) {
      const free = !/^\d{1,5}$/.test(port) || (await isFree(Number(port)));
      if (!free)
        throw new Refusal(
          `port ${port} is in use; end the process that listens on it, or set ${variable} to a free port`,
        );
    }
  }

  async function updateSchema({ env }: Database): Promise<void> {
    await migrate({ ...process.env, ...env }, { output: outputOf(), main });
  }

  async function serve({ env }: Database): Promise<void> {
    await requireFreePorts();
    const own = { ...process.env, ...ports, ...env };
    serving = startProcess('serve', { SHUTDOWN_DRAIN_SECONDS: '0', ...own }, { output: outputOf(), main });
    await untilReady(serving, url);
    serving.exited.then(({ code, signal }) => {
      if (!ending && !isRestarting)
        say(`the service ended with ${signal ?? `exit code ${code}`}; a change in src/ restarts it`);
    });
  }

  /** The lines of the service would stand between those of the command. */
  function outputOf(): 'inherit' | 'pipe' {
    return command === undefined ? 'inherit' : 'pipe';
  }

  async function runCommand(line: string, { env }: Database): Promise<number> {
    const child = spawn(line, {
      shell: true,
      stdio: 'inherit',
      cwd: folder,
      env: { ...process.env, ...env, BASE_URL: url, METRICS_URL: `http://localhost:${ports.METRICS_PORT}` },
    });
    const [code] = await once(child, 'exit');
    return Number(code ?? 1);
  }

  function restartOnChange(on: Database): void {
    let settled: NodeJS.Timeout | undefined;
    let restarted = Promise.resolve();
    watch(source, { recursive: true }, () => {
      clearTimeout(settled);
      settled = setTimeout(() => {
        restarted = restarted.then(() => restart(on)).catch(report);
      }, SETTLE_MILLISECONDS);
    }).on('error', ({ message }) =>
      report(new Refusal(`cannot watch ${source}: ${message}; start again after a change`)),
    );
  }

  async function restart(on: Database): Promise<void> {
    if (ending) return;
    try {
      await updateSchema(on);
    } catch (error) {
      report(error);
      say('the previous code continues to run until the next change');
      return;
    }
    isRestarting = true;
    await serving?.stop();
    isRestarting = false;
    await serve(on);
    say(`${url} restarted with the changed code`);
  }

  /** Restarts the database after it has ended, as RDS does. */
  async function keepAlive(on: Database): Promise<void> {
    while (!ending) {
      await sleep(REVIVE_MILLISECONDS);
      if (ending) return;
      const was = await on.revive().catch(report);
      if (was) say('the database ended and was restarted with its data');
    }
  }

  async function end(code: number): Promise<void> {
    ending = true;
    await serving?.stop();
    await database?.stop();
    if (code === 0 && command === undefined) say('stopped; the private database is removed');
    process.exit(code);
  }

  function report(error: unknown): void {
    if (ending) return;
    const isExpected = error instanceof Refusal || error instanceof ServiceError || error instanceof Failed;
    say(isExpected ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  function say(line: string): void {
    process.stderr.write(`${name}: ${line}\n`);
  }
}
