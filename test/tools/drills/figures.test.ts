import { expect } from 'chai';
import {
  failsOnlyWithTheGroup,
  noneSlowerThan,
  nothingFails,
  nothingLost,
  okOr503,
  recoversWithin,
  refusesWithin,
} from '../../../tools/drills/assertions.ts';
import { figuresOf, type Recording } from '../../../tools/drills/figures.ts';
import type { Answer, Verdict } from '../../../tools/load/load.ts';

const STATUS: Readonly<Record<Verdict, number>> = { ok: 200, refused: 503, aborted: 0, wrong: 500 };

const answer = (verdict: Verdict, sent: number, ended = sent + 10): Answer => {
  return { method: 'GET', sent, ended, status: STATUS[verdict], verdict, reason: undefined };
};

/** A fault from second 2 to second 6. */
function recording(answers: Answer[], lost: string[] = []): Recording {
  const audit = { checked: 5, lost };
  return {
    answers,
    began: 2_000,
    returned: 6_000,
    ended: 9_000,
    audit,
    memory: [],
    restarts: 0,
    observations: {},
    longestPause: 0,
  };
}

describe('the figures of a drill', () => {
  it('have the longest time without a successful answer in which a request failed', () => {
    const answers = [answer('ok', 1_000), answer('refused', 2_500), answer('ok', 6_500), answer('ok', 8_900)];
    expect(figuresOf(recording(answers)).longestOutage).to.equal(5.5);
  });

  it('have no outage when nothing failed, even without requests', () => {
    expect(figuresOf(recording([answer('ok', 0), answer('ok', 8_000)])).longestOutage).to.equal(0);
  });
});

describe('an assertion fails', () => {
  const figures = (answers: Answer[], lost: string[] = []) => figuresOf(recording(answers, lost));
  const good = [answer('ok', 1_000), answer('refused', 2_500), answer('ok', 6_100)];

  it('for no recording that meets it', () => {
    for (const assertion of [okOr503, nothingLost, refusesWithin(2), recoversWithin(2), noneSlowerThan(3)]) {
      expect(assertion.check(figures(good)).passed, assertion.description).to.equal(true);
    }
  });

  it('for one failure if none is allowed', () => {
    expect(nothingFails.check(figures(good)).passed).to.equal(false);
  });

  it('for a refused write beside a database that commits, and for a refused read in any case', () => {
    const passes = (method: 'GET' | 'PUT', commits: number) => {
      const refused = { ...answer('refused', 2_500), method };
      const observations = { 'two commits': commits };
      const recorded = { ...recording([answer('ok', 1_000), refused]), observations };
      return failsOnlyWithTheGroup.check(figuresOf(recorded)).passed;
    };
    expect([passes('PUT', 1.9), passes('PUT', 0.7), passes('GET', 1.9)]).to.deep.equal([true, false, false]);
  });

  it('for one aborted connection, or one wrong answer', () => {
    expect(okOr503.check(figures([...good, answer('aborted', 3_000)])).passed).to.equal(false);
    expect(okOr503.check(figures([...good, answer('wrong', 3_000)])).passed).to.equal(false);
  });

  it('for one lost write', () => {
    expect(nothingLost.check(figures(good, ['ann'])).passed).to.equal(false);
  });

  it('for a fault that no client noticed', () => {
    expect(refusesWithin(2).check(figures([answer('ok', 1_000), answer('refused', 4_500)])).passed).to.equal(false);
    expect(refusesWithin(2).check(figures([answer('ok', 1_000)])).passed).to.equal(false);
  });

  it('for a late success, no success, or a failure after it', () => {
    for (const last of [answer('ok', 8_100), answer('refused', 6_500)]) {
      expect(recoversWithin(2).check(figures([answer('ok', 1_000), last])).passed).to.equal(false);
    }
    expect(recoversWithin(2).check(figures([...good, answer('refused', 8_500)])).passed).to.equal(false);
  });

  it('for one slow answer', () => {
    expect(noneSlowerThan(3).check(figures([...good, answer('refused', 3_000, 6_001)])).passed).to.equal(false);
  });

  it('for a recording without requests', () => {
    for (const assertion of [nothingFails, okOr503]) expect(assertion.check(figures([])).passed).to.equal(false);
  });
});
