import { expect } from 'chai';
import { daysUntilBirthday, Ledger } from '../../../tools/load/ledger.ts';

/** Begins and ends a write; the times are those of a clock that the tests read. */
function write(ledger: Ledger, date: string, sent: number, ended: number, acknowledged = true): void {
  ledger.begin('ann', date, sent)(acknowledged, ended);
}

describe('the allowed results of a read', () => {
  const strict = () => new Ledger({ lateWritesEnd: true });

  it('are no user before the first write', () => {
    expect([...strict().possible('ann', 1, 2)]).to.deep.equal([undefined]);
  });

  it('are the last acknowledged write, and not earlier ones', () => {
    const ledger = strict();
    write(ledger, '1990-01-01', 0, 1);
    write(ledger, '1990-01-02', 2, 3);
    expect([...ledger.possible('ann', 4, 5)]).to.deep.equal(['1990-01-02']);
  });

  it('are either of two concurrent writes', () => {
    const ledger = strict();
    write(ledger, '1990-01-01', 0, 2);
    write(ledger, '1990-01-02', 1, 3);
    expect([...ledger.possible('ann', 4, 5)]).to.have.members(['1990-01-01', '1990-01-02']);
  });

  it('are the old or the new value during a write', () => {
    const ledger = strict();
    write(ledger, '1990-01-01', 0, 1);
    ledger.begin('ann', '1990-01-02', 2);
    expect([...ledger.possible('ann', 3, 4)]).to.have.members(['1990-01-01', '1990-01-02']);
  });

  it('do not include a write that was sent after the answer', () => {
    const ledger = strict();
    write(ledger, '1990-01-01', 0, 1);
    write(ledger, '1990-01-02', 9, 10);
    expect([...ledger.possible('ann', 3, 4)]).to.deep.equal(['1990-01-01']);
  });

  it('include a failed write, as long as none was acknowledged afterwards', () => {
    const ledger = strict();
    write(ledger, '1990-01-01', 0, 1);
    write(ledger, '1990-01-02', 2, 3, false);
    expect([...ledger.possible('ann', 4, 5)]).to.have.members(['1990-01-01', '1990-01-02']);
    write(ledger, '1990-01-03', 6, 7);
    expect([...ledger.possible('ann', 8, 9)]).to.deep.equal(['1990-01-03']);
  });

  it('include an old failed write if several processes write', () => {
    const ledger = new Ledger({ lateWritesEnd: false });
    write(ledger, '1990-01-02', 2, 3, false);
    write(ledger, '1990-01-03', 6, 7);
    expect([...ledger.possible('ann', 8, 9)]).to.have.members(['1990-01-02', '1990-01-03']);
  });
});

describe('the days to a birthday', () => {
  const days: [born: string, today: string, days: number][] = [
    ['1990-06-01', '2026-06-01', 0],
    ['1990-06-01', '2026-05-31', 1],
    ['1990-06-01', '2026-06-02', 364],
    ['1990-01-01', '2026-12-31', 1],
    ['1992-02-29', '2026-02-28', 1],
    ['1992-02-29', '2028-02-28', 1],
    ['1992-02-29', '2028-02-29', 0],
    ['1992-02-29', '2028-03-01', 365],
  ];
  for (const [born, today, expected] of days) {
    it(`are ${expected} on ${today} for ${born}`, () => {
      expect(daysUntilBirthday(born, new Date(`${today}T23:59:59Z`))).to.equal(expected);
    });
  }
});
