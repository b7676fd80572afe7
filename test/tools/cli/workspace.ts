import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../../../tools/cli.ts', import.meta.url));

/** A folder for one test, with files and the program to run in it. */
export class TestFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'workspace-'));

  write(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) {
      const file = join(this.path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }

  read(name: string): string {
    return readFileSync(join(this.path, name), 'utf8');
  }

  /** Runs `plusone` here, or in a folder below. */
  plusone(args: readonly string[], { below = '', env = {} } = {}): SpawnSyncReturns<string> {
    return spawnSync(process.execPath, [cli, ...args], {
      cwd: join(this.path, below),
      env: { PATH: process.env.PATH, ...env },
      encoding: 'utf8',
    });
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }
}

/** The manifest of a web service with these lines more, the first of them the fifth. */
export const webService = (...lines: string[]) =>
  [
    'name: web',
    'type: Load Balanced Web Service',
    'image: { location: "web:1", port: 80 }',
    'http: { path: / }',
    ...lines,
  ].join('\n');
