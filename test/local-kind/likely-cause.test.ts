import { expect } from 'chai';
import { likelyCause } from '../../local-kind/likely-cause.ts';

describe('likelyCause', () => {
  for (const [said, cause] of [
    ['unable to find user app: no matching entries in passwd file', 'the image has no user "app"'],
    ["couldn't find key TOKEN in Secret shop/web-secrets", 'TOKEN is not in plusone.env'],
    ['exec: "serve": executable file not found in $PATH: unknown', 'the image has no program "serve"'],
    ['container has runAsNonRoot and image will run as root', 'the image runs as root'],
    ['failed to calculate checksum of ref a::b: "/web/x.conf": not found', 'the build context has no web/x.conf'],
    [
      "file:///app/main.mjs:2\nSyntaxError: Unexpected token ';'\n",
      "its program does not parse: SyntaxError: Unexpected token ';'",
    ],
    ['Unable to connect to the server: net/http: TLS handshake timeout', 'the cluster is stopped or paused'],
    ['Error: connect ECONNREFUSED 10.0.0.1:3306', 'a connection was refused'],
  ] as const) {
    it(`is "${cause}" for ${said.slice(0, 40)}`, () => {
      expect(likelyCause(said)).to.contain(cause);
    });
  }

  it('is undefined for an unknown text', () => {
    expect(likelyCause('it ended with 1')).to.equal(undefined);
  });
});
