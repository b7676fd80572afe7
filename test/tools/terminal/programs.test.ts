import { expect } from 'chai';
import { Failed, output, run } from '../../../tools/terminal/programs.ts';

/** The failure of something that has to fail. */
async function failure(work: Promise<unknown>): Promise<Failed> {
  const outcome = await work.catch((error: unknown) => error);
  if (outcome instanceof Failed) return outcome;
  throw new Error(`it did not fail: ${outcome}`);
}

describe('a program that is run', () => {
  it('gives back what it wrote, without the line end', async () => {
    expect(await output('cat', [], { input: 'one\ntwo\n' })).to.equal('one\ntwo');
  });

  it('fails with its exit code and the last of what it said', async () => {
    const failed = await failure(run('sh', ['-c', 'seq 100; echo no room >&2; exit 3']));
    expect(failed.code).to.equal(3);
    expect(failed.message)
      .to.match(/ended with 3:\n/)
      .and.include('\n100\n')
      .and.include('no room');
    expect(failed.message).not.to.include('\n50\n');
  });

  it('does not quote in its failure what it was asked for, which may be a secret', async () => {
    const failed = await failure(output('sh', ['-c', 'echo answer$((40 + 2)); echo broken >&2; exit 1']));
    expect(failed.message).to.include('broken').and.not.to.include('answer42');
  });

  it('is told apart when it is not installed', async () => {
    const failed = await failure(output('no-such-program', []));
    expect(failed).to.include({ isMissing: true, message: 'no-such-program is not installed' });
  });

  it('is ended after its time, also when a child of its own holds on to its output', async () => {
    const started = performance.now();
    const failed = await failure(output('sh', ['-c', 'sleep 8 & wait'], { limitMilliseconds: 200 }));
    expect(failed.message).to.include('did not end within 0.2 s');
    expect(performance.now() - started).to.be.below(5_000);
  });
});
