import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../../k8s/errors.ts';
import { Refusal } from '../terminal/refusal.ts';
import { writeFiles } from './create.ts';
import { pluralOf } from './names.ts';
import { type Files, hashOf, PROJECT_FILE, projectText, readProject } from './project.ts';
import { isListed, render, withResource } from './render.ts';

/** What was added: the paths that were written, and the lists that the owner has to complete. */
export interface Added {
  readonly written: readonly string[];
  readonly byHand: readonly string[];
}

/** The lists of resources and migrations, which the owner may have edited. */
const LISTS = ['src/resources.ts', 'src/migrations/index.ts'];

/**
 * Adds a resource to the service in `folder`. A second run writes nothing, or what an interrupted one did not.
 * `now` is the time in the name of its migration, YYYYMMDDhhmmss.
 * @throws {Refusal} if one of its files, or its table, is there already; {UsageError} if the service has it with other fields
 */
export function addResource(folder: string, name: string, fields: readonly string[], now: string): Added {
  const { project, hashes } = readProject(folder);
  const known = project.resources.find((resource) => resource.name === name);
  if (known && known.fields.join(' ') !== fields.join(' '))
    throw new UsageError(
      `--field: the service has the resource ${name} already, with ${known.fields.join(' ')}; add a field in src/${pluralOf(name)}/schema.ts and a migration`,
    );
  const latest =
    project.resources
      .map(({ created }) => created)
      .toSorted()
      .at(-1) ?? '';
  const created = now > latest ? now : String(BigInt(latest) + 1n);
  const resource = known ?? { name, fields: [...fields], created };
  const lists = onDisk(folder, LISTS);
  if (known && isListed(lists, known)) return { written: [], byHand: [] };

  const all = known ? project : { ...project, resources: [...project.resources, resource] };
  const rendered = render(all, {});
  const own = new Map([...withResource(new Map(), project, resource)].filter(([path]) => rendered.has(path)));
  for (const [path, text] of own) {
    const file = join(folder, path);
    if (existsSync(file) && readFileSync(file, 'utf8') !== text && !known)
      throw new Refusal(`${path} is there already; move it away, or choose another name for the resource`);
  }
  const creating = known ? undefined : migrationOf(folder, pluralOf(name));
  if (creating !== undefined)
    throw new Refusal(`${creating} creates a table ${pluralOf(name)} already; choose another name for the resource`);
  const missing = new Map([...own].filter(([path]) => !existsSync(join(folder, path))));
  const edited = new Map([...withResource(lists, project, resource)].filter(([path]) => lists.has(path)));
  const changed = new Map([...edited].filter(([path, text]) => lists.get(path) !== text));

  // First: a run that is interrupted is continued with the same name of the migration.
  const after = new Map(hashes);
  for (const [path, text] of missing) after.set(path, hashOf(text));
  for (const [path, text] of changed)
    if (hashOf(lists.get(path) ?? '') === hashes.get(path)) after.set(path, hashOf(text));
  writeFiles(folder, new Map([[PROJECT_FILE, projectText(all, after)]]));
  writeFiles(folder, missing);
  writeFiles(folder, changed);
  const byHand = isListed(edited, resource) ? [] : LISTS.filter((path) => !changed.has(path));
  return { written: [...missing.keys(), ...changed.keys()], byHand };
}

/** The migration of the owner that creates a table; undefined if there is none, as far as its text shows. */
function migrationOf(folder: string, table: string): string | undefined {
  const creates = new RegExp(`create\\s*table\\w*[\\s(]+(if\\s+not\\s+exists\\s+)?['"\`]?${table}\\b`, 'i');
  const migrations = join(folder, 'src/migrations');
  if (!existsSync(migrations)) return undefined;
  const found = readdirSync(migrations).find((file) => creates.test(readFileSync(join(migrations, file), 'utf8')));
  return found && `src/migrations/${found}`;
}

/** Those of the files that are there. */
function onDisk(folder: string, paths: readonly string[]): Files {
  return new Map(
    paths
      .filter((path) => existsSync(join(folder, path)))
      .map((path) => [path, readFileSync(join(folder, path), 'utf8')]),
  );
}
