import { connect } from 'node:net';
import { expect } from 'chai';
import { type Service, startService } from '../../tools/process/service.ts';

const SEED = Number(process.env.FUZZ_SEED ?? 1);
const CASES = Number(process.env.FUZZ_CASES ?? 2_000);
const AT_ONCE = 20;
const QUIET_MILLISECONDS = 3_000;
const BODY = '{"dateOfBirth":"1990-01-01"}';
/** Every status that /openapi.json has for some request, apart from those that say the service has failed. */
const DOCUMENTED = [100, 200, 204, 304, 400, 404, 405, 406, 408, 413, 415, 417, 431];

describe('malformed requests', function () {
  this.timeout(Math.max(120_000, CASES * 50));
  let service: Service;

  before(async () => {
    service = await startService({ LOG_LEVEL: 'error' });
  });
  after(async () => {
    await service?.stop();
  });
  afterEach(async () => {
    expect((await fetch(`${service.url}/livez`)).status, 'the service lives').to.equal(200);
    expect(service.stdout(), 'errors that the service logged').to.equal('');
  });

  /** Sends bytes and then the end of the stream; gives back all that is said, until the service closes or is quiet. */
  function say(bytes: string | Uint8Array): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect({ port: Number(new URL(service.url).port), host: '127.0.0.1', allowHalfOpen: true });
      const chunks: Buffer[] = [];
      socket.setTimeout(QUIET_MILLISECONDS, () => socket.destroy());
      socket.on('data', (chunk) => chunks.push(chunk));
      socket.on('error', () => {});
      socket.on('end', () => socket.destroy());
      socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
      socket.end(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    });
  }

  const statuses = (wire: string) => [...wire.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));

  // Each of these ends, for some reader of HTTP, before the hidden request, and for another behind it. Whoever stands in
  // front may be either, so there is one right thing to do: refuse, and read no further. RFC 9112, 6.3 and 11.2.
  const ambiguous: [what: string, head: string, rest?: string][] = [
    ['a length and chunks', 'Content-Length: 4\r\nTransfer-Encoding: chunked', '0\r\n\r\n'],
    ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 4', '0\r\n\r\n'],
    ['a coding that only looks like chunks', 'Transfer-Encoding: xchunked', '0\r\n\r\n'],
    ['chunks that are not the last coding', 'Transfer-Encoding: chunked, identity', '0\r\n\r\n'],
    ['chunks after a vertical tab', 'Transfer-Encoding:\x0bchunked', '0\r\n\r\n'],
    ['chunks with a blank before the colon', 'Transfer-Encoding : chunked', '0\r\n\r\n'],
    ['chunks on a folded line', 'Transfer-Encoding:\r\n chunked', '0\r\n\r\n'],
    ['chunks behind a bare line feed', 'X-A: b\nTransfer-Encoding: chunked', '0\r\n\r\n'],
    ['two lengths', 'Content-Length: 0\r\nContent-Length: 5'],
    ['two lengths that agree', 'Content-Length: 0\r\nContent-Length: 0'],
    ['a list of lengths', 'Content-Length: 0, 5'],
    ['a length with a sign', 'Content-Length: +0'],
    ['a length below nothing', 'Content-Length: -1'],
    ['a length in hexadecimal', 'Content-Length: 0x0'],
    ['a length with a blank in it', 'Content-Length: 0 0'],
    ['a length beyond all bounds', 'Content-Length: 99999999999999999999'],
    ['a chunk beyond all bounds', 'Transfer-Encoding: chunked', 'fffffffffffffffff\r\n'],
    ['a chunk below nothing', 'Transfer-Encoding: chunked', '-1\r\n'],
    ['a chunk with 0x', 'Transfer-Encoding: chunked', '0x0\r\n\r\n'],
    ['a chunk that is longer than it says', 'Transfer-Encoding: chunked', '1\r\nab\r\n0\r\n\r\n'],
    ['a chunk extension with a bare line feed', 'Transfer-Encoding: chunked', '0;a\n\r\n\r\n'],
    ['a NUL in a header', 'X-A: b\0c\r\nContent-Length: 0'],
    ['a bare carriage return in a header', 'X-A: b\rContent-Length: 0'],
  ];
  ambiguous.forEach(([what, head, rest = ''], at) => {
    it(`hide no second request behind ${what}`, async () => {
      const name = `hidden${String.fromCharCode(97 + at)}`;
      const hidden = `PUT /hello/${name} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
      const outer = `PUT /hello/outer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${head}\r\n\r\n${rest}`;
      const wire = await say(outer + hidden);
      expect(statuses(wire), wire).to.deep.equal([400]);
      expect((await fetch(`${service.url}/hello/${name}`)).status).to.equal(404);
    });
  });

  it(`get documented answers only: ${CASES} requests, each with one or two mutations`, async () => {
    const random = generator(SEED);
    const undocumented: string[] = [];
    const messages = Array.from({ length: CASES }, () => mutated(random));
    const left = messages.values();
    const line = async () => {
      for (const message of left) {
        const wire = await say(message);
        const strange = statuses(wire).filter((status) => !DOCUMENTED.includes(status));
        if (strange.length > 0) undocumented.push(`${JSON.stringify(message.toString('latin1'))}: ${strange}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, line));
    expect(undocumented, `with FUZZ_SEED=${SEED}`).to.deep.equal([]);
  });
});

const GOOD = [
  'GET /hello/ann HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n',
  'GET /?username=ann HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nIf-None-Match: "a"\r\n\r\n',
  'GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nX-Request-Id: a\r\n\r\n',
  `PUT /hello/ann HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
  `PUT /hello/ann HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`,
  `PUT /hello/ann HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
  'DELETE /hello/ann HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n',
  'HEAD / HTTP/1.0\r\n\r\n',
];
const STRANGE = [
  '\0',
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  ':',
  '%',
  '%00',
  '%ff',
  '/',
  '//',
  '..',
  '?',
  '#',
  '\\',
  '{',
  '"',
  '\x80',
  '\xff',
  '\xc3',
  ';',
  ',',
  '-1',
  '99999999999',
  'a'.repeat(9_000),
];

/** A good request with one to three places replaced, taken out, doubled or broken off. */
function mutated(random: () => number): Buffer {
  const below = (limit: number) => Math.floor(random() * limit);
  let text = GOOD[below(GOOD.length)] ?? '';
  for (let times = 1 + below(3); times > 0; times -= 1) {
    const at = below(text.length);
    const length = below(8);
    const changes = [
      () => text.slice(0, at) + (STRANGE[below(STRANGE.length)] ?? '') + text.slice(at + length),
      () => text.slice(0, at) + text.slice(at + 1 + length),
      () => text.slice(0, at) + text.slice(at, at + length).repeat(2) + text.slice(at + length),
      () => text.slice(0, at) + String.fromCharCode(below(256)) + text.slice(at + 1),
      () => text.slice(0, at),
    ];
    text = changes[below(changes.length)]?.() ?? text;
  }
  return Buffer.from(text, 'latin1');
}

/** Numbers from 0 to 1 that look random and are the same for the same seed: https://en.wikipedia.org/wiki/Xorshift */
function generator(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
