import { expect } from 'chai';
import { describeRun, readRun } from '../../functions/scaler-runs.ts';

const described = (line: string) => {
  const run = readRun(line);
  return run && describeRun(run);
};

describe('a run in the log of the scaler', () => {
  const run = (waiting: unknown) =>
    JSON.stringify({
      time: '2026-11-29T03:00:00Z',
      changed: false,
      reason: 'no change',
      seen: { waiting, databasePercent: 'none', desired: 2 },
    });

  it('is described with what was read', () => {
    expect(described(run({ value: 1.234, ageMilliseconds: 0 }))).to.equal(
      '2026-11-29T03:00:00Z           waiting 1.23, executing -, p99 - ms, statement - ms, database - %, desired 2\n    no change',
    );
  });

  it('is described too if a reading was not finite', () => {
    for (const value of [Number.POSITIVE_INFINITY, Number.NaN])
      expect(described(run({ value, ageMilliseconds: 0 }))).to.include('waiting invalid, ');
  });

  it('is described with the count before and after a change', () => {
    const line = { ...JSON.parse(run({ value: 8, ageMilliseconds: 0 })), changed: true, decision: { desired: 3 } };
    expect(described(JSON.stringify(line))).to.match(/ {2}CHANGED {2}waiting 8, .* desired 2 → 3\n/);
  });

  it('is described with what was looked for and has no value', () => {
    for (const [metric, text] of [
      ['sum(jobs)', 'sum(jobs)'],
      [{ namespace: 'Jobs' }, '{"namespace":"Jobs"}'],
    ]) {
      const line = { ...JSON.parse(run(undefined)), absent: { waiting: metric } };
      expect(described(JSON.stringify(line))).to.contain(`\n    no value of waiting was found: ${text}`);
    }
  });

  it('is described too if it failed', () => {
    const failed = { time: '2026-11-29T03:00:00Z', changed: false, reason: 'the run failed: Error: no' };
    expect(described(JSON.stringify(failed))).to.include('the run failed: Error: no');
  });

  it('is none in a line of something else', () => {
    const cut = run({ value: 1, ageMilliseconds: 0 }).slice(0, 60);
    for (const line of ['', 'START RequestId: 1', '{', '{ cut', cut, '{}', 'null', '[]', '"text"'])
      expect(readRun(line)).to.equal(undefined);
  });
});
