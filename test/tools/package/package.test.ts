import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { skipWithout } from '../../skip.ts';
import { startRegistry } from './registry.ts';

const ours = fileURLToPath(new URL('../../../', import.meta.url));
const read = (path: string) => JSON.parse(readFileSync(join(ours, path), 'utf8'));

describe('the npm package', function () {
  this.timeout(240_000);
  let folder = '';
  let tarball = '';
  let online = true;

  /** Packs a package as for npm publish, and gives back the path of the tarball. */
  function pack(path: string): string {
    const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
      cwd: join(ours, path),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return join(folder, JSON.parse(packed.slice(packed.indexOf('[')))[0].filename);
  }

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'package-'));
    tarball = pack('tools/package');
    mkdirSync(join(folder, 'installed'));
    writeFileSync(join(folder, 'installed/package.json'), '{ "private": true, "allowScripts": { "node": true } }');
    const install = ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball, 'node22@npm:node@22'];
    online = spawnSync('npm', install, { cwd: join(folder, 'installed'), encoding: 'utf8' }).status === 0;
    const files = {
      'copilot/.workspace': 'application: shop\n',
      'copilot/web/manifest.yml':
        'name: web\ntype: Load Balanced Web Service\nimage: { build: Dockerfile, port: 80 }\nhttp: { path: /, interval: 5s }\n',
    };
    mkdirSync(join(folder, 'installed/copilot/web'), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'installed', name), text);
  });
  after(() => rmSync(folder, { recursive: true }));

  function run(node: string, ...args: string[]) {
    const program = join(folder, 'installed/node_modules/plusone/dist/tools/cli.js');
    const env = { ...process.env, CI: 'false' }; // CI=true has warnings fail.
    return spawnSync(node, [program, ...args], { cwd: join(folder, 'installed'), encoding: 'utf8', env });
  }

  const nodes = {
    'this Node': () => process.execPath,
    'Node 22': () => join(folder, 'installed/node_modules/node22/bin/node'),
  };
  for (const [name, path] of Object.entries(nodes)) {
    it(`checks and translates a workspace on ${name}, installed alone`, function () {
      if (!online) skipWithout(this, 'registry', 'the registry of npm does not answer');
      const version = spawnSync(path(), ['--version'], { encoding: 'utf8' }).stdout;
      expect(version).to.match(name === 'Node 22' ? /^v22\./ : /^v\d+/);
      const check = run(path(), 'check');
      expect([check.status, check.stderr]).to.deep.equal([0, '']);
      expect(check.stdout).to.contain('copilot/web/manifest.yml:4: warning: unknown field "interval" in http');
      const synth = run(path(), 'synth', '--output', '-');
      expect(synth.status, synth.stderr).to.equal(0);
      expect(synth.stdout).to.contain('kind: Deployment');
    });
  }

  it('writes a service with the packages that it came from', function () {
    if (!online) skipWithout(this, 'registry', 'the registry of npm does not answer');
    const { status, stderr } = run(process.execPath, 'new', 'orders', '--field', 'total:decimal');
    expect(status, stderr).to.equal(0);
    const inside = (path: string) => join(folder, 'installed/orders', path);
    const { dependencies, devDependencies } = JSON.parse(readFileSync(inside('package.json'), 'utf8'));
    for (const file of [dependencies['plusone-service'], devDependencies.plusone])
      expect(existsSync(inside(file.replace(/^file:/, ''))), file).to.equal(true);
  });

  it('writes the same service by npm create, with the options after --', async function () {
    if (!online) skipWithout(this, 'registry', 'the registry of npm does not answer');
    const upstream = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();
    const registry = await startRegistry([tarball, pack('tools/package/create')], upstream);
    const empty = mkdtempSync(join(folder, 'empty-'));
    try {
      const created = await npmCreate(['orders', '--', '--field', 'total:decimal'], empty, registry.url);
      expect(created.code, created.said).to.equal(0);
      expect(readFileSync(join(empty, 'orders/src/orders/schema.ts'), 'utf8')).to.contain('total: decimal()');
      const { version, name, resources } = JSON.parse(readFileSync(join(empty, 'orders/plusone.json'), 'utf8'));
      expect([version, name, resources[0].fields]).to.deep.equal([
        read('package.json').version,
        'orders',
        ['total:decimal'],
      ]);

      const again = await npmCreate(['orders'], empty, registry.url);
      expect(again.code).to.equal(69);
      expect(again.said).to.contain('orders is not empty');
    } finally {
      registry.close();
    }
  });

  /** `npm create plusone@latest` with a registry and a cache of its own: the name is looked up as anybody's npm does. */
  function npmCreate(args: readonly string[], cwd: string, registry: string): Promise<{ code: number; said: string }> {
    const env = { ...process.env, npm_config_registry: registry, npm_config_cache: join(folder, 'cache') };
    return new Promise((resolve) =>
      execFile('npm', ['create', '--yes', 'plusone@latest', ...args], { cwd, env }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code ?? 1) : 0, said: stdout + stderr }),
      ),
    );
  }

  it('writes no service into a folder that is not empty, and names what is in it', function () {
    if (!online) skipWithout(this, 'registry', 'the registry of npm does not answer');
    const { status, stderr } = run(process.execPath, 'new', 'orders', '--directory', 'copilot');
    expect([status, /copilot is not empty \(it has .*\); choose another folder/.test(stderr)]).to.deep.equal([
      69,
      true,
    ]);
  });

  it('has types that a strict program compiles with', function () {
    if (!online) skipWithout(this, 'registry', 'the registry of npm does not answer');
    const program =
      "import { checkWorkspace, type Finding, openWorkspace } from 'plusone';\nexport const found: Finding[] = checkWorkspace(openWorkspace(), {});\n";
    writeFileSync(join(folder, 'installed/program.mts'), program);
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2024'];
    const types = ['--types', 'node', '--typeRoots', join(ours, 'node_modules/@types')];
    const tsc = spawnSync(join(ours, 'node_modules/.bin/tsc'), [...options, ...types, 'program.mts'], {
      cwd: join(folder, 'installed'),
      encoding: 'utf8',
    });
    expect(tsc.stdout).to.equal('');
  });

  it('has the version of this repository, and the versions of its dependencies', () => {
    const root = read('package.json');
    const all = { ...root.devDependencies, ...root.dependencies };
    // What npm create runs is of one version of plusone.
    all.plusone = root.version;
    for (const path of ['package.json', 'service/package.json', 'create/package.json']) {
      const { version, dependencies } = read(`tools/package/${path}`);
      expect(version).to.equal(root.version);
      const stated = Object.entries(dependencies).filter(([name, range]) => all[name] !== range);
      expect(stated).to.deep.equal([]);
    }
  });
});
