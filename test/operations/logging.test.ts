import { Writable } from 'node:stream';
import { expect } from 'chai';
import { pino } from 'pino';
import { withoutData } from '../../src/operations/logging.ts';

/** What the log would hold of `error`. */
function logged(error: unknown): string {
  let text = '';
  const sink = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  pino({ serializers: { err: withoutData } }, sink).error({ err: error }, 'x');
  return text;
}

describe('an error in the log', () => {
  it('keeps its kind, message, code and place', () => {
    const line = JSON.parse(logged(Object.assign(new RangeError('too far'), { code: 'E_FAR' })));
    expect(line.err).to.include({ type: 'RangeError', message: 'too far', code: 'E_FAR' });
    expect(line.err.frames).to.contain('logging.test.ts');
  });

  it("loses the values that MySQL quotes in its message, in its causes' too", () => {
    const mysql = Object.assign(new Error("Incorrect date value: '1985-03-12' for column 'd'"), {
      sqlState: '22007',
      sql: "INSERT … '1985-03-12'",
    });
    expect(logged(mysql)).not.to.contain('1985');
    expect(logged(new Error('outer', { cause: mysql }))).not.to.contain('1985');
  });

  it('loses everything that is attached to it', () => {
    expect(logged(Object.assign(new Error('no'), { password: 'hunter2' }))).not.to.contain('hunter2');
  });
});
