import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { PROBE } from '../../../tools/alerts/probe.ts';
import { updatePingdom } from '../../../tools/aws/pingdom.ts';

/** Pingdom's API as far as it is used: checks with ids, and one token that may write. */
describe('the checks of Pingdom', () => {
  const checks = new Map<number, { name: string }>();
  const requests: string[] = [];
  let api = '';
  let server: Server;

  before(async () => {
    server = createServer(async (request, response) => {
      const { method = '', url = '', headers } = request;
      const body = await text(request);
      if (headers.authorization !== 'Bearer right') {
        response.statusCode = 403;
        response.end();
        return;
      }
      requests.push(`${method} ${url}`);
      const id = method === 'POST' ? checks.size + 1 : Number(url.split('/')[2]);
      if (method !== 'GET') checks.set(id, JSON.parse(body));
      const list = [...checks].map(([id, { name }]) => ({ id, name }));
      response.end(JSON.stringify({ checks: list }));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  beforeEach(() => {
    checks.clear();
    requests.length = 0;
  });
  after(() => server.close());

  const update = (url: string, token = 'right') => updatePingdom(api, token, 'plusone-prod-plusone', new URL(url));

  it('are made for the page and for a birthday, each with what its answer must contain', async () => {
    await update('http://hello.example.com:8080');
    expect([...checks.values()]).to.deep.equal(
      [
        ['page', '/', '/docs'],
        ['birthday', `/hello/${PROBE.user}`, 'Hello'],
      ].map(([what, path, contained]) => ({
        name: `plusone-prod-plusone ${what}`,
        host: 'hello.example.com',
        url: path,
        port: 8080,
        encryption: false,
        shouldcontain: contained,
        resolution: 1,
        type: 'http',
      })),
    );
  });

  it('are updated the next time, and not made twice', async () => {
    await update('http://hello.example.com');
    await update('https://hello.example.com');
    expect(requests).to.deep.equal([
      'GET /checks',
      'POST /checks',
      'POST /checks',
      'GET /checks',
      'PUT /checks/1',
      'PUT /checks/2',
    ]);
  });

  it('warn of a certificate that expires, with HTTPS', async () => {
    await update('https://hello.example.com');
    for (const check of checks.values())
      expect(check).to.include({ port: 443, encryption: true, verify_certificate: true, ssl_down_days_before: 14 });
  });

  it('are refused with what to do when the token may not write, and without the token', async () => {
    const refusal = await update('http://hello.example.com', 'wrong-token').catch(String);
    expect(refusal).to.include('Pingdom answered 403: PINGDOM_TOKEN must be a token that may write');
    expect(refusal).to.not.include('wrong-token');
  });

  it('are refused without a request for a token that no header can have, which is not shown', async () => {
    for (const token of ['two\nlines', 'caf\u00e9', 'a space']) {
      const refusal = await update('http://hello.example.com', token).catch(String);
      expect(refusal).to.include('PINGDOM_TOKEN has spaces, line breaks or other characters that no token has');
      expect(refusal).to.not.include(token);
    }
    expect(requests).to.deep.equal([]);
  });
});
