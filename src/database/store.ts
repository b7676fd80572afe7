import type { ResultSetHeader, RowDataPacket } from 'mysql2';
import type { Model, ModelClass } from 'objection';
import { Coalescer, type RequestTracing } from './coalescing.ts';
import type { Database, SqlValue } from './database.ts';
import { codeOf } from './errors.ts';

/** The rows of one table, by the text that is its key. */
export interface Store<Value> {
  /** The value of `key`; undefined if there is none. */
  find(key: string): Promise<Value | undefined>;
  /** Saves or replaces a value; the promise resolves after the commit. */
  save(key: string, value: Value): Promise<void>;
  /** Deletes a value; false if there was none. */
  remove(key: string): Promise<boolean>;
  /** At most `limit` values in the order of their keys, those after `after` only. */
  list(after: string, limit: number): Promise<Entry<Value>[]>;
  statistics(): StoreStatistics;
}

/** A value with its key. */
export interface Entry<Value> {
  readonly key: string;
  readonly value: Value;
}

/** Numbers of requests that wait for the database, including those whose statement is running. */
export interface StoreStatistics {
  readonly reads: number;
  readonly writes: number;
  /** Reads and writes whose statement is running. */
  readonly executing: number;
}

/** How values are stored. */
export interface Table<Value> {
  /** Its `idColumn` is the key: a text that is compared byte by byte. */
  readonly model: ModelClass<Model>;
  /** The other columns. */
  readonly columns: readonly string[];
  /** The value in a row that has these columns. */
  fromRow(row: RowDataPacket): Value;
  /** What the columns hold of a value. */
  toRow(value: Value): Readonly<Record<string, SqlValue>>;
}

interface Change<Value> {
  key: string;
  /** Undefined deletes the row. */
  value: Value | undefined;
}

/** A power of two: lists are padded to powers of two, so that there are few statements to prepare. */
const LARGEST_BATCH = 256;
const READ_CONCURRENCY = 2;
const WRITE_CONCURRENCY = 1;
const LIST_CONCURRENCY = 1;
/** With statement timeouts of one second, a request that expires here could not have been answered. */
const TIMEOUT_MILLISECONDS = 1_800;

/**
 * The rows of a table in MySQL.
 *
 * Lookups that arrive while statements run share the next statement, `SELECT … WHERE key IN (…)`; writes share a
 * multi-row upsert. A single request starts immediately.
 * Writes run one batch at a time, in order of arrival, and are acknowledged after the commit.
 * The statement of a lookup starts after the lookup has arrived, so it sees every write acknowledged before.
 * Objection and Knex build each statement once per power of two of its length, and MySQL prepares it once per session;
 * after that only values are sent.
 * A batch that deadlocks is retried. A batch that fails because of its content is retried item by item, so that no request
 * fails because of another one.
 */
export function createStore<Value>(
  database: Database,
  table: Table<Value>,
  queueLimit: number,
  tracing?: RequestTracing,
): Store<Value> {
  const { fromRow, toRow } = table;
  const statements = new Statements(database, table);
  const { key, insertOrder } = statements;

  const limits = { largestBatch: LARGEST_BATCH, limit: queueLimit, timeout: TIMEOUT_MILLISECONDS, tracing };
  const reads = new Coalescer<string, Value | undefined>({
    ...limits,
    run: findAll,
    // If the pool is large enough, reads and writes never wait for each other's connection.
    concurrency: Math.min(READ_CONCURRENCY, Math.max(1, database.poolSize - WRITE_CONCURRENCY)),
  });
  const changes = new Coalescer<Change<Value>, boolean>({
    ...limits,
    run: changeAll,
    // After a deadlock with another writer, MySQL rolls back one side.
    isConflict: (error) => codeOf(error) === 'ER_LOCK_DEADLOCK',
    concurrency: WRITE_CONCURRENCY,
    // Only saves share a batch: MySQL does not report which of several rows a DELETE found.
    canJoin: (first, next) => first.value !== undefined && next.value !== undefined,
  });
  // Not shared, but bounded and timed as the others are.
  const lists = new Coalescer<{ after: string; limit: number }, Entry<Value>[]>({
    ...limits,
    run: (batch) => Promise.all(batch.map(({ after, limit }) => listAfter(after, limit))),
    concurrency: LIST_CONCURRENCY,
    largestBatch: 1,
  });

  async function findAll(keys: readonly string[]): Promise<(Value | undefined)[]> {
    if (keys.length === 1) {
      // Only this row can be returned, so there are no keys to read and compare.
      const [row] = await database.execute<RowDataPacket[]>(statements.selectOne, keys);
      return [row === undefined ? undefined : fromRow(row)];
    }
    const distinct = padded([...new Set(keys)]);
    const rows = await database.execute<RowDataPacket[]>(statements.select(distinct.length), distinct);
    const found = new Map<string, Value>(rows.map((row) => [row[key], fromRow(row)]));
    return keys.map((name) => found.get(name));
  }

  async function changeAll(batch: readonly Change<Value>[]): Promise<boolean[]> {
    const saves = new Map<string, Value>();
    for (const change of batch) if (change.value !== undefined) saves.set(change.key, change.value);
    if (saves.size === 0) {
      const result = await database.execute<ResultSetHeader>(
        statements.delete,
        batch.map((change) => change.key),
      );
      return [result.affectedRows > 0];
    }
    // The same order in all processes: those that lock the same rows in different orders would deadlock.
    const rows = padded([...saves].sort(([one], [other]) => (one < other ? -1 : 1)));
    const values = rows.flatMap(([name, value]) => {
      const row = toRow(value);
      return insertOrder.map((column) => (column === key ? name : (row[column] ?? null)));
    });
    await database.execute<ResultSetHeader>(statements.upsert(rows.length), values);
    return batch.map(() => true);
  }

  async function listAfter(after: string, limit: number): Promise<Entry<Value>[]> {
    // As text: mysql2 sends a number as a DOUBLE, which MySQL refuses in LIMIT.
    const rows = await database.execute<RowDataPacket[]>(statements.list, [after, String(limit)]);
    return rows.map((row) => ({ key: row[key], value: fromRow(row) }));
  }

  return {
    find: (name) => reads.submit(name),
    async save(name, value) {
      await changes.submit({ key: name, value });
    },
    remove: (name) => changes.submit({ key: name, value: undefined }),
    list: (after, limit) => lists.submit({ after, limit }),
    statistics: () => ({
      reads: reads.size + lists.size,
      writes: changes.size,
      executing: reads.executing + lists.executing + changes.executing,
    }),
  };
}

/** The SQL of the statements, compiled once by Objection and Knex; for lists, when their length is first used. */
class Statements {
  readonly #database: Database;
  readonly #table: Pick<Table<unknown>, 'model' | 'columns'>;
  readonly #selects = new Map<number, string>();
  readonly #upserts = new Map<number, string>();
  readonly key: string;
  /** Knex names a row's columns in alphabetical order. */
  readonly insertOrder: readonly string[];
  readonly selectOne: string;
  readonly delete: string;
  readonly list: string;

  constructor(database: Database, table: Pick<Table<unknown>, 'model' | 'columns'>) {
    const { model, columns } = table;
    if (typeof model.idColumn !== 'string') throw new Error(`${model.name} must have one column as its key`);
    this.key = model.idColumn;
    this.#database = database;
    this.#table = table;
    this.insertOrder = [this.key, ...columns].toSorted();
    const query = () => model.query(database.knex);
    this.selectOne = sqlOf(query().select(columns).where(this.key, '').toKnexQuery());
    this.delete = sqlOf(query().delete().where(this.key, '').toKnexQuery());
    const listed = query().select(this.key, ...columns);
    this.list = sqlOf(listed.where(this.key, '>', '').orderBy(this.key).limit(2).toKnexQuery());
  }

  select(keys: number): string {
    const { model, columns } = this.#table;
    return compiledOnce(this.#selects, keys, () =>
      model
        .query(this.#database.knex)
        .select(this.key, ...columns)
        .whereIn(this.key, Array(keys).fill(''))
        .toKnexQuery(),
    );
  }

  upsert(rows: number): string {
    const { model, columns } = this.#table;
    const row = Object.fromEntries(this.insertOrder.map((column) => [column, '']));
    return compiledOnce(this.#upserts, rows, () =>
      // Objection refuses to insert a list into MySQL; a bare merge() would rewrite the key as well.
      this.#database
        .knex(model.tableName)
        .insert(Array(rows).fill(row))
        .onConflict(this.key)
        .merge([...columns]),
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
