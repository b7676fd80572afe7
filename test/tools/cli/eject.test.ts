import { expect } from 'chai';
import { inventory } from '../../eject/stacks.ts';
import { TestFolder, webService } from './workspace.ts';

describe('plusone eject', function () {
  this.timeout(20_000);
  let folder: TestFolder;
  beforeEach(() => {
    folder = new TestFolder();
    folder.write({ 'copilot/.workspace': 'application: shop\n', 'copilot/web/manifest.yml': webService() });
  });
  afterEach(() => folder.remove());

  it('needs a command, which its message lists', () => {
    const { status, stderr } = folder.plusone(['eject']);
    expect(status).to.equal(64);
    expect(stderr).to.contain('"eject" needs one more word: plusone eject plan, plusone eject write');
  });

  it('lists its commands with --help', () => {
    const { status, stdout } = folder.plusone(['eject', '--help']);
    expect(status).to.equal(0);
    expect(stdout)
      .to.match(/^ +eject plan {2,}\w/m)
      .and.match(/^ +eject exec {2,}\w/m);
  });

  for (const [words, message] of [
    [['plan'], '--environment is missing'],
    [['apply', '-e', 'test'], 'STEP is missing'],
    [['undo', 'remove', '-e', 'test'], 'STEP remove: expected retain, pin, detach, drop or environment'],
    [['deploy', '-e', 'test'], '--service is missing'],
    [['write', '-e', 'test', '--to', 'terraform'], '--to terraform: expected cloudformation or cdk'],
  ] as const) {
    it(`calls "plusone eject ${words.join(' ')}" wrong usage`, () => {
      const { status, stderr } = folder.plusone(['eject', ...words]);
      expect(status, stderr).to.equal(64);
      expect(stderr).to.contain(message);
    });
  }

  it('says that an inventory is missing', () => {
    const { status, stderr } = folder.plusone(['eject', 'write', '-e', 'test']);
    expect(status).to.equal(66);
    expect(stderr).to.contain('ejected/test/inventory.json is not there');
  });

  it('writes beside the workspace, also from a folder below it, and a buildspec without Copilot', () => {
    folder.write({ 'ejected/test/inventory.json': JSON.stringify(inventory('web')), 'src/a.js': '' });
    const { status, stderr } = folder.plusone(['eject', 'write', '-e', 'test'], { below: 'src' });
    expect(status, stderr).to.equal(0);
    const text = folder.read('ejected/test/buildspec.yml');
    expect(text).to.contain('plusone eject deploy --environment test --service web').and.not.contain('copilot');
    expect(folder.read('ejected/test/stacks/shop-test-web/template.yml')).to.contain('Fn::ImportValue');
  });

  it('refuses the plan of another environment', () => {
    folder.write({ 'ejected/test/inventory.json': JSON.stringify(inventory('web')) });
    const { status, stderr } = folder.plusone(['eject', 'apply', 'retain', '-e', 'prod', '--output', 'ejected/test']);
    expect(status, stderr).to.equal(64);
    expect(stderr).to.contain('ejected/test/inventory.json is of the environment test, not prod');
  });

  it('exits with 1 and no stack trace when AWS cannot be asked', () => {
    const env = { AWS_REGION: 'us-west-2', AWS_EC2_METADATA_DISABLED: 'true', HOME: folder.path };
    const { status, stderr } = folder.plusone(['eject', 'plan', '-e', 'test'], { env });
    expect(status, stderr).to.equal(1);
    expect(stderr).to.match(/^CredentialsProviderError: .*\n$/);
  });
});
