import { expect } from 'chai';
import { TestFolder, webService } from './workspace.ts';

describe('plusone', function () {
  this.timeout(20_000);
  let folder: TestFolder;
  beforeEach(() => {
    folder = new TestFolder();
    folder.write({ 'copilot/.workspace': 'application: shop\n', 'copilot/web/manifest.yml': webService() });
  });
  afterEach(() => folder.remove());

  it('lists its commands and exit codes, and calls that wrong usage when nothing was asked', () => {
    const asked = folder.plusone(['--help']);
    expect(asked.status).to.equal(0);
    expect(asked.stdout)
      .to.match(/^ {2}check +\S/m)
      .and.match(/^ {2}66 +no workspace/m);
    expect(folder.plusone([])).to.include({ status: 64, stdout: asked.stdout });
  });

  it('says its version', () => {
    expect(folder.plusone(['--version']).stdout).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  it('says what a mistyped command was probably meant to be', () => {
    const { status, stderr } = folder.plusone(['chek']);
    expect(status).to.equal(64);
    expect(stderr).to.contain('there is no command "chek"; did you mean "plusone check"?');
  });

  it('explains a command also when that is wrongly used', () => {
    for (const args of [
      ['check', '--format', '--help'],
      ['help', 'check'],
      ['check', '-h'],
    ]) {
      const { status, stdout } = folder.plusone(args);
      expect([status, stdout.includes('Usage: plusone check [options]')], args.join(' ')).to.deep.equal([0, true]);
    }
  });

  it('finds the workspace from a folder deep in it', () => {
    folder.write({ 'services/web/src/main.js': '' });
    expect(folder.plusone(['check', '--lenient'], { below: 'services/web/src' }).status).to.equal(0);
  });

  it('exits with 66 where there is no workspace', () => {
    const empty = new TestFolder();
    const { status, stderr } = empty.plusone(['check']);
    empty.remove();
    expect(status).to.equal(66);
    expect(stderr).to.contain('no Copilot workspace in').and.contain('copilot/.workspace');
  });

  for (const [words, found] of [
    [['c'], ['check', 'completion']],
    [['job', ''], ['run']],
    [['logs', ''], ['web']],
    [['check', '--fo'], ['--format']],
    [['check', '--format', 's'], ['sarif']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
  ] as const) {
    it(`completes "plusone ${words.join(' ')}"`, () => {
      const { stdout } = folder.plusone(['complete', '--', ...words]);
      expect(stdout.trim().split('\n')).to.deep.equal(found);
    });
  }
});
