import { z } from 'zod';
import { type Diagnostic, type Node, type Path, pathText, Scalar, Sequence, YamlMapping } from './document.ts';
import { type Decoding, decodings, type ScalarType, seconds } from './fields.ts';
import { goNumber } from './scalars.ts';

type Schema = z.core.$ZodType;

/**
 * `note`: Copilot accepts it, but it is probably a mistake. `type`: a type error, which Copilot drops if the field has two
 * forms and the long one is not empty. `fatal`: always refused.
 */
interface Finding extends Diagnostic {
  level: 'note' | 'type' | 'fatal';
  /** The value that Copilot reads if it drops the error. */
  instead?: string;
}

interface Outcome {
  /** The value that Copilot reads; undefined for none. */
  value: Node | undefined;
  findings: Finding[];
}

/** The values that Copilot reads from a YAML tree, its errors, and probable mistakes. */
export interface Decoded {
  manifest: YamlMapping;
  errors: Diagnostic[];
  notes: Diagnostic[];
}

/** The message for a field that the table does not have. */
export type DescribeUnknown = (path: Path) => string;

/**
 * Decodes a manifest as Copilot does, with the Go types of the table: unknown fields are dropped, `5.5` is 5 for a whole
 * number, `yes` is true, a number is not a duration, and a field with two forms is first read in the long one, whose
 * type errors are dropped if it has any valid field.
 * https://github.com/go-yaml/yaml/blob/v3.0.1/decode.go and the UnmarshalYAML methods of
 * https://github.com/aws/copilot-cli/tree/v1.34.1/internal/pkg/manifest
 */
export function decode(schema: Schema, manifest: YamlMapping, describeUnknown: DescribeUnknown): Decoded {
  const { value, findings } = new Decoder(describeUnknown).decode(schema, manifest, [], manifest.line);
  const plain = ({ line, message }: Finding) => ({ line, message });
  return {
    manifest: value instanceof YamlMapping ? value : new YamlMapping(new Map(), manifest.line),
    errors: findings.filter(({ level }) => level !== 'note').map(plain),
    notes: findings.filter(({ level }) => level === 'note').map(plain),
  };
}

class Decoder {
  readonly #describeUnknown: DescribeUnknown;

  constructor(describeUnknown: DescribeUnknown) {
    this.#describeUnknown = describeUnknown;
  }

  decode(outer: Schema, node: Node, path: Path, line: number): Outcome {
    const schema = inside(outer);
    const decoding = decodings.get(schema);
    if (decoding && 'type' in decoding) return scalar(decoding, node, path, line);
    if (decoding)
      return decoding.form === 'union'
        ? this.#union(decoding, node, path, line)
        : this.#either(decoding, node, path, line);
    if (schema instanceof z.ZodObject) return this.#struct(schema, node, path, line);
    if (schema instanceof z.ZodRecord) return this.#map(schema.valueType, node, path, line);
    if (schema instanceof z.ZodArray) return this.#list(schema.element, node, path, line);
    throw new TypeError(`the table has no decoding for ${pathText(path)}`);
  }

  #struct(schema: z.ZodObject, node: Node, path: Path, line: number): Outcome {
    if (!(node instanceof YamlMapping)) return mismatch('a map', node, path, line, undefined, 'nothing');
    if (node.wrongKeys.length > 0) return { value: undefined, findings: node.wrongKeys.map(wrongKey) };
    const findings: Finding[] = [];
    const entries = new Map<string, { key: number; value: Node | undefined }>();
    for (const [name, { key, value }] of node.entries) {
      const at = [...path, name];
      const field = Object.hasOwn(schema.shape, name) ? schema.shape[name] : undefined;
      if (!field) findings.push({ level: 'note', line: key, message: this.#describeUnknown(at) });
      else if (value) {
        const outcome = this.decode(field, value, at, key);
        findings.push(...outcome.findings);
        const isEmpty = outcome.value instanceof YamlMapping && outcome.value.entries.size === 0 && isStruct(field);
        if (outcome.value && !isEmpty) entries.set(name, { key, value: outcome.value });
      }
    }
    return { value: new YamlMapping(entries, node.line), findings };
  }

  #map(valueType: Schema, node: Node, path: Path, line: number): Outcome {
    if (!(node instanceof YamlMapping)) return mismatch('a map', node, path, line, undefined, 'nothing');
    if (node.wrongKeys.length > 0) return { value: undefined, findings: node.wrongKeys.map(wrongKey) };
    const findings: Finding[] = [];
    const entries = new Map<string, { key: number; value: Node | undefined }>();
    for (const [name, { key, value }] of node.entries) {
      if (!value) entries.set(name, { key, value: isStruct(valueType) ? undefined : new Scalar('', 'text', key) });
      else {
        const outcome = this.decode(valueType, value, [...path, name], key);
        findings.push(...outcome.findings);
        if (outcome.value && !isDropped(outcome, valueType)) entries.set(name, { key, value: outcome.value });
      }
    }
    return { value: new YamlMapping(entries, node.line), findings };
  }

  #list(element: Schema, node: Node, path: Path, line: number): Outcome {
    if (!(node instanceof Sequence)) return mismatch('a list', node, path, line, undefined, 'nothing');
    const outcomes = node.items.map((item, i) => this.decode(element, item, [...path, i], item.line));
    const items = outcomes.flatMap((outcome) => (outcome.value && !isDropped(outcome, element) ? [outcome.value] : []));
    return { value: new Sequence(items, node.line), findings: outcomes.flatMap(({ findings }) => findings) };
  }

  #either(decoding: Forms, node: Node, path: Path, line: number): Outcome {
    const long = this.decode(decoding.long, node, path, line);
    if (long.findings.some(({ level }) => level === 'fatal')) return long;
    if (isSet(long.value, decoding.long)) return { value: long.value, findings: long.findings.map(dropped) };
    const short = this.decode(decoding.short, node, path, line);
    if (short.findings.every(({ level }) => level === 'note')) return short;
    const inner = long.value ? long.findings.map(refused) : [];
    const level = decoding.form === 'texts' ? 'type' : 'fatal';
    return { value: undefined, findings: [...inner, { level, line, message: misfit(decoding, node, path) }] };
  }

  #union(decoding: Forms, node: Node, path: Path, line: number): Outcome {
    const short = this.decode(decoding.short, node, path, line);
    const isText = short.value instanceof Scalar && short.value.text !== '';
    const fits = short.findings.every(({ level }) => level === 'note');
    if (fits && (isText || short.value instanceof Sequence)) return short;
    const long = this.decode(decoding.long, node, path, line);
    if (long.value instanceof YamlMapping && long.value.entries.size > 0)
      return { value: long.value, findings: long.findings.map(refused) };
    const inner = long.value ? long.findings.map(refused) : [];
    return { value: undefined, findings: [...inner, { level: 'fatal', line, message: misfit(decoding, node, path) }] };
  }
}

function wrongKey({ line, message }: Diagnostic): Finding {
  return { level: 'type', line, message, instead: 'nothing' };
}

type Forms = Extract<Decoding, { form: string }>;

function scalar(
  { type, expected }: { type: ScalarType; expected: string },
  node: Node,
  path: Path,
  line: number,
): Outcome {
  if (type === 'any') return { value: node, findings: [] };
  const zero = ZEROS[type];
  if (!(node instanceof Scalar)) return mismatch(expected, node, path, line, zero, JSON.stringify(zero));
  const read = convert(type, node);
  if (!read) {
    const hint = type === 'duration' && /^\d+$/.test(node.text) ? `; did you mean ${node.text}s?` : '';
    return mismatch(expected, node, path, line, zero, `${zero === '' ? 'an empty text' : zero}${hint}`);
  }
  const isCut =
    node.kind === 'number' && type !== 'float64' && type !== 'string' && Number(read.text) !== goNumber(node.text);
  if (!isCut) return { value: read, findings: [] };
  const message = `${pathText(path)}: expected ${expected}, found ${node.text}. Copilot accepts it and reads ${read.text}`;
  return { value: read, findings: [{ level: 'note', line, message }] };
}

/** The value of a field of that type if the manifest has another type. */
const ZEROS = { string: '', int: '0', uint16: '0', uint32: '0', float64: '0', bool: 'false', duration: '0s' } as const;

/** Texts that Copilot reads as true or false, beside `true` and `false`. */
export const booleanTexts: Readonly<Record<'true' | 'false', readonly string[]>> = {
  true: ['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON'],
  false: ['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF'],
};

function convert(type: Exclude<ScalarType, 'any'>, node: Scalar): Scalar | undefined {
  const { text, kind, line } = node;
  if (type === 'string') return new Scalar(text, 'text', line, node.literal);
  if (type === 'bool') {
    if (kind === 'boolean') return new Scalar(text.toLowerCase(), 'boolean', line);
    if (kind !== 'text') return undefined;
    if (booleanTexts.true.includes(text)) return new Scalar('true', 'boolean', line);
    return booleanTexts.false.includes(text) ? new Scalar('false', 'boolean', line) : undefined;
  }
  if (type === 'duration') return kind === 'text' && seconds(text) !== undefined ? node : undefined;
  if (kind !== 'integer' && kind !== 'number') return undefined;
  const number = goNumber(text);
  if (type === 'float64') return new Scalar(String(number), 'number', line);
  const whole = Math.trunc(number);
  const isWithin = Number.isFinite(whole) && whole >= LEAST[type] && whole <= MOST[type];
  return isWithin ? new Scalar(String(whole), 'integer', line) : undefined;
}

/** The ranges of Go's integer types. */
export const LEAST = { int: -(2 ** 63), uint16: 0, uint32: 0 } as const;
export const MOST = { int: 2 ** 63, uint16: 65_535, uint32: 2 ** 32 - 1 } as const;

function mismatch(
  expected: string,
  node: Node,
  path: Path,
  line: number,
  zero: string | undefined,
  instead: string,
): Outcome {
  const message = `${pathText(path)}: expected ${expected}, found ${describe(node)}`;
  const value = zero === undefined ? undefined : new Scalar(zero, kindOfZero(zero), line);
  return { value, findings: [{ level: 'type', line, message, instead }] };
}

function kindOfZero(zero: string): Scalar['kind'] {
  if (zero === '0') return 'integer';
  return zero === 'false' ? 'boolean' : 'text';
}

function misfit({ short, long }: Forms, node: Node, path: Path): string {
  const expected = [...new Set([...expectations(short), ...expectations(long)])].join(' or ');
  const found = node instanceof YamlMapping ? 'a map without any of its fields' : describe(node);
  return `${pathText(path)}: expected ${expected}, found ${found}`;
}

function expectations(outer: Schema): string[] {
  const schema = inside(outer);
  const decoding = decodings.get(schema);
  if (decoding && 'expected' in decoding) return [decoding.expected];
  if (decoding && 'form' in decoding) return [...expectations(decoding.short), ...expectations(decoding.long)];
  return [schema instanceof z.ZodArray ? 'a list' : 'a map'];
}

/** The name of a node in messages. */
export function describe(node: Node | undefined): string {
  if (node instanceof Scalar) return node.kind === 'text' ? JSON.stringify(node.text) : node.text;
  if (node instanceof Sequence) return 'a list';
  return node ? 'a map' : 'nothing';
}

function dropped(finding: Finding): Finding {
  if (finding.level !== 'type') return finding;
  return {
    ...finding,
    level: 'note',
    message: `${finding.message}. Copilot accepts it and reads ${finding.instead ?? 'nothing'}`,
  };
}

function refused(finding: Finding): Finding {
  return finding.level === 'type' ? { ...finding, level: 'fatal' } : finding;
}

/** Whether Copilot uses the long form: always for a list of texts; for another list or a map if it is not empty. */
function isSet(value: Node | undefined, long: Schema): boolean {
  if (value instanceof YamlMapping)
    return [...value.entries].some(([name, entry]) => !isEmptyCollection(name, entry.value));
  if (!(value instanceof Sequence)) return value !== undefined;
  const schema = inside(long);
  return value.items.length > 0 || (schema instanceof z.ZodArray && !isStruct(schema.element));
}

/** Fields for which Copilot checks the length, not the presence. */
const COUNTED = new Set(['subnets', 'from_tags', 'groups', 'additional_rules', 'alias']);

function isEmptyCollection(name: string, value: Node | undefined): boolean {
  if (!COUNTED.has(name)) return false;
  if (value instanceof Sequence) return value.items.length === 0;
  return value instanceof YamlMapping && value.entries.size === 0;
}

/** An item of the wrong type is left out; a map in which a field has the wrong type stays. */
function isDropped({ findings }: Outcome, schema: Schema): boolean {
  return findings.some(({ level }) => level === 'type') && !isStruct(schema);
}

function isStruct(schema: Schema): boolean {
  return inside(schema) instanceof z.ZodObject;
}

/** The schema that checks the value, without optional and pipe wrappers. */
export function inside(schema: Schema): Schema {
  if (decodings.has(schema)) return schema;
  if (schema instanceof z.ZodOptional) return inside(schema.unwrap());
  if (!(schema instanceof z.ZodPipe)) return schema;
  return schema.in instanceof z.ZodCustom ? inside(schema.out) : inside(schema.in);
}
