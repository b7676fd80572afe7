import { expect } from 'chai';
import { Overloaded, Unavailable } from '../src/unavailable.ts';
import type { OpenApi } from '../src/web/contract.ts';
import { serving } from './serving.ts';

describe('the HTTP server', () => {
  let service: Awaited<ReturnType<typeof serving>>;
  afterEach(() => service.close());

  it('hides an unexpected error from the client and logs it', async () => {
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

  it('asks the client to retry if the database is unavailable', async () => {
    service = await serving({
      find: async () => {
        throw new Unavailable('database unavailable');
      },
    });
    const answer = await fetch(`${service.url}/hello/ann`);
    expect([answer.status, answer.headers.get('retry-after')]).to.deep.equal([503, '1']);
  });

  it('closes the connection of a client that it rejects, so that others can connect', async () => {
    service = await serving({
      find: async () => {
        throw new Overloaded('overload: 1000 requests wait');
      },
    });
    const { status, headers } = await fetch(`${service.url}/hello/ann`);
    expect([status, headers.get('retry-after'), headers.get('connection')]).to.deep.equal([503, '1', 'close']);
  });

  it('shows on the page that the database is unavailable, for a lookup without script', async () => {
    service = await serving({
      find: async () => {
        throw new Unavailable('database unavailable');
      },
    });
    const answer = await fetch(`${service.url}/?username=ann`, { headers: { accept: 'text/html' } });
    expect([answer.status, answer.headers.get('retry-after')]).to.deep.equal([503, '1']);
    expect(await answer.text())
      .to.contain('please try again')
      .and.not.to.contain('MySQL');
    expect(service.log()).to.contain('database unavailable');
  });

  it('counts the days from the date of its clock', async () => {
    service = await serving({ find: async () => '2000-12-31' }, '2026-12-30T23:59:59Z');
    const answer = await fetch(`${service.url}/hello/ann`);
    expect(await answer.json()).to.deep.equal({ message: 'Hello, ann! Your birthday is in 1 day(s)' });
  });

  it('checks dates of birth against the date of its clock', async () => {
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

  it('is not ready at first', async () => {
    service = await serving();
    expect((await fetch(`${service.url}/readyz`)).status).to.equal(503);
    service.health.becomeReady();
    expect((await fetch(`${service.url}/readyz`)).status).to.equal(200);
  });

  it('is alive, not ready and closes connections while it stops', async () => {
    service = await serving();
    service.health.becomeReady();
    service.health.beginStopping();
    expect((await fetch(`${service.url}/readyz`)).status).to.equal(503);
    const answer = await fetch(`${service.url}/livez`);
    expect([answer.status, answer.headers.get('connection')]).to.deep.equal([200, 'close']);
  });

  it('logs one line per request with the fields that operators need, and no birth date', async () => {
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

  it('does not log probes at level info, ready or not', async () => {
    service = await serving();
    for (const probe of ['/livez', '/readyz']) await fetch(`${service.url}${probe}`);
    service.health.becomeReady();
    await fetch(`${service.url}/readyz`);
    expect(service.log()).to.equal('');
  });

  it('answers 304 if the client accepts any cached version', async () => {
    service = await serving();
    expect((await fetch(`${service.url}/openapi.json`, { headers: { 'if-none-match': '*' } })).status).to.equal(304);
  });

  it('measures by route pattern, never by path', async () => {
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

  it('has metrics of the version, the pool, the queue and the lag of the event loop', async () => {
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

  it('refuses changes without it', async () => {
    expect([await status('PUT'), await status('DELETE')]).to.deep.equal([401, 401]);
    expect(saved).to.deep.equal([]);
  });

  it('accepts changes with it', async () => {
    const headers = { authorization: `Bearer ${token}` };
    expect([await status('PUT', headers), await status('DELETE', headers)]).to.deep.equal([204, 204]);
    expect(saved).to.deep.equal(['ann']);
  });

  it('needs no token for reads', async () => {
    expect(await status('GET')).to.equal(200);
  });

  it('never logs it', async () => {
    await status('PUT', { authorization: `Bearer ${token}` });
    expect(service.log()).to.contain('204').and.not.to.contain(token);
  });

  it('documents it in OpenAPI, and only then', async () => {
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
