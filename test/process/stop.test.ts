import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { PrivateDatabase } from '../../tools/process/database.ts';
import { startPrivateDatabase } from '../../tools/process/database.ts';
import { eventually } from '../../tools/process/eventually.ts';
import { freePort } from '../../tools/process/free-port.ts';
import { killAll, migrate, type Service, startProcess, startServing } from '../../tools/process/service.ts';
import { beginSaving, find, isRefused, save, send } from './requests.ts';
import { sharedDatabase } from './shared-database.ts';

describe('stopping the process', function () {
  this.timeout(60_000);
  let database: PrivateDatabase;
  const started: Service[] = [];

  async function serve(env: NodeJS.ProcessEnv = {}): Promise<Service> {
    const service = await startServing({ ...database.env, ...env });
    started.push(service);
    return service;
  }

  before(async () => {
    database = await sharedDatabase();
  });
  afterEach(async () => {
    await killAll(started.splice(0));
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`ends with 0 on ${signal} without pending requests`, async () => {
      const service = await serve();
      service.child.kill(signal);
      expect(await service.exited).to.deep.equal({ code: 0, signal: null });
    });
  }

  it('serves during the drain delay, but is not ready and closes connections', async () => {
    const service = await serve({ SHUTDOWN_DRAIN_SECONDS: '3' });
    service.child.kill('SIGTERM');
    await eventually(async () => (await send('GET', `${service.url}/readyz`)).status === 503);
    const answer = await save(service.url, 'drained', '2000-01-01');
    expect(answer.status).to.equal(204);
    expect(answer.headers.get('connection')).to.equal('close');
    expect((await send('GET', `${service.url}/livez`)).status).to.equal(200);
    expect((await service.exited).code).to.equal(0);
  });

  it('lets a slow request complete, refuses new connections after the drain, and then ends with 0', async () => {
    const service = await serve({ SHUTDOWN_DRAIN_SECONDS: '1', SHUTDOWN_GRACE_SECONDS: '20' });
    const slow = await beginSaving(service.url, 'slow', '2000-02-29');
    service.child.kill('SIGTERM');
    await eventually(() => isRefused(service.url));
    expect(service.child.exitCode, 'it waits for the request').to.equal(null);
    expect(await slow.finish()).to.equal(204);
    expect(await service.exited).to.deep.equal({ code: 0, signal: null });
    const rows = await database.query(`SELECT date_of_birth FROM plusone.users WHERE username = 'slow'`);
    expect(rows).to.have.length(1);
  });

  it('does not wait for idle connections', async () => {
    const service = await serve();
    const agent = new Agent({ keepAlive: true });
    const [answer] = await once(request(`${service.url}/livez`, { agent }).end(), 'response');
    answer.resume();
    await once(answer, 'end');
    const from = performance.now();
    expect((await service.stop()).code).to.equal(0);
    expect(performance.now() - from).to.be.below(5_000);
    agent.destroy();
  });

  it('ends immediately on a second signal', async () => {
    const service = await serve({ SHUTDOWN_DRAIN_SECONDS: '30', SHUTDOWN_GRACE_SECONDS: '60' });
    service.child.kill('SIGTERM');
    await eventually(async () => service.stdout().includes('"stopping"'));
    service.child.kill('SIGTERM');
    // As a shell counts: 128 and the signal's number.
    expect((await service.exited).code).to.equal(143);
  });

  it('ends with 1 after the grace period if a request is still pending', async () => {
    const service = await serve({ SHUTDOWN_GRACE_SECONDS: '1' });
    await beginSaving(service.url, 'endless', '2000-01-01');
    expect((await service.stop()).code).to.equal(1);
    expect(service.stdout()).to.include('grace period ended; requests aborted');
  });

  it('ends with 0 while it still waits for the database', async () => {
    const PORT = String(await freePort());
    const METRICS_PORT = String(await freePort());
    const process = startProcess('serve', {
      ...database.env,
      ...{ DATABASE_PORT: '9', SHUTDOWN_DRAIN_SECONDS: '0', PORT, METRICS_PORT },
    });
    await eventually(async () => process.stdout().includes('not ready'));
    expect((await process.stop()).code).to.equal(0);
  });

  for (const what of ['an idle', 'a waiting'] as const) {
    it(`ends with 0 within the grace period with ${what} connection to a suspended MySQL`, async () => {
      const own = await startPrivateDatabase();
      try {
        await migrate(own.env);
        const service = await serve(own.env);
        await find(service.url, 'somebody');
        await own.freeze();
        const waiting = what === 'a waiting' ? find(service.url, 'somebody') : undefined;
        // A busy machine may take as long to read the request; one that was not read is not a waiting one.
        if (waiting !== undefined) await sleep(300);
        const from = performance.now();
        expect((await service.stop()).code).to.equal(0);
        expect(performance.now() - from).to.be.below(8_000);
        if (waiting !== undefined) expect((await waiting).status).to.equal(503);
      } finally {
        await own.stop();
      }
    });
  }
});
