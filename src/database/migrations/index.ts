import { setTimeout as sleep } from 'node:timers/promises';
import type { Knex } from 'knex';
import type { RowDataPacket } from 'mysql2';
import type { Logger } from 'pino';
import type { DatabaseSettings } from '../../config.ts';
import { createKnex } from '../connection.ts';
import type { Database } from '../database.ts';
import { unavailableReason } from '../errors.ts';
import * as createUsers from './20260101000000_create_users.ts';

/** In the order in which they run; a new one goes to the end. */
const MIGRATIONS: Readonly<Record<string, Knex.Migration>> = {
  '20260101000000_create_users': createUsers,
};

const LOCK = 'plusone.migrations';
const LOCK_WAIT_SECONDS = 300;
const RETRY_MILLISECONDS = 500;
const CONNECT_MILLISECONDS = 5_000;

/**
 * Brings the schema up to date and gives the names of the migrations that ran.
 *
 * All of it happens in one session that holds the advisory lock `plusone.migrations`, so that several of these at
 * once run one after the other. The lock goes with the session: one that dies half-way leaves nothing locked.
 * Waits up to `settings.waitSeconds` for the database to answer.
 * @throws when the database does not answer in that time, or a migration fails
 */
export async function migrate(settings: DatabaseSettings, log: Logger): Promise<string[]> {
  const knex = createKnex(settings, log, {
    // One connection that is never given up: the session that holds the lock is the one that migrates.
    min: 1,
    max: 1,
    acquireTimeoutMillis: LOCK_WAIT_SECONDS * 1000 + CONNECT_MILLISECONDS,
    createTimeoutMillis: LOCK_WAIT_SECONDS * 1000 + CONNECT_MILLISECONDS,
    afterCreate: takeLock,
  });
  try {
    await untilItAnswers(knex, settings.waitSeconds, log);
    const migrator = knex.migrate;
    const config: Knex.MigratorConfig = {
      migrationSource: SOURCE,
      // A release that is taken back finds migrations done that it does not know; Knex would call that corrupt.
      disableMigrationsListValidation: true,
    };
    // Knex keeps a lock of its own in a table, which outlives a process that dies; ours is held, so that one is stale.
    await migrator.forceFreeMigrationsLock(config);
    const [, names]: [number, string[]] = await migrator.latest(config);
    return names;
  } finally {
    await knex.destroy();
  }
}

/** Whether every migration that this code knows has run; later ones, of a newer release, don't matter. */
export async function schemaIsCurrent(database: Database): Promise<boolean> {
  const rows = await database.execute<RowDataPacket[]>('SELECT name FROM knex_migrations', []);
  const done = new Set(rows.map((row) => row.name));
  return Object.keys(MIGRATIONS).every((name) => done.has(name));
}

const SOURCE: Knex.MigrationSource<string> = {
  getMigrations: async () => Object.keys(MIGRATIONS),
  getMigrationName: (name) => name,
  getMigration: async (name) => {
    const migration = MIGRATIONS[name];
    if (migration === undefined) throw new Error(`there is no migration ${name}`);
    return migration;
  },
};

type Session = {
  query(sql: string, values: unknown[], done: (error: Error | null, rows?: { taken: number | null }[]) => void): void;
};

function takeLock(session: Session, done: (error: Error | null, session: Session) => void): void {
  session.query('SELECT GET_LOCK(?, ?) AS taken', [LOCK, LOCK_WAIT_SECONDS], (error, rows) => {
    const taken = rows?.[0]?.taken === 1;
    const refusal = new Error(`another migration has held the lock ${LOCK} for ${LOCK_WAIT_SECONDS} s`);
    done(error ?? (taken ? null : refusal), session);
  });
}

async function untilItAnswers(knex: Knex, seconds: number, log: Logger): Promise<void> {
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
