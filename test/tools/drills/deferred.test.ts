import { expect } from 'chai';
import { Deferred } from '../../../tools/drills/deferred.ts';

describe('Deferred', () => {
  it('runs the last action first', async () => {
    const ran: string[] = [];
    const deferred = new Deferred();
    deferred.add(() => ran.push('first'));
    deferred.add(async () => ran.push('last'));
    await deferred.run();
    expect(ran).to.deep.equal(['last', 'first']);
  });

  it('runs each action even if another fails, and then reports the failures', async () => {
    const ran: string[] = [];
    const deferred = new Deferred();
    deferred.add(() => ran.push('first'));
    deferred.add(() => {
      throw new Error('no permission');
    });
    const error = await deferred.run().catch((reason: unknown) => reason);
    expect(ran).to.deep.equal(['first']);
    expect(error).to.be.instanceOf(AggregateError);
  });
});
