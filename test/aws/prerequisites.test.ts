import { expect } from 'chai';
import { readTarget } from '../../aws/command.ts';
import { credentialsProblem } from '../../aws/prerequisites.ts';

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
      'ENV=production is no environment of copilot/environments/: prod, test',
    );
  });
});

describe('credentials that do not work', () => {
  it('are told apart: none, expired, unknown', () => {
    expect(
      credentialsProblem('Unable to locate credentials. You can configure credentials by running "aws configure".'),
    ).to.match(/^no AWS credentials/);
    expect(
      credentialsProblem('An error occurred (ExpiredToken) when calling the GetCallerIdentity operation'),
    ).to.match(/have expired/);
    expect(
      credentialsProblem('An error occurred (InvalidClientTokenId) when calling the GetCallerIdentity operation'),
    ).to.match(/knows no such credentials/);
  });
});
