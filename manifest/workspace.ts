import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { parse, Scalar } from './document.ts';

/** A Copilot workspace on disk. */
export interface Workspace {
  /** The `copilot` folder. */
  folder: string;
  /** The folder around it, from which manifests name Dockerfiles and env files. */
  root: string;
  application: string;
  /** The names of its workloads: each a folder with a manifest.yml. */
  workloads: string[];
}

/** Something that was to be read is not there; the message says what and where it was looked for. */
export class MissingInput extends Error {}

/**
 * The workspace in that folder: the `copilot` folder itself or the one around it, told by the `.workspace` file that
 * Copilot keeps. Without a path, the workspace that the current folder is somewhere in. Throws MissingInput when there is none, and DocumentError when `.workspace` names no application.
 */
export function openWorkspace(path?: string): Workspace {
  const folder = path === undefined ? folderAround(process.cwd()) : folderIn(path);
  if (!folder && path === undefined)
    throw new MissingInput(
      `no Copilot workspace in ${process.cwd()} or a folder around it: looked for copilot/.workspace, which \`copilot app init\` makes`,
    );
  if (!folder)
    throw new MissingInput(
      `no Copilot workspace in ${path}: neither ${join(path ?? '', '.workspace')} nor ${join(path ?? '', 'copilot', '.workspace')} is there`,
    );
  const file = join(folder, '.workspace');
  const application = parse(readFileSync(file, 'utf8'), displayed(file)).get('application');
  if (!(application instanceof Scalar))
    throw new MissingInput(`${displayed(file)} names no application: expected a line such as "application: shop"`);
  const workloads = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, 'manifest.yml')))
    .map(({ name }) => name)
    .toSorted();
  return { folder, root: dirname(folder), application: application.text, workloads };
}

function folderIn(path: string): string | undefined {
  return [path, join(path, 'copilot')]
    .map((candidate) => resolve(candidate))
    .find((candidate) => existsSync(join(candidate, '.workspace')));
}

function folderAround(path: string): string | undefined {
  const found = folderIn(path);
  return found || dirname(path) === path ? found : folderAround(dirname(path));
}

/**
 * A text file of the workspace and the name that messages give it. Throws MissingInput.
 */
export function readText(path: string): { text: string; name: string } {
  const name = displayed(path);
  try {
    return { text: readFileSync(path, 'utf8'), name };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') throw new MissingInput(`${name} is not there`);
    if (code === 'EISDIR') throw new MissingInput(`${name} is a folder: expected a file`);
    throw error;
  }
}

/** A path as someone in this folder would type it. */
export function displayed(path: string): string {
  const here = relative(process.cwd(), path);
  return here.startsWith('..') ? path : here || basename(path);
}
