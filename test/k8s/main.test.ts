import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { webService } from './workload.ts';

const cli = fileURLToPath(new URL('../../tools/cli.ts', import.meta.url));
const ours = fileURLToPath(new URL('../../', import.meta.url));
const snapshot = fileURLToPath(new URL('./fixtures/plusone.k8s.yaml', import.meta.url));

function run(cwd: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'synth', ...args], { cwd, encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe('plusone synth', function () {
  this.timeout(20_000);
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'workspace-'));
    workspace({ api: webService() });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** A workspace of the application `shop` with these manifests. */
  function workspace(manifests: Record<string, string>) {
    mkdirSync(join(folder, 'copilot'), { recursive: true });
    writeFileSync(join(folder, 'copilot', '.workspace'), 'application: shop\n');
    for (const [name, text] of Object.entries(manifests)) {
      mkdirSync(join(folder, 'copilot', name), { recursive: true });
      writeFileSync(join(folder, 'copilot', name, 'manifest.yml'), text);
    }
  }

  it('writes one file for the workload and says where', () => {
    const { status, stdout } = run(folder, '--environment', 'test', '--output', 'out');
    expect(status).to.equal(0);
    expect(stdout).to.contain('out/api.k8s.yaml: api of the environment "test", for the namespace "shop"');
    const kinds = parseAllDocuments(readFileSync(join(folder, 'out', 'api.k8s.yaml'), 'utf8')).map((document) =>
      document.get('kind'),
    );
    expect(kinds.slice(0, 2)).to.deep.equal(['Namespace', 'ServiceAccount']);
  });

  it('replaces its earlier output', () => {
    run(folder, '--output', 'out');
    workspace({ api: webService('cpu: 2048') });
    run(folder, '--output', 'out');
    expect(readFileSync(join(folder, 'out', 'api.k8s.yaml'), 'utf8')).to.contain('cpu: 2000m');
  });

  it('works from any folder, with the workspace or the folder around it', () => {
    for (const path of [folder, join(folder, 'copilot')]) {
      expect(run(tmpdir(), '--workspace', path, '--output', join(folder, 'out')).status).to.equal(0);
    }
  });

  it('reports what is not supported, what has to be built, and which secrets have to exist', () => {
    workspace({ api: webService('observability: { tracing: awsxray }', 'secrets: { TOKEN: /shop/token }') });
    const { stdout } = run(folder, '--output', 'out', '--image', 'api:7');
    expect(stdout).to.match(/Not supported:\n {2}observability {2}no X-Ray here/);
    expect(stdout).to.match(/Images to build and load into the cluster:\n {2}api:7 {2}built from Dockerfile/);
    expect(stdout).to.match(/Keys of the Secret "api-secrets", which must exist:\n {2}TOKEN {2}SSM \/shop\/token/);
  });

  it('says when the manifest has no section for the environment', () => {
    workspace({ api: webService('environments: { prod: { cpu: 512 } }') });
    expect(run(folder, '--environment', 'prdo', '--output', 'out').stdout).to.contain('no section for "prdo"');
  });

  it('finds an env file from the root of the workspace', () => {
    workspace({ api: webService('env_file: config/api.env') });
    mkdirSync(join(folder, 'config'));
    writeFileSync(join(folder, 'config', 'api.env'), 'COLOUR=blue\n');
    run(tmpdir(), '--workspace', folder, '--output', join(folder, 'out'));
    expect(readFileSync(join(folder, 'out', 'api.k8s.yaml'), 'utf8')).to.contain('COLOUR');
  });

  it('gives every container what the platform file says', () => {
    writeFileSync(join(folder, 'platform.env'), '# not a secret\nAWS_REGION=eu-west-1\n');
    run(folder, '--platform-env', 'platform.env', '--output', 'out');
    expect(readFileSync(join(folder, 'out', 'api.k8s.yaml'), 'utf8')).to.match(/name: AWS_REGION\n\s+value: eu-west-1/);
  });

  it('reports files beside the manifest that only CloudFormation reads', () => {
    mkdirSync(join(folder, 'copilot', 'api', 'addons'));
    expect(run(folder, '--output', 'out').stdout).to.match(/copilot\/api\/addons {2}CloudFormation only/);
  });

  it('explains itself', () => {
    const { status, stdout } = run(folder, '--help');
    expect([status, stdout.includes('--platform-env FILE')]).to.deep.equal([0, true]);
  });

  for (const [args, message] of [
    [['--colour', 'blue'], "Unknown option '--colour'"],
    [['--node-port', '80'], '--node-port 80: expected a whole number from 30000 to 32767'],
    [['--reserve', 'all'], '--reserve all: expected a whole number from 1 to 100'],
    [['api'], 'Unexpected argument'],
  ] as const) {
    it(`exits with 64 and names the help on ${args.join(' ')}`, () => {
      const { status, stderr } = run(folder, ...args);
      expect(status).to.equal(64);
      expect(stderr).to.contain(message).and.contain('Usage: plusone synth --help');
    });
  }

  it('exits with 64 for --image without --service if there are several workloads', () => {
    workspace({ web: webService() });
    const { status, stderr } = run(folder, '--image', 'api:7');
    expect(status).to.equal(64);
    expect(stderr).to.contain('--image needs --service: the workspace has api, web');
  });

  it('exits with 65 and file:line when the manifest is wrong, and leaves the old output', () => {
    run(folder, '--output', 'out');
    const before = readFileSync(join(folder, 'out', 'api.k8s.yaml'), 'utf8');
    workspace({ api: webService('cpu: lots') });
    const { status, stderr } = run(folder, '--output', 'out');
    expect(status).to.equal(65);
    expect(stderr).to.equal('copilot/api/manifest.yml:5: cpu: expected a whole number, found "lots"\n');
    expect(readFileSync(join(folder, 'out', 'api.k8s.yaml'), 'utf8')).to.equal(before);
  });

  it('warns of a field that Copilot ignores, and refuses it with --strict', () => {
    workspace({ api: webService('htpp: 1') });
    const warning = 'copilot/api/manifest.yml:5: unknown field "htpp"';
    const lenient = run(folder);
    expect(lenient.status).to.equal(0);
    expect(lenient.stderr).to.contain(`warning: ${warning}`);
    const strict = run(folder, '--strict');
    expect(strict.status).to.equal(65);
    expect(strict.stderr).to.contain(warning);
  });

  it('exits with 65 when a schedule can not be kept', () => {
    workspace({
      nightly: 'name: nightly\ntype: Scheduled Job\nimage: { build: D }\non: { schedule: cron(0 0 L * ? *) }',
    });
    const { status, stderr } = run(folder, '--service', 'nightly');
    expect(status).to.equal(65);
    expect(stderr).to.equal(
      'copilot/nightly/manifest.yml:4: "cron(0 0 L * ? *)" has "L", which a CronJob does not support\n',
    );
  });

  for (const [what, args, message] of [
    ['workspace', ['--workspace', 'nowhere'], 'no Copilot workspace in nowhere'],
    ['workload', ['--service', 'web'], 'no workload "web" in copilot; found: api'],
    ['platform file', ['--platform-env', 'nothing.env'], 'nothing.env is not there'],
  ] as const) {
    it(`exits with 66 when the ${what} is not there`, () => {
      const { status, stderr } = run(folder, ...args);
      expect([status, stderr.trim()]).to.satisfy(
        ([code, text]: [number, string]) => code === 66 && text.startsWith(message),
      );
    });
  }

  it('exits with 73 when the output can not be written', () => {
    writeFileSync(join(folder, 'out'), 'a file where the folder should be');
    expect(run(folder, '--output', 'out').status).to.equal(73);
  });

  it('takes less than 3 seconds of the processor, which a busy machine does not change', () => {
    const tell =
      'process.on("exit", () => { const { user, system } = process.cpuUsage(); process.stderr.write(String(user + system)) })';
    const args = ['--import', `data:text/javascript,${tell}`, cli, 'synth', '--output', join(folder, 'out')];
    const { stderr } = spawnSync(process.execPath, args, { cwd: ours, encoding: 'utf8' });
    expect(Number(stderr) / 1e6).to.be.within(0.01, 3);
  });

  it("writes the committed objects for Plusone's own manifest (UPDATE_SNAPSHOT=1 rewrites them)", () => {
    expect(run(ours, '--environment', 'local', '--image', 'plusone:dev', '--output', folder)).to.include({
      status: 0,
      stderr: '',
    });
    const synthesized = readFileSync(join(folder, 'plusone.k8s.yaml'), 'utf8');
    if (process.env.UPDATE_SNAPSHOT) writeFileSync(snapshot, synthesized);
    expect(synthesized).to.equal(readFileSync(snapshot, 'utf8'));
  });
});
