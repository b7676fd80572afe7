import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';

const report = z.object({
  stats: z.object({ pending: z.number(), failures: z.number() }),
  failures: z.array(z.object({ err: z.object({ message: z.string() }) })),
});

describe('a test whose program is missing', function () {
  this.timeout(30_000);
  const directory = mkdtempSync(join(import.meta.dirname, 'skip-'));
  after(() => rmSync(directory, { recursive: true }));

  /** Runs a test that needs the program "wanted", in a Mocha of its own. */
  function run(env: Record<string, string>) {
    const file = join(directory, 'wanted.test.ts');
    writeFileSync(
      file,
      `import { skipWithout } from '../skip.ts';
       it('needs it', function () { skipWithout(this, 'wanted', 'wanted is not installed'); });`,
    );
    const { CI: _, CI_WITHOUT: __, ...inherited } = process.env;
    const output = join(directory, 'report.json');
    const args = ['--reporter', 'json', '--reporter-option', `output=${output}`, file];
    spawnSync('mocha', args, { env: { ...inherited, ...env } });
    return report.parse(JSON.parse(readFileSync(output, 'utf8')));
  }

  it('is skipped outside CI', () => {
    expect(run({}).stats).to.include({ pending: 1, failures: 0 });
  });

  it('fails in CI, and says which name to add where', () => {
    const { stats, failures } = run({ CI: 'true', CI_WITHOUT: 'other' });
    expect(stats).to.include({ pending: 0, failures: 1 });
    expect(failures[0]?.err.message).to.equal(
      'wanted is not installed. In CI no test is skipped: install it, or add wanted to CI_WITHOUT in .ci/run',
    );
  });

  it('is skipped in CI when it is named as not available', () => {
    expect(run({ CI: 'true', CI_WITHOUT: 'other wanted' }).stats).to.include({ pending: 1, failures: 0 });
  });
});

describe('the tests', () => {
  it('skip by these functions only, so that CI fails for a missing program', () => {
    const own = ['test/skip.ts', 'test/skip.test.ts'];
    const files = globSync('test/**/*.ts').filter((file) => !own.includes(file));
    expect(files).to.not.be.empty;
    expect(files.filter((file) => /\.skip\(/.test(readFileSync(file, 'utf8')))).to.deep.equal([]);
  });
});
