import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failed, output } from '../terminal/programs.ts';
import { Refusal } from '../terminal/refusal.ts';
import { version } from '../terminal/version.ts';
import { writeFiles } from './create.ts';
import { hashOf, PROJECT_FILE, projectText, readProject } from './project.ts';
import { render } from './render.ts';
import { VENDORED, writeVendor } from './vendor.ts';

/** What an upgrade did. */
export interface Upgraded {
  readonly from: string;
  readonly to: string;
  /** Files that nobody had edited, and that are now as the template has them. */
  readonly written: readonly string[];
  /** Files that were edited and that the template changed too: they stay, and the difference is shown. */
  readonly kept: readonly { readonly path: string; readonly difference: string }[];
}

/**
 * Brings the service in `folder` to the template and the packages of this version. It overwrites no file that was edited
 * and creates none that was deleted. A second run changes nothing, and shows what is still different.
 * @throws {Refusal} if a newer version wrote the service
 */
export async function upgrade(folder: string): Promise<Upgraded> {
  const { project, hashes } = readProject(folder);
  if (project.version.localeCompare(version, 'en', { numeric: true }) > 0)
    throw new Refusal(`the service is of version ${project.version}, and this is plusone ${version}: run a newer one`);
  const next = { ...project, version };
  const files = render(next, VENDORED);
  const after = new Map(hashes);
  const write = new Map<string, string>();
  const kept: { path: string; difference: string }[] = [];

  for (const [path, text] of files) {
    const file = join(folder, path);
    const recorded = hashes.get(path);
    if (!existsSync(file)) {
      if (recorded !== undefined) continue; // Its owner deleted it.
      write.set(path, text);
      after.set(path, hashOf(text));
      continue;
    }
    const own = readFileSync(file, 'utf8');
    if (own === text) after.set(path, hashOf(text));
    else if (recorded === hashOf(own)) {
      write.set(path, text);
      after.set(path, hashOf(text));
    } else {
      // The tarballs have other names, also in a package.json with other edits.
      const moved = path === 'package.json' ? withVendored(own) : own;
      if (moved !== own) write.set(path, moved);
      if (recorded !== hashOf(text)) kept.push({ path, difference: await differenceOf(path, moved, text) });
    }
  }
  if (project.version !== version) {
    await writeVendor(folder);
    const vendor = join(folder, 'vendor');
    const current: readonly string[] = Object.values(VENDORED);
    for (const name of readdirSync(vendor))
      if (/^plusone(-service)?-\d.*\.tgz$/.test(name) && !current.includes(name)) rmSync(join(vendor, name));
  }
  writeFiles(folder, write);
  writeFileSync(join(folder, PROJECT_FILE), projectText(next, after));
  return { from: project.version, to: version, written: [...write.keys()], kept };
}

function withVendored(packageJson: string): string {
  return packageJson
    .replace(/vendor\/plusone-service-[\d.]+\.tgz/g, `vendor/${VENDORED['plusone-service']}`)
    .replace(/vendor\/plusone-[\d.]+\.tgz/g, `vendor/${VENDORED.plusone}`);
}

/** The lines that the template has in place of those of the owner, as `git diff` shows them. */
async function differenceOf(path: string, own: string, template: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'plusone-diff-'));
  try {
    writeFileSync(join(folder, 'yours'), own);
    writeFileSync(join(folder, 'template'), template);
    const shown = await output('git', ['-C', folder, 'diff', '--no-index', '--no-color', 'yours', 'template']).catch(
      (error: unknown) => {
        // 1 says that there is a difference.
        if (error instanceof Failed && error.code === 1) return error.stdout;
        throw error;
      },
    );
    const lines = shown.split('\n');
    const from = lines.findIndex((line) => line.startsWith('@@'));
    return [`--- ${path} (yours)`, `+++ ${path} (the template)`, ...lines.slice(Math.max(0, from))].join('\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
