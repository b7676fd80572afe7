import { expect } from 'chai';
import { ask } from './service.ts';

describe('the service over HTTP', () => {
  for (const path of ['/livez', '/readyz', '/docs', '/openapi.json', '/', '/assets/page.js', '/assets/page.css'])
    it(`answers ${path}`, async () => {
      expect((await ask('GET', path)).status).to.equal(200);
    });

  it('answers 404 for an unknown path, as problem+json with a request id', async () => {
    const { status, headers, body } = await ask('GET', '/nothing');
    expect([status, headers.get('content-type'), body?.status]).to.deep.equal([404, 'application/problem+json', 404]);
    expect(headers.get('x-request-id')).to.be.a('string');
  });

  it('keeps the request id of the client', async () => {
    const { headers } = await ask('GET', '/livez', undefined, { 'x-request-id': 'mine-1' });
    expect(headers.get('x-request-id')).to.equal('mine-1');
  });
});
