import { expect } from 'chai';
import { narrowLimit } from '../../../tools/drills/scaling.ts';

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
