import type { Knex } from 'knex';
import type { Connection } from 'mysql2';
import type { Logger } from 'pino';
import type { DatabaseSettings } from '../config.ts';
import { createKnex } from './connection.ts';
import type { RenewableCredentials } from './credentials.ts';

export interface PoolStatistics {
  /** Connections that run a statement. */
  readonly used: number;
  /** Connections that are open and idle. */
  readonly free: number;
  /** Statements that wait for a connection. */
  readonly waitingForConnection: number;
}

/** Each longer than what it waits for, so that the reported error is the one nearest to the cause. */
const CREATE_MILLISECONDS = 900;
const ACQUIRE_MILLISECONDS = 1_100;

/**
 * Knex's pool, with a list of idle sessions in front of it: to take a session out of the pool for each statement takes
 * longer than a small statement.
 */
export class SessionPool {
  /** Builds statements on this pool. */
  readonly knex: Knex;
  readonly #credentials: RenewableCredentials;
  readonly #closing: NodeJS.Timeout;
  /** Sessions between two statements, the last used at the end. */
  readonly #idle: Connection[] = [];
  /** The fewest idle sessions since the last check: this many were not needed. */
  #leastIdle = 0;
  #isClosed = false;

  /**
   * @param prepare Runs on each new session, within its limit in milliseconds, before the session serves statements.
   * @param idleMilliseconds An unused session is closed after one to three times this.
   */
  constructor(
    settings: DatabaseSettings,
    log: Logger,
    credentials: RenewableCredentials,
    prepare: (session: Connection, limitMilliseconds: number) => Promise<void>,
    idleMilliseconds: number,
  ) {
    this.#credentials = credentials;
    const pool: Knex.PoolConfig = {
      min: 0,
      max: settings.poolSize,
      acquireTimeoutMillis: ACQUIRE_MILLISECONDS,
      createTimeoutMillis: CREATE_MILLISECONDS,
      idleTimeoutMillis: idleMilliseconds,
      afterCreate(session: Connection, done: (error: unknown, session: Connection) => void) {
        prepare(session, CREATE_MILLISECONDS).then(
          () => done(null, session),
          (error: unknown) => {
            session.destroy();
            done(error, session);
          },
        );
      },
    };
    this.knex = createKnex(settings, log, pool, credentials.provide);
    this.#closing = setInterval(() => {
      for (const session of this.#idle.splice(0, this.#leastIdle)) void this.knex.client.releaseConnection(session);
      this.#leastIdle = this.#idle.length;
    }, idleMilliseconds);
    this.#closing.unref();
  }

  /** The session that was used last and is still open; undefined when none is idle. */
  takeIdle(): Connection | undefined {
    const { client } = this.knex;
    for (let session = this.#idle.pop(); session !== undefined; session = this.#idle.pop()) {
      if (this.#idle.length < this.#leastIdle) this.#leastIdle = this.#idle.length;
      if (client.validateConnection(session)) return session;
      void client.releaseConnection(session);
    }
    return undefined;
  }

  /** A session from Knex's pool, which opens one if it may. */
  async acquire(): Promise<Connection> {
    return await this.#credentials.retry<Connection>(() => this.knex.client.acquireConnection());
  }

  /** Keeps a session for the next statement, or gives it to a statement that waits for the pool. */
  putBack(session: Connection): void {
    const { client } = this.knex;
    if (this.#isClosed || (client.pool !== undefined && client.pool.numPendingAcquires() > 0))
      void client.releaseConnection(session);
    else this.#idle.push(session);
  }

  statistics(): PoolStatistics {
    const { pool } = this.knex.client;
    return {
      used: (pool?.numUsed() ?? 0) - this.#idle.length,
      free: (pool?.numFree() ?? 0) + this.#idle.length,
      waitingForConnection: pool?.numPendingAcquires() ?? 0,
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#closing);
    for (const session of this.#idle.splice(0)) await this.knex.client.releaseConnection(session);
    await this.knex.destroy();
  }
}
