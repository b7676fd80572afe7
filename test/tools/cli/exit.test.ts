import { expect } from 'chai';
import { NotReady } from '../../../local-kind/wait-for-rollout.ts';
import { exitCodeOf } from '../../../tools/cli/exit.ts';
import { Failed } from '../../../tools/terminal/programs.ts';
import { Refusal } from '../../../tools/terminal/refusal.ts';

describe('exitCodeOf', () => {
  for (const [error, code] of [
    [new NotReady('deployment/router does not get ready'), 1],
    [new Failed('`kind create cluster` ended with 1', { code: 1 }), 1],
    [new Refusal('the port 5000 is in use'), 69],
  ] as const) {
    it(`is ${code} for ${error.name}, whose message is shown without a stack`, () => {
      expect(exitCodeOf(error)).to.equal(code);
    });
  }

  it('is undefined for a fault of the program, whose stack is shown', () => {
    expect(exitCodeOf(new TypeError('x is not a function'))).to.equal(undefined);
  });
});
