/**
 * Compiles what the npm package holds into dist/, before `npm pack` and `npm publish`: Node strips no types in
 * node_modules. The package has its own package.json, since the service's dependencies are not those of the tools.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const dist = join(here, 'dist');

rmSync(dist, { recursive: true, force: true });
execFileSync(join(root, 'node_modules/.bin/tsc'), ['--project', here], { stdio: 'inherit' });
// What the code reads at run time.
mkdirSync(join(dist, 'local-kind'), { recursive: true });
for (const name of readdirSync(join(root, 'local-kind')).filter((name) => !name.endsWith('.ts')))
  copyFileSync(join(root, 'local-kind', name), join(dist, 'local-kind', name));
const { name, version, type } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));
writeFileSync(join(dist, 'package.json'), `${JSON.stringify({ name, version, type })}\n`);
copyFileSync(join(root, 'LICENSE'), join(here, 'LICENSE'));
