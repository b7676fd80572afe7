import { expect } from 'chai';
import { TestFolder, webService } from './workspace.ts';

describe('plusone check', function () {
  this.timeout(20_000);
  let folder: TestFolder;
  beforeEach(() => {
    folder = new TestFolder();
    workspace(webService());
  });
  afterEach(() => folder.remove());

  const patch = '- { op: replace, path: /Resources/EnvControllerFunction/Properties/Runtime, value: nodejs24.x }\n';

  function workspace(manifest: string, files: Record<string, string> = {}) {
    folder.write({
      'copilot/.workspace': 'application: shop\n',
      'copilot/web/manifest.yml': manifest,
      'copilot/web/overrides/cfn.patches.yml': patch,
      ...files,
    });
  }

  function findings(...args: string[]): Record<string, unknown>[] {
    return JSON.parse(folder.plusone(['check', '--json', ...args]).stdout);
  }

  it('finds nothing in a workspace that is right', () => {
    expect(folder.plusone(['check'])).to.include({ status: 0, stdout: 'nothing found\n' });
  });

  it('exits with 1 for what Copilot refuses, with file and line', () => {
    workspace(webService('cpu: lots'));
    const { status, stdout } = folder.plusone(['check']);
    expect(status).to.equal(1);
    expect(stdout).to.contain(
      'copilot/web/manifest.yml:5: error: cpu: expected a whole number, found "lots" (copilot-refuses)',
    );
  });

  it('names the environments in which alone something is refused', () => {
    workspace(webService('environments:', '  test: {}', '  prod: { count: { range: 5-2 } }'));
    const [found] = findings();
    expect(found).to.include({ level: 'error', line: 7 });
    expect(found?.message).to.match(/^in environment "prod": /);
  });

  it('warns of fields that Copilot accepts and Kubernetes does not support', () => {
    const job = 'name: web\ntype: Scheduled Job\nimage: { location: x }\non: { schedule: "cron(0 0 L * ? *)" }';
    workspace(job);
    expect(folder.plusone(['check']).status).to.equal(0);
    expect(findings()[0]).to.include({ rule: 'not-in-kubernetes', level: 'warning', line: 4 });
  });

  it('warns of a manifest where Copilot does not look for one', () => {
    workspace(webService(), { 'copilot/jobs/nightly/manifest.yml': '', 'copilot/pipelines/main/manifest.yml': '' });
    expect(findings().map(({ message }) => message)).to.deep.equal([
      'Copilot finds no workload here: expected nightly/manifest.yml in the copilot folder itself',
    ]);
  });

  for (const part of ['web', 'environments']) {
    it(`checks that Copilot can pass values to the addons of ${part}`, () => {
      workspace(webService(), { [`copilot/${part}/addons/topic.yml`]: 'Parameters:\n  App: { Type: String }\n' });
      const [found] = findings();
      expect(found).to.include({ rule: 'copilot-refuses', level: 'error', line: 1 });
      expect(found?.message).to.match(/^Parameters\.Env is missing: /);
    });
  }

  for (const path of ['environments/test', 'pipelines/main']) {
    it(`reads the manifest of ${path} as YAML`, () => {
      workspace(webService(), { [`copilot/${path}/manifest.yml`]: 'name: x\nvpc: &vpc { id: *vpc }\n' });
      expect(folder.plusone(['check']).stdout).to.contain(
        `copilot/${path}/manifest.yml:2: error: "*vpc" stands inside "&vpc" itself`,
      );
    });
  }

  it('checks the environments that are deployed though no manifest names them', () => {
    workspace(webService(`variables: { WHERE: "\${NOWHERE}" }`), {
      'copilot/environments/prod/manifest.yml': 'name: prod',
    });
    expect(findings()).to.have.length(1);
  });

  it('lets warnings pass, but not with --strict or where CI=true', () => {
    workspace(webService('htpp: 1'));
    const statuses = [
      folder.plusone(['check']),
      folder.plusone(['check', '--strict']),
      folder.plusone(['check'], { env: { CI: 'true' } }),
      folder.plusone(['check', '--lenient'], { env: { CI: 'true' } }),
    ].map(({ status }) => status);
    expect(statuses).to.deep.equal([0, 1, 1, 0]);
  });

  it('finds a Lambda runtime in an addon that AWS will soon refuse, with the date', () => {
    const addon = [
      'Parameters: { App: { Type: String }, Env: { Type: String }, Name: { Type: String } }',
      'Resources: { Resizer: { Type: "AWS::Lambda::Function", Properties: {',
      '  Runtime: nodejs20.x } } }',
    ].join('\n');
    workspace(webService(), { 'copilot/web/addons/resizer.yml': addon });
    const [found] = findings();
    expect(found).to.include({
      rule: 'lambda-runtime',
      level: 'warning',
      line: 3,
      file: 'copilot/web/addons/resizer.yml',
    });
    expect(found?.message).to.contain('creates no function with it from 2027-02-01, and updates none from 2027-03-03');
  });

  it('finds a Lambda runtime in the patches of an environment', () => {
    const patches = '- op: replace\n  path: /Resources/CustomDomainFunction/Properties/Runtime\n  value: nodejs18.x\n';
    workspace(webService(), { 'copilot/environments/overrides/cfn.patches.yml': patches });
    expect(findings()[0]).to.include({ rule: 'lambda-runtime', line: 3 });
  });

  it('notes the functions that Copilot writes on a runtime of its time, unless they are patched', () => {
    workspace(webService(), { 'copilot/web/overrides/cfn.patches.yml': '[]\n' });
    const { status, stdout } = folder.plusone(['check', '--strict']);
    expect(status).to.equal(0);
    expect(stdout).to.contain('note: Copilot 1.34.1 writes EnvControllerFunction');
  });

  it('writes annotations for a pull request, with what they hold escaped', () => {
    workspace(webService('cpu: "100%"'));
    const { stdout } = folder.plusone(['check', '--format', 'github']);
    expect(stdout).to.equal(
      '::error file=copilot/web/manifest.yml,line=5,title=plusone%3A copilot-refuses::cpu: expected a whole number, found "100%25"\n',
    );
  });

  it('names files from the root of the repository, wherever it is called', () => {
    workspace(webService('cpu: lots'), { '.git/HEAD': '', 'services/web/main.js': '' });
    const { stdout } = folder.plusone(['check', '--json'], { below: 'services/web' });
    expect(JSON.parse(stdout)[0].file).to.equal('copilot/web/manifest.yml');
  });

  it('writes SARIF with a rule, a level and a place for each finding', () => {
    workspace(webService('cpu: lots', 'htpp: 1'));
    const log = JSON.parse(folder.plusone(['check', '--format', 'sarif']).stdout);
    expect(log.runs[0].results).to.have.length(2);
    expect(log.runs[0].results[0].locations[0].physicalLocation).to.deep.equal({
      artifactLocation: { uri: 'copilot/web/manifest.yml', uriBaseId: 'SRCROOT' },
      region: { startLine: 5 },
    });
  });

  it('exits with 64 for a format that there is not', () => {
    const { status, stderr } = folder.plusone(['check', '--format', 'xml']);
    expect(status).to.equal(64);
    expect(stderr).to.contain('--format xml: expected text, json, sarif or github');
  });
});
