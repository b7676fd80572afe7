import { expect } from 'chai';
import { readTarget } from '../../../tools/aws/command.ts';

describe('the target of a command', () => {
  it('is the environment test in us-west-2 by default', () => {
    expect(readTarget({})).to.deep.equal({
      application: 'plusone',
      service: 'plusone',
      environment: 'test',
      region: 'us-west-2',
    });
  });

  it('lists the environments if ENV is not one of them', () => {
    expect(() => readTarget({ ENV: 'production' })).to.throw(
      'ENV is production; it must be an environment of copilot/environments/: prod, test',
    );
  });
});
