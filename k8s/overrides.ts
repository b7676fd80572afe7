import type { Fields } from '../manifest/fields.ts';
import type { Container } from './containers.ts';

const carried = ['EntryPoint', 'Command', 'User', 'StopTimeout', 'ReadonlyRootFilesystem'] as const;
type Property = (typeof carried)[number];

const path = /^ContainerDefinitions\[(\d+)\]\.(\w+)$/;

/** What `taskdef_overrides` say of that property of a container: a text, a list or a map; undefined for nothing. */
export function taskOverride(
  { taskdef_overrides = [] }: Fields,
  { place }: { place: number },
  property: Property,
): unknown {
  return taskdef_overrides.findLast((item) => item.path === `ContainerDefinitions[${place}].${property}`)?.value;
}

/** The same, where the property is a list of texts. */
export function taskOverrideTexts(fields: Fields, container: Container, property: Property): string[] | undefined {
  const value = taskOverride(fields, container, property);
  return Array.isArray(value) ? value.map(String) : undefined;
}

/** Whether an item of `taskdef_overrides` at that path has an effect here; a time-out and a user have to be numbers. */
export function isCarried(at: string | undefined, value: unknown): boolean {
  const [, , property] = path.exec(at ?? '') ?? [];
  if (property === 'StopTimeout') return /^\d+$/.test(String(value));
  if (property === 'User') return /^\d+(:\d+)?$/.test(String(value));
  return carried.some((known) => known === property);
}
