import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { fieldsOf, readLogEvents, UnreadableEvent } from '../../functions/log-events.ts';
import { delivery, GROUP } from './log-delivery.ts';

const packed = (payload: unknown) => ({ awslogs: { data: gzipSync(JSON.stringify(payload)).toString('base64') } });

describe('readLogEvents', () => {
  it('reads the events of a delivery, with their group and stream', () => {
    expect(readLogEvents(delivery(['one', 'two']))).to.deep.equal(
      ['one', 'two'].map((message, at) => ({
        id: `event-${at}`,
        timestamp: Date.UTC(2026, 10, 29, 3, 0, 0, at),
        message,
        group: GROUP,
        stream: 'copilot/plusone/0123456789abcdef',
      })),
    );
  });

  it('finds nothing in a control message', () => {
    expect(readLogEvents(packed({ messageType: 'CONTROL_MESSAGE', logEvents: [] }))).to.deep.equal([]);
  });

  it('reads deliveries from the dead-letter queue, with and without the envelope of a destination', () => {
    const bodies = [delivery(['a'], 'first'), { requestContext: {}, requestPayload: delivery(['b'], 'second') }];
    const event = { Records: bodies.map((body) => ({ body: JSON.stringify(body) })) };
    expect(readLogEvents(event).map(({ id, message }) => [id, message])).to.deep.equal([
      ['first-0', 'a'],
      ['second-0', 'b'],
    ]);
  });

  const DELIVERY = { messageType: 'DATA_MESSAGE', logGroup: 'g', logStream: 's' };
  it('refuses an event without log events, with the reason', () => {
    const wrong: [unknown, string][] = [
      [{}, 'neither awslogs.data nor Records'],
      [undefined, 'neither awslogs.data nor Records'],
      [{ awslogs: { data: 'bm8=' } }, 'not gzip'],
      [packed('text'), 'no log delivery'],
      [packed('x'.repeat(130 * 1024 * 1024)), 'larger than 134217728 bytes'],
      [packed({ ...DELIVERY, logEvents: [{ id: 'x' }] }), 'timestamp'],
      ...[1e20, -1, null, '1'].map((timestamp): [unknown, string] => [
        packed({ ...DELIVERY, logEvents: [{ id: 'x', timestamp, message: '' }] }),
        'logEvents.0.timestamp',
      ]),
      [{ Records: [{ body: 'text' }] }, 'dead-letter queue'],
    ];
    for (const [event, words] of wrong) expect(() => readLogEvents(event)).to.throw(UnreadableEvent, words);
  });
});

describe('fieldsOf', () => {
  const fields = (message: string) => fieldsOf({ id: '1', timestamp: 0, message, group: 'g', stream: 's' });

  it('returns the fields of a line that is a JSON object', () => {
    expect(fields(' {"level":"info","status":200}\n')).to.deep.equal({ level: 'info', status: 200 });
  });

  it('returns undefined for other lines', () => {
    for (const line of ['', 'text', '{', '{"a":1', '[1]', '12', 'null', '"{}"'])
      expect(fields(line), line).to.equal(undefined);
  });
});
