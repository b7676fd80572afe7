import { spawnSync } from 'node:child_process';
import { expect } from 'chai';

/** The lines that a target of the Makefile would run. */
function lines(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync('make', ['--dry-run', ...words], { encoding: 'utf8' });
  expect(status, stderr).to.equal(0);
  return stdout;
}

describe('EJECTED=1 of make', () => {
  it('releases and follows the log without Copilot', () => {
    expect(lines('publish', 'EJECTED=1', 'ENV=prod', 'YES=1')).to.contain(
      'tools/cli.ts eject deploy --environment prod --service plusone --yes',
    );
    expect(lines('publish', 'EJECTED=1')).to.contain('--environment test').and.not.contain('--yes');
    expect(lines('logs-aws', 'EJECTED=1', 'SINCE=1h')).to.contain('eject logs --environment test --service plusone');
  });

  it('leaves both to Copilot without it', () => {
    expect(lines('publish')).to.contain('tools/aws/publish.ts').and.not.contain('eject');
    expect(lines('logs-aws')).to.contain('tools/aws/logs.ts').and.not.contain('eject');
  });

  it('makes the targets fail that would bring back what the steps took away', () => {
    for (const target of ['infra-plan', 'infra-create', 'infra-destroy'])
      expect(lines(target, 'EJECTED=1'), target).to.contain('docs/eject.md').and.contain('exit 1');
  });
});
