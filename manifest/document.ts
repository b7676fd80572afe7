import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type ParsedNode,
  parseAllDocuments,
  visit,
  type YAMLMap,
  type Node as YamlNode,
  type Scalar as YamlScalar,
} from 'yaml';
import { nearest } from './nearest.ts';
import { kindOf, type ScalarKind } from './scalars.ts';

/** An error in a file; lines count from 1. */
export interface Diagnostic {
  line: number;
  message: string;
  /** Set if Copilot accepts it and only Kubernetes does not support it. */
  isOfKubernetes?: true;
}

/**
 * A file has errors; the message has a line `file:line: message` for each error, and for each warning, which is often the
 * cause of an error.
 */
export class DocumentError extends Error {
  readonly file: string;
  readonly problems: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];

  constructor(file: string, problems: readonly Diagnostic[], warnings: readonly Diagnostic[] = []) {
    super(located(file, [...problems, ...warnings]).join('\n'));
    this.file = file;
    this.problems = problems.toSorted((a, b) => a.line - b.line);
    this.warnings = warnings.toSorted((a, b) => a.line - b.line);
  }
}

/** A line `file:line: message` for each problem, sorted by line, without duplicates. */
export function located(file: string, problems: readonly Diagnostic[]): string[] {
  const lines = problems.toSorted((a, b) => a.line - b.line).map(({ line, message }) => `${file}:${line}: ${message}`);
  return [...new Set(lines)];
}

/** A value with its text in the file: `1.10` stays `1.10`, although YAML reads a number. */
export class Scalar {
  readonly text: string;
  readonly kind: 'text' | 'integer' | 'number' | 'boolean';
  readonly line: number;
  /** In a `|` block, where Copilot does not read a JSON list of strings as a list. */
  readonly literal: boolean;
  /** Its explicit tag, such as `!Ref`. */
  readonly tag: string | undefined;

  constructor(text: string, kind: Scalar['kind'], line: number, literal = false, tag?: string) {
    this.text = text;
    this.kind = kind;
    this.line = line;
    this.literal = literal;
    this.tag = tag;
  }
}

export class Sequence {
  readonly items: readonly Node[];
  readonly line: number;

  constructor(items: readonly Node[], line: number) {
    this.items = items;
    this.line = line;
  }
}

/** `undefined` is a key without a value: Copilot accepts it as absent, in a map of texts as the empty text. */
export class YamlMapping {
  readonly entries: ReadonlyMap<string, { key: number; value: Node | undefined }>;
  readonly line: number;
  /** Duplicate keys and keys that are not text, which Copilot refuses only in maps that it reads. */
  readonly wrongKeys: readonly Diagnostic[];

  constructor(entries: YamlMapping['entries'], line: number, wrongKeys: readonly Diagnostic[] = []) {
    this.entries = entries;
    this.line = line;
    this.wrongKeys = wrongKeys;
  }

  get(key: string): Node | undefined {
    return this.entries.get(key)?.value;
  }
}

export type Node = Scalar | Sequence | YamlMapping;
export type Path = readonly PropertyKey[];

/**
 * The first document of a YAML file as a tree with line numbers, with anchors and `<<` resolved. `file` is its name in
 * messages. Throws a DocumentError if it is not YAML or its root is not a map.
 */
export function parse(text: string, file: string, note?: (ignored: Diagnostic) => void): YamlMapping {
  const root = parseAny(text, file, note);
  if (root instanceof YamlMapping) return root;
  throw new DocumentError(file, [{ line: root?.line ?? 1, message: 'expected a map of fields' }]);
}

/** Like `parse`, but the root may also be a list; undefined for an empty file. */
export function parseAny(text: string, file: string, note: (ignored: Diagnostic) => void = () => {}): Node | undefined {
  try {
    return parseTree(text, file, note);
  } catch (error) {
    // The parser is recursive.
    if (error instanceof RangeError) throw new DocumentError(file, [{ line: 1, message: tooDeep }]);
    throw error;
  }
}

/** Limits above those of any manifest: the functions on the tree are recursive, and aliases can grow exponentially. */
const maxDepth = 100;
const maxAliased = 50_000;
/** Characters that YAML does not allow: https://yaml.org/spec/1.2.2/#51-character-set */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for.
const controlCharacter = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]/;
const tooDeep = `lists and maps are nested more than ${maxDepth} levels deep`;

function parseTree(written: string, file: string, note: (ignored: Diagnostic) => void): Node | undefined {
  // A line may end with a carriage return alone, which the parser does not know.
  const text = written.replaceAll(/\r(?!\n)/g, '\n');
  const unreadable = controlCharacter.exec(text);
  if (unreadable) {
    const line = text.slice(0, unreadable.index).split('\n').length;
    throw new DocumentError(file, [{ line, message: 'control characters are not allowed' }]);
  }
  const deep = tooDeepLine(text);
  if (deep !== undefined) throw new DocumentError(file, [{ line: deep, message: tooDeep }]);
  const lines = new LineCounter();
  const [document, ignored] = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  if (!document) return undefined;
  // The other errors are mostly consequences of the first one.
  const [error] = document.errors;
  if (error) {
    const message = error.message.startsWith('Maximum call stack') ? tooDeep : error.message;
    throw new DocumentError(file, [{ line: lines.linePos(error.pos[0]).line, message }]);
  }
  if (ignored) {
    const { line } = lines.linePos(ignored.range[0]);
    note({ line, message: 'a second YAML document. Copilot reads the first one of a file only' });
  }
  return treeOf(document, file, (node) => (node.range ? lines.linePos(node.range[0]).line : 1));
}

/** The line where brackets are nested too deep, on which the parser itself spends seconds; undefined for none. */
function tooDeepLine(text: string): number | undefined {
  if (text.split(/[[{]/, maxDepth + 2).length <= maxDepth + 1) return undefined;
  let line = 1;
  let depth = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') depth += 1;
    else if (token === ']' || token === '}') depth -= 1;
    else line += token.split('\n').length - 1;
    if (depth > maxDepth) return line;
  }
  return undefined;
}

function treeOf(document: Document, file: string, lineOf: (node: YamlNode) => number): Node | undefined {
  const anchors: string[] = [];
  visit(document, {
    Node(_key, node) {
      if ('anchor' in node && typeof node.anchor === 'string') anchors.push(node.anchor);
    },
  });
  function unknownAnchor({ source }: Alias): string {
    const meant = nearest(source, anchors);
    return `there is no anchor "&${source}"${meant === undefined ? '' : `; did you mean "*${meant}"?`}`;
  }
  const resolved = new Map<Alias, YamlNode | undefined>();
  const open = new Set<YamlNode>();
  let aliasLine = 1;
  let aliasDepth = 0;
  let aliased = 0;

  function refuse(node: YamlNode, message: string): never {
    throw new DocumentError(file, [{ line: lineOf(node), message }]);
  }

  function convertAlias(alias: Alias): Node | undefined {
    if (!resolved.has(alias)) resolved.set(alias, alias.resolve(document));
    const anchored = resolved.get(alias);
    // The yaml library reports this only when it converts the document to plain values.
    if (anchored === undefined) return refuse(alias, unknownAnchor(alias));
    if (open.has(anchored)) return refuse(alias, `"*${alias.source}" stands inside "&${alias.source}" itself`);
    aliasLine = lineOf(alias);
    aliasDepth += 1;
    const converted = convert(anchored);
    aliasDepth -= 1;
    return converted;
  }

  function convert(node: ParsedNode | YamlNode | null | undefined): Node | undefined {
    if (!node) return undefined;
    if (isAlias(node)) return convertAlias(node);
    if (aliasDepth > 0) aliased += 1;
    if (aliased > maxAliased) {
      const message = `aliases expand to more than ${maxAliased} values`;
      throw new DocumentError(file, [{ line: aliasLine, message }]);
    }
    if (open.size >= maxDepth) return refuse(node, tooDeep);
    open.add(node);
    const converted = convertValue(node);
    open.delete(node);
    return converted;
  }

  function convertValue(node: ParsedNode | YamlNode): Node | undefined {
    if (isSeq(node)) {
      const items = node.items.map((item) => convert(item as YamlNode)).filter((item) => item !== undefined);
      return new Sequence(items, lineOf(node));
    }
    if (isMap(node)) return convertMap(node);
    if (isScalar(node)) return scalarOf(node, lineOf(node), (message) => refuse(node, message));
    return undefined;
  }

  function convertMap(node: YAMLMap): YamlMapping {
    const entries = new Map<string, { key: number; value: Node | undefined }>();
    const inherited: YamlMapping[] = [];
    const wrongKeys: Diagnostic[] = [];
    for (const { key, value } of node.items) {
      const line = isNode(key) ? lineOf(key) : lineOf(node);
      const converted = convert(value as YamlNode | null) ?? emptyIn(node, value, line);
      if (!isScalar(key)) wrongKeys.push({ line, message: 'a key has to be plain text' });
      else if (key.value === '<<' && key.type === 'PLAIN') {
        const sources = converted instanceof Sequence ? converted.items : [converted];
        for (const source of sources) {
          if (source instanceof YamlMapping) inherited.push(source);
          else wrongKeys.push({ line, message: '"<<" merges maps only, as in "<<: *anchor"' });
        }
      } else {
        const name = String(key.source ?? key.value);
        // The parser's own check is quadratic: minutes for a file of a megabyte.
        if (entries.has(name))
          wrongKeys.push({ line, message: `duplicate key "${name}": the keys of a map must be unique` });
        else entries.set(name, { key: line, value: converted });
      }
    }
    for (const source of inherited) {
      for (const [key, entry] of source.entries) if (!entries.has(key)) entries.set(key, entry);
    }
    return new YamlMapping(entries, lineOf(node), wrongKeys);
  }

  /** Copilot writes a manifest again before it reads it, and writes nothing within braces as an empty text. */
  function emptyIn(map: YAMLMap, value: unknown, line: number): Scalar | undefined {
    const isNothing = value === null || (isScalar(value) && !value.source && value.value === null);
    return map.flow && isNothing ? new Scalar('', 'text', line) : undefined;
  }

  return convert(document.contents);
}

/** Tags that give a scalar its type in spite of quotes. */
const typeTags: Readonly<Record<string, readonly ScalarKind[]>> = {
  'tag:yaml.org,2002:int': ['integer'],
  'tag:yaml.org,2002:float': ['integer', 'number'],
  'tag:yaml.org,2002:bool': ['boolean'],
};

/** Undefined for a null, which is a key without a value. */
function scalarOf(
  { value, source, type, tag }: YamlScalar,
  line: number,
  refuse: (message: string) => never,
): Scalar | undefined {
  const text = typeof value === 'string' ? value : (source ?? String(value));
  const tagged = typeTags[tag ?? ''];
  const isText = tag === 'tag:yaml.org,2002:str' || (type !== 'PLAIN' && !tagged);
  const kind = isText && value !== null ? 'text' : kindOf(text);
  if (tagged && !tagged.includes(kind)) return refuse(`"${text}" is no ${tag?.replace('tag:yaml.org,2002:', '!!')}`);
  return kind === 'nothing'
    ? undefined
    : new Scalar(text, kind, line, type === 'BLOCK_LITERAL', tag?.startsWith('!') ? tag : undefined);
}

/** The line of the node at the path: that of its key, else that of the nearest parent that exists. */
export function lineAt(root: Node, path: Path): number {
  let node: Node = root;
  let line = root.line;
  for (const step of path) {
    const entry = node instanceof YamlMapping ? node.entries.get(String(step)) : undefined;
    const next = node instanceof Sequence ? node.items[Number(step)] : entry?.value;
    line = entry?.key ?? next?.line ?? line;
    if (!next) break;
    node = next;
  }
  return line;
}

/** The node at the path, or undefined. */
export function nodeAt(root: Node | undefined, path: Path): Node | undefined {
  let node = root;
  for (const step of path) {
    if (node instanceof YamlMapping) node = node.get(String(step));
    else if (node instanceof Sequence) node = node.items[Number(step)];
    else return undefined;
  }
  return node;
}

/** A path as text: `sidecars.nginx.mount_points[0].path`. */
export function pathText(path: Path): string {
  return path
    .map((step, i) => (typeof step === 'number' ? `[${step}]` : `${i > 0 ? '.' : ''}${String(step)}`))
    .join('');
}

/** The tree as objects and arrays whose leaves are still Scalars, for a schema to read. */
export function plain(node: Node): unknown {
  if (node instanceof Scalar) return node;
  if (node instanceof Sequence) return node.items.map(plain);
  const fields = [...node.entries].flatMap(([key, { value }]) => (value ? [[key, plain(value)] as const] : []));
  return Object.fromEntries(fields);
}

/** The tree without the node at the path, or with `value` in its place. */
export function replaceAt(node: Node, [step, ...rest]: Path, value: Node | undefined): Node {
  if (step === undefined) return node;
  if (node instanceof Sequence) {
    const items = node.items.flatMap((item, i) => {
      if (i !== step) return [item];
      if (rest.length > 0) return [replaceAt(item, rest, value)];
      return value ? [value] : [];
    });
    return new Sequence(items, node.line);
  }
  if (!(node instanceof YamlMapping)) return node;
  const entries = new Map(node.entries);
  const entry = entries.get(String(step));
  if (!entry) return node;
  if (rest.length > 0 && entry.value) {
    entries.set(String(step), { ...entry, value: replaceAt(entry.value, rest, value) });
  } else if (value) entries.set(String(step), { ...entry, value });
  else entries.delete(String(step));
  return new YamlMapping(entries, node.line);
}
