import knex, { type Knex } from 'knex';
import type { Connection, QueryResult } from 'mysql2';
import type { DatabaseSettings } from '../config.ts';
import { Unavailable } from '../http/problems.ts';
import type { Logger } from '../operations/logging.ts';
import type { Tracing } from '../operations/tracing.ts';

/** The part of the settings that can change while the process runs. */
export type Credentials = Pick<DatabaseSettings, 'username' | 'password'>;

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

/** MySQL as the service sees it: everything that is asked of it is answered or given up within two seconds. */
export interface Database {
  /** For building statements; it is not meant for running them, which `execute` does within its limits. */
  readonly knex: Knex;
  /**
   * Runs one prepared statement.
   * @throws {Unavailable} when MySQL cannot be reached, does not answer in time or turns us away
   * @throws mysql2's own error when MySQL refuses the statement itself
   */
  execute<Result extends QueryResult>(sql: string, values: readonly string[]): Promise<Result>;
  statistics(): DatabaseStatistics;
  close(): Promise<void>;
}

/** Each shorter than the next, so that the error which is reported is the one nearest to the cause. */
const CONNECT_MILLISECONDS = 800;
const CREATE_MILLISECONDS = 900;
const ACQUIRE_MILLISECONDS = 1_000;
const STATEMENT_MILLISECONDS = 1_000;
const IDLE_MILLISECONDS = 60_000;
/** How long renewed credentials are taken for new, so that a wrong password does not become a flood of requests to SSM. */
const RENEWAL_MILLISECONDS = 1_000;

/** Errors by which MySQL says that it isn't the statement's fault: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html */
const NOT_THE_STATEMENT: ReadonlySet<string> = new Set([
  'ER_ACCESS_DENIED_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_BAD_DB_ERROR',
  'ER_NO_SUCH_TABLE',
  'ER_CON_COUNT_ERROR',
  'ER_TOO_MANY_USER_CONNECTIONS',
  'ER_USER_LIMIT_REACHED',
  'ER_HOST_IS_BLOCKED',
  'ER_SERVER_SHUTDOWN',
  'ER_QUERY_INTERRUPTED',
  'ER_QUERY_TIMEOUT',
  'ER_LOCK_WAIT_TIMEOUT',
  'ER_OUT_OF_RESOURCES',
  'ER_OUTOFMEMORY',
  'ER_DISK_FULL',
  'ER_RECORD_FILE_FULL',
  'ER_ERROR_ON_WRITE',
  'ER_OPTION_PREVENTS_STATEMENT',
  'ER_READ_ONLY_MODE',
  'ER_OPEN_AS_READONLY',
  'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION',
]);

/** Knex on mysql2 with the settings that every use of it needs. */
export function createKnex(
  settings: DatabaseSettings,
  log: Logger,
  pool: Knex.PoolConfig,
  credentials: Knex.ConnectionConfigProvider = async () => connectionTo(settings, settings),
): Knex {
  return knex({
    client: 'mysql2',
    connection: credentials,
    pool,
    log: {
      // What Knex warns of also fails a statement, which says it better.
      warn: (message) => log.debug(String(message)),
      error: (message) => log.error(String(message)),
      debug: (message) => log.debug(String(message)),
      deprecate: (message) => log.debug(String(message)),
    },
  });
}

/**
 * A pool of connections that are opened when first needed. When MySQL refuses the credentials, `renew` is asked for
 * those that hold now, and the connection is tried once more with them.
 */
export function openDatabase(
  settings: DatabaseSettings,
  log: Logger,
  renew: () => Promise<Credentials>,
  tracing?: Tracing,
): Database {
  let credentials: Credentials = settings;
  let refused = false;
  let renewal: Promise<Credentials> | undefined;
  let statements = 0;
  let statementMilliseconds = 0;
  let failures = 0;
  /** Sessions that were left with a statement under way. */
  const abandoned = new Set<number>();
  /** Sessions between two statements: to ask the pool again for each of them takes longer than a small statement. */
  const resting: Connection[] = [];

  const connection = createKnex(
    settings,
    log,
    {
      min: 0,
      max: settings.poolSize,
      acquireTimeoutMillis: ACQUIRE_MILLISECONDS,
      createTimeoutMillis: CREATE_MILLISECONDS,
      idleTimeoutMillis: IDLE_MILLISECONDS,
    },
    async () => {
      if (refused) {
        renewal ??= renew().finally(() => {
          setTimeout(() => {
            renewal = undefined;
          }, RENEWAL_MILLISECONDS);
        });
        credentials = await renewal;
        refused = false;
      }
      return { ...connectionTo(settings, credentials), expirationChecker: () => refused };
    },
  );

  /** The session that was used last and is still good; undefined when there is none. */
  function rested(): Connection | undefined {
    for (let session = resting.pop(); session !== undefined; session = resting.pop()) {
      if (connection.client.validateConnection(session)) return session;
      void connection.client.releaseConnection(session);
    }
    return undefined;
  }

  async function acquire(): Promise<Connection> {
    try {
      return await connection.client.acquireConnection();
    } catch (error) {
      if (codeOf(error) !== 'ER_ACCESS_DENIED_ERROR') throw error;
      log.warn('MySQL refused the credentials; reading them again');
      refused = true;
      return await connection.client.acquireConnection();
    }
  }

  /**
   * A statement that was given up may still reach MySQL, as when packets were held back. It must not be carried out
   * after one that was sent later and acknowledged, so its session is ended before anything else is done.
   */
  async function endAbandoned(session: Connection): Promise<void> {
    for (const threadId of abandoned) {
      await runWithin(STATEMENT_MILLISECONDS, (done) => session.query('KILL ?', [threadId], done)).catch(
        (error: unknown) => {
          // Gone, or gone and its number given to somebody else's: either way it is not ours any more.
          if (codeOf(error) !== 'ER_NO_SUCH_THREAD' && codeOf(error) !== 'ER_KILL_DENIED_ERROR') throw error;
        },
      );
      abandoned.delete(threadId);
    }
  }

  return {
    knex: connection,

    async execute<Result extends QueryResult>(sql: string, values: readonly string[]): Promise<Result> {
      const began = performance.now();
      statements += 1;
      const span = tracing?.beginStatement(sql);
      let failure: unknown;
      let session: Connection | undefined;
      try {
        const acquired = rested() ?? (await acquire());
        session = acquired;
        if (abandoned.size > 0) await endAbandoned(acquired);
        return await runWithin<Result>(STATEMENT_MILLISECONDS, (done) =>
          acquired.execute<Result>(sql, [...values], done),
        );
      } catch (error) {
        failures += 1;
        failure = error;
        if (session !== undefined && isStatementsFault(error)) throw error;
        // Whatever state the session is in, a new one is surer; after a failover it also finds the new server.
        if (session !== undefined) {
          if (error instanceof Overdue) abandoned.add(session.threadId);
          session.destroy();
        }
        throw new Unavailable(`MySQL is away: ${error instanceof Error ? error.message : error}`, { cause: error });
      } finally {
        statementMilliseconds += performance.now() - began;
        if (span !== undefined) tracing?.endStatement(span, failure);
        if (session !== undefined) resting.push(session);
      }
    },

    statistics() {
      const { pool } = connection.client;
      return {
        used: (pool?.numUsed() ?? 0) - resting.length,
        free: (pool?.numFree() ?? 0) + resting.length,
        waitingForConnection: pool?.numPendingAcquires() ?? 0,
        statements,
        statementSeconds: statementMilliseconds / 1000,
        failures,
      };
    },

    async close() {
      for (const session of resting.splice(0)) await connection.client.releaseConnection(session);
      await connection.destroy();
    },
  };
}

/** The code that mysql2 and Node give their errors, such as ECONNREFUSED or ER_LOCK_DEADLOCK. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function connectionTo(settings: DatabaseSettings, { username, password }: Credentials): Knex.MySql2ConnectionConfig {
  const { host, port, name, certificateAuthorities: ca } = settings;
  // More than Knex's type knows of, as mysql2 documents it; verifyIdentity compares the certificate with the host's name.
  const tls = { minVersion: 'TLSv1.2', rejectUnauthorized: true, verifyIdentity: true };
  return {
    host,
    port,
    database: name,
    user: username,
    password,
    connectTimeout: CONNECT_MILLISECONDS,
    // Without this a DATE becomes midnight of the machine's own time zone, which can be another day.
    dateStrings: true,
    ...(ca === undefined ? {} : { ssl: { ...tls, ca } }),
  };
}

class Overdue extends Error {
  override readonly name = 'Overdue';
}

/** mysql2 does not notice a peer that fell silent (its issue 2945), so each statement has a clock of its own. */
function runWithin<Result>(
  milliseconds: number,
  run: (done: (error: Error | null, result: Result) => void) => void,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const clock = setTimeout(
      () => reject(new Overdue(`no answer to a statement within ${milliseconds} ms`)),
      milliseconds,
    );
    run((error, result) => {
      clearTimeout(clock);
      if (error) reject(error);
      else resolve(result);
    });
  });
}

function isStatementsFault(error: unknown): boolean {
  const fatal = error instanceof Error && 'fatal' in error && error.fatal === true;
  const code = codeOf(error);
  return !fatal && code !== undefined && code.startsWith('ER_') && !NOT_THE_STATEMENT.has(code);
}
