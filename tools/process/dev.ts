/** `make dev`: runs the service on a private database and restarts it when its code changes, until Ctrl-C. */
import { watch } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Failed } from '../terminal/programs.ts';
import { step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { type Database, startDatabase } from './database.ts';
import { isFree } from './free-port.ts';
import { migrate, ServiceError, type ServiceProcess, startProcess, untilReady } from './service.ts';

const SOURCE = fileURLToPath(new URL('../../src', import.meta.url));
/** Editors save in several steps. */
const SETTLE_MILLISECONDS = 100;
/** Long enough to observe the service without its database. */
const REVIVE_MILLISECONDS = 3_000;

const ports = { PORT: process.env.PORT || '5000', METRICS_PORT: process.env.METRICS_PORT || '9464' };
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
  say(`${url} is ready after ${Math.round(performance.now())} ms, with ${database.description}. Press Ctrl-C to stop.`);
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
  await migrate({ ...process.env, ...env }, { output: 'inherit' });
}

async function serve({ env }: Database): Promise<void> {
  await requireFreePorts();
  serving = startProcess('serve', { SHUTDOWN_DRAIN_SECONDS: '0', ...process.env, ...env }, { output: 'inherit' });
  await untilReady(serving, url);
  serving.exited.then(({ code, signal }) => {
    if (!ending && !isRestarting)
      say(`the service ended with ${signal ?? `exit code ${code}`}; a change in src/ restarts it`);
  });
}

function restartOnChange(on: Database): void {
  let settled: NodeJS.Timeout | undefined;
  let restarted = Promise.resolve();
  watch(SOURCE, { recursive: true }, () => {
    clearTimeout(settled);
    settled = setTimeout(() => {
      restarted = restarted.then(() => restart(on)).catch(report);
    }, SETTLE_MILLISECONDS);
  });
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
  if (code === 0) say('stopped; the private database is removed');
  process.exit(code);
}

function report(error: unknown): void {
  if (ending) return;
  const isExpected = error instanceof Refusal || error instanceof ServiceError || error instanceof Failed;
  say(isExpected ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error));
}

function say(line: string): void {
  process.stderr.write(`plusone: ${line}\n`);
}
