import { expect } from 'chai';
import { narrowLimit, secondsToChange, untilTrue } from '../../../tools/drills/scaling.ts';

describe('narrowLimit', () => {
  it('leaves a task what it needs without load, and a third of what the load needs', () => {
    expect(narrowLimit({ idle: 0.02, busy: 0.08, most: 0.1 })).to.be.closeTo(0.04, 1e-9);
  });

  it('is never above what makes requests wait on a fast machine', () => {
    expect(narrowLimit({ idle: 0.02, busy: 1.5, most: 0.1 })).to.equal(0.1);
  });

  it('leaves some CPU for requests if the load makes no difference', () => {
    expect(narrowLimit({ idle: 0.03, busy: 0.03, most: 0.1 })).to.be.closeTo(0.04, 1e-9);
  });
});

describe('untilTrue', () => {
  it('gives back the seconds it took', async () => {
    let asked = 0;
    expect(await untilTrue(async () => ++asked === 3, 5, 1)).to.equal(0);
    expect(asked).to.equal(3);
  });

  it('gives up after its time', async () => {
    expect(await untilTrue(async () => false, -1, 1)).to.equal('never');
  });
});

describe('secondsToChange', () => {
  const change = { time: '2026-11-30T07:00:04.260Z', reason: 'p99 is 700 ms, above 500', changed: true };

  it('is the time from the alarm to the change', () => {
    expect(secondsToChange(Date.parse('2026-11-30T07:00:00.000Z'), change)).to.equal(4.3);
  });

  it('is 0 for a change before the alarm, and never without one of them', () => {
    expect(secondsToChange(Date.parse('2026-11-30T07:00:09.000Z'), change)).to.equal(0);
    expect(secondsToChange(undefined, change)).to.equal('never');
    expect(secondsToChange(0, undefined)).to.equal('never');
  });
});
