import { expect } from 'chai';
import fc from 'fast-check';
import { Ledger } from '../../../tools/load/ledger.ts';

type Outcome = 'acknowledged' | 'refused' | 'pending';

/** An operation takes effect at one moment between these times. */
interface Interval {
  readonly sent: number;
  readonly ended: number;
}

interface Write extends Interval {
  readonly date: string;
  readonly outcome: Outcome;
}

const MOST_WRITES = 5;
/** One for each beginning and each end. */
const TIMES = Array.from({ length: 2 * MOST_WRITES + 2 }, (_, at) => at);

/** Writes of one name that overlap in any way, and a read among them; no two events have the same time. */
const histories = fc
  .record({
    outcomes: fc.array(fc.constantFrom<Outcome>('acknowledged', 'refused', 'pending'), { maxLength: MOST_WRITES }),
    // In any order.
    times: fc.shuffledSubarray(TIMES, { minLength: TIMES.length }),
    lateWritesEnd: fc.boolean(),
  })
  .map(({ outcomes, times, lateWritesEnd }) => {
    const interval = (at: number): Interval => {
      const [sent = 0, ended = 0] = times.slice(2 * at, 2 * at + 2).sort((one, other) => one - other);
      return { sent, ended };
    };
    const writes = outcomes.map((outcome, at): Write => ({ ...interval(at), outcome, date: `2000-01-0${at + 1}` }));
    return { writes, read: interval(MOST_WRITES), lateWritesEnd };
  });

/**
 * The values that a linearizable register allows the read, by trying every moment at which the write and the read can
 * take effect (Herlihy and Wing, "Linearizability", 1990). A write that was not acknowledged may take no effect.
 */
function linearizable(writes: readonly Write[], read: Interval, lateWritesEnd: boolean): Set<string | undefined> {
  const moments = Array.from({ length: 4 * TIMES.length }, (_, at) => at / 4).filter(
    (moment) => !Number.isInteger(moment),
  );
  const within = ({ sent, ended }: Interval) => moments.filter((moment) => sent < moment && moment < ended);
  /** Whether the writes other than `write` can all avoid the time between these moments. */
  const isLast = (write: Write | undefined, from: number, to: number) =>
    writes.every((other) => {
      return other === write || other.outcome !== 'acknowledged' || other.sent < from || other.ended > to;
    });
  const values = new Set<string | undefined>();
  for (const reading of within(read)) {
    if (isLast(undefined, Number.NEGATIVE_INFINITY, reading)) values.add(undefined);
    for (const write of writes) {
      const ends = write.outcome === 'acknowledged' || (write.outcome === 'refused' && lateWritesEnd);
      const writing = within({ ...write, ended: ends ? write.ended : Number.POSITIVE_INFINITY });
      if (writing.some((moment) => moment < reading && isLast(write, moment, reading))) values.add(write.date);
    }
  }
  return values;
}

describe('the Ledger, with any overlap of requests', () => {
  it('allows a read exactly the values that a linearizable register allows', () => {
    fc.assert(
      fc.property(histories, ({ writes, read, lateWritesEnd }) => {
        const ledger = new Ledger({ lateWritesEnd });
        for (const { date, sent, ended, outcome } of writes) {
          const end = ledger.begin('ann', date, sent);
          if (outcome !== 'pending') end(outcome === 'acknowledged', ended);
        }
        const possible = ledger.possible('ann', read.sent, read.ended);
        expect([...possible]).to.have.members([...linearizable(writes, read, lateWritesEnd)]);
      }),
      { numRuns: 3_000 },
    );
  });

  it('never mixes up two names', () => {
    fc.assert(
      fc.property(histories, ({ writes, read, lateWritesEnd }) => {
        const ledger = new Ledger({ lateWritesEnd });
        for (const { date, sent, ended } of writes) ledger.begin('bob', date, sent)(true, ended);
        expect([...ledger.possible('ann', read.sent, read.ended)]).to.deep.equal([undefined]);
        expect(ledger.names).to.deep.equal(writes.length === 0 ? [] : ['bob']);
      }),
    );
  });
});
