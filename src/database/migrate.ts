import { setTimeout as sleep } from 'node:timers/promises';
import type { Knex } from 'knex';
import type { Connection, RowDataPacket } from 'mysql2';
import type { Logger } from 'pino';
import type { DatabaseSettings } from '../config.ts';
import { createKnex } from './connection.ts';
import type { Database } from './database.ts';
import { isInterruption, unavailableReason } from './errors.ts';
import { untilLost } from './heartbeat.ts';
import { runWithin } from './statement.ts';

/** Migrations by their names, in the order in which they run; new ones are appended. */
export type Migrations = Readonly<Record<string, Knex.Migration>>;

const LOCK = 'plusone.migrations';
const LOCK_WAIT_SECONDS = 300;
/** Waits for the lock are as short as this, so that a server that does not respond is noticed. */
const LOCK_TRY_SECONDS = 3;
const ANSWER_SECONDS = 3;
/** Longer than most failovers take, of RDS and of a replication group. */
const SILENCE_SECONDS = 45;
const ACQUIRE_MILLISECONDS = (LOCK_WAIT_SECONDS + LOCK_TRY_SECONDS + 2 * ANSWER_SECONDS) * 1000;
const RETRY_MILLISECONDS = 500;

/**
 * Updates the schema and returns the names of the migrations that ran.
 *
 * Everything happens in one session that holds the advisory lock `plusone.migrations`, so concurrent runs wait for each
 * other. The lock ends with the session: a run that crashes leaves nothing locked.
 * Waits up to `settings.waitSeconds` for the database.
 * @throws if the database does not answer in that time, becomes unavailable or does not respond for `silenceSeconds`
 * meanwhile, or a migration fails
 */
export async function migrate(
  settings: DatabaseSettings,
  migrations: Migrations,
  log: Logger,
  silenceSeconds = SILENCE_SECONDS,
): Promise<string[]> {
  const knex = createKnex(settings, log, {
    // One connection that is never closed: the session that holds the lock is the one that migrates.
    min: 1,
    max: 1,
    acquireTimeoutMillis: ACQUIRE_MILLISECONDS,
    createTimeoutMillis: ACQUIRE_MILLISECONDS,
    afterCreate(session: Connection, done: (error: unknown, session: Connection) => void) {
      takeLock(session).then(
        () => done(null, session),
        (error: unknown) => {
          session.destroy();
          done(error, session);
        },
      );
    },
  });
  const over = new AbortController();
  let interruption: unknown;
  try {
    await waitForDatabase(knex, settings.waitSeconds, log);
    // Knex rolls back on the lost connection, and throws only that this failed.
    knex.on('query-error', (error: unknown) => {
      if (isInterruption(error)) interruption ??= error;
    });
    const migrator = knex.migrate;
    const config: Knex.MigratorConfig = {
      migrationSource: sourceOf(migrations),
      // After a rollback, the database has migrations that this release does not know; Knex would report corruption.
      disableMigrationsListValidation: true,
    };
    // Knex's own lock is a row in a table, which outlives a crash; while we hold our lock, that row is stale.
    const work = async (): Promise<string[]> => {
      await migrator.forceFreeMigrationsLock(config);
      const [, names]: [number, string[]] = await migrator.latest(config);
      return names;
    };
    const lost = untilLost(settings, LOCK, log, silenceSeconds, over.signal).catch((error: unknown) => {
      interruption ??= error;
      throw error;
    });
    const working = work();
    // It fails later, unheard, if the session is lost.
    working.catch(() => {});
    return await Promise.race([working, lost]);
  } catch (error) {
    if (interruption === undefined) throw error;
    const advice = 'run migrate again when the database is available: it continues where this run ended';
    throw new Error(`${unavailableReason(interruption)}; ${advice}`, { cause: error });
  } finally {
    over.abort();
    // It waits for a statement under way, which has no end if the server does not respond.
    await Promise.race([knex.destroy(), sleep(ANSWER_SECONDS * 1000, undefined, { ref: false })]);
  }
}

/** Whether every migration of this release has run; those of a newer release don't matter. */
export async function schemaIsCurrent(database: Database, migrations: Migrations): Promise<boolean> {
  const rows = await database.execute<RowDataPacket[]>('SELECT name FROM knex_migrations', []);
  const done = new Set(rows.map((row) => row.name));
  return Object.keys(migrations).every((name) => done.has(name));
}

function sourceOf(migrations: Migrations): Knex.MigrationSource<string> {
  return {
    getMigrations: async () => Object.keys(migrations),
    getMigrationName: (name) => name,
    getMigration: async (name) => {
      const migration = migrations[name];
      if (migration === undefined) throw new Error(`unknown migration ${name}`);
      return migration;
    },
  };
}

/** @throws after `LOCK_WAIT_SECONDS` without the lock, or `ANSWER_SECONDS` without an answer to an attempt */
async function takeLock(session: Connection): Promise<void> {
  for (let waited = 0; waited < LOCK_WAIT_SECONDS; waited += LOCK_TRY_SECONDS) {
    const [row = {}] = await runWithin<RowDataPacket[]>((LOCK_TRY_SECONDS + ANSWER_SECONDS) * 1000, (done) =>
      session.query('SELECT GET_LOCK(?, ?)', [LOCK, LOCK_TRY_SECONDS], done),
    );
    // Not by the column's name: Vitess gives it another one than its alias.
    if (Object.values(row)[0] === 1) return;
  }
  throw new Error(`another migration has held the lock ${LOCK} for ${LOCK_WAIT_SECONDS} s`);
}

async function waitForDatabase(knex: Knex, seconds: number, log: Logger): Promise<void> {
  const giveUpAt = Date.now() + seconds * 1000;
  for (;;) {
    try {
      await knex.raw('SELECT 1');
      return;
    } catch (error) {
      const reason = unavailableReason(error);
      if (Date.now() >= giveUpAt) throw new Error(reason, { cause: error });
      log.warn({ err: error }, `${reason}; trying again`);
      await sleep(RETRY_MILLISECONDS);
    }
  }
}
