/**
 * Compiles what the npm packages hold into dist/, before `npm pack` and `npm publish`: Node strips no types in node_modules.
 * `plusone` has its own package.json, since the service's dependencies are not those of the tools; `plusone-service`, the
 * general part of src/, is packed first and is inside `plusone`, for the services that `plusone new` writes.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const dist = join(here, 'dist');
const service = join(here, 'service');

function compile(project: string): void {
  rmSync(join(project, 'dist'), { recursive: true, force: true });
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['--project', project], { stdio: 'inherit' });
  copyFileSync(join(root, 'LICENSE'), join(project, 'LICENSE'));
}

function copy(names: readonly string[], from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of names) copyFileSync(join(from, name), join(to, name));
}

compile(here);
// What the code reads at run time.
const others = readdirSync(join(root, 'local-kind')).filter((name) => !name.endsWith('.ts'));
copy(others, join(root, 'local-kind'), join(dist, 'local-kind'));
cpSync(join(root, 'tools/new/template'), join(dist, 'tools/new/template'), { recursive: true });
const monitoring = 'tools/dashboard/kubernetes';
copy(['namespace.yaml', 'prometheus.yaml'], join(root, monitoring), join(dist, monitoring));
const { name, version, type } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));
writeFileSync(join(dist, 'package.json'), `${JSON.stringify({ name, version, type })}\n`);

compile(service);
const assets = 'src/web/assets';
copy(['page.css', 'docs.css', 'docs.js'], join(root, assets), join(service, 'dist', assets));
mkdirSync(join(dist, 'vendor'));
execFileSync('npm', ['pack', '--silent', '--pack-destination', join(dist, 'vendor')], {
  cwd: service,
  stdio: ['ignore', 'ignore', 'inherit'],
});
