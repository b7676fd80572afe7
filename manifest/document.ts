import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseDocument,
  visit,
  type Node as YamlNode,
} from 'yaml';
import { nearest } from './nearest.ts';

/** Something wrong in a file, at a line that counts from 1. */
export interface Problem {
  line: number;
  message: string;
}

/** One file that says something it may not say; the message has a line `file:line: what` for each problem. */
export class DocumentError extends Error {
  readonly file: string;
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    const sorted = problems.toSorted((a, b) => a.line - b.line);
    super(sorted.map(({ line, message }) => `${file}:${line}: ${message}`).join('\n'));
    this.file = file;
    this.problems = sorted;
  }
}

/** A value as the file writes it: `1.10` stays `1.10`, whatever YAML makes of it. */
export class Scalar {
  readonly text: string;
  readonly kind: 'text' | 'integer' | 'number' | 'boolean';
  readonly line: number;
  /** In a `|` block, where Copilot does not read a JSON list of strings as a list. */
  readonly literal: boolean;

  constructor(text: string, kind: Scalar['kind'], line: number, literal = false) {
    this.text = text;
    this.kind = kind;
    this.line = line;
    this.literal = literal;
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

/** `undefined` is a key without a value, which says nothing: Copilot takes it as absent. */
export class Mapping {
  readonly entries: ReadonlyMap<string, { key: number; value: Node | undefined }>;
  readonly line: number;

  constructor(entries: Mapping['entries'], line: number) {
    this.entries = entries;
    this.line = line;
  }

  get(key: string): Node | undefined {
    return this.entries.get(key)?.value;
  }
}

export type Node = Scalar | Sequence | Mapping;
export type Path = readonly PropertyKey[];

/**
 * A YAML file as a tree that knows its lines, with anchors and `<<` resolved.
 * `file` is how messages name it. Throws a DocumentError when it is no YAML or its top is not a map.
 */
export function parse(text: string, file: string): Mapping {
  const root = parseAny(text, file);
  if (root instanceof Mapping) return root;
  throw new DocumentError(file, [{ line: root?.line ?? 1, message: 'expected a map of fields' }]);
}

/** As `parse`, for files whose top may be a list too; undefined for an empty file. */
export function parseAny(text: string, file: string): Node | undefined {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    throw new DocumentError(
      file,
      document.errors.map(({ pos, message }) => ({ line: lines.linePos(pos[0]).line, message })),
    );
  }
  const anchors: string[] = [];
  visit(document, {
    Node(_key, node) {
      if ('anchor' in node && typeof node.anchor === 'string') anchors.push(node.anchor);
    },
  });
  function unknownAnchor({ source }: Alias): string {
    const meant = nearest(source, anchors);
    return `nothing is anchored as "&${source}"${meant === undefined ? '' : `; did you mean "*${meant}"?`}`;
  }
  const lineOf = (node: YamlNode) => (node.range ? lines.linePos(node.range[0]).line : 1);

  function convert(node: ParsedNode | YamlNode | null | undefined): Node | undefined {
    if (isAlias(node)) {
      const anchored = node.resolve(document);
      // yaml itself says so only where it makes plain values of the document.
      if (anchored === undefined) throw new DocumentError(file, [{ line: lineOf(node), message: unknownAnchor(node) }]);
      return convert(anchored);
    }
    if (isSeq(node)) {
      const items = node.items.map((item) => convert(item as YamlNode)).filter((item) => item !== undefined);
      return new Sequence(items, lineOf(node));
    }
    if (isMap(node)) {
      const entries = new Map<string, { key: number; value: Node | undefined }>();
      const inherited: Mapping[] = [];
      for (const { key, value } of node.items) {
        if (!isScalar(key))
          throw new DocumentError(file, [{ line: lineOf(node), message: 'a key has to be plain text' }]);
        const converted = convert(value as YamlNode | null);
        if (key.value === '<<' && (isAlias(value) || converted instanceof Mapping || converted instanceof Sequence)) {
          for (const source of converted instanceof Sequence ? converted.items : [converted]) {
            if (source instanceof Mapping) inherited.push(source);
          }
        } else {
          entries.set(String(key.source ?? key.value), { key: lineOf(key), value: converted });
        }
      }
      for (const source of inherited) {
        for (const [key, entry] of source.entries) if (!entries.has(key)) entries.set(key, entry);
      }
      return new Mapping(entries, lineOf(node));
    }
    if (isScalar(node) && node.value !== null) {
      return new Scalar(
        scalarText(node.value, node.source),
        kindOf(node.value),
        lineOf(node),
        node.type === 'BLOCK_LITERAL',
      );
    }
    return undefined;
  }
  return convert(document.contents);
}

function scalarText(value: unknown, source: string | undefined): string {
  return typeof value === 'string' ? value : (source ?? String(value));
}

function kindOf(value: unknown): Scalar['kind'] {
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'bigint' || Number.isInteger(value)) return 'integer';
  return typeof value === 'number' ? 'number' : 'text';
}

/** The line of what is at the path: of its key if it has one, else of the nearest thing around it that is there. */
export function lineAt(root: Node, path: Path): number {
  let node: Node = root;
  let line = root.line;
  for (const step of path) {
    const entry = node instanceof Mapping ? node.entries.get(String(step)) : undefined;
    const next = node instanceof Sequence ? node.items[Number(step)] : entry?.value;
    line = entry?.key ?? next?.line ?? line;
    if (!next) break;
    node = next;
  }
  return line;
}

/** What is at the path, or undefined. */
export function nodeAt(root: Node | undefined, path: Path): Node | undefined {
  let node = root;
  for (const step of path) {
    if (node instanceof Mapping) node = node.get(String(step));
    else if (node instanceof Sequence) node = node.items[Number(step)];
    else return undefined;
  }
  return node;
}

/** A path the way people write it: `sidecars.nginx.mount_points[0].path`. */
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
