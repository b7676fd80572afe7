import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { KNOWN_METHODS } from '../../src/operations/metrics.ts';
import { serving } from '../serving.ts';

type Service = Awaited<ReturnType<typeof serving>>;

/** Sends these bytes and returns everything received until the server closes the connection. */
async function say(service: Service, bytes: string): Promise<string> {
  const socket = connect(service.port, '127.0.0.1');
  socket.write(bytes);
  return await text(socket);
}

/** Waits until the log has `count` lines, and a little longer, so that an additional line would be seen. */
async function linesOf(service: Service, count: number): Promise<Record<string, unknown>[]> {
  const deadline = Date.now() + 2_000;
  while (service.lines().length < count && Date.now() < deadline) await sleep(5);
  await sleep(50);
  return service.lines();
}

const statuses = (wire: string) => Array.from(wire.matchAll(/HTTP\/1\.1 (\d+)/g), ([, status]) => Number(status));

/** A server that checks often for late requests and allows 50 ms. */
function impatient(server: Server): void {
  Object.assign(server, { headersTimeout: 50, requestTimeout: 50, connectionsCheckingInterval: 20 });
}

describe('a request that is refused before the router', () => {
  let service: Service;
  afterEach(() => service.close());

  const invalidUrl = 'The Host header and the request target do not form a valid URL.';
  const invalidPath = 'The path is invalid: a percent sign is not followed by the code of a character in UTF-8.';
  const cases: [what: string, bytes: string, status: number, method: string | undefined, reason: string][] = [
    ['no Host', 'GET /livez HTTP/1.1\r\n\r\n', 400, 'GET', 'The Host header is missing.'],
    ['an invalid Host', 'GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n', 400, 'GET', invalidUrl],
    ['an invalid Host on the direct route', 'GET /hello/ann HTTP/1.1\r\nHost: a b\r\n\r\n', 400, 'GET', invalidUrl],
    ['a Host with a path', 'GET /ann HTTP/1.1\r\nHost: x/hello\r\n\r\n', 400, 'GET', invalidUrl],
    ['a Host with a query', 'GET /nothing HTTP/1.1\r\nHost: x?y\r\n\r\n', 400, 'GET', invalidUrl],
    ['a Host with a user', 'GET /hello/ann HTTP/1.1\r\nHost: y@x\r\n\r\n', 400, 'GET', invalidUrl],
    ['an invalid Host in HTTP/1.0', 'GET /livez HTTP/1.0\r\nHost: a b\r\n\r\n', 400, 'GET', invalidUrl],
    ['an invalid percent sign in the path', 'GET /hello/%zz HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'GET', invalidPath],
    [
      'a tunnel',
      'CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: x\r\n\r\n',
      405,
      'CONNECT',
      'Method not allowed: CONNECT. This server is no proxy.',
    ],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, undefined, 'The request is not valid HTTP/1.1.'],
    ['a TLS handshake', '\x16\x03\x01\x02\0\x01\0\x01', 400, undefined, 'The request is not valid HTTP/1.1.'],
    ['an invalid target', 'GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'GET', invalidUrl],
    [
      'an unknown expectation',
      'PUT /hello/ann HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n',
      417,
      'PUT',
      'The only supported expectation is 100-continue.',
    ],
    [
      'headers of 20 KiB',
      `GET /livez HTTP/1.1\r\nHost: x\r\nX-Large: ${'a'.repeat(20_480)}\r\n\r\n`,
      431,
      undefined,
      'The head of the request is larger than 16 KiB.',
    ],
    ['bytes that are not HTTP', 'GARBAGE\r\n\r\n', 400, undefined, 'The request is not valid HTTP/1.1.'],
  ];
  for (const [what, bytes, status, method, reason] of cases) {
    it(`is logged and counted once, with its reason: ${what}`, async () => {
      service = await serving();
      const wire = await say(service, bytes);
      expect(statuses(wire)).to.deep.equal([status]);
      const [line, ...more] = await linesOf(service, 1);
      expect(more).to.deep.equal([]);
      expect(line).to.include({ msg: 'request', route: 'none', status, reason });
      expect(line?.method).to.equal(method);
      expect(wire).to.contain(`x-request-id: ${line?.requestId}\r\n`);
      const counted = method !== undefined && KNOWN_METHODS.has(method) ? method : 'other';
      expect(await service.counts()).to.deep.equal({ [`${counted} none ${status}`]: 1 });
    });
  }

  it('is logged and counted once, with its reason: a head that does not arrive in time', async () => {
    service = await serving({}, undefined, undefined, impatient);
    expect(statuses(await say(service, 'GET /livez HTTP/1.1\r\nHost: x\r\n'))).to.deep.equal([408]);
    const lines = await linesOf(service, 1);
    expect(lines.map(({ route, status, reason }) => [route, status, reason])).to.deep.equal([
      ['none', 408, 'The request did not arrive in time.'],
    ]);
    expect(await service.counts()).to.deep.equal({ 'other none 408': 1 });
  });

  it('is not logged or counted when the client closes the connection before it has sent anything', async () => {
    service = await serving();
    const socket = connect(service.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.resetAndDestroy();
    expect(await linesOf(service, 0)).to.deep.equal([]);
    expect(await service.counts()).to.deep.equal({});
  });
});

describe('an invalid percent sign in the query', () => {
  it('does not make the path invalid', async () => {
    const service = await serving();
    const wire = await say(service, 'GET /nothing?a=% HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(statuses(wire)).to.deep.equal([404]);
    await service.close();
  });
});

describe('a malformed request after a valid one on the same connection', () => {
  it('is logged and counted beside it', async () => {
    const service = await serving({ find: async () => await sleep(20, '2000-01-01') });
    const one = (path: string, host: string) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const wire = await say(service, one('/hello/ann', 'x') + one('/livez', 'a b'));
    expect(statuses(wire)).to.deep.equal([200, 400]);
    await linesOf(service, 2);
    expect(await service.counts()).to.deep.equal({ 'GET /hello/:username 200': 1, 'GET none 400': 1 });
    await service.close();
  });
});

describe('a request that cannot be read to its end', () => {
  let service: Service;
  afterEach(() => service.close());

  const head = 'PUT /hello/ann HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';

  it('is logged and counted once, by its route: a body with an invalid chunk', async () => {
    service = await serving();
    const wire = await say(service, `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`);
    expect(statuses(wire)).to.deep.equal([400]);
    const lines = await linesOf(service, 1);
    expect(lines.map(({ route, status, reason }) => [route, status, reason])).to.deep.equal([
      ['/hello/:username', 400, 'The request is not valid HTTP/1.1.'],
    ]);
    expect(wire).to.contain(`x-request-id: ${lines[0]?.requestId}\r\n`);
    expect(await service.counts()).to.deep.equal({ 'PUT /hello/:username 400': 1 });
  });

  it('is logged and counted once, by its route: a body whose connection ends', async () => {
    service = await serving();
    const socket = connect({ port: service.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.end(`${head}Content-Length: 30\r\n\r\n{`);
    expect(statuses(await text(socket))).to.deep.equal([400]);
    const lines = await linesOf(service, 1);
    expect(lines.map(({ route, status, reason }) => [route, status, reason])).to.deep.equal([
      ['/hello/:username', 400, 'The connection ended before the request was complete.'],
    ]);
    expect(await service.counts()).to.deep.equal({ 'PUT /hello/:username 400': 1 });
  });

  it('is logged and counted once, by its route: a body that does not arrive in time', async () => {
    service = await serving({}, undefined, undefined, impatient);
    expect(statuses(await say(service, `${head}Content-Length: 30\r\n\r\n{`))).to.deep.equal([408]);
    expect((await linesOf(service, 1)).map(({ status }) => status)).to.deep.equal([408]);
    expect(await service.counts()).to.deep.equal({ 'PUT /hello/:username 408': 1 });
  });

  it('is recorded with the status that was sent when bytes that are not HTTP follow a request', async () => {
    service = await serving({ find: async () => await sleep(50, '2000-01-01') });
    const wire = await say(service, 'GET /hello/ann HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\n');
    expect(statuses(wire)).to.deep.equal([400]);
    expect((await linesOf(service, 1)).map(({ status }) => status)).to.deep.equal([400]);
    expect(await service.counts()).to.deep.equal({ 'GET /hello/:username 400': 1 });
  });
});

describe('a request whose client closes the connection before the answer', () => {
  let service: Service;
  afterEach(() => service.close());

  for (const path of ['/hello/ann', '/hello/ann?routed']) {
    it(`is logged and counted as 499: GET ${path}`, async () => {
      let asked = () => {};
      const isAsked = new Promise<void>((resolve) => {
        asked = resolve;
      });
      service = await serving({
        find: async () => {
          asked();
          return await sleep(50, '2000-01-01');
        },
      });
      const socket = connect(service.port, '127.0.0.1');
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await isAsked;
      socket.destroy();
      expect((await linesOf(service, 1)).map(({ status }) => status)).to.deep.equal([499]);
      expect(await service.counts()).to.deep.equal({ 'GET /hello/:username 499': 1 });
    });
  }
});
