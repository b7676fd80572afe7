/** The types of fields that a generated resource may have. */
import { UsageError } from '../../k8s/errors.ts';
import { nearest } from '../../manifest/nearest.ts';
import { reservedIn } from './reserved.ts';

/** The column of each type; the type of the same name in `plusone-service` checks it. */
export const COLUMNS = {
  text: 'VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
  integer: 'BIGINT',
  number: 'DOUBLE',
  decimal: 'DECIMAL(17, 2)',
  boolean: 'BOOLEAN',
  date: 'DATE',
  datetime: 'DATETIME(3)',
  email: 'VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
} as const;

export type FieldType = keyof typeof COLUMNS;
export const fieldTypes = Object.keys(COLUMNS).filter((name): name is FieldType => name in COLUMNS);

/** Types that MySQL and OpenAPI see differently or one of them lacks, and what to use. */
const OTHERS: Readonly<Record<string, string>> = {
  string: 'text',
  varchar: 'text, of at most 255 characters',
  char: 'text',
  uuid: 'text',
  url: 'text',
  int: 'integer',
  bigint: 'integer: JSON has whole numbers up to 9007199254740991 exactly, and BIGINT larger ones',
  long: 'integer',
  float: 'number, or decimal for money: FLOAT has fewer digits than a number in JSON',
  double: 'number',
  money: 'decimal',
  numeric: 'decimal',
  bool: 'boolean: MySQL has 0 and 1, JSON true and false',
  timestamp: 'datetime: TIMESTAMP of MySQL ends in 2038',
  time: 'datetime',
  'date-time': 'datetime',
  json: 'fields of their own: MySQL does not keep the order and the spaces of JSON',
  object: 'fields of their own',
  array: 'a resource of its own',
  enum: 'text: a new value of an ENUM needs a change of the table',
  blob: 'text, with the address of the file',
};

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly optional: boolean;
}

const MOST_FIELDS = 40;
const LONGEST = 30;

/** The column of a field: `dueDate` is `due_date`. */
export const columnOf = (field: string) => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/**
 * Fields written `NAME:TYPE` or `NAME:TYPE:optional`.
 * @throws {UsageError} for one that cannot be, with what would be right
 */
export function parseFields(texts: readonly string[]): Field[] {
  const fields = texts.map(parseField);
  for (const [at, { name }] of fields.entries()) {
    const same = fields.slice(0, at).find((other) => columnOf(other.name) === columnOf(name));
    if (same) throw new UsageError(`--field ${name}: there are two fields ${name}; each needs a name of its own`);
  }
  if (fields.length > MOST_FIELDS)
    throw new UsageError(`--field: ${fields.length} fields; at most ${MOST_FIELDS} fit into one row and one form`);
  return fields;
}

function parseField(text: string): Field {
  const [name = '', type = 'text', option, ...more] = text.split(':');
  if (more.length > 0 || (option !== undefined && option !== 'optional'))
    throw new UsageError(`--field ${text}: expected NAME:TYPE or NAME:TYPE:optional, such as total:decimal`);
  if (!/^[a-z][a-zA-Z0-9]*$/.test(name))
    throw new UsageError(
      `--field ${text}: the name must be letters (a-z, A-Z) and digits and begin with a small letter${suggestion(name)}`,
    );
  if (name.length > LONGEST)
    throw new UsageError(`--field ${text}: the name has ${name.length} characters; at most ${LONGEST} are possible`);
  if (name === 'id') throw new UsageError(`--field ${text}: each resource has an id already, the end of its path`);
  const where = reservedIn(columnOf(name), 'MySQL and SQL') ?? reservedIn(name, 'JavaScript');
  if (where)
    throw new UsageError(
      `--field ${text}: ${name} is a reserved word of ${where}; such as ${name}Value would be right`,
    );
  const known = fieldTypes.find((one) => one === type);
  if (known) return { name, type: known, optional: option === 'optional' };
  const instead = Object.hasOwn(OTHERS, type.toLowerCase()) ? OTHERS[type.toLowerCase()] : nearest(type, fieldTypes);
  throw new UsageError(
    `--field ${text}: there is no type "${type}"${instead ? `; use ${instead}` : ''}. The types are ${fieldTypes.join(', ')}`,
  );
}

/** The name in camel case, if it has only separators too many. */
function suggestion(name: string): string {
  const camel = name
    .replace(/[-_ ]+([a-zA-Z0-9])/g, (_match, letter: string) => letter.toUpperCase())
    .replace(/^[A-Z]/, (letter) => letter.toLowerCase());
  return camel !== name && /^[a-z][a-zA-Z0-9]*$/.test(camel) ? `, such as ${camel}` : ', such as dueDate';
}
