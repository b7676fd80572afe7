import { expect } from 'chai';
import { pino } from 'pino';
import { MalformedRequest } from '../../src/http/problems.ts';
import { createRequestLog, withoutData } from '../../src/operations/logging.ts';
import { Unavailable } from '../../src/unavailable.ts';

/** A stream and the lines that it has received. */
function sink() {
  const lines: string[] = [];
  return { lines, write: (line: string) => void lines.push(line) };
}

/** `error` as it is logged. */
function logged(error: unknown): string {
  const { lines, ...stream } = sink();
  pino({ serializers: { err: withoutData } }, stream).error({ err: error }, 'x');
  return lines.join('');
}

/** The lines of a log of that level for a request that was answered with `status`. */
function loggedOfRequest(level: string, status: number, error?: unknown): string[] {
  const { lines, ...stream } = sink();
  const log = pino({ level, base: null, formatters: { level: (label) => ({ level: label }) } }, stream);
  const request = { method: 'GET', requestId: 'trace-1' };
  createRequestLog(log, stream)(request, status, '/hello/:username', 1.26, error);
  return lines;
}

describe('the line of a request', () => {
  it('has the same fields in the same order for a success and a failure', () => {
    const [good = '', ...more] = loggedOfRequest('info', 200);
    const [bad = ''] = loggedOfRequest('info', 503, new Unavailable('database unavailable'));
    expect(more).to.deep.equal([]);
    expect(good.endsWith('}\n')).to.equal(true);
    const { reason, ...rest } = JSON.parse(bad);
    expect(reason).to.equal('database unavailable');
    expect(Object.keys(JSON.parse(good))).to.deep.equal(Object.keys(rest));
    expect(JSON.parse(good)).to.include({ level: 'info', requestId: 'trace-1', status: 200, milliseconds: 1.3 });
  });

  it('is not written for a success if the level is higher', () => {
    expect(loggedOfRequest('warn', 200)).to.deep.equal([]);
    expect(loggedOfRequest('warn', 503, new Unavailable('database unavailable'))).to.have.length(1);
  });
});

describe('the line of a probe', () => {
  const levelOf = (status: number, error?: unknown): string | undefined => {
    const { lines, ...stream } = sink();
    const log = pino({ level: 'debug', base: null, formatters: { level: (label) => ({ level: label }) } }, stream);
    createRequestLog(log, stream)({ method: 'GET', requestId: 'probe-1' }, status, '/readyz', 1, error);
    return lines.map((line) => JSON.parse(line).level).join();
  };

  it('is at debug when it was answered as intended', () => {
    expect([levelOf(200), levelOf(404), levelOf(503, new Unavailable('starting'))]).to.deep.equal(
      Array(3).fill('debug'),
    );
  });

  it('is at info when the request was malformed', () => {
    expect(levelOf(400, new MalformedRequest(400, 'The request is not valid HTTP/1.1.'))).to.equal('info');
  });

  it('is at error when the service failed', () => {
    expect(levelOf(500, new Error('bug'))).to.equal('error');
  });
});

describe('the time of a line', () => {
  it('is that of its request', async () => {
    const timeOf = () => Date.parse(JSON.parse(loggedOfRequest('info', 200)[0] ?? '').time);
    const [before, first] = [Date.now(), timeOf()];
    await new Promise((resolve) => setTimeout(resolve, 5));
    const [between, second, after] = [Date.now(), timeOf(), Date.now()];
    expect(first).to.be.within(before, between);
    expect(second).to.be.within(between, after);
  });
});

describe('an error in the log', () => {
  it('keeps its type, message, code and stack', () => {
    const line = JSON.parse(logged(Object.assign(new RangeError('too far'), { code: 'E_FAR' })));
    expect(line.err).to.include({ type: 'RangeError', message: 'too far', code: 'E_FAR' });
    expect(line.err.frames).to.contain('logging.test.ts');
  });

  it('loses a quoted value that has a quote itself', () => {
    const error = Object.assign(new Error("Duplicate entry 'Sean O'Brien' for key 'x'"), { sqlState: '23000' });
    expect(logged(error)).not.to.contain('Brien');
  });

  it('loses the values that MySQL quotes in its message and in those of its causes', () => {
    const mysql = Object.assign(new Error("Incorrect date value: '1985-03-12' for column 'd'"), {
      sqlState: '22007',
      sql: "INSERT … '1985-03-12'",
    });
    expect(logged(mysql)).not.to.contain('1985');
    expect(logged(new Error('outer', { cause: mysql }))).not.to.contain('1985');
  });

  it('has its cause, if there is one', () => {
    const line = JSON.parse(logged(new Error('outer', { cause: new RangeError('inner') })));
    expect(line.err.cause).to.include({ type: 'RangeError', message: 'inner' }).and.not.to.have.property('cause');
  });

  it('has only its type if it is not an Error', () => {
    expect(withoutData('1985-03-12')).to.deep.equal({ type: 'string' });
    expect(withoutData(undefined)).to.deep.equal({ type: 'undefined' });
  });

  it('has the frames of its stack without its message', () => {
    const { frames } = Object(withoutData(new Error('born 1985-03-12')));
    expect(frames).to.match(/^ {4}at /);
  });

  it('has no message in the place of frames that are missing, as with --stack-trace-limit=0', () => {
    const error = Object.assign(new Error("Incorrect date value: '1985-03-12'"), { sqlState: '22007' });
    error.stack = `Error: ${error.message}`;
    expect(logged(error)).not.to.contain('1985');
  });

  it('loses all other properties', () => {
    expect(logged(Object.assign(new Error('no'), { password: 'hunter2' }))).not.to.contain('hunter2');
  });
});
