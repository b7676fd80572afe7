import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { run } from '../terminal/programs.ts';
import { Refusal } from '../terminal/refusal.ts';
import { type Files, hashOf, PROJECT_FILE, type Project, projectText } from './project.ts';
import { render } from './render.ts';
import { VENDORED, writeVendor } from './vendor.ts';

/**
 * Writes the repository of a service into a folder that is empty or not there; all of it or nothing.
 * @throws {Refusal} if the folder is not empty
 */
export async function create(project: Project, directory: string): Promise<void> {
  const folder = resolve(directory);
  requireEmpty(folder);
  const files = render(project, VENDORED);
  mkdirSync(dirname(folder), { recursive: true });
  const made = mkdtempSync(join(dirname(folder), '.plusone-new-'));
  try {
    writeFiles(made, files);
    writeFileSync(join(made, PROJECT_FILE), projectText(project, hashesOf(files)));
    await writeVendor(made);
    if (!(await isInRepository(dirname(folder)))) await run('git', ['init', '--quiet', '--initial-branch=main', made]);
    if (existsSync(folder)) rmdirSync(folder);
    renameSync(made, folder);
    // A temporary folder is for its owner alone.
    chmodSync(folder, 0o777 & ~process.umask());
  } catch (error) {
    rmSync(made, { recursive: true, force: true });
    throw error;
  }
}

/** The hashes of files as they are written. */
export function hashesOf(files: Files): Map<string, string> {
  return new Map([...files].map(([path, text]) => [path, hashOf(text)]));
}

export function writeFiles(folder: string, files: Files): void {
  for (const [path, text] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

function requireEmpty(folder: string): void {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') return;
    if (code === 'ENOTDIR') throw new Refusal(`${folder} is a file; choose another folder with --directory`);
    throw error;
  }
  const [first] = names;
  if (first !== undefined)
    throw new Refusal(`${folder} is not empty (it has ${first}); choose another folder with --directory`);
}

async function isInRepository(folder: string): Promise<boolean> {
  return await run('git', ['-C', folder, 'rev-parse', '--is-inside-work-tree']).then(
    () => true,
    () => false,
  );
}
