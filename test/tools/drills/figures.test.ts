import { expect } from 'chai';
import { type Course, figuresOf } from '../../../tools/drills/figures.ts';
import type { Answer, Verdict } from '../../../tools/drills/load.ts';
import {
  backWithin,
  noneSlowerThan,
  nothingFails,
  nothingLost,
  rightOr503,
  saysSoWithin,
} from '../../../tools/drills/promises.ts';

const STATUS: Readonly<Record<Verdict, number>> = { right: 200, refused: 503, cut: 0, wrong: 500 };

const answer = (verdict: Verdict, sent: number, ended = sent + 10): Answer => {
  return { method: 'GET', sent, ended, status: STATUS[verdict], verdict, reason: undefined };
};

/** A fault from second 2 to second 6. */
function course(answers: Answer[], lost: string[] = []): Course {
  const audit = { checked: 5, lost };
  return { answers, began: 2_000, returned: 6_000, ended: 9_000, audit, memory: [], restarts: 0, notes: {} };
}

describe('the figures of a drill', () => {
  it('have the longest time without a right answer in which something failed', () => {
    const answers = [answer('right', 1_000), answer('refused', 2_500), answer('right', 6_500), answer('right', 8_900)];
    expect(figuresOf(course(answers)).longestOutage).to.equal(5.5);
  });

  it('have no outage when nothing failed, however quiet it was', () => {
    expect(figuresOf(course([answer('right', 0), answer('right', 8_000)])).longestOutage).to.equal(0);
  });
});

describe('a promise is broken', () => {
  const figures = (answers: Answer[], lost: string[] = []) => figuresOf(course(answers, lost));
  const good = [answer('right', 1_000), answer('refused', 2_500), answer('right', 6_100)];

  it('by nothing at all in a course that keeps it', () => {
    for (const promise of [rightOr503, nothingLost, saysSoWithin(2), backWithin(2), noneSlowerThan(3)]) {
      expect(promise.check(figures(good)).kept, promise.words).to.equal(true);
    }
  });

  it('by one failure where none may be', () => {
    expect(nothingFails.check(figures(good)).kept).to.equal(false);
  });

  it('by one connection that was cut, or one wrong answer', () => {
    expect(rightOr503.check(figures([...good, answer('cut', 3_000)])).kept).to.equal(false);
    expect(rightOr503.check(figures([...good, answer('wrong', 3_000)])).kept).to.equal(false);
  });

  it('by one name that was lost', () => {
    expect(nothingLost.check(figures(good, ['ann'])).kept).to.equal(false);
  });

  it('by a fault that nobody was told of', () => {
    expect(saysSoWithin(2).check(figures([answer('right', 1_000), answer('refused', 4_500)])).kept).to.equal(false);
    expect(saysSoWithin(2).check(figures([answer('right', 1_000)])).kept).to.equal(false);
  });

  it('by a late success, by none, and by a failure after it', () => {
    for (const last of [answer('right', 8_100), answer('refused', 6_500)]) {
      expect(backWithin(2).check(figures([answer('right', 1_000), last])).kept).to.equal(false);
    }
    expect(backWithin(2).check(figures([...good, answer('refused', 8_500)])).kept).to.equal(false);
  });

  it('by one slow answer', () => {
    expect(noneSlowerThan(3).check(figures([...good, answer('refused', 3_000, 6_001)])).kept).to.equal(false);
  });

  it('by a course in which nothing happened', () => {
    for (const promise of [nothingFails, rightOr503]) expect(promise.check(figures([])).kept).to.equal(false);
  });
});
