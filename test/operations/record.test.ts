import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { expect } from 'chai';
import { createMetrics } from '../../src/operations/metrics.ts';
import { createRecorder } from '../../src/operations/record.ts';
import { idle } from '../idle.ts';

/** What metrics and log get of the answer to a request that came so many milliseconds ago. */
async function recorded(age: number | undefined, change: (response: ServerResponse) => void = () => {}) {
  const metrics = createMetrics({ version: '1', revision: 'abc' }, () => idle);
  const logged: { status: number; milliseconds: number }[] = [];
  const recorder = createRecorder({
    metrics,
    logRequest: (_request, status, _route, milliseconds) => logged.push({ status, milliseconds }),
  });
  const incoming = new IncomingMessage(new Socket());
  const request = Object.assign(incoming, {
    method: 'GET',
    requestId: 'r',
    ...(age === undefined ? {} : { receivedAt: performance.now() - age }),
  });
  const response = new ServerResponse(incoming);
  change(response);
  recorder.response(request, response, '/livez', undefined);
  const text = await metrics.registry.metrics();
  const seconds = Number(/^http_request_duration_seconds_sum\{.*\} (\S+)$/m.exec(text)?.[1]);
  return { seconds, ...(logged[0] ?? expect.fail('nothing was logged')) };
}

describe('the record of a request', () => {
  it('has its duration in milliseconds in the log and in seconds in the metrics', async () => {
    const { milliseconds, seconds } = await recorded(2_000);
    expect(milliseconds).to.be.within(2_000, 4_000);
    expect(seconds).to.be.closeTo(milliseconds / 1000, 1e-9);
  });

  it('has no duration when the time of arrival is unknown', async () => {
    expect((await recorded(undefined)).milliseconds).to.equal(0);
  });

  it('has the status of the answer, or 499 when the client closed the connection before its end', async () => {
    expect((await recorded(1)).status).to.equal(200);
    expect((await recorded(1, (response) => response.destroy())).status).to.equal(499);
  });
});
