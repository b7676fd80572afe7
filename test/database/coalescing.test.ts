import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Coalescer, type CoalescerOptions } from '../../src/database/coalescing.ts';
import { Unavailable } from '../../src/unavailable.ts';

/** A coalescer of numbers whose batches wait for `open`, so that a test decides when each one ends. */
function observed(how: Partial<CoalescerOptions<number, string>> = {}) {
  const batches: number[][] = [];
  const gates: { open: () => void; break: (error: Error) => void }[] = [];
  const coalescer = new Coalescer<number, string>({
    async run(items) {
      batches.push([...items]);
      await new Promise<void>((open, reject) => gates.push({ open, break: reject }));
      return items.map((item) => `done ${item}`);
    },
    concurrency: 1,
    largestBatch: 4,
    limit: 100,
    timeout: 1000,
    ...how,
  });
  return { coalescer, batches, gates };
}

const soon = () => sleep(5);

describe('Coalescer', () => {
  it('starts a single item immediately', async () => {
    const { coalescer, batches, gates } = observed();
    const result = coalescer.submit(1);
    await soon();
    expect(batches).to.deep.equal([[1]]);
    gates[0]?.open();
    expect(await result).to.equal('done 1');
  });

  it('starts before the end of a long turn of the event loop, as in a flood of requests', async () => {
    const { coalescer, batches, gates } = observed();
    const flood = [coalescer.submit(1)];
    for (const end = performance.now() + 20; performance.now() < end; );
    flood.push(coalescer.submit(2));
    expect(batches).to.deep.equal([[1]]);
    gates[0]?.open();
    await soon();
    gates[1]?.open();
    expect(await Promise.all(flood)).to.deep.equal(['done 1', 'done 2']);
  });

  it('counts running and waiting items separately', async () => {
    const { coalescer, gates } = observed();
    const all = [coalescer.submit(1)];
    await soon();
    all.push(coalescer.submit(2), coalescer.submit(3));
    expect([coalescer.size, coalescer.executing]).to.deep.equal([3, 1]);
    gates[0]?.open();
    await soon();
    expect([coalescer.size, coalescer.executing]).to.deep.equal([2, 2]);
    gates[1]?.open();
    await Promise.all(all);
    expect([coalescer.size, coalescer.executing]).to.deep.equal([0, 0]);
  });

  it('puts items that arrive while a batch runs into the next batch', async () => {
    const { coalescer, batches, gates } = observed();
    const first = coalescer.submit(1);
    await soon();
    const later = [2, 3].map((item) => coalescer.submit(item));
    await soon();
    expect(batches).to.deep.equal([[1]]);
    gates[0]?.open();
    await first;
    await soon();
    expect(batches).to.deep.equal([[1], [2, 3]]);
    gates[1]?.open();
    expect(await Promise.all(later)).to.deep.equal(['done 2', 'done 3']);
  });

  it('adds no item to a batch that has started', async () => {
    const { coalescer, batches, gates } = observed({ concurrency: 2 });
    const results = [coalescer.submit(1)];
    await soon();
    results.push(coalescer.submit(1));
    await soon();
    expect(batches).to.deep.equal([[1], [1]]);
    for (const gate of gates) gate.open();
    await Promise.all(results);
  });

  it('never makes a batch larger than allowed', async () => {
    const { coalescer, batches, gates } = observed();
    const results = [1, 2, 3, 4, 5, 6].map((item) => coalescer.submit(item));
    await soon();
    gates[0]?.open();
    await soon();
    gates[1]?.open();
    await Promise.all(results);
    expect(batches).to.deep.equal([
      [1, 2, 3, 4],
      [5, 6],
    ]);
  });

  it('ends a batch where the next item cannot join', async () => {
    const { coalescer, batches, gates } = observed({ canJoin: (first, next) => first % 2 === next % 2 });
    const results = [1, 3, 2, 5].map((item) => coalescer.submit(item));
    for (let batch = 0; batch < 3; batch += 1) {
      await soon();
      gates[batch]?.open();
    }
    await Promise.all(results);
    expect(batches).to.deep.equal([[1, 3], [2], [5]]);
  });

  it('rejects an item immediately if too many are waiting', async () => {
    const { coalescer, gates } = observed({ limit: 2 });
    const kept = [coalescer.submit(1), coalescer.submit(2)];
    const refusal = await coalescer.submit(3).catch((error: unknown) => error);
    expect(refusal).to.be.instanceOf(Unavailable);
    await soon();
    gates[0]?.open();
    expect(await Promise.all(kept)).to.deep.equal(['done 1', 'done 2']);
  });

  it('accepts items again after others are answered', async () => {
    const { coalescer, gates } = observed({ limit: 1 });
    const first = coalescer.submit(1);
    await soon();
    gates[0]?.open();
    await first;
    const second = coalescer.submit(2);
    await soon();
    gates[1]?.open();
    expect(await second).to.equal('done 2');
  });

  it('rejects an item after its timeout, and never starts it later', async () => {
    const { coalescer, batches, gates } = observed({ timeout: 20 });
    const first = coalescer.submit(1).catch((error: unknown) => error);
    await soon();
    const late = coalescer.submit(2).catch((error: unknown) => error);
    expect(await first).to.be.instanceOf(Unavailable);
    expect(await late).to.be.instanceOf(Unavailable);
    gates[0]?.open();
    await soon();
    expect(batches).to.deep.equal([[1]]);
  });

  it('retries the items of a failed batch one by one, so that an invalid one fails alone', async () => {
    const coalescer = new Coalescer<number, string>({
      async run(items) {
        if (items.includes(2)) throw new Error('2 is bad');
        return items.map((item) => `done ${item}`);
      },
      concurrency: 1,
      largestBatch: 10,
      limit: 10,
      timeout: 1000,
    });
    const results = await Promise.allSettled([1, 2, 3].map((item) => coalescer.submit(item)));
    expect(
      results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.message)),
    ).to.deep.equal(['done 1', '2 is bad', 'done 3']);
  });

  it('runs a batch again that was in conflict with others', async () => {
    const { coalescer, batches, gates } = observed({ isConflict: () => true });
    const results = [1, 2].map((item) => coalescer.submit(item));
    await soon();
    gates[0]?.break(new Error('deadlock'));
    await soon();
    gates[1]?.open();
    expect(await Promise.all(results)).to.deep.equal(['done 1', 'done 2']);
    expect(batches).to.deep.equal([
      [1, 2],
      [1, 2],
    ]);
  });

  for (const [how, isConflict] of [
    ['failed', false],
    ['was in conflict with others', true],
  ] as const) {
    it(`does not run again what was rejected after its timeout, when its batch ${how}`, async () => {
      const { coalescer, batches, gates } = observed({ timeout: 20, isConflict: () => isConflict });
      const results = [1, 2].map((item) => coalescer.submit(item).catch((error: unknown) => error));
      await soon();
      for (const result of await Promise.all(results)) expect(result).to.be.instanceOf(Unavailable);
      gates[0]?.break(new Error('it fails later'));
      await soon();
      expect(batches).to.deep.equal([[1, 2]]);
    });
  }

  it('does not retry a batch that failed because the database is unavailable', async () => {
    const { coalescer, batches, gates } = observed();
    const results = [1, 2].map((item) => coalescer.submit(item).catch((error: unknown) => error));
    await soon();
    gates[0]?.break(new Unavailable('away'));
    for (const result of await Promise.all(results)) expect(result).to.be.instanceOf(Unavailable);
    expect(batches).to.deep.equal([[1, 2]]);
  });

  it('continues after a failure', async () => {
    const { coalescer, gates } = observed();
    const failed = coalescer.submit(1).catch(() => 'failed');
    await soon();
    gates[0]?.break(new Unavailable('away'));
    expect(await failed).to.equal('failed');
    const next = coalescer.submit(2);
    await soon();
    gates[1]?.open();
    expect(await next).to.equal('done 2');
  });
});
