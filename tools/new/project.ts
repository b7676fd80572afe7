/** `plusone.json` of a generated service: what it was made from, so that it can be extended and upgraded. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../../k8s/errors.ts';
import { Refusal } from '../terminal/refusal.ts';

export const PROJECT_FILE = 'plusone.json';

const projectSchema = z.strictObject({
  /** The version of the template. */
  version: z.string(),
  name: z.string(),
  port: z.int(),
  resources: z
    .array(
      z.strictObject({
        name: z.string(),
        /** As on the command line: NAME:TYPE or NAME:TYPE:optional. */
        fields: z.array(z.string()),
        /** The time in the name of its first migration, YYYYMMDDhhmmss. */
        created: z.string(),
      }),
    )
    .min(1),
  /** The SHA-256 of each file as it was written: another one was edited. */
  files: z.record(z.string(), z.string()),
});

export type Project = Omit<z.output<typeof projectSchema>, 'files'>;
export type Resource = Project['resources'][number];

/** The files of a project by their paths. */
export type Files = ReadonlyMap<string, string>;

export const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');

/** The text of `plusone.json`. */
export function projectText(project: Project, hashes: ReadonlyMap<string, string>): string {
  const files = Object.fromEntries([...hashes].toSorted(([one], [other]) => (one < other ? -1 : 1)));
  return `${JSON.stringify({ ...project, files }, undefined, 2)}\n`;
}

/** The folder of the project that the current folder is somewhere in; without a project, the current folder. */
export function projectFolder(): string {
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    if (existsSync(join(folder, PROJECT_FILE))) return folder;
    if (dirname(folder) === folder) return process.cwd();
  }
}

/**
 * Reads the project in a folder.
 * @throws {Refusal} if there is none; {UsageError} if it is not as it was written
 */
export function readProject(folder: string): { project: Project; hashes: Map<string, string> } {
  const file = join(folder, PROJECT_FILE);
  if (!existsSync(file))
    throw new Refusal(
      `there is no ${PROJECT_FILE} in ${folder}: run this in the folder of a service that plusone new wrote`,
    );
  const text = readFileSync(file, 'utf8');
  const parsed = projectSchema.safeParse(parseJson(text));
  if (!parsed.success)
    throw new UsageError(`${file}: ${z.prettifyError(parsed.error)}\nRestore it: git checkout ${PROJECT_FILE}`);
  const { files, ...project } = parsed.data;
  return { project, hashes: new Map(Object.entries(files)) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
