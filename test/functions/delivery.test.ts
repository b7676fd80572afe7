import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import { ship, type World } from '../../functions/delivery.ts';
import { type Answer, type DestinationRequest, datadog, newRelic, openSearch } from '../../functions/destinations.ts';
import { type LogEvent, readLogEvents } from '../../functions/log-events.ts';
import { delivery, requestLine } from './log-delivery.ts';

type Reply = Answer | Error | ((request: DestinationRequest) => Answer);

/** A world whose destination replies as told, the last reply for ever, and whose clock moves by the pauses alone. */
function world(replies: readonly Reply[], milliseconds = 60_000) {
  const requests: DestinationRequest[] = [];
  const pauses: number[] = [];
  let left = milliseconds;
  const it: World = {
    async send(request) {
      requests.push(request);
      const reply = replies[Math.min(requests.length, replies.length) - 1];
      if (reply === undefined || reply instanceof Error) throw reply ?? new Error('no reply');
      return typeof reply === 'function' ? reply(request) : reply;
    },
    remaining: () => left,
    async sleep(pause) {
      pauses.push(pause);
      left -= pause;
    },
  };
  return { it, requests, pauses };
}

const events = (count: number): LogEvent[] =>
  readLogEvents(delivery(Array.from({ length: count }, (_, at) => requestLine(`r-${at}`))));
const search = openSearch('http://localhost:9200', 'plusone-test');
const CREATED = { create: { status: 201 } };
const EXISTS = { create: { status: 409, error: { type: 'version_conflict_engine_exception', reason: 'exists' } } };
const refused = (status: number, type: string, reason = 'because') => ({ create: { status, error: { type, reason } } });
const bulk = (...items: object[]): Answer => ({ status: 200, body: JSON.stringify({ errors: true, items }) });
/** The ids in a bulk request. */
const ids = ({ body }: DestinationRequest): string[] => {
  const lines = String(body).trim().split('\n');
  return lines.filter((_, at) => at % 2 === 0).map((line) => JSON.parse(line).create._id);
};
const textIn = (request: DestinationRequest | undefined) => gunzipSync(Buffer.from(request?.body ?? '')).toString();

describe('ship', () => {
  it('creates each event in the index of its day, with its id', async () => {
    const { it, requests } = world([bulk(CREATED, CREATED)]);
    const outcome = await ship(events(2), search, it);
    expect(outcome).to.deep.equal({ stored: 2, again: 0, plain: 0, failed: [], retries: 0 });
    const [action, document] = String(requests[0]?.body)
      .split('\n')
      .map((line) => JSON.parse(line || '{}'));
    expect(action).to.deep.equal({ create: { _index: 'logs-plusone-test-2026.11.29', _id: 'event-0' } });
    expect(document).to.include({ '@timestamp': '2026-11-29T03:00:00.000Z', requestId: 'r-0', status: 200 });
  });

  it('counts an event that exists as stored', async () => {
    const { it, requests } = world([bulk(EXISTS, CREATED)]);
    expect(await ship(events(2), search, it)).to.include({ stored: 2, again: 1 });
    expect(requests).to.have.length(1);
  });

  it('retries only the events that failed', async () => {
    const { it, requests } = world([
      bulk(CREATED, refused(429, 'rejected_execution_exception'), CREATED),
      bulk(CREATED),
    ]);
    expect(await ship(events(3), search, it)).to.include({ stored: 3, retries: 1 });
    expect(requests.map(ids)).to.deep.equal([['event-0', 'event-1', 'event-2'], ['event-1']]);
  });

  for (const [what, reply] of Object.entries({
    'a refused connection': new Error('fetch failed', { cause: new Error('connect ECONNREFUSED') }),
    'a status of 429': { status: 429, body: 'slow down' },
    'a status of 503': { status: 503, body: '' },
    'an answer that is no result': { status: 200, body: '<html>' },
  })) {
    it(`retries after ${what}, with growing pauses`, async () => {
      const { it, pauses } = world([reply, reply, reply, bulk(CREATED)]);
      expect(await ship(events(1), search, it)).to.include({ stored: 1, retries: 3 });
      expect(pauses).to.deep.equal([250, 500, 1000]);
    });
  }

  it('reports why a destination that does not answer has stored nothing', async () => {
    const { it } = world([new Error('fetch failed', { cause: new Error('connect ECONNREFUSED 10.0.0.1:443') })], 5_000);
    const { stored, failed } = await ship(events(2), search, it);
    expect(stored).to.equal(0);
    expect(failed.map(({ id }) => id)).to.deep.equal(['event-0', 'event-1']);
    expect(failed[0]?.reason).to.equal('OpenSearch did not answer: fetch failed: connect ECONNREFUSED 10.0.0.1:443');
  });

  it('names a read-only index, and continues to retry', async () => {
    const blocked = refused(403, 'cluster_block_exception', 'index [x] blocked by: [FORBIDDEN/12/index read-only];');
    const { it, requests } = world([bulk(blocked)], 5_000);
    const { failed } = await ship(events(1), search, it);
    expect(failed[0]?.reason).to.match(/^the index is read-only, as when the domain's disk is full/);
    expect(requests.length).to.be.greaterThan(3);
  });

  it('sends an event that the index rejects as plain text, with the reason', async () => {
    const { it, requests } = world([
      bulk(CREATED, refused(400, 'mapper_parsing_exception', "value: 'secret'")),
      bulk(CREATED),
    ]);
    expect(await ship(events(2), search, it)).to.include({ stored: 2, plain: 1 });
    const document = JSON.parse(String(requests[1]?.body).split('\n')[1] ?? '');
    expect(document.message).to.equal(requestLine('r-1'));
    expect(document.shipping).to.include('mapper_parsing_exception').and.not.include('secret');
  });

  it('sends an event as plain text if its JSON is nested too deeply to be written again', async () => {
    const { it, requests } = world([bulk(CREATED, CREATED)]);
    const nested = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
    const outcome = await ship(readLogEvents(delivery([nested, requestLine('r-1')])), search, it);
    expect(outcome).to.include({ stored: 2, plain: 1 });
    const document = JSON.parse(String(requests[0]?.body).split('\n')[1] ?? '');
    expect(document.message).to.match(/^\{"a":.*the first 32000 of 600001 bytes/);
    expect(document.shipping).to.include('call stack');
  });

  it('drops only an event that the index rejects as plain text too', async () => {
    const bad = refused(400, 'mapper_parsing_exception');
    const { it } = world([bulk(CREATED, bad, CREATED), bulk(bad)]);
    const { stored, failed } = await ship(events(3), search, it);
    expect([stored, failed.map(({ id }) => id)]).to.deep.equal([2, ['event-1']]);
  });

  it('halves a request that is too large until all events are stored', async () => {
    const limited = (request: DestinationRequest) =>
      ids(request).length > 2 ? { status: 413, body: '' } : bulk(...ids(request).map(() => CREATED));
    const { it, requests } = world([limited]);
    expect(await ship(events(7), search, it)).to.include({ stored: 7, plain: 0 });
    expect(requests.map((request) => ids(request).length)).to.deep.equal([7, 4, 3, 2, 2, 2, 1]);
  });

  it('shortens a line that is too large by itself', async () => {
    const limited = ({ body }: DestinationRequest) =>
      body.length > 100_000 ? { status: 413, body: '' } : bulk(CREATED);
    const { it, requests } = world([limited]);
    const large = readLogEvents(delivery([`{"msg":"${'x'.repeat(1_000_000)}"}`]));
    expect(await ship(large, search, it)).to.include({ stored: 1, plain: 1 });
    expect(String(requests.at(-1)?.body)).to.include('(the first 32000 of 1000010 bytes)');
  });

  it('keeps each request within the limits of the destination', async () => {
    const { it, requests } = world([(request) => bulk(...ids(request).map(() => CREATED))]);
    const lines = readLogEvents(delivery(Array.from({ length: 12 }, () => 'x'.repeat(1_000_000))));
    expect(await ship(lines, search, it)).to.include({ stored: 12 });
    expect(requests).to.have.length(3);
    for (const { body } of requests) expect(body.length).to.be.at.most(5_000_000);
  });

  it('stops immediately if writing is forbidden, and names what to change', async () => {
    const { it, requests } = world([{ status: 403, body: 'no permissions' }]);
    const { failed } = await ship(events(2), search, it);
    expect(requests).to.have.length(1);
    expect(failed).to.have.length(2);
    expect(failed[0]?.reason).to.include('answered 403').and.include('access policy');
  });

  it('reports every event if the time ends in the middle', async () => {
    const { it } = world([bulk(CREATED)], 0);
    const { stored, failed } = await ship(events(3), search, it);
    expect([stored, failed.length]).to.deep.equal([0, 3]);
  });
});

describe('the destinations of the vendors', () => {
  const [event] = readLogEvents(delivery([JSON.stringify({ msg: 'request', traceId: 'abc', spanId: 'def' })]));
  const accepted = { status: 202, body: '{}' };

  it('send the key in the documented header, and the events in the documented format', async () => {
    const dog = world([accepted]);
    const relic = world([accepted]);
    await ship(event ? [event] : [], datadog('https://http-intake.logs.datadoghq.com', 'plusone-test', 'k1'), dog.it);
    await ship(event ? [event] : [], newRelic('https://log-api.newrelic.com', 'plusone-test', 'k2'), relic.it);
    expect(dog.requests[0]).to.have.property('url', 'https://http-intake.logs.datadoghq.com/api/v2/logs');
    expect(dog.requests[0]?.headers).to.include({ 'dd-api-key': 'k1' });
    expect(JSON.parse(textIn(dog.requests[0]))).to.deep.equal([
      {
        ddsource: 'plusone',
        ddtags: 'env:plusone-test',
        service: 'plusone-test-plusone',
        hostname: event?.stream,
        timestamp: event?.timestamp,
        message: event?.message,
        dd: { trace_id: 'abc', span_id: 'def' },
      },
    ]);
    expect(relic.requests[0]).to.have.property('url', 'https://log-api.newrelic.com/log/v1');
    expect(relic.requests[0]?.headers).to.include({ 'api-key': 'k2' });
    expect(JSON.parse(textIn(relic.requests[0]))[0].logs[0]).to.deep.include({
      timestamp: event?.timestamp,
      message: event?.message,
    });
  });

  it('name a wrong key, and never show it', async () => {
    for (const create of [datadog, newRelic]) {
      const { it } = world([{ status: 403, body: 'Forbidden' }]);
      const { failed } = await ship(
        event ? [event] : [],
        create('https://destination.example', 'plusone-test', 'k-secret'),
        it,
      );
      expect(failed[0]?.reason)
        .to.include('answered 403')
        .and.include('LOGS_KEY_PARAMETER')
        .and.not.include('k-secret');
    }
  });

  it('take lines again after a status of 429, and say so when the time is over', async () => {
    for (const create of [datadog, newRelic]) {
      const destination = create('https://destination.example', 'plusone-test', 'k');
      const once = world([{ status: 429, body: 'slow down' }, accepted]);
      expect(await ship(event ? [event] : [], destination, once.it)).to.include({ stored: 1, retries: 1 });
      const always = world([{ status: 429, body: 'slow down' }], 3_000);
      const { failed } = await ship(event ? [event] : [], destination, always.it);
      expect(failed[0]?.reason).to.equal(`${destination.name} answered 429: slow down`);
    }
  });

  for (const answer of [
    { status: 404, body: '' },
    { status: 302, body: '' },
    { status: 200, body: '<html>Log in' },
    { status: 204, body: '' },
  ]) {
    it(`name an endpoint that is not a destination: its answer is ${answer.status}`, async () => {
      for (const create of [datadog, newRelic]) {
        const { it } = world([answer]);
        const destination = create('https://destination.example', 'plusone-test', 'k');
        const { stored, failed } = await ship(event ? [event] : [], destination, it);
        expect(stored).to.equal(0);
        expect(failed[0]?.reason).to.include('LOGS_ENDPOINT');
      }
    });
  }

  it('show no key that the answer repeats', async () => {
    for (const create of [datadog, newRelic]) {
      for (const status of [200, 400, 403, 404, 429, 500]) {
        const { it } = world([{ status, body: 'headers: dd-api-key=k-secret' }], 1_000);
        const { failed } = await ship(
          event ? [event] : [],
          create('https://destination.example', 'plusone-test', 'k-secret'),
          it,
        );
        expect(failed[0]?.reason).to.include('dd-api-key=…').and.not.include('k-secret');
      }
    }
  });

  it('take a line whose trace is no text', async () => {
    const odd = [{ traceId: 'abc' }, { traceId: 'abc', spanId: { a: 1 } }, { traceId: 1, spanId: 'def' }];
    const lines = readLogEvents(delivery(odd.map((fields) => JSON.stringify(fields))));
    for (const create of [datadog, newRelic]) {
      const { it, requests } = world([accepted]);
      expect(await ship(lines, create('https://destination.example', 'plusone-test', 'k'), it)).to.include({
        stored: 3,
      });
      expect(textIn(requests[0])).to.not.match(/trace.id|span.id/);
    }
  });
});
