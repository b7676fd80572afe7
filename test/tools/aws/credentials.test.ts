import { expect } from 'chai';
import { credentialsProblem } from '../../../tools/aws/credentials.ts';

describe('invalid credentials', () => {
  it('are reported as missing, expired or unknown', () => {
    expect(
      credentialsProblem('Unable to locate credentials. You can configure credentials by running "aws configure".'),
    ).to.match(/^no AWS credentials/);
    expect(
      credentialsProblem('An error occurred (ExpiredToken) when calling the GetCallerIdentity operation'),
    ).to.match(/have expired/);
    expect(
      credentialsProblem('An error occurred (InvalidClientTokenId) when calling the GetCallerIdentity operation'),
    ).to.match(/are invalid/);
  });
});
