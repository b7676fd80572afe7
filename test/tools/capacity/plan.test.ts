import { expect } from 'chai';
import { MEASURED } from '../../../tools/capacity/measured.ts';
import { type Demand, plan } from '../../../tools/capacity/plan.ts';

const of = (demand: Partial<Demand>) => plan({ users: 1e6, peak: 100, writes: 0.1, ...demand }, MEASURED);
const total = (demand: Partial<Demand>) => Object.values(of(demand).cost).reduce((sum, one) => sum + one, 0);
const limit = (demand: Partial<Demand>, what: RegExp) => of(demand).limits.find((one) => what.test(one.what));

describe('The capacity plan', () => {
  it('has two tasks and the smallest instance for little', () => {
    expect(of({})).to.deep.include({ tasks: 2, connections: 6, storage: 20 });
    expect(of({}).instance.name).to.equal('db.t4g.medium');
  });

  it('adds tasks in proportion to the requests', () => {
    const [one, ten] = [of({ peak: 100_000 }).tasks, of({ peak: 1_000_000 }).tasks];
    expect(ten / one).to.be.closeTo(10, 0.6);
  });

  it('takes a larger instance for more requests, and for a table that would not fit into memory', () => {
    expect(of({ peak: 100_000 }).instance.processors).to.be.above(of({ peak: 1_000 }).instance.processors);
    expect(of({ users: 1e9 }).instance.gibibytes).to.be.above(of({ users: 1e7 }).instance.gibibytes);
  });

  it('never costs less for more', () => {
    for (const [less, more] of [
      [{ peak: 1_000 }, { peak: 10_000 }],
      [{ users: 1e8 }, { users: 1e9 }],
      [{ peak: 50_000 }, { peak: 50_000, writes: 0.5 }],
    ] as const)
      expect(total(more)).to.be.at.least(total(less));
  });

  it('names first what more of the same demand reaches first', () => {
    const shares = of({ peak: 200_000 }).limits.map(({ used, available }) => used / available);
    expect(shares).to.deep.equal(shares.toSorted((one, other) => other - one));
  });

  it('counts the prepared statements of all tasks against MySQL', () => {
    const { tasks } = of({ peak: 3_000_000 });
    expect(limit({ peak: 3_000_000 }, /prepared/)).to.include({ used: tasks * 3 * 20, available: 16_382 });
  });

  it('reads from disk what does not fit into the memory of the largest instance', () => {
    const demand = { users: 2e10, peak: 10_000, writes: 0 };
    expect(limit(demand, /memory/)?.used).to.be.above(limit(demand, /memory/)?.available ?? Number.POSITIVE_INFINITY);
    expect(of(demand).operations).to.be.within(5_000, 10_000);
    expect(of({ ...demand, users: 1e7 }).operations).to.equal(0);
  });

  it('says what is exceeded where no instance is large enough', () => {
    const [first] = of({ peak: 5_000_000 }).limits;
    expect((first?.used ?? 0) / (first?.available ?? 1)).to.be.above(1);
    expect(limit({ peak: 5_000_000 }, /processors/)?.remedy).to.contain('several databases');
  });
});
