import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { skip } from '../skip.ts';
import { ask, contract, jsonOf } from './contract.ts';
import { authorization, newName, START_MILLISECONDS, serviceUnderTest } from './service.ts';
import { answerIn, say } from './wire.ts';

const LARGEST_BODY = 16 * 1024;
const json = { 'content-type': 'application/json' };
const birthday = '{"dateOfBirth":"1990-06-15"}';

const alive = async () => expect((await ask('GET', '/livez')).status).to.equal(200);

describe('HTTP', () => {
  before(async function () {
    this.timeout(START_MILLISECONDS);
    await serviceUnderTest();
  });

  it('answers HEAD like GET, without the body', async () => {
    const name = newName();
    await ask('PUT', `/hello/${name}`, { headers: json, body: birthday });
    for (const path of [`/hello/${name}`, '/hello/unknownname', '/livez', '/readyz', '/', '/openapi.json', '/docs']) {
      const [head, get] = [await ask('HEAD', path), await ask('GET', path)];
      const facts = ({ status, headers }: typeof head) => [
        path,
        status,
        headers.get('content-type'),
        headers.get('content-length'),
      ];
      expect(facts(head)).to.deep.equal(facts(get));
      expect(head.text).to.equal('');
    }
  });

  it('refuses other methods of a path with 405 and lists those that are allowed', async () => {
    const { document } = await contract();
    for (const [path, methods] of Object.entries(document.paths)) {
      const has = Object.keys(methods).map((method) => method.toUpperCase());
      if (has.includes('GET')) has.push('HEAD');
      for (const method of ['POST', 'PATCH', 'PUT', 'DELETE', 'OPTIONS'].filter((method) => !has.includes(method))) {
        const answer = await ask(method, path.replace('{username}', 'ann'));
        expect([path, method, answer.status]).to.deep.equal([path, method, 405]);
        expect(answer.headers.get('allow')?.split(/,\s*/).sort()).to.deep.equal([...has].sort());
      }
    }
  });

  for (const path of [
    '/nothing',
    '/hello',
    '/hello/ann/',
    '/hello/ann/more',
    '/HELLO/ann',
    '/livez/',
    '/metrics',
    '/assets/',
    '/assets/..%2fpages.ts',
    '/.env',
  ]) {
    it(`answers 404 for ${path}`, async () => {
      expect((await ask('GET', path)).status).to.equal(404);
    });
  }

  it('answers 404 for a POST to an unknown path', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS']) {
      expect([method, (await ask(method, '/nothing')).status]).to.deep.equal([method, 404]);
    }
  });

  it('names the path in a problem, without the query', async () => {
    expect(jsonOf(await ask('GET', '/nothing?q=secret'))).to.include({ instance: '/nothing', type: 'about:blank' });
  });

  it('refuses an Accept header that allows no available type', async () => {
    for (const accept of ['text/plain', 'image/*', 'application/json;q=0', 'application/xml, text/html']) {
      expect([accept, (await ask('GET', '/hello/ann', { headers: { accept } })).status]).to.deep.equal([accept, 406]);
    }
  });

  it('accepts every Accept header that allows JSON', async () => {
    for (const accept of [
      '*/*',
      'application/*',
      'application/json',
      'text/html, */*;q=0.1',
      'application/json;q=0.2, image/png',
    ]) {
      expect([accept, (await ask('GET', '/hello/unknownname', { headers: { accept } })).status]).to.deep.equal([
        accept,
        404,
      ]);
    }
  });

  it('accepts a body of 16 KiB and refuses a larger one', async () => {
    const padded = (length: number) => birthday.padEnd(length, ' ');
    const put = async (body: string) => (await ask('PUT', `/hello/${newName()}`, { headers: json, body })).status;
    expect([await put(padded(LARGEST_BODY)), await put(padded(LARGEST_BODY + 1))]).to.deep.equal([204, 413]);
  });

  it('refuses a large body without Content-Length', async () => {
    const body = new ReadableStream({
      start(controller) {
        for (let chunk = 0; chunk < 20; chunk++) controller.enqueue(Buffer.alloc(1_024, ' '));
        controller.close();
      },
    });
    expect((await ask('PUT', `/hello/${newName()}`, { headers: json, body })).status).to.equal(413);
  });

  it('always answers 413 to a body of megabytes', async function () {
    this.timeout(15_000);
    // A load balancer that is still passing the body on may say 502 when the service has answered and closed.
    if (!(await serviceUnderTest()).direct) skip(this, 'a load balancer is between');
    for (let round = 0; round < 10; round++) {
      const answer = await ask('PUT', `/hello/${newName()}`, { headers: json, body: birthday.padEnd(3_000_000, ' ') });
      expect(answer.status).to.equal(413);
    }
    await alive();
  });

  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonp',
    'application/xml',
    'multipart/form-data; boundary=x',
    'json',
  ]) {
    it(`refuses a body of type ${type}`, async () => {
      const answer = await ask('PUT', `/hello/${newName()}`, { headers: { 'content-type': type }, body: birthday });
      expect(answer.status).to.equal(415);
    });
  }

  it('refuses a body without a type', async () => {
    const answer = await ask('PUT', `/hello/${newName()}`, { body: Uint8Array.from(Buffer.from(birthday)) });
    expect(answer.status).to.equal(415);
  });

  it('refuses a body that is falsely declared as compressed, and continues to serve', async () => {
    for (const encoding of ['gzip', 'deflate', 'br', 'GZIP', 'x-gzip', 'nonsense', 'gzip, identity']) {
      const answer = await ask('PUT', `/hello/${newName()}`, {
        headers: { ...json, 'content-encoding': encoding },
        body: birthday,
      });
      expect([encoding, answer.status]).to.deep.equal([encoding, 415]);
    }
    await alive();
  });

  it('refuses a compressed body', async () => {
    const answer = await ask('PUT', `/hello/${newName()}`, {
      headers: { ...json, 'content-encoding': 'gzip' },
      body: Uint8Array.from(gzipSync(birthday.padEnd(10_000_000, ' '))),
    });
    expect(answer.status).to.equal(415);
    await alive();
  });

  it('accepts Content-Encoding: identity', async () => {
    const answer = await ask('PUT', `/hello/${newName()}`, {
      headers: { ...json, 'content-encoding': 'identity' },
      body: birthday,
    });
    expect(answer.status).to.equal(204);
  });

  it('forbids caches to store a birthday', async () => {
    const name = newName();
    await ask('PUT', `/hello/${name}`, { headers: json, body: birthday });
    expect((await ask('GET', `/hello/${name}`)).headers.get('cache-control')).to.contain('no-store');
  });
});

describe('the request id', () => {
  it("is the client's if it is valid", async () => {
    for (const id of ['trace-1', 'a'.repeat(128), '0af7651916cd43dd8448eb211c80319c', 'a.b:c_d']) {
      expect((await ask('GET', '/livez', { headers: { 'x-request-id': id } })).headers.get('x-request-id')).to.equal(
        id,
      );
    }
  });

  it('is a new one if that of the client is long or unsafe in a log', async () => {
    for (const id of ['a'.repeat(129), 'two words', '"quoted"', '{"a":1}', '<b>', 'é', '$(id)', '']) {
      const given = (await ask('GET', '/livez', { headers: { 'x-request-id': id } })).headers.get('x-request-id');
      expect(given).to.match(/^[0-9a-f-]{36}$/);
    }
  });

  it('differs for each request, including errors', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) => ask('GET', at % 2 ? '/livez' : '/nothing')),
    );
    expect(new Set(answers.map(({ headers }) => headers.get('x-request-id'))).size).to.equal(20);
  });
});

describe('unusual or malformed HTTP', () => {
  before(async function () {
    const { direct } = await serviceUnderTest();
    if (!direct) skip(this, 'a load balancer answers these itself, or makes good requests of them');
  });
  afterEach(alive);

  const broken: [what: string, bytes: string, status: number][] = [
    ['garbage', 'GARBAGE\r\n\r\n', 400],
    ['a request line with a space in its path', 'GET /hello/a b c HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['an unknown method', 'BREW /hello/ann HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['no Host', 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['an invalid Host', 'GET /livez HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n', 400],
    ['no Host on the direct route', 'GET /hello/ann HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['an invalid Host on the direct route', 'GET /hello/ann HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n', 400],
    ['a request target that is not a URL', 'GET http://[/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 400],
    ['a length that is not a number', 'PUT /hello/ann HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n', 400],
    ['two lengths', 'PUT /hello/ann HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x', 400],
    [
      'a length and chunks',
      'PUT /hello/ann HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    [
      'an invalid chunk',
      'PUT /hello/ann HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      400,
    ],
    ['a space before the colon', 'GET /livez HTTP/1.1\r\nHost : x\r\n\r\n', 400],
    ['headers of 20 KiB', `GET /livez HTTP/1.1\r\nHost: x\r\nX-Large: ${'a'.repeat(20_480)}\r\n\r\n`, 431],
    ['a path of 20 KiB', `GET /hello/${'a'.repeat(20_480)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
    [
      'an unsupported expectation',
      'PUT /hello/ann HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nConnection: close\r\n\r\n',
      417,
    ],
    ['TRACE', 'TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 405],
    ['a tunnel', 'CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    ['a Host with a path', 'GET /ann HTTP/1.1\r\nHost: x/hello\r\nConnection: close\r\n\r\n', 400],
    ['a request target with a single percent sign', 'GET /% HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 400],
  ];
  for (const [what, bytes, status] of broken) {
    it(`is answered with ${status} as a problem: ${what}`, async () => {
      expect((await answerIn(await say(bytes))).status).to.equal(status);
    });
  }

  it('may be an HTTP/1.0 request without a Host', async () => {
    expect((await answerIn(await say('GET /livez HTTP/1.0\r\n\r\n'))).status).to.equal(200);
  });

  it('may have a whole URL as the request target', async () => {
    const wire = await say('GET http://elsewhere.example/livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect((await answerIn(wire)).status).to.equal(200);
  });

  it('may request an upgrade, which is ignored', async () => {
    const wire = await say(
      'GET /livez HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n',
    );
    expect((await answerIn(wire)).status).to.equal(200);
  });

  it('may be several requests in one packet, answered in order', async () => {
    const one = (path: string, close = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${close}\r\n`;
    const wire = await say(one('/livez') + one('/nothing') + one('/readyz', 'Connection: close\r\n'));
    expect(wire.match(/HTTP\/1\.1 \d+/g)).to.deep.equal(['HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 200']);
  });

  it('may end in the middle of a body', async () => {
    const name = newName();
    const { url } = await serviceUnderTest();
    const gone = new AbortController();
    const half = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from('{"dateOf'));
        setTimeout(() => gone.abort(), 50);
      },
    });
    const sent = fetch(`${url}/hello/${name}`, {
      method: 'PUT',
      headers: { ...authorization(), ...json },
      body: half,
      duplex: 'half',
      signal: gone.signal,
    });
    expect(await sent.catch((error: Error) => error.name)).to.equal('AbortError');
    expect((await ask('GET', `/hello/${name}`)).status).to.equal(404);
  });
});
