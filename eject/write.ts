import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Inventory } from './inventory.ts';
import { type Change, stepNames } from './steps.ts';

/** Writes a file with the folders above it. */
export function writeText(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** The files of all steps by their paths: the templates, what is expected of each change set, and how to undo it. */
export function stepFiles(changes: readonly Change[]): Map<string, string> {
  const files = new Map<string, string>();
  for (const { step, stack, from, to, expected } of changes) {
    const folder = `${stepNames.indexOf(step) + 1}-${step}`;
    files.set(join('steps', folder, stack.name, 'template.yml'), to.text());
    files.set(join('steps', folder, stack.name, 'expected.json'), json(expected));
    files.set(join('undo', folder, stack.name, 'template.yml'), from.text());
  }
  return files;
}

/** The files of the stacks as they are when all steps are done. */
export function stackFiles(inventory: Inventory, changes: readonly Change[]): Map<string, string> {
  const files = new Map<string, string>();
  for (const stack of inventory.stacks.filter(({ kind }) => kind !== 'nested')) {
    const last = changes.findLast((change) => change.stack.name === stack.name);
    if (!last) continue;
    const names = Object.keys(last.to.section('Parameters'));
    const parameters = names.flatMap((ParameterKey) => {
      const ParameterValue = stack.parameters[ParameterKey];
      return ParameterValue === undefined ? [] : [{ ParameterKey, ParameterValue }];
    });
    const tags = Object.entries(stack.tags).map(([Key, Value]) => ({ Key, Value }));
    files.set(join('stacks', stack.name, 'template.yml'), last.to.text());
    files.set(join('stacks', stack.name, 'parameters.json'), json(parameters));
    files.set(join('stacks', stack.name, 'tags.json'), json(tags));
  }
  return files;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Those of the files that are there with another content, by their paths. */
export function edited(folder: string, files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) => {
    const file = join(folder, path);
    return existsSync(file) && readFileSync(file, 'utf8') !== text ? [file] : [];
  });
}
