import { expect } from 'chai';
import { Failed, output, run } from '../../../tools/terminal/programs.ts';

/** The error of a promise that must reject. */
async function failure(work: Promise<unknown>): Promise<Failed> {
  const outcome = await work.catch((error: unknown) => error);
  if (outcome instanceof Failed) return outcome;
  throw new Error(`it did not fail: ${outcome}`);
}

describe('a program that is run', () => {
  it('returns its output without the trailing newline', async () => {
    expect(await output('cat', [], { input: 'one\ntwo\n' })).to.equal('one\ntwo');
  });

  it('fails with its exit code and its last output', async () => {
    const failed = await failure(run('sh', ['-c', 'seq 100; echo no room >&2; exit 3']));
    expect(failed.code).to.equal(3);
    expect(failed.message)
      .to.match(/ended with 3:\n/)
      .and.include('\n100\n')
      .and.include('no room');
    expect(failed.message).not.to.include('\n50\n');
  });

  it('does not have its stdout in the error, which may be a secret', async () => {
    const failed = await failure(output('sh', ['-c', 'echo answer$((40 + 2)); echo broken >&2; exit 1']));
    expect(failed.message).to.include('broken').and.not.to.include('answer42');
  });

  it('has its own error if it is not installed', async () => {
    const failed = await failure(output('no-such-program', []));
    expect(failed).to.include({ isMissing: true, message: 'no-such-program is not installed' });
  });

  it('is killed after its timeout, even if its child keeps its output open', async () => {
    const started = performance.now();
    const failed = await failure(output('sh', ['-c', 'sleep 8 & wait'], { limitMilliseconds: 200 }));
    expect(failed.message).to.include('did not end within 0.2 s');
    expect(performance.now() - started).to.be.below(5_000);
  });
});
