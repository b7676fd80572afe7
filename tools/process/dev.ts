/** `make dev`: the service on a database of its own, started again when its code changes, until Ctrl-C. */
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
/** Long enough to see what the service does without its database. */
const REVIVE_MILLISECONDS = 3_000;

const ports = { PORT: process.env.PORT || '5000', METRICS_PORT: process.env.METRICS_PORT || '9464' };
const url = `http://localhost:${ports.PORT}`;
let database: Database | undefined;
let serving: ServiceProcess | undefined;
let ending = false;
let isRestarting = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // A second signal does not wait; what was started notices that this process is gone.
  process.on(signal, () => (ending ? process.exit(1) : end(0)));
}

try {
  await requireFreePorts();
  database = await step('database', async (tell) => {
    const started = await startDatabase();
    tell(started.description);
    return started;
  });
  await bringUpToDate(database);
  await serve(database);
  say(`${url} is ready after ${Math.round(performance.now())} ms, on ${database.description}. Ctrl-C ends it.`);
  if (database.isPrivate) say('Its data are removed at the end; DATABASE_HOST and so on lead it to another database.');
  startAgainOnChange(database);
  keepAlive(database);
} catch (error) {
  complain(error);
  await end(1);
}

/** Asked before a process begins to listen: whoever is there might answer as if it were our service. */
async function requireFreePorts(): Promise<void> {
  for (const [variable, port] of Object.entries(ports)) {
    const free = !/^\d{1,5}$/.test(port) || (await isFree(Number(port)));
    if (!free) throw new Refusal(`another process listens on port ${port}; end it, or set ${variable} to a free one.`);
  }
}

async function bringUpToDate({ env }: Database): Promise<void> {
  await migrate({ ...process.env, ...env }, { output: 'inherit' });
}

async function serve({ env }: Database): Promise<void> {
  await requireFreePorts();
  serving = startProcess('serve', { SHUTDOWN_DRAIN_SECONDS: '0', ...process.env, ...env }, { output: 'inherit' });
  await untilReady(serving, url);
  serving.exited.then(({ code, signal }) => {
    if (!ending && !isRestarting)
      say(`the service ended with ${signal ?? `exit code ${code}`}; a change in src/ starts it again.`);
  });
}

function startAgainOnChange(on: Database): void {
  let settled: NodeJS.Timeout | undefined;
  let restarted = Promise.resolve();
  watch(SOURCE, { recursive: true }, () => {
    clearTimeout(settled);
    settled = setTimeout(() => {
      restarted = restarted.then(() => startAgain(on)).catch(complain);
    }, SETTLE_MILLISECONDS);
  });
}

async function startAgain(on: Database): Promise<void> {
  if (ending) return;
  try {
    await bringUpToDate(on);
  } catch (error) {
    complain(error);
    say('the code before this change serves on; the next change is tried again.');
    return;
  }
  isRestarting = true;
  await serving?.stop();
  isRestarting = false;
  await serve(on);
  say(`${url} runs the changed code.`);
}

/** Brings the database back when somebody ended it, as RDS would. */
async function keepAlive(on: Database): Promise<void> {
  while (!ending) {
    await sleep(REVIVE_MILLISECONDS);
    if (ending) return;
    const was = await on.revive().catch(complain);
    if (was) say('the database had ended, and is back on its data.');
  }
}

async function end(code: number): Promise<void> {
  ending = true;
  await serving?.stop();
  await database?.stop();
  if (code === 0) say('ended; nothing is left behind.');
  process.exit(code);
}

function complain(error: unknown): void {
  if (ending) return;
  const isExpected = error instanceof Refusal || error instanceof ServiceError || error instanceof Failed;
  say(isExpected ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error));
}

function say(line: string): void {
  process.stderr.write(`plusone: ${line}\n`);
}
