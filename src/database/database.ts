import type { Span } from '@opentelemetry/api';
import type { Knex } from 'knex';
import type { Connection, QueryResult } from 'mysql2';
import type { Logger } from 'pino';
import type { DatabaseSettings } from '../config.ts';
import { Unavailable } from '../unavailable.ts';
import { AbandonedSessions } from './abandoned.ts';
import { type Credentials, createKnex, RenewableCredentials } from './connection.ts';
import { isStatementError, needsNoPreparation, unavailableReason } from './errors.ts';
import { runWithin, StatementTimeout } from './statement.ts';

export interface DatabaseStatistics {
  /** Connections that are running a statement. */
  readonly used: number;
  /** Connections that are open and idle. */
  readonly free: number;
  readonly waitingForConnection: number;
  /** Since the start of the process. */
  readonly statements: number;
  /** How long they took in all, the wait for a connection included. */
  readonly statementSeconds: number;
  readonly failures: number;
}

/** What is told of each statement when traces are on. */
export interface StatementTracing {
  /** Undefined when no sampled request waits for the statement. */
  beginStatement(sql: string): Span | undefined;
  endStatement(span: Span, failure: unknown): void;
}

/** MySQL as the service sees it: every statement is answered or given up within about two seconds. */
export interface Database {
  /** For building statements; it is not meant for running them, which `execute` does within its limits. */
  readonly knex: Knex;
  /** The most connections. */
  readonly poolSize: number;
  /**
   * Runs one statement, prepared where the server has room for that.
   * @throws {Unavailable} when MySQL cannot be reached, does not answer in time or cannot serve at the moment
   * @throws mysql2's own error when MySQL refuses the statement itself
   */
  execute<Result extends QueryResult>(sql: string, values: readonly string[]): Promise<Result>;
  statistics(): DatabaseStatistics;
  close(): Promise<void>;
}

/** Each longer than what it waits for, so that the error which is reported is the one nearest to the cause. */
const CREATE_MILLISECONDS = 900;
const STATEMENT_MILLISECONDS = 1_000;
const ACQUIRE_MILLISECONDS = 1_100;
/** An unused connection is closed after one to three times this. */
const IDLE_MILLISECONDS = 30_000;

/**
 * A pool of connections that are opened when first needed and closed when unused. When MySQL refuses the credentials,
 * `renew` is asked for those that are valid now, and the connection is tried once more with them.
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
  let failures = 0;
  let isClosed = false;
  const credentials = new RenewableCredentials(settings, renew, log);
  const abandoned = new AbandonedSessions();
  /** Sessions between two statements: to ask the pool again for each of them takes longer than a small statement. */
  const idle: Connection[] = [];
  /** The fewest idle sessions since the last look: so many were not needed. */
  let leastIdle = 0;

  const connection = createKnex(
    settings,
    log,
    {
      min: 0,
      max: settings.poolSize,
      acquireTimeoutMillis: ACQUIRE_MILLISECONDS,
      createTimeoutMillis: CREATE_MILLISECONDS,
      idleTimeoutMillis: idleMilliseconds,
      afterCreate(session: Connection, done: (error: unknown, session: Connection) => void) {
        abandoned.mark(session, CREATE_MILLISECONDS).then(
          () => done(null, session),
          (error: unknown) => {
            session.destroy();
            done(error, session);
          },
        );
      },
    },
    credentials.provide,
  );
  const { client } = connection;

  const closing = setInterval(() => {
    for (const session of idle.splice(0, leastIdle)) void client.releaseConnection(session);
    leastIdle = idle.length;
  }, idleMilliseconds);
  closing.unref();

  /** The session that was used last and is still good; undefined when there is none. */
  function takeIdle(): Connection | undefined {
    for (let session = idle.pop(); session !== undefined; session = idle.pop()) {
      if (idle.length < leastIdle) leastIdle = idle.length;
      if (client.validateConnection(session)) return session;
      void client.releaseConnection(session);
    }
    return undefined;
  }

  /** Keeps a session for the next statement, or gives it to one that waits for the pool. */
  function putBack(session: Connection): void {
    if (isClosed || (client.pool !== undefined && client.pool.numPendingAcquires() > 0))
      void client.releaseConnection(session);
    else idle.push(session);
  }

  async function run<Result extends QueryResult>(
    session: Connection,
    sql: string,
    values: readonly string[],
  ): Promise<Result> {
    try {
      return await runWithin<Result>(STATEMENT_MILLISECONDS, (done) => session.execute<Result>(sql, [...values], done));
    } catch (error) {
      if (!needsNoPreparation(error)) throw error;
      // The server may not know the prepared statement any more; the next one is prepared again.
      session.unprepare(sql);
      return await runWithin<Result>(STATEMENT_MILLISECONDS, (done) => session.query<Result>(sql, [...values], done));
    }
  }

  return {
    knex: connection,
    poolSize: settings.poolSize,

    async execute<Result extends QueryResult>(sql: string, values: readonly string[]): Promise<Result> {
      const began = performance.now();
      statements += 1;
      const span = tracing?.beginStatement(sql);
      let failure: unknown;
      let session: Connection | undefined;
      try {
        const acquired = takeIdle() ?? (await credentials.retry<Connection>(() => client.acquireConnection()));
        session = acquired;
        if (abandoned.size > 0) await abandoned.end(acquired, STATEMENT_MILLISECONDS);
        return await run<Result>(acquired, sql, values);
      } catch (error) {
        failures += 1;
        failure = error;
        if (session !== undefined && isStatementError(error)) throw error;
        // The state of the session is not known, and after a failover a new one finds the new server.
        if (session !== undefined) {
          if (error instanceof StatementTimeout) abandoned.add(session);
          session.destroy();
        }
        throw new Unavailable(unavailableReason(error), { cause: error });
      } finally {
        statementMilliseconds += performance.now() - began;
        if (span !== undefined) tracing?.endStatement(span, failure);
        if (session !== undefined) putBack(session);
      }
    },

    statistics() {
      const { pool } = client;
      return {
        used: (pool?.numUsed() ?? 0) - idle.length,
        free: (pool?.numFree() ?? 0) + idle.length,
        waitingForConnection: pool?.numPendingAcquires() ?? 0,
        statements,
        statementSeconds: statementMilliseconds / 1000,
        failures,
      };
    },

    async close() {
      isClosed = true;
      clearInterval(closing);
      for (const session of idle.splice(0)) await client.releaseConnection(session);
      await connection.destroy();
    },
  };
}
