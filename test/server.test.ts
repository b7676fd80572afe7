import { expect } from 'chai';
import { Overloaded, Unavailable } from '../src/unavailable.ts';
import type { OpenApi } from '../src/web/openapi.ts';
import { serving } from './serving.ts';

describe('the HTTP server', () => {
  let service: Awaited<ReturnType<typeof serving>>;
  afterEach(() => service.close());

  it('shows nothing of an unexpected error and logs all of it', async () => {
    service = await serving({
      find: async () => {
        throw new TypeError('the inside');
      },
    });
    const answer = await fetch(`${service.url}/hello/ann`);
    expect(answer.status).to.equal(500);
    expect(await answer.text()).not.to.contain('inside');
    expect(service.log()).to.contain('the inside').and.to.contain('TypeError');
  });

  it('survives a throw that is not an Error', async () => {
    service = await serving({
      find: async () => {
        throw 'a text';
      },
    });
    expect((await fetch(`${service.url}/hello/ann`)).status).to.equal(500);
    expect((await fetch(`${service.url}/livez`)).status).to.equal(200);
  });

  it('asks to come back when the database is away', async () => {
    service = await serving({
      find: async () => {
        throw new Unavailable('MySQL is away');
      },
    });
    const answer = await fetch(`${service.url}/hello/ann`);
    expect([answer.status, answer.headers.get('retry-after')]).to.deep.equal([503, '1']);
  });

  it('ends the connection of whoever it turns away, so that others get in', async () => {
    service = await serving({
      find: async () => {
        throw new Overloaded('overload: 1000 requests wait');
      },
    });
    const { status, headers } = await fetch(`${service.url}/hello/ann`);
    expect([status, headers.get('retry-after'), headers.get('connection')]).to.deep.equal([503, '1', 'close']);
  });

  it('says so on the page too when a lookup without script finds the database away', async () => {
    service = await serving({
      find: async () => {
        throw new Unavailable('MySQL is away');
      },
    });
    const answer = await fetch(`${service.url}/?username=ann`, { headers: { accept: 'text/html' } });
    expect([answer.status, answer.headers.get('retry-after')]).to.deep.equal([503, '1']);
    expect(await answer.text())
      .to.contain('please try again')
      .and.not.to.contain('MySQL');
    expect(service.log()).to.contain('MySQL is away');
  });

  it('counts the days from the clock that it was given', async () => {
    service = await serving({ find: async () => '2000-12-31' }, '2026-12-30T23:59:59Z');
    const answer = await fetch(`${service.url}/hello/ann`);
    expect(await answer.json()).to.deep.equal({ message: 'Hello, ann! Your birthday is in 1 day(s)' });
  });

  it('judges dates of birth by the clock that it was given', async () => {
    service = await serving({}, '2026-01-01T00:00:00Z');
    const put = (dateOfBirth: string) =>
      fetch(`${service.url}/hello/ann`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ dateOfBirth }),
      });
    expect((await put('2025-12-31')).status).to.equal(204);
    expect((await put('2026-01-01')).status).to.equal(400);
  });

  it('is not ready before it is told so', async () => {
    service = await serving();
    expect((await fetch(`${service.url}/readyz`)).status).to.equal(503);
    service.health.becomeReady();
    expect((await fetch(`${service.url}/readyz`)).status).to.equal(200);
  });

  it('is alive, not ready and sends callers away while it stops', async () => {
    service = await serving();
    service.health.becomeReady();
    service.health.beginStopping();
    expect((await fetch(`${service.url}/readyz`)).status).to.equal(503);
    const answer = await fetch(`${service.url}/livez`);
    expect([answer.status, answer.headers.get('connection')]).to.deep.equal([200, 'close']);
  });

  it('logs a line a request with what an operator looks for, and no birth date', async () => {
    service = await serving();
    await fetch(`${service.url}/hello/ann`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'x-request-id': 'trace-1' },
      body: '{"dateOfBirth": "1985-03-12"}',
    });
    const line = JSON.parse(service.log());
    expect(line).to.include({ requestId: 'trace-1', method: 'PUT', route: '/hello/:username', status: 204 });
    expect(line.milliseconds).to.be.a('number');
    expect(service.log()).not.to.contain('1985');
  });

  it('keeps probes out of the log, ready or not', async () => {
    service = await serving();
    for (const probe of ['/livez', '/readyz']) await fetch(`${service.url}${probe}`);
    service.health.becomeReady();
    await fetch(`${service.url}/readyz`);
    expect(service.log()).to.equal('');
  });

  it('answers 304 when the client would take any cached version', async () => {
    service = await serving();
    expect((await fetch(`${service.url}/openapi.json`, { headers: { 'if-none-match': '*' } })).status).to.equal(304);
  });

  it('measures by the pattern of the route, never by the path', async () => {
    service = await serving({ find: async () => '2000-01-01' });
    await fetch(`${service.url}/hello/ann`);
    await fetch(`${service.url}/nothing/here`);
    const text = await service.metrics.registry.metrics();
    expect(text).to.contain(
      'http_request_duration_seconds_count{method="GET",route="/hello/:username",status="200"} 1',
    );
    expect(text).to.contain('http_request_duration_seconds_count{method="GET",route="none",status="404"} 1');
    expect(text).not.to.contain('nothing');
  });

  it('tells what was built, the pool, the queue and the lag of the event loop', async () => {
    service = await serving();
    const text = await service.metrics.registry.metrics();
    for (const name of [
      'plusone_build_info{version="1",revision="abc",node=',
      'plusone_database_connections_used',
      'plusone_database_connection_waits',
      'plusone_reads_waiting',
      'nodejs_eventloop_lag_p99_seconds',
    ]) {
      expect(text).to.contain(name);
    }
  });
});

describe('with a token for changes', () => {
  const token = 'a-token-of-twenty-characters';
  const saved: string[] = [];
  let service: Awaited<ReturnType<typeof serving>>;

  beforeEach(async () => {
    saved.length = 0;
    const save = async (username: string) => void saved.push(username);
    service = await serving({ save, find: async () => '2000-01-01', remove: async () => true }, undefined, token);
  });
  afterEach(() => service.close());

  async function status(method: string, headers: Record<string, string> = {}): Promise<number> {
    const body = method === 'PUT' ? { body: '{"dateOfBirth": "1985-03-12"}' } : {};
    const answer = await fetch(`${service.url}/hello/ann`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...body,
    });
    return answer.status;
  }

  it('changes nothing for a caller without it', async () => {
    expect([await status('PUT'), await status('DELETE')]).to.deep.equal([401, 401]);
    expect(saved).to.deep.equal([]);
  });

  it('does as it is told by a caller with it', async () => {
    const headers = { authorization: `Bearer ${token}` };
    expect([await status('PUT', headers), await status('DELETE', headers)]).to.deep.equal([204, 204]);
    expect(saved).to.deep.equal(['ann']);
  });

  it('greets everyone', async () => {
    expect(await status('GET')).to.equal(200);
  });

  it('never logs it', async () => {
    await status('PUT', { authorization: `Bearer ${token}` });
    expect(service.log()).to.contain('204').and.not.to.contain(token);
  });

  it('says so in its contract, which names no token otherwise', async () => {
    const contract = (await (await fetch(`${service.url}/openapi.json`)).json()) as OpenApi;
    const { put, delete: remove, get } = contract.paths['/hello/{username}'] ?? {};
    expect([put?.security, remove?.security, get?.security]).to.deep.equal([
      [{ writeToken: [] }],
      [{ writeToken: [] }],
      undefined,
    ]);
    expect(put?.responses).to.include.keys('401');

    const open = await serving();
    const text = await (await fetch(`${open.url}/openapi.json`)).text();
    await open.close();
    expect(text).not.to.match(/401|writeToken|securitySchemes/);
  });
});
