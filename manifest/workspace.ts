import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { DocumentError, parse, Scalar } from './document.ts';

/** A Copilot workspace on disk. */
export interface Workspace {
  /** The path of the `copilot` folder. */
  folder: string;
  /** Its parent folder: paths in manifests are relative to it. */
  root: string;
  application: string;
  /** The names of its workloads: each a folder with a manifest.yml. */
  workloads: string[];
}

/** A file or folder does not exist; the message has its path. */
export class MissingInput extends Error {}

/**
 * The workspace in that folder: the `copilot` folder itself or the one around it, told by the `.workspace` file that
 * Copilot keeps. Without a path, the workspace that the current folder is somewhere in. Throws MissingInput when there
 * is none, and DocumentError when `.workspace` names no application.
 */
export function openWorkspace(path?: string): Workspace {
  const folder = path === undefined ? folderAround(process.cwd()) : folderIn(path);
  if (!folder && path === undefined)
    throw new MissingInput(
      `no Copilot workspace in ${process.cwd()} or a folder around it: looked for copilot/.workspace, which has the line "application: NAME" (\`copilot app init\` makes it)`,
    );
  if (!folder)
    throw new MissingInput(
      `no Copilot workspace in ${path}: neither ${join(path ?? '', '.workspace')} nor ${join(path ?? '', 'copilot', '.workspace')} is there`,
    );
  const file = join(folder, '.workspace');
  const application = parse(readText(file).text, displayed(file)).get('application');
  if (!(application instanceof Scalar))
    throw new MissingInput(`${displayed(file)} names no application: expected a line such as "application: shop"`);
  const workloads = readdirSync(folder, { withFileTypes: true })
    .filter(
      (entry) => entry.isDirectory() && lstatSync(join(folder, entry.name, 'manifest.yml'), { throwIfNoEntry: false }),
    )
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

/** More than CloudFormation takes of any template. */
const maxSize = 2 ** 20;

/**
 * A text file of the workspace, in UTF-8 or what its byte order mark says, and the name that messages give it; a file that
 * is read `loosely` may have bytes that are no text. Throws MissingInput, and DocumentError for a file that is no text.
 */
export function readText(path: string, loosely = false): { text: string; name: string } {
  const name = displayed(path);
  const bytes = attempt(path, () => {
    const status = statSync(path);
    if (status.isDirectory()) throw new MissingInput(`${name} is a folder: expected a file`);
    if (!status.isFile()) throw new MissingInput(`${name} is a device or a pipe: expected a file`);
    if (status.size > maxSize) throw new DocumentError(name, [{ line: 1, message: 'the file is larger than 1 MiB' }]);
    return readFileSync(path);
  });
  try {
    return { text: new TextDecoder(encodingOf(bytes), { fatal: !loosely }).decode(bytes), name };
  } catch {
    const line = bytes.subarray(0, firstWrong(bytes)).toString('latin1').split('\n').length;
    throw new DocumentError(name, [{ line, message: 'a character that is not in UTF-8: save the file as UTF-8' }]);
  }
}

function encodingOf([first, second]: Buffer): string {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  return first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
}

/** How many bytes are UTF-8 from the first one on. */
function firstWrong(bytes: Buffer): number {
  const again = Buffer.from(bytes.toString('utf8'), 'utf8');
  const index = bytes.findIndex((byte, i) => byte !== again[i]);
  return index < 0 ? 0 : index;
}

/** The names in a folder, sorted; none where the folder does not exist. Throws MissingInput for one that can't be read. */
export function namesIn(folder: string): string[] {
  try {
    return attempt(folder, () => readdirSync(folder)).toSorted();
  } catch (error) {
    if (error instanceof MissingInput && !attempt(folder, () => lstatSync(folder, { throwIfNoEntry: false })))
      return [];
    throw error;
  }
}

/** Whether a path leads to a file. */
export function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** What stands for the codes of the file system, for people. */
const failures: Readonly<Record<string, string>> = {
  ENOENT: 'is not there',
  ENOTDIR: 'is no folder',
  EACCES: 'may not be read: permission denied',
  EPERM: 'may not be read: permission denied',
  ELOOP: 'is a symbolic link that leads back to itself',
};

function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (failures[code]) throw new MissingInput(`${displayed(path)} ${failures[code]}`);
    throw error;
  }
}

/** A path relative to the current folder. */
export function displayed(path: string): string {
  const here = relative(process.cwd(), path);
  return here.startsWith('..') ? path : here || basename(path);
}
