import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hashesOf, writeFiles } from '../../../tools/new/create.ts';
import { type Files, PROJECT_FILE, type Project, projectText } from '../../../tools/new/project.ts';
import { render } from '../../../tools/new/render.ts';
import { VENDORED } from '../../../tools/new/vendor.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const modules = join(root, 'node_modules');

/** A project with one resource. */
export function projectOf(name: string, resource: string, fields: readonly string[], port = 5000): Project {
  const resources = [{ name: resource, fields: [...fields], created: '20261129120000' }];
  return { version: '1.0.0', name, port, resources };
}

/** Fields of every type. */
export const EVERY_TYPE = [
  'title:text',
  'count:integer',
  'weight:number',
  'price:decimal',
  'isPaid:boolean',
  'dueDate:date',
  'sentAt:datetime:optional',
  'contact:email:optional',
];

/**
 * A generated service in a folder of its own. It runs on the dependencies of this repository, and on the general part of
 * this src/ in place of the package `plusone-service`.
 */
export class GeneratedService {
  readonly folder = mkdtempSync(join(tmpdir(), 'generated-'));
  readonly files: Files;

  constructor(project: Project) {
    this.files = render(project, VENDORED);
    writeFiles(this.folder, this.files);
    writeFileSync(join(this.folder, PROJECT_FILE), projectText(project, hashesOf(this.files)));
    execFileSync('git', ['init', '--quiet', this.folder]);
    const own = join(this.folder, 'node_modules');
    mkdirSync(join(own, 'plusone-service'), { recursive: true });
    for (const name of readdirSync(modules)) symlinkSync(join(modules, name), join(own, name));
    const index = JSON.stringify(join(root, 'tools/package/service/index.ts'));
    const types = JSON.stringify(join(root, 'src/http/negotiator.d.ts'));
    const service = {
      'package.json': JSON.stringify({ name: 'plusone-service', type: 'module', exports: './index.js' }),
      'index.js': `export * from ${index};\n`,
      'index.d.ts': `/// <reference path=${types} />\nexport * from ${index};\n`,
    };
    for (const [name, text] of Object.entries(service)) writeFileSync(join(own, 'plusone-service', name), text);
  }

  /** Runs a program of the dependencies, and gives back its exit code and all that it said. */
  run(program: string, ...args: string[]): { status: number | null; output: string } {
    const path = `${join(modules, '.bin')}:${process.env.PATH}`;
    const options = { cwd: this.folder, encoding: 'utf8', env: { ...process.env, PATH: path } } as const;
    const { status, stdout, stderr } = spawnSync(join(modules, '.bin', program), args, options);
    return { status, output: stdout + stderr };
  }

  /** Runs `plusone`. */
  plusone(...args: string[]): { status: number | null; output: string } {
    return this.run('node', join(root, 'tools/cli.ts'), ...args);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
