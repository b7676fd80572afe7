import type { ResultSetHeader, RowDataPacket } from 'mysql2';
import type { Database } from '../database/database.ts';
import { codeOf } from '../database/errors.ts';
import { Unavailable } from '../unavailable.ts';
import type { CalendarDate } from './birthday.ts';
import { Coalescer, type RequestTracing } from './coalescing.ts';
import { User } from './user.ts';

/** The store of users. */
export interface UserRepository {
  /** The date of birth of `username`; undefined if there is no such user. */
  find(username: string): Promise<CalendarDate | undefined>;
  /** Saves or replaces a user; the promise resolves after the commit. */
  save(username: string, dateOfBirth: CalendarDate): Promise<void>;
  /** Deletes a user; false if there was no such user. */
  remove(username: string): Promise<boolean>;
  statistics(): UserStatistics;
}

/** Numbers of requests that wait for the database, including those whose statement is running. */
export interface UserStatistics {
  readonly reads: number;
  readonly writes: number;
  /** Reads and writes whose statement is running. */
  readonly executing: number;
}

interface Change {
  username: string;
  /** Undefined deletes the user. */
  dateOfBirth: CalendarDate | undefined;
}

/** A power of two: lists are padded to powers of two, so that there are few statements to prepare. */
const LARGEST_BATCH = 256;
const READ_CONCURRENCY = 2;
const WRITE_CONCURRENCY = 1;
/** With statement timeouts of one second, a request that expires here could not have been answered. */
const TIMEOUT_MILLISECONDS = 1_800;
const DEADLOCK_ATTEMPTS = 4;

/**
 * The users in MySQL.
 *
 * Lookups that arrive while statements run share the next statement, `SELECT … WHERE username IN (…)`; writes share a
 * multi-row upsert. A single request starts immediately.
 * Writes run one batch at a time, in order of arrival, and are acknowledged after the commit.
 * The statement of a lookup starts after the lookup has arrived, so it sees every write acknowledged before.
 * Objection and Knex build each statement once per power of two of its length, and MySQL prepares it once per session;
 * after that only values are sent.
 * A batch that deadlocks is retried. A batch that fails because of its content is retried item by item, so that no request
 * fails because of another one.
 */
export function createUserRepository(database: Database, queueLimit: number, tracing?: RequestTracing): UserRepository {
  const statements = new Statements(database);

  const reads = new Coalescer<string, CalendarDate | undefined>({
    run: findAll,
    // If the pool is large enough, reads and writes never wait for each other's connection.
    concurrency: Math.min(READ_CONCURRENCY, Math.max(1, database.poolSize - WRITE_CONCURRENCY)),
    largestBatch: LARGEST_BATCH,
    limit: queueLimit,
    timeout: TIMEOUT_MILLISECONDS,
    tracing,
  });
  const changes = new Coalescer<Change, boolean>({
    run: (batch) => withoutDeadlocks(() => changeAll(batch)),
    concurrency: WRITE_CONCURRENCY,
    largestBatch: LARGEST_BATCH,
    limit: queueLimit,
    timeout: TIMEOUT_MILLISECONDS,
    tracing,
    // Only saves share a batch: MySQL does not report which of several rows a DELETE found.
    canJoin: (first, next) => first.dateOfBirth !== undefined && next.dateOfBirth !== undefined,
  });

  async function findAll(usernames: readonly string[]): Promise<(CalendarDate | undefined)[]> {
    if (usernames.length === 1) {
      // Only this user's row can be returned, so there are no names to read and compare.
      const [row] = await database.execute<RowDataPacket[]>(statements.selectOne, usernames);
      return [row?.date_of_birth];
    }
    const distinct = padded([...new Set(usernames)]);
    const rows = await database.execute<RowDataPacket[]>(statements.select(distinct.length), distinct);
    const found = new Map(rows.map((row) => [row.username, row.date_of_birth]));
    return usernames.map((username) => found.get(username));
  }

  async function changeAll(batch: readonly Change[]): Promise<boolean[]> {
    const saves = new Map<string, CalendarDate>();
    for (const { username, dateOfBirth } of batch) if (dateOfBirth !== undefined) saves.set(username, dateOfBirth);
    if (saves.size === 0) {
      const result = await database.execute<ResultSetHeader>(
        statements.delete,
        batch.map(({ username }) => username),
      );
      return [result.affectedRows > 0];
    }
    // The same order in all processes: those that lock the same rows in different orders would deadlock.
    const rows = padded([...saves].sort(([one], [other]) => (one < other ? -1 : 1)));
    // Knex names a row's columns in alphabetical order: date_of_birth, username.
    const values = rows.flatMap(([username, dateOfBirth]) => [dateOfBirth, username]);
    await database.execute<ResultSetHeader>(statements.upsert(rows.length), values);
    return batch.map(() => true);
  }

  return {
    find: (username) => reads.submit(username),
    async save(username, dateOfBirth) {
      await changes.submit({ username, dateOfBirth });
    },
    remove: (username) => changes.submit({ username, dateOfBirth: undefined }),
    statistics: () => ({ reads: reads.size, writes: changes.size, executing: reads.executing + changes.executing }),
  };
}

/** The SQL of the statements, compiled once by Objection and Knex; for lists, when their length is first used. */
class Statements {
  readonly #database: Database;
  readonly #selects = new Map<number, string>();
  readonly #upserts = new Map<number, string>();
  readonly selectOne: string;
  readonly delete: string;

  constructor(database: Database) {
    this.#database = database;
    this.selectOne = sqlOf(User.query(database.knex).select('date_of_birth').where('username', '').toKnexQuery());
    this.delete = sqlOf(User.query(database.knex).delete().where('username', '').toKnexQuery());
  }

  select(names: number): string {
    return compiledOnce(this.#selects, names, () =>
      User.query(this.#database.knex)
        .select('username', 'date_of_birth')
        .whereIn('username', Array(names).fill(''))
        .toKnexQuery(),
    );
  }

  upsert(rows: number): string {
    const row = { username: '', date_of_birth: '' };
    return compiledOnce(this.#upserts, rows, () =>
      // Objection refuses to insert a list into MySQL; a bare merge() would rewrite the key as well.
      this.#database.knex(User.tableName).insert(Array(rows).fill(row)).onConflict('username').merge(['date_of_birth']),
    );
  }
}

interface Compilable {
  toSQL(): { toNative(): { sql: string } };
}

function sqlOf(query: Compilable): string {
  return query.toSQL().toNative().sql;
}

function compiledOnce(known: Map<number, string>, size: number, build: () => Compilable): string {
  let sql = known.get(size);
  if (sql === undefined) {
    sql = sqlOf(build());
    known.set(size, sql);
  }
  return sql;
}

/** `list` with its last element repeated until its length is a power of two; repetitions change no result. */
function padded<Element>(list: Element[]): Element[] {
  const last = list.at(-1);
  if (last === undefined) return list;
  const length = 2 ** Math.ceil(Math.log2(list.length));
  return list.concat(Array(length - list.length).fill(last));
}

/** Retries `work` after a deadlock with another writer: MySQL rolls back one side. */
async function withoutDeadlocks<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (codeOf(error) !== 'ER_LOCK_DEADLOCK') throw error;
      if (attempt === DEADLOCK_ATTEMPTS) throw new Unavailable(`${attempt} deadlocks in a row`, { cause: error });
    }
  }
}
