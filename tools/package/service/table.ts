import type { RowDataPacket } from 'mysql2';
import type { Model, ModelClass } from 'objection';
import { z } from 'zod';
import type { SqlValue } from '../../../src/database/database.ts';
import type { Table } from '../../../src/database/store.ts';

/** How a field is stored, where its column holds something else than its JSON. */
interface Codec {
  readonly field: string;
  readonly column: string;
  toColumn(value: unknown): SqlValue;
  fromColumn(value: unknown): unknown;
}

/**
 * A table with a column for each field of `schema`: `dueDate` is `due_date`. The key of the model is not among the fields.
 * An optional field is NULL where it is absent.
 */
export function tableOf<Schema extends z.ZodObject>(
  model: ModelClass<Model>,
  schema: Schema,
): Table<z.output<Schema> & object> {
  const codecs = Object.entries(schema.shape).map(([field, type]) => codecOf(field, type));
  return {
    model,
    columns: codecs.map(({ column }) => column),
    fromRow(row: RowDataPacket) {
      const value: Record<string, unknown> = {};
      for (const { field, column, fromColumn } of codecs)
        if (row[column] !== null) value[field] = fromColumn(row[column]);
      // The columns hold what the schema has accepted.
      return value as z.output<Schema> & object;
    },
    toRow(value) {
      const row: Record<string, SqlValue> = {};
      for (const { field, column, toColumn } of codecs) row[column] = toColumn(Reflect.get(value, field));
      return row;
    },
  };
}

function codecOf(field: string, type: z.core.$ZodType): Codec {
  const inner = type instanceof z.ZodOptional ? type.unwrap() : type;
  const names = { field, column: field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) };
  if (inner instanceof z.ZodBoolean) return { ...names, toColumn: plain, fromColumn: (value) => value === 1 };
  if (z.globalRegistry.get(inner)?.format === 'date-time')
    return {
      ...names,
      toColumn: (value) => (typeof value === 'string' ? value.slice(0, -1).replace('T', ' ') : null),
      // mysql2 leaves out a fraction of zero.
      fromColumn: (value) => new Date(`${String(value).replace(' ', 'T')}Z`).toISOString(),
    };
  return { ...names, toColumn: plain, fromColumn: (value) => value };
}

function plain(value: unknown): SqlValue {
  if (value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  throw new TypeError(`a column cannot hold a ${typeof value}`);
}
