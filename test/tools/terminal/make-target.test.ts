import { expect } from 'chai';
import { runScript } from './script.ts';

const FAILING = `await makeTarget('make up', async () => { await run('sh', ['-c', 'echo no room >&2; exit 3']) });`;

describe('a make target that fails', () => {
  it('ends with 1, after the last output of its tool and what to try next', async () => {
    const { code, stderr } = await runScript(FAILING);
    expect(code).to.equal(1);
    expect(stderr)
      .to.include('make up: `sh -c')
      .and.include('no room')
      .and.include('run make up again')
      .and.include('VERBOSE=1 make up');
  });

  it('prints the likely cause too if the target knows one', async () => {
    const { stderr } = await runScript(
      `await makeTarget('make up', async () => { throw new Error('no room') }, (message) => message + ': the disk is full');`,
    );
    expect(stderr).to.include('make up: no room: the disk is full\n');
  });

  it('prints only what to fix if that is known', async () => {
    const { code, stderr } = await runScript(
      `await makeTarget('make up', async () => { throw new Refusal('TAG=-: expected letters') });`,
    );
    expect({ code, stderr }).to.deep.equal({ code: 1, stderr: '\nmake up: TAG=-: expected letters\n' });
  });

  it('does not wait for running programs', async () => {
    const started = performance.now();
    const { code } = await runScript(
      `await makeTarget('make up', async () => {
        run('sleep', ['8']).catch(() => {});
        throw new Refusal('no');
      });`,
    );
    expect(code).to.equal(1);
    expect(performance.now() - started).to.be.below(5_000);
  });
});
