import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  Scalar,
  visit,
  YAMLMap,
  YAMLSeq,
} from 'yaml';

/** A value of a template with every intrinsic function in its long form, such as `{ Ref: 'VPC' }`. */
export type Value = string | number | boolean | null | readonly Value[] | { readonly [key: string]: Value };
export type ValueMap = Readonly<Record<string, Value>>;

/** A resource as a template defines it. */
export interface Definition {
  readonly type: string;
  readonly properties: ValueMap;
  /** The name of a condition, or undefined. */
  readonly condition: string | undefined;
  readonly dependsOn: readonly string[];
  readonly deletionPolicy: string | undefined;
  readonly updateReplacePolicy: string | undefined;
}

/** A text is not a supported CloudFormation template; the message says where. */
export class TemplateError extends Error {}

/**
 * A CloudFormation template, in YAML or JSON, that keeps all that it doesn't change: comments, short forms such as
 * `!Ref` and each scalar as it is written. Nothing is read by YAML's rules for types, which differ between YAML 1.1
 * (CloudFormation) and 1.2 (this parser): `0755`, `yes` and `2010-09-09` stay as they are.
 */
export class Template {
  readonly document: Document.Parsed;
  readonly name: string;

  /** `name` is its name in messages. Throws TemplateError. */
  constructor(text: string, name: string) {
    this.name = name;
    this.document = parseDocument(text, { schema: 'failsafe', logLevel: 'silent' });
    const [error] = this.document.errors;
    if (error) throw new TemplateError(`${name}: the template is not valid YAML: ${error.message}`);
    visit(this.document, {
      Alias: () => {
        throw new TemplateError(`${name}: the template has YAML aliases, which are not supported`);
      },
    });
    if (!isMap(this.document.get('Resources', true))) throw new TemplateError(`${name}: the template has no Resources`);
  }

  /** A copy. */
  copy(): Template {
    return new Template(this.text(), this.name);
  }

  /** The template as a file. */
  text(): string {
    return this.document.toString({ lineWidth: 0, flowCollectionPadding: false });
  }

  /** The whole template in long form. */
  value(): ValueMap {
    return mapOf(toValue(this.document.contents));
  }

  /** A section such as `Conditions` in long form; empty if it does not exist. */
  section(name: string): ValueMap {
    return mapOf(toValue(this.node([name])));
  }

  /** The node at the path, or undefined. */
  node(path: readonly (string | number)[]): Node | undefined {
    const node: unknown = this.document.getIn(path, true);
    return isMap(node) || isSeq(node) || isScalar(node) ? node : undefined;
  }

  set(path: readonly (string | number)[], value: unknown): void {
    this.document.setIn(path, value);
  }

  delete(path: readonly (string | number)[]): void {
    this.document.deleteIn(path);
  }

  /** The resources by their logical ids, in the order of the template. */
  resources(): Map<string, Definition> {
    return new Map(Object.entries(this.section('Resources')).map(([id, value]) => [id, definitionOf(mapOf(value))]));
  }

  /** The logical ids of the resources that a part of the template refers to, by Ref, Fn::GetAtt and Fn::Sub. */
  references(path: readonly (string | number)[]): Set<string> {
    return referencesOf(toValue(this.node(path)));
  }

  /** The text of a scalar below Metadata, such as `Version` and `Manifest` of Copilot's templates. */
  metadata(name: string): string | undefined {
    const value = this.section('Metadata')[name];
    return value === undefined || typeof value === 'object' ? undefined : String(value);
  }

  /**
   * Replaces references to attributes of resources: `Fn::GetAtt`, `!GetAtt` and `${Id.Attribute}` of `Fn::Sub`.
   * `replacement` returns the new value, or undefined to keep the reference; the path has the section, the logical id and
   * the names of the properties, without positions in lists.
   */
  replaceAttributes(
    id: string,
    replacement: (attribute: string, path: readonly (string | number)[]) => Replacement | undefined,
  ): void {
    visit(this.document, {
      Node: (key, node, ancestors) => {
        const [resource, attribute] = isGetAtt(node) ? getAttOf(toValue(node)) : [];
        if (resource !== id || attribute === undefined) {
          return isSub(node) ? this.replaceInSub(node, id, replacement, pathOf(key, ancestors)) : undefined;
        }
        const value = replacement(attribute, pathOf(key, ancestors));
        return value === undefined ? undefined : this.nodeOf(value);
      },
    });
  }

  /** Replaces each `Ref` and `!Ref` of a resource by a text. */
  replaceReferences(id: string, text: string): void {
    visit(this.document, {
      Node: (_key, node) => (textOf(mapOf(toValueOfCall(node)).Ref) === id ? this.nodeOf(text) : undefined),
    });
  }

  /** The replacement of a node with Fn::Sub, or undefined if it is changed in place or not at all. */
  private replaceInSub(
    node: Node,
    id: string,
    replacement: (attribute: string, path: readonly (string | number)[]) => Replacement | undefined,
    path: readonly (string | number)[],
  ): Node | undefined {
    const { text, scalar, variables } = subParts(node);
    const added = new Map<string, Replacement>();
    scalar.value = text.replaceAll(subReference, (match, name: string) => {
      const [resource, ...rest] = name.split('.');
      if (resource !== id || rest.length === 0) return match;
      const value = replacement(rest.join('.'), path);
      if (value === undefined) return match;
      if (typeof value === 'string') return value.replaceAll('${', '${!');
      const variable = [id, ...rest].join('');
      added.set(variable, value);
      return `\${${variable}}`;
    });
    if (added.size === 0) return undefined;
    const map = variables ?? new YAMLMap<Scalar, Node>();
    for (const [name, value] of added) map.set(new Scalar(name), this.nodeOf(value));
    if (variables) return undefined;
    const quoted = new Scalar(scalar.value);
    quoted.type = Scalar.QUOTE_SINGLE;
    const sub = new YAMLSeq<Node>();
    sub.items.push(quoted, map);
    if (isMap(node)) {
      node.set('Fn::Sub', sub);
      return undefined;
    }
    sub.tag = '!Sub';
    return sub;
  }

  private nodeOf(value: Replacement): Node {
    if (typeof value === 'string') {
      const scalar = new Scalar(value);
      scalar.type = /^\d+$/.test(value) ? Scalar.PLAIN : Scalar.QUOTE_SINGLE;
      return scalar;
    }
    const name = new Scalar(value.importValue);
    name.type = Scalar.QUOTE_SINGLE;
    name.tag = '!Sub';
    const map = new YAMLMap<Scalar, Scalar>();
    map.set(new Scalar('Fn::ImportValue'), name);
    return map;
  }
}

/** The text of a literal, or the import of an export whose name is a text for Fn::Sub. */
export type Replacement = string | { readonly importValue: string };

/** `${Name}` in the text of Fn::Sub; `${!Name}` is a literal. */
export const subReference = /\$\{([^!}][^}]*)\}/g;

function pathOf(key: unknown, ancestors: readonly unknown[]): (string | number)[] {
  const path: (string | number)[] = [];
  for (const ancestor of ancestors) {
    if (typeof ancestor === 'object' && ancestor !== null && 'key' in ancestor && isScalar(ancestor.key))
      path.push(String(ancestor.key.value));
  }
  if (typeof key === 'number') path.push(key);
  return path;
}

function isGetAtt(node: Node): boolean {
  if (node.tag === '!GetAtt') return true;
  return isMap(node) && node.items.length === 1 && node.has('Fn::GetAtt');
}

/** The value of a node that may be a call of Ref; null for any other. */
function toValueOfCall(node: Node): Value {
  return node.tag === '!Ref' || (isMap(node) && node.items.length === 1 && node.has('Ref')) ? toValue(node) : null;
}

function isSub(node: Node): boolean {
  if (node.tag === '!Sub') return true;
  return isMap(node) && node.items.length === 1 && node.has('Fn::Sub');
}

function subParts(node: Node): { text: string; scalar: Scalar; variables: YAMLMap | undefined } {
  const inner: unknown = isMap(node) ? node.get('Fn::Sub', true) : node;
  const scalar: unknown = isSeq(inner) ? inner.items[0] : inner;
  const variables: unknown = isSeq(inner) ? inner.items[1] : undefined;
  if (!isScalar(scalar)) throw new TemplateError('Fn::Sub without a text');
  return { text: String(scalar.value), scalar, variables: isMap(variables) ? variables : undefined };
}

/** The value of a node in long form; plain `true`, `false` and numbers become what they are in JSON. */
export function toValue(node: unknown): Value {
  if (node === undefined || node === null) return null;
  if (isAlias(node)) throw new TemplateError('YAML aliases are not supported');
  const tag = isScalar(node) || isMap(node) || isSeq(node) ? node.tag : undefined;
  const inner = untagged(node);
  if (!tag?.startsWith('!') || tag.startsWith('!!')) return inner;
  const name = tag.slice(1);
  if (name === 'Ref' || name === 'Condition') return { [name]: inner };
  if (name === 'GetAtt') return { 'Fn::GetAtt': attributePair(inner) };
  return { [`Fn::${name}`]: inner };
}

function untagged(node: unknown): Value {
  if (isMap(node)) {
    const entries = node.items.map((pair): [string, Value] => {
      const key = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
      const value = toValue(pair.value);
      return [key, key === 'Fn::GetAtt' ? attributePair(value) : value];
    });
    return Object.fromEntries(entries);
  }
  if (isSeq(node)) return node.items.map(toValue);
  if (isScalar(node)) return scalarValue(node);
  return null;
}

function scalarValue(node: Scalar): Value {
  const text = String(node.value ?? '');
  // A scalar without a type is new, and will be written plain.
  if (node.type !== undefined && node.type !== 'PLAIN') return text;
  if (text === '') return null;
  // YAML 1.1 has them in these three spellings, and Copilot's templates use two.
  if (/^(true|True|TRUE|false|False|FALSE)$/.test(text)) return text.toLowerCase() === 'true';
  // Numbers that JSON writes in the same way; leading zeros and exponents are left as texts.
  if (/^-?(0|[1-9]\d*)(\.\d*[1-9])?$/.test(text) && String(Number(text)) === text) return Number(text);
  return text;
}

function attributePair(value: Value): Value {
  if (typeof value !== 'string') return value;
  const dot = value.indexOf('.');
  return dot < 0 ? [value] : [value.slice(0, dot), value.slice(dot + 1)];
}

/** The resource and the attribute of `{ 'Fn::GetAtt': [...] }`, or nothing. */
export function getAttOf(value: Value): [string, string] | [] {
  const pair = isValueMap(value) ? value['Fn::GetAtt'] : undefined;
  if (!Array.isArray(pair)) return [];
  const [resource, ...attribute] = pair;
  return [String(resource), attribute.map(String).join('.')];
}

export function isValueMap(value: Value | undefined): value is ValueMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function mapOf(value: Value | undefined): ValueMap {
  return isValueMap(value) ? value : {};
}

export function listOf(value: Value | undefined): readonly Value[] {
  if (Array.isArray(value)) return value;
  return value === undefined || value === null ? [] : [value];
}

export function textOf(value: Value | undefined): string | undefined {
  return value === undefined || value === null || typeof value === 'object' ? undefined : String(value);
}

function definitionOf(value: ValueMap): Definition {
  return {
    type: textOf(value.Type) ?? '',
    properties: mapOf(value.Properties),
    condition: textOf(value.Condition),
    dependsOn: listOf(value.DependsOn).map(String),
    deletionPolicy: textOf(value.DeletionPolicy),
    updateReplacePolicy: textOf(value.UpdateReplacePolicy),
  };
}

export function referencesOf(value: Value): Set<string> {
  const found = new Set<string>();
  function look(part: Value): void {
    if (Array.isArray(part)) for (const item of part) look(item);
    if (!isValueMap(part)) return;
    const ref = textOf(part.Ref);
    if (ref !== undefined) found.add(ref);
    const [resource] = getAttOf(part);
    if (resource !== undefined) found.add(resource);
    const sub = part['Fn::Sub'];
    const [text, variables] = Array.isArray(sub) ? sub : [sub];
    for (const [, name = ''] of String(typeof text === 'string' ? text : '').matchAll(subReference)) {
      const [first = ''] = name.split('.');
      if (!(first in mapOf(variables))) found.add(first);
    }
    for (const item of Object.values(part)) look(item);
  }
  look(value);
  return found;
}

/** Whether CloudFormation treats two values as equal, such as `80` and `'80'`, or `true` and `'true'`. */
export function isSame(a: Value | undefined, b: Value | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, i) => isSame(item, b[i]));
  }
  if (isValueMap(a) && isValueMap(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((key) => key in b && isSame(a[key], b[key]));
  }
  if (isValueMap(a) || isValueMap(b)) return false;
  return String(a ?? '') === String(b ?? '');
}
