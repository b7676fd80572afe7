import { setTimeout as sleep } from 'node:timers/promises';
import type { Knex } from 'knex';
import type { RowDataPacket } from 'mysql2';
import type { Logger } from 'pino';
import type { DatabaseSettings } from '../config.ts';
import { createKnex } from './connection.ts';
import type { Database } from './database.ts';
import { isInterruption, unavailableReason } from './errors.ts';

/** Migrations by their names, in the order in which they run; new ones are appended. */
export type Migrations = Readonly<Record<string, Knex.Migration>>;

const LOCK = 'plusone.migrations';
const LOCK_WAIT_SECONDS = 300;
const RETRY_MILLISECONDS = 500;
const CONNECT_MILLISECONDS = 5_000;

/**
 * Updates the schema and returns the names of the migrations that ran.
 *
 * Everything happens in one session that holds the advisory lock `plusone.migrations`, so concurrent runs wait for each
 * other. The lock ends with the session: a run that crashes leaves nothing locked.
 * Waits up to `settings.waitSeconds` for the database.
 * @throws if the database does not answer in that time or becomes unavailable meanwhile, or a migration fails
 */
export async function migrate(settings: DatabaseSettings, migrations: Migrations, log: Logger): Promise<string[]> {
  const knex = createKnex(settings, log, {
    // One connection that is never closed: the session that holds the lock is the one that migrates.
    min: 1,
    max: 1,
    acquireTimeoutMillis: LOCK_WAIT_SECONDS * 1000 + CONNECT_MILLISECONDS,
    createTimeoutMillis: LOCK_WAIT_SECONDS * 1000 + CONNECT_MILLISECONDS,
    afterCreate: takeLock,
  });
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
    await migrator.forceFreeMigrationsLock(config);
    const [, names]: [number, string[]] = await migrator.latest(config);
    return names;
  } catch (error) {
    if (interruption === undefined) throw error;
    const advice = 'run migrate again when the database is available: it continues where this run ended';
    throw new Error(`${unavailableReason(interruption)}; ${advice}`, { cause: error });
  } finally {
    await knex.destroy();
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

type Session = {
  query(
    sql: string,
    values: unknown[],
    done: (error: Error | null, rows?: Record<string, number | null>[]) => void,
  ): void;
};

function takeLock(session: Session, done: (error: Error | null, session: Session) => void): void {
  session.query('SELECT GET_LOCK(?, ?)', [LOCK, LOCK_WAIT_SECONDS], (error, rows) => {
    // Not by its name: Vitess gives the column another one.
    const taken = Object.values(rows?.[0] ?? {})[0] === 1;
    const refusal = new Error(`another migration has held the lock ${LOCK} for ${LOCK_WAIT_SECONDS} s`);
    done(error ?? (taken ? null : refusal), session);
  });
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
