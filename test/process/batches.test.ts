import { request } from 'node:http';
import { expect } from 'chai';
import type { Connection } from 'mysql2/promise';
import type { PrivateDatabase } from '../../tools/process/database.ts';
import { eventually } from '../../tools/process/eventually.ts';
import { killAll, type Service, startServing } from '../../tools/process/service.ts';
import { find, letters, save, send } from './requests.ts';
import { sharedDatabase } from './shared-database.ts';

const CALLERS = 20;

describe('requests that share a statement', function () {
  this.timeout(60_000);
  let database: PrivateDatabase;
  let gate: Connection;
  const started: Service[] = [];

  before(async () => {
    database = await sharedDatabase();
    gate = await database.connect();
    await gate.query('USE plusone');
  });
  after(() => gate?.destroy());
  afterEach(async () => {
    await gate.query('UNLOCK TABLES');
    await killAll(started.splice(0));
  });

  async function serve(): Promise<Service> {
    const service = await startServing({ ...database.env, SHUTDOWN_DRAIN_SECONDS: '0' });
    started.push(service);
    await find(service.url, 'a');
    return service;
  }

  /** Saves these names while another session locks the table; returns when all requests wait. */
  async function saving(service: Service, names: readonly string[], hangUp: AbortSignal) {
    await gate.query('LOCK TABLES users WRITE');
    const answers = names.map((name, at) =>
      put(`${service.url}/hello/${name}`, at % 2 === 0 ? hangUp : undefined).catch(() => 'hung up'),
    );
    await eventually(async () => {
      const { body } = await send('GET', `${service.metricsUrl}/metrics`);
      return body.includes(`plusone_writes_waiting ${names.length}\n`);
    }, 3);
    return answers;
  }

  /** Sends a PUT on a connection of its own. `fetch` would open another one for each that it closes. */
  async function put(url: string, signal: AbortSignal | undefined): Promise<number | undefined> {
    return await new Promise((resolve, reject) => {
      const outgoing = request(url, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        agent: false,
        signal,
      });
      outgoing.once('response', (response) => resolve(response.resume().statusCode));
      outgoing.once('error', reject);
      outgoing.end('{"dateOfBirth": "2000-02-29"}');
    });
  }

  async function openSockets(service: Service): Promise<number> {
    const { body } = await send('GET', `${service.metricsUrl}/metrics`);
    return Number(/^nodejs_active_resources\{type="TCPSocketWrap"\} (\d+)$/m.exec(body)?.[1]);
  }

  async function saved(names: readonly string[]): Promise<number> {
    const places = names.map(() => '?').join(', ');
    return (await database.query(`SELECT 1 FROM plusone.users WHERE username IN (${places})`, [...names])).length;
  }

  it('are all answered if the process receives SIGTERM meanwhile', async () => {
    const names = Array.from({ length: CALLERS }, (_, at) => `stop${letters(at)}`);
    const service = await serve();
    const answers = await saving(service, names, new AbortController().signal);
    service.child.kill('SIGTERM');
    await eventually(async () => service.stdout().includes('"stopping"'));
    await gate.query('UNLOCK TABLES');
    expect(await Promise.all(answers)).to.deep.equal(names.map(() => 204));
    expect(await saved(names)).to.equal(CALLERS);
    expect((await service.exited).code).to.equal(0);
  });

  it('are answered if one client closes its connection', async () => {
    const names = Array.from({ length: CALLERS }, (_, at) => `gone${letters(at)}`);
    const service = await serve();
    const hangUp = new AbortController();
    const answers = await saving(service, names, hangUp.signal);
    const open = await openSockets(service);
    hangUp.abort();
    // The service has to see the closed connections before MySQL answers.
    await eventually(async () => (await openSockets(service)) === open - CALLERS / 2);
    await gate.query('UNLOCK TABLES');
    expect(await Promise.all(answers)).to.deep.equal(names.map((_, at) => (at % 2 === 0 ? 'hung up' : 204)));
    expect((await save(service.url, 'afterwards', '2000-02-29')).status).to.equal(204);
    await eventually(async () => service.stdout().split('"status":499').length - 1 === CALLERS / 2);
  });
});
