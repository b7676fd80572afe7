import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import packageJson from '../package.json' with { type: 'json' };
import { type Config, ConfigError, readConfig, secretsPath } from './config.ts';
import { type Database, openDatabase } from './database/database.ts';
import { migrate, schemaIsCurrent } from './database/migrations/index.ts';
import { Health } from './operations/health.ts';
import { createLog, type Logger, type LogRequest } from './operations/logging.ts';
import { createMetrics, createMetricsServer } from './operations/metrics.ts';
import { startPulse } from './operations/pulse.ts';
import { closeServer, exitOnSignals } from './operations/shutdown.ts';
import { readSecrets, SecretsError } from './secrets.ts';
import { createServer } from './server.ts';
import { Unavailable } from './unavailable.ts';
import { createUserRepository } from './users/repository.ts';

const USAGE = `usage: node src/main.ts serve|migrate

  serve    serve requests until SIGTERM
  migrate  update the database schema, then exit
`;

/** Exit codes; usage and config are those of sysexits.h. */
const EXIT = { ok: 0, failure: 1, usage: 64, config: 78 } as const;
const FIRST_RETRY_MILLISECONDS = 100;
const LONGEST_RETRY_MILLISECONDS = 1_000;

await main(process.argv.slice(2));

async function main([command, ...rest]: string[]): Promise<void> {
  if (rest.length > 0 || (command !== 'serve' && command !== 'migrate')) {
    const message = command === undefined ? 'missing command' : `unknown command: ${[command, ...rest].join(' ')}`;
    process.stderr.write(`plusone: ${message}\n${USAGE}`);
    process.exit(EXIT.usage);
  }
  const config = await configure();
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
    await serve(config, log, logRequest, exit).catch((error: unknown) => die(error, 'start failed'));
    return;
  }
  try {
    const names = await migrate(config.database, log);
    log.info({ migrations: names }, names.length === 0 ? 'schema already current' : 'migrations applied');
  } catch (error) {
    die(error, 'migration failed');
  }
  exit(EXIT.ok);
}

/** The configuration; exits with a line on stderr for each invalid variable. */
async function configure(): Promise<Config> {
  try {
    const path = secretsPath(process.env);
    return readConfig(process.env, path === undefined ? {} : await readSecrets(path));
  } catch (error) {
    if (error instanceof ConfigError) {
      for (const line of error.lines) process.stderr.write(`plusone: ${line}\n`);
      process.exit(EXIT.config);
    }
    if (error instanceof SecretsError) {
      process.stderr.write(`plusone: ${error.message}\n`);
      process.exit(EXIT.failure);
    }
    throw error;
  }
}

async function serve(config: Config, log: Logger, logRequest: LogRequest, exit: (code: number) => void): Promise<void> {
  const { version } = packageJson;
  const health = new Health();
  const tracing =
    config.tracing &&
    (await import('./operations/tracing.ts')).startTracing(config.tracing, version, config.database, log);
  const database = openDatabase(config.database, log, () => readCredentials(config), tracing);
  const users = createUserRepository(database, config.database.queueLimit, tracing);
  const statistics = () => ({ ...database.statistics(), ...users.statistics() });
  const metrics = createMetrics({ version, revision: config.revision }, statistics);
  if (config.pulse !== undefined) startPulse(config.pulse, users.statistics, database.durations, log);
  const server = createServer({
    users,
    health,
    metrics,
    log,
    logRequest,
    tracing,
    clock: () => new Date(),
    version,
    writeToken: config.writeToken,
  });
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

  if (await waitForSchema(database, health, log)) {
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
async function waitForSchema(database: Database, health: Health, log: Logger): Promise<boolean> {
  for (let pause = FIRST_RETRY_MILLISECONDS; health.phase === 'starting'; ) {
    try {
      if (await schemaIsCurrent(database)) return true;
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

async function readCredentials(config: Config): Promise<Config['database']> {
  if (config.secretsPath === undefined) return config.database;
  return readConfig(process.env, await readSecrets(config.secretsPath)).database;
}
