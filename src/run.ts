import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Server } from 'restify';
import { type Config, ConfigError, type Environment, readConfig, secretsPath } from './config.ts';
import { type Database, openDatabase } from './database/database.ts';
import { type Migrations, migrate, schemaIsCurrent } from './database/migrate.ts';
import type { StoreStatistics } from './database/store.ts';
import type { ServerParts } from './http-server.ts';
import { Health } from './operations/health.ts';
import { createLog, type Logger, type LogRequest } from './operations/logging.ts';
import { createMetrics, createMetricsServer } from './operations/metrics.ts';
import { startPulse } from './operations/pulse.ts';
import { closeServer, exitOnSignals } from './operations/shutdown.ts';
import type { Tracing } from './operations/tracing.ts';
import { readSecrets, SecretsError } from './secrets.ts';
import { Unavailable } from './unavailable.ts';

/** A service: what is its own. `run` adds all that services have in common. */
export interface Definition {
  /** The name in traces and in messages on stderr. */
  readonly name: string;
  readonly version: string;
  readonly migrations: Migrations;
  /** The values of variables that are neither in the environment nor in SSM, where they are not those of the README. */
  readonly defaults?: Environment;
  /** Creates the stores and the server on an open database. */
  open(parts: ServiceParts): OpenService;
}

/** What the stores of a service depend on. */
export interface ServiceParts {
  readonly database: Database;
  readonly config: Config;
  readonly log: Logger;
  /** Undefined when tracing is off. */
  readonly tracing: Tracing | undefined;
}

/** The stores of a service, and its server on them. */
export interface OpenService {
  readonly stores: readonly { statistics(): StoreStatistics }[];
  /** The server of the public port, not yet listening. */
  createServer(parts: ServerParts): Server;
}

const USAGE = `usage: node src/main.ts serve|migrate

  serve    serve requests until SIGTERM
  migrate  update the database schema, then exit
`;

/** Exit codes; usage and config are those of sysexits.h. */
const EXIT = { ok: 0, failure: 1, usage: 64, config: 78 } as const;
const FIRST_RETRY_MILLISECONDS = 100;
const LONGEST_RETRY_MILLISECONDS = 1_000;

/**
 * The whole process: `serve` serves requests until SIGTERM, `migrate` updates the schema and exits. Other arguments, an
 * invalid configuration and a failed start end the process with a message.
 */
export async function run(service: Definition, [command, ...rest]: readonly string[]): Promise<void> {
  if (rest.length > 0 || (command !== 'serve' && command !== 'migrate')) {
    const message = command === undefined ? 'missing command' : `unknown command: ${[command, ...rest].join(' ')}`;
    process.stderr.write(`${service.name}: ${message}\n${USAGE}`);
    process.exit(EXIT.usage);
  }
  const config = await configure(service);
  const { log, logRequest, flush } = await createLog(config.logLevel);
  const exit = (code: number): never => {
    flush();
    process.exit(code);
  };
  const die = (error: unknown, message: string): never => {
    log.fatal({ err: error }, message);
    return exit(EXIT.failure);
  };
  process.on('uncaughtException', (error) => die(error, 'uncaught exception'));

  if (command === 'serve') {
    await serve(service, config, log, logRequest, exit).catch((error: unknown) => die(error, 'start failed'));
    return;
  }
  try {
    const names = await migrate(config.database, service.migrations, log);
    log.info({ migrations: names }, names.length === 0 ? 'schema already current' : 'migrations applied');
  } catch (error) {
    die(error, 'migration failed');
  }
  exit(EXIT.ok);
}

/** The configuration; exits with a line on stderr for each invalid variable. */
async function configure(service: Definition): Promise<Config> {
  try {
    const path = secretsPath(process.env);
    return readConfig(process.env, { ...service.defaults, ...(path === undefined ? {} : await readSecrets(path)) });
  } catch (error) {
    if (error instanceof ConfigError) {
      for (const line of error.lines) process.stderr.write(`${service.name}: ${line}\n`);
      process.exit(EXIT.config);
    }
    if (error instanceof SecretsError) {
      process.stderr.write(`${service.name}: ${error.message}\n`);
      process.exit(EXIT.failure);
    }
    throw error;
  }
}

async function serve(
  service: Definition,
  config: Config,
  log: Logger,
  logRequest: LogRequest,
  exit: (code: number) => void,
): Promise<void> {
  const { version } = service;
  const health = new Health();
  const tracing =
    config.tracing &&
    (await import('./operations/tracing.ts')).startTracing(config.tracing, service, config.database, log);
  const database = openDatabase(config.database, log, () => readCredentials(service, config), tracing);
  const { stores, createServer } = service.open({ database, config, log, tracing });
  const waiting = () => sum(stores.map((store) => store.statistics()));
  const metrics = createMetrics({ version, revision: config.revision }, () => ({
    ...database.statistics(),
    ...waiting(),
  }));
  if (config.pulse !== undefined) startPulse(config.pulse, waiting, database.durations, log);
  const server = createServer({ health, metrics, log, logRequest, tracing });
  const metricsServer = createMetricsServer(metrics.registry, log);

  exitOnSignals(
    config,
    health,
    log,
    {
      closeServer: () => closeServer(server, metricsServer),
      closeDatabase: () => database.close(),
      flushTraces: async () => await tracing?.flush(),
    },
    exit,
  );
  await listen(server, 'PORT', config.port);
  await listen(metricsServer, 'METRICS_PORT', config.metricsPort);
  log.info({ port: config.port, metricsPort: config.metricsPort, version, revision: config.revision }, 'listening');

  if (await waitForSchema(service.migrations, database, health, log)) {
    health.becomeReady();
    log.info('ready');
  }
}

async function listen(server: HttpServer, variable: string, port: number): Promise<void> {
  try {
    const listening = once(server, 'listening');
    server.listen(port);
    await listening;
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? error.code : error;
    const why = reason === 'EADDRINUSE' ? 'another process listens on it' : String(reason);
    throw new Error(`cannot listen on ${variable} ${port}: ${why}; free it or set ${variable} to another port`, {
      cause: error,
    });
  }
}

/** Waits for the database and its migrations, without a time limit; false if a shutdown begins first. */
async function waitForSchema(
  migrations: Migrations,
  database: Database,
  health: Health,
  log: Logger,
): Promise<boolean> {
  for (let pause = FIRST_RETRY_MILLISECONDS; health.phase === 'starting'; ) {
    try {
      if (await schemaIsCurrent(database, migrations)) return true;
      log.warn('not ready: schema not current; run `migrate`');
    } catch (error) {
      const reason = error instanceof Unavailable ? 'database unavailable' : 'schema check failed';
      log.warn({ err: error }, `not ready: ${reason}`);
    }
    await sleep(pause);
    pause = Math.min(pause * 2, LONGEST_RETRY_MILLISECONDS);
  }
  return false;
}

async function readCredentials({ defaults }: Definition, config: Config): Promise<Config['database']> {
  if (config.secretsPath === undefined) return config.database;
  return readConfig(process.env, { ...defaults, ...(await readSecrets(config.secretsPath)) }).database;
}

function sum(all: readonly StoreStatistics[]): StoreStatistics {
  return all.reduce(
    (one, other) => ({
      reads: one.reads + other.reads,
      writes: one.writes + other.writes,
      executing: one.executing + other.executing,
    }),
    { reads: 0, writes: 0, executing: 0 },
  );
}
