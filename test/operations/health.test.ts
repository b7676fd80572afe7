import { expect } from 'chai';
import { Health } from '../../src/operations/health.ts';

describe('Health', () => {
  it('is not ready at first', () => {
    expect(new Health().phase).to.equal('starting');
  });

  it('does not become ready again once it is stopping', () => {
    const health = new Health();
    health.beginStopping();
    health.becomeReady();
    expect(health.phase).to.equal('stopping');
  });
});
