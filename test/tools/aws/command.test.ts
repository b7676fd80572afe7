import { expect } from 'chai';
import { readTarget } from '../../../tools/aws/command.ts';

describe('what a command works on', () => {
  it('is the environment test in us-west-2 unless something else is said', () => {
    expect(readTarget({})).to.deep.equal({
      application: 'plusone',
      service: 'plusone',
      environment: 'test',
      region: 'us-west-2',
    });
  });

  it('names the environments when ENV is none of them', () => {
    expect(() => readTarget({ ENV: 'production' })).to.throw(
      'ENV is production; it must be an environment of copilot/environments/: prod, test',
    );
  });
});
