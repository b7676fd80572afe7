import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { Span } from '@opentelemetry/api';
import type { Knex } from 'knex';
import type { Connection, QueryResult } from 'mysql2';
import type { Logger } from 'pino';
import type { DatabaseSettings } from '../config.ts';
import { Unavailable } from '../unavailable.ts';
import { AbandonedSessions } from './abandoned.ts';
import { type Credentials, RenewableCredentials } from './credentials.ts';
import { isStatementError, needsNoPreparation, unavailableReason } from './errors.ts';
import { type PoolStatistics, SessionPool } from './pool.ts';
import { runWithin, StatementTimeout } from './statement.ts';

export interface DatabaseStatistics extends PoolStatistics {
  /** Since the start of the process, as are the next three. */
  readonly statements: number;
  /** Their total duration, including the wait for a connection. */
  readonly statementSeconds: number;
  /** How many took at most each of the STATEMENT_BOUNDS and more than the one before; the last are the longer ones. */
  readonly statementBuckets: readonly number[];
  readonly failures: number;
}

/** Receives the beginning and the end of each statement when tracing is on. */
export interface StatementTracing {
  /** Undefined when no sampled request waits for the statement. */
  beginStatement(sql: string): Span | undefined;
  endStatement(span: Span, failure: unknown): void;
}

/** A value of a statement. */
export type SqlValue = string | number | boolean | null;

/** MySQL as the service uses it: every statement has a result or an error within about two seconds. */
export interface Database {
  /** Builds statements; to run them within the time limits, use `execute`. */
  readonly knex: Knex;
  /** The maximum number of connections. */
  readonly poolSize: number;
  /**
   * Runs one statement, prepared unless the server has no room for another prepared statement.
   * @throws {Unavailable} when MySQL cannot be reached, does not answer in time or cannot serve at the moment
   * @throws mysql2's own error when MySQL refuses the statement itself
   */
  execute<Result extends QueryResult>(sql: string, values: readonly SqlValue[]): Promise<Result>;
  /** The durations of statements in milliseconds, at least 1 each, since it was last reset. */
  readonly durations: RecordableHistogram;
  statistics(): DatabaseStatistics;
  close(): Promise<void>;
}

/** Durations of statements in milliseconds, finer around the 150 ms above which the scaler takes the database to be slow. */
export const STATEMENT_BOUNDS = [1, 5, 10, 25, 50, 100, 150, 250, 500, 1000, 2000] as const;
/** The session has just been taken from the pool; this is the limit of one statement on it. */
const STATEMENT_MILLISECONDS = 1_000;
/** An unused connection is closed after one to three times this. */
const IDLE_MILLISECONDS = 30_000;

/**
 * A pool of connections that are opened when first needed and closed when unused. When MySQL refuses the credentials,
 * `renew` provides those that are valid now, and the connection is tried once more with them.
 */
export function openDatabase(
  settings: DatabaseSettings,
  log: Logger,
  renew: () => Promise<Credentials>,
  tracing?: StatementTracing,
  idleMilliseconds = IDLE_MILLISECONDS,
): Database {
  let statements = 0;
  let statementMilliseconds = 0;
  const statementBuckets = Array.from({ length: STATEMENT_BOUNDS.length + 1 }, () => 0);
  let failures = 0;
  const durations = createHistogram();
  const abandoned = new AbandonedSessions();
  const credentials = new RenewableCredentials(settings, renew, log);
  const pool = new SessionPool(
    settings,
    log,
    credentials,
    (session, limit) => abandoned.mark(session, limit),
    idleMilliseconds,
  );

  async function run<Result extends QueryResult>(
    session: Connection,
    sql: string,
    values: readonly SqlValue[],
  ): Promise<Result> {
    try {
      return await runWithin<Result>(STATEMENT_MILLISECONDS, (done) => session.execute<Result>(sql, [...values], done));
    } catch (error) {
      if (!needsNoPreparation(error)) throw error;
      // The server may have dropped the prepared statement; the next one is prepared again.
      session.unprepare(sql);
      return await runWithin<Result>(STATEMENT_MILLISECONDS, (done) => session.query<Result>(sql, [...values], done));
    }
  }

  return {
    knex: pool.knex,
    poolSize: settings.poolSize,
    durations,

    async execute<Result extends QueryResult>(sql: string, values: readonly SqlValue[]): Promise<Result> {
      const began = performance.now();
      statements += 1;
      const span = tracing?.beginStatement(sql);
      let failure: unknown;
      let session: Connection | undefined;
      try {
        const acquired = pool.takeIdle() ?? (await pool.acquire());
        session = acquired;
        if (abandoned.size > 0) await abandoned.end(acquired, STATEMENT_MILLISECONDS);
        return await run<Result>(acquired, sql, values);
      } catch (error) {
        failures += 1;
        failure = error;
        if (session !== undefined && isStatementError(error)) throw error;
        // The state of the session is unknown, and after a failover a new one finds the new server.
        if (session !== undefined) {
          if (error instanceof StatementTimeout) abandoned.add(session);
          session.destroy();
        }
        throw new Unavailable(unavailableReason(error), { cause: error });
      } finally {
        const milliseconds = performance.now() - began;
        statementMilliseconds += milliseconds;
        const bucket = STATEMENT_BOUNDS.findIndex((bound) => milliseconds <= bound);
        const at = bucket === -1 ? STATEMENT_BOUNDS.length : bucket;
        statementBuckets[at] = (statementBuckets[at] ?? 0) + 1;
        durations.record(Math.max(1, Math.round(milliseconds)));
        if (span !== undefined) tracing?.endStatement(span, failure);
        if (session !== undefined) pool.putBack(session);
      }
    },

    statistics: () => ({
      ...pool.statistics(),
      statements,
      statementSeconds: statementMilliseconds / 1000,
      statementBuckets,
      failures,
    }),

    close: () => pool.close(),
  };
}
