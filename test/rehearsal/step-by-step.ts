import { skip } from '../skip.ts';

/** Skips the tests of the present suite after one that failed, as each step stands on the one before. Gives back whether one has. */
export function stepByStep(): () => boolean {
  let isBroken = false;
  beforeEach(function () {
    if (isBroken) skip(this, 'a step before it failed');
  });
  afterEach(function () {
    if (this.currentTest?.state === 'failed') isBroken = true;
  });
  return () => isBroken;
}
