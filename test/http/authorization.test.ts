import type { IncomingMessage } from 'node:http';
import { expect } from 'chai';
import { requireToken } from '../../src/http/authorization.ts';
import { Problem } from '../../src/http/problems.ts';

const TOKEN = 'a-token-of-twenty-or-more==';

function refusal(authorization?: string): Problem | undefined {
  try {
    requireToken({ headers: { authorization } } as IncomingMessage, TOKEN);
    return undefined;
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

describe('a token for changes', () => {
  it('is accepted with the scheme in any case', () => {
    expect(refusal(`Bearer ${TOKEN}`)).to.equal(undefined);
    expect(refusal(`bearer ${TOKEN}`)).to.equal(undefined);
  });

  it('is requested with 401 and WWW-Authenticate if it is missing', () => {
    expect(refusal()).to.deep.include({
      status: 401,
      headers: { 'WWW-Authenticate': 'Bearer realm="changes"' },
    });
  });

  for (const wrong of [`Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(0, -1)}`, 'Bearer x']) {
    it(`is refused as invalid if it is another one: ${wrong}`, () => {
      expect(refusal(wrong)?.headers['WWW-Authenticate']).to.equal('Bearer realm="changes", error="invalid_token"');
    });
  }

  for (const other of [TOKEN, `Basic ${TOKEN}`, `Bearer${TOKEN}`, 'Bearer ', `Bearer ${TOKEN} ${TOKEN}`]) {
    it(`is missing in ${other}`, () => {
      expect(refusal(other)?.status).to.equal(401);
    });
  }

  it('is not in the response', () => {
    expect(JSON.stringify(refusal('Bearer wrong'))).not.to.contain(TOKEN);
  });

  it('is not required if none is set', () => {
    expect(() => requireToken({ headers: {} } as IncomingMessage, undefined)).not.to.throw();
  });
});
