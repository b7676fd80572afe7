import { expect } from 'chai';
import { CHECKS, PROBE, putProbe } from '../../../tools/alerts/probe.ts';
import { serving } from '../../serving.ts';

describe('the checks from outside', () => {
  const saved = new Map<string, unknown>();
  let service: Awaited<ReturnType<typeof serving>>;

  before(async () => {
    service = await serving(
      {
        save: async (username: string, dateOfBirth: unknown) => {
          saved.set(username, dateOfBirth);
        },
        find: async (username: string) => saved.get(username) as never,
      },
      undefined,
      'the-write-token-of-this-test',
    );
  });
  after(() => service.close());

  it('store their user with the token of the service, and not with another', async () => {
    expect(await putProbe(new URL(service.url), 'wrong')).to.equal(401);
    expect(await putProbe(new URL(service.url), 'the-write-token-of-this-test')).to.equal(204);
    expect([...saved.keys()]).to.deep.equal([PROBE.user]);
  });

  it('never show a token that no header can have', async () => {
    const refusal = await putProbe(new URL(service.url), 'two\nlines').catch(String);
    expect(refusal).to.include('WRITE_TOKEN has spaces, line breaks').and.not.include('two');
  });

  it('have a user with a name that no person has', () => {
    expect(PROBE.user).to.match(/^[a-z]{64}$/);
  });

  const asked = [
    ...Object.values(CHECKS).flatMap((check) => ['*/*', 'application/json'].map((accept) => ({ accept, ...check }))),
    { accept: 'text/html', ...CHECKS.page },
  ];
  for (const { accept, path, text } of asked) {
    it(`find their text in the answer of ${path} to Accept: ${accept}`, async () => {
      const answer = await fetch(`${service.url}${path}`, { headers: { accept } });
      expect(answer.status).to.equal(200);
      expect(await answer.text()).to.include(text);
    });
  }
});
