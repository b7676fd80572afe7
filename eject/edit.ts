import { Scalar, YAMLMap, YAMLSeq } from 'yaml';
import type { Path } from '../manifest/document.ts';
import type { Fields } from '../manifest/fields.ts';
import type { Template } from './template.ts';

/** A release in the making: what the edits of a manifest change so far. */
export interface Work {
  readonly template: Template;
  readonly parameters: Record<string, string>;
  /** The resources that may change. */
  readonly touched: Set<string>;
  readonly added: Set<string>;
  readonly removed: Set<string>;
  readonly old: Fields;
  readonly fields: Fields;
}

/** Applies an edit, or returns the reason why it can't. */
export type Handler = (work: Work, path: Path) => string | undefined;

export function workOn(template: Template, old: Fields, fields: Fields): Work {
  return { template, parameters: {}, touched: new Set(), added: new Set(), removed: new Set(), old, fields };
}

/** The paths at which two values differ, as deep as both are maps. */
export function changedPaths(a: unknown, b: unknown, path: Path = []): Path[] {
  if (isRecord(a) && isRecord(b)) {
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
    return keys.flatMap((key) => changedPaths(a[key], b[key], [...path, key]));
  }
  // A part that is added or removed counts as edits of its fields.
  if (isRecord(a) && b === undefined) return Object.keys(a).length > 0 ? changedPaths(a, {}, path) : [];
  if (isRecord(b) && a === undefined) return Object.keys(b).length > 0 ? changedPaths({}, b, path) : [];
  return JSON.stringify(a) === JSON.stringify(b) ? [] : [path];
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function setParameter(parameters: Record<string, string>, name: string, value: number | string): undefined {
  parameters[name] = String(value);
}

/** Sets a property of a resource, or removes it. */
export function put({ template }: Work, [id = '', ...rest]: readonly string[], value: unknown): void {
  const path = ['Resources', id, 'Properties', ...rest];
  if (value === undefined) template.delete(path);
  else template.set(path, nodeOf(value));
}

/** A node with quoted texts, so that YAML 1.1 reads them as texts too. */
export function nodeOf(value: unknown): Scalar | YAMLSeq | YAMLMap {
  if (Array.isArray(value)) {
    const list = new YAMLSeq();
    for (const item of value) list.items.push(nodeOf(item));
    return list;
  }
  if (isRecord(value)) {
    const map = new YAMLMap();
    for (const [key, item] of Object.entries(value)) map.set(keyOf(key), nodeOf(item));
    return map;
  }
  const scalar = new Scalar(String(value));
  scalar.type = typeof value === 'string' ? Scalar.QUOTE_DOUBLE : Scalar.PLAIN;
  return scalar;
}

function keyOf(key: string): Scalar {
  const scalar = new Scalar(key);
  if (!/^[A-Za-z][\w:]*$/.test(key)) scalar.type = Scalar.QUOTE_DOUBLE;
  return scalar;
}

/** Adds a resource. */
export function addResource({ template, added }: Work, id: string, definition: unknown): void {
  template.set(['Resources', id], nodeOf(definition));
  added.add(id);
}

/** Removes a resource if it exists. */
export function removeResource({ template, removed }: Work, id: string): void {
  if (!template.node(['Resources', id])) return;
  template.delete(['Resources', id]);
  removed.add(id);
}
