import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { Coalescer } from '../../src/database/coalescing.ts';
import { Unavailable } from '../../src/unavailable.ts';

const settings = fc.record({
  concurrency: fc.integer({ min: 1, max: 3 }),
  largestBatch: fc.integer({ min: 1, max: 5 }),
  limit: fc.integer({ min: 1, max: 20 }),
});
/** Each item arrives some turns of the event loop after the previous one; even and odd ones may be kept apart. */
const arrivals = fc.array(
  fc.record({ turnsBefore: fc.integer({ min: 0, max: 3 }), outcome: fc.constantFrom('good', 'good', 'good', 'bad') }),
  { minLength: 1, maxLength: 40 },
);
/** How many turns each batch takes, and whether the database is unavailable then. */
const batches = fc.array(fc.record({ turns: fc.integer({ min: 0, max: 4 }), isUnavailable: fc.boolean() }), {
  minLength: 1,
  maxLength: 10,
});

describe('Coalescer, for any sequence of items', function () {
  this.timeout(30_000);

  it('answers each item once, within its limits, and in order where one batch runs at a time', async () => {
    await fc.assert(
      fc.asyncProperty(settings, arrivals, batches, fc.boolean(), async (how, items, plans, keepsApart) => {
        let running = 0;
        let begun = 0;
        const order: number[] = [];
        const coalescer = new Coalescer<number, string>({
          ...how,
          timeout: 60_000,
          ...(keepsApart ? { canJoin: (first: number, next: number) => first % 2 === next % 2 } : {}),
          async run(batch) {
            running += 1;
            try {
              expect(running).to.be.at.most(how.concurrency);
              expect(batch.length).to.be.within(1, how.largestBatch);
              if (keepsApart) expect(new Set(batch.map((item) => item % 2)).size).to.equal(1);
              const plan = plans[begun % plans.length];
              begun += 1;
              for (let count = plan?.turns ?? 0; count > 0; count -= 1) await turn();
              if (plan?.isUnavailable) throw new Unavailable('unavailable');
              const bad = batch.find((item) => items[item]?.outcome === 'bad');
              if (bad !== undefined) throw new Error(`bad ${bad}`);
              order.push(...batch);
              return batch.map((item) => `done ${item}`);
            } finally {
              running -= 1;
            }
          },
        });

        const answers: Promise<unknown>[] = [];
        for (const [item, { turnsBefore }] of items.entries()) {
          for (let count = turnsBefore; count > 0; count -= 1) await turn();
          answers.push(coalescer.submit(item).catch((error: unknown) => error));
          expect(coalescer.size).to.be.at.most(how.limit);
        }
        for (const [item, answer] of (await Promise.all(answers)).entries()) {
          if (answer instanceof Unavailable) continue;
          const { outcome } = items[item] ?? {};
          if (outcome === 'bad') expect(answer).to.be.instanceOf(Error).with.property('message', `bad ${item}`);
          else expect(answer).to.equal(`done ${item}`);
        }
        expect(coalescer.size).to.equal(0);
        expect(new Set(order).size, 'no item is done twice').to.equal(order.length);
        if (how.concurrency === 1) expect(order).to.deep.equal(order.toSorted((one, other) => one - other));
      }),
      { numRuns: 200 },
    );
  });
});
