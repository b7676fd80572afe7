import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type PrivateDatabase, startPrivateDatabase } from '../../../tools/process/database.ts';
import { eventually } from '../../../tools/process/eventually.ts';
import { freePort } from '../../../tools/process/free-port.ts';
import { migrate, type ServiceProcess, startProcess, untilReady } from '../../../tools/process/service.ts';
import { GeneratedService, projectOf } from '../new/generated.ts';

const CLIENTS = 20;
const DRAIN_SECONDS = 4;
const LOAD_MILLISECONDS = 500;
/** Two seconds, and some for a busy machine. */
const LONGEST_ANSWER_MILLISECONDS = 3_000;

describe('a generated service under faults', function () {
  this.timeout(120_000);
  let generated: GeneratedService;
  let database: PrivateDatabase;
  let serving: ServiceProcess;
  let url: string;

  before(async () => {
    generated = new GeneratedService(projectOf('orders', 'order', ['total:decimal']));
    database = await startPrivateDatabase();
    const main = join(generated.folder, 'src/main.ts');
    await migrate(database.env, { main });
    const ports = { PORT: String(await freePort()), METRICS_PORT: String(await freePort()) };
    serving = startProcess(
      'serve',
      { ...database.env, ...ports, SHUTDOWN_DRAIN_SECONDS: String(DRAIN_SECONDS) },
      { main },
    );
    url = `http://127.0.0.1:${ports.PORT}`;
    await untilReady(serving, url);
  });
  after(async () => {
    serving?.child.kill('SIGKILL');
    await database?.stop();
    generated?.remove();
  });

  async function put(id: string): Promise<number> {
    const response = await fetch(`${url}/orders/${id}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"total":"12.50"}',
    });
    await response.arrayBuffer();
    return response.status;
  }

  const get = async (id: string) => {
    const response = await fetch(`${url}/orders/${id}`);
    return { status: response.status, body: await response.text() };
  };

  it('answers 503 in time while its database is killed or frozen, stays ready, and recovers', async () => {
    expect(await put('kept')).to.equal(204);
    const faults = [
      { begin: database.kill, end: database.start },
      { begin: database.freeze, end: database.thaw },
    ];
    for (const { begin, end } of faults) {
      await begin();
      const began = performance.now();
      const statuses = await Promise.all([put('lost'), get('kept').then(({ status }) => status)]);
      expect(performance.now() - began).to.be.below(LONGEST_ANSWER_MILLISECONDS);
      expect(statuses).to.deep.equal([503, 503]);
      expect((await fetch(`${url}/readyz`)).status).to.equal(200);
      await end();
      await eventually(async () => (await put('after')) === 204, 5);
      expect(await get('kept')).to.deep.equal({ status: 200, body: '{"id":"kept","total":"12.50"}' });
    }
  });

  it('fails no request that arrives during its drain delay when it is stopped under load, and ends with 0', async () => {
    const statuses: number[] = [];
    let isDone = false;
    const client = async (name: number): Promise<void> => {
      for (let at = 0; !isDone; at += 1) statuses.push(await put(`load-${name}-${at}`));
    };
    const clients = Array.from({ length: CLIENTS }, (_, name) => client(name));
    await sleep(LOAD_MILLISECONDS);
    const exited = serving.stop();
    // As a load balancer does, the clients go on until they have seen that the service is not ready.
    await eventually(async () => (await fetch(`${url}/readyz`)).status === 503);
    await sleep(LOAD_MILLISECONDS);
    isDone = true;
    await Promise.all(clients);
    expect(new Set(statuses)).to.deep.equal(new Set([204]));
    expect(statuses.length).to.be.above(CLIENTS);
    expect(await exited).to.deep.equal({ code: 0, signal: null });
  });
});
