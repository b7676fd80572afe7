import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Load } from '../../tools/load/load.ts';
import { type PrivateDatabase, startPrivateDatabase } from '../../tools/process/database.ts';
import { eventually } from '../../tools/process/eventually.ts';
import { migrate, type Service, startServing } from '../../tools/process/service.ts';
import { find, save, send } from './requests.ts';

interface RequestLine {
  readonly route: string;
  readonly status: number;
  readonly milliseconds: number;
  readonly reason?: string;
}

function slowest(lines: readonly RequestLine[]): number {
  return Math.max(...lines.map(({ milliseconds }) => milliseconds));
}

describe('while the database is unavailable', function () {
  this.timeout(60_000);
  let database: PrivateDatabase;
  let service: Service;
  let load: Load | undefined;

  before(async () => {
    database = await startPrivateDatabase();
    await migrate(database.env);
  });
  beforeEach(async () => {
    service = await startServing(database.env);
  });
  afterEach(async function () {
    if (this.currentTest?.isFailed())
      console.log(service.stdout().slice(-3_000), service.stderr(), service.child.exitCode);
    await load?.stop();
    load = undefined;
    service.child.kill('SIGKILL');
    await service.exited;
  });
  after(async () => {
    await database?.stop();
  });

  /** The durations that the service logged: a busy machine slows down the client, not these. */
  function requestLines(): RequestLine[] {
    return service
      .stdout()
      .split('\n')
      .filter((line) => line.includes('"msg":"request"'))
      .map((line) => JSON.parse(line));
  }

  const outages: [what: string, begin: () => Promise<void>, end: () => Promise<void>][] = [
    ['killed', () => database.kill(), () => database.start()],
    ['frozen', () => database.freeze(), () => database.thaw()],
  ];
  for (const [what, begin, end] of outages) {
    it(`answers 503 within 2 s under load when it is ${what}, recovers within 2 s, and loses nothing`, async () => {
      load = new Load({ urls: [service.url], rate: 200, lateWritesEnd: true });
      const { answers } = load;
      const acknowledged = () => answers.filter(({ status }) => status === 204).length;
      await eventually(async () => acknowledged() > 50);

      await begin();
      await sleep(2_500);
      expect(answers.at(-1)?.status, 'the outage is seen').to.equal(503);
      await end();
      const recovery = await eventually(
        async () => (await save(service.url, `back${what}`, '2000-01-01')).status === 204,
      );
      const acknowledgedBefore = acknowledged();
      await eventually(async () => acknowledged() > acknowledgedBefore + 50);
      await load.stop();

      expect(recovery, 'recovery').to.be.below(2_000);
      // A refusal has Retry-After.
      expect(answers.filter(({ verdict }) => verdict !== 'ok' && verdict !== 'refused')).to.deep.equal([]);
      expect(answers.map(({ verdict }) => verdict)).to.include('refused');
      expect(slowest(requestLines())).to.be.below(2_000);
      expect(service.child.exitCode, 'the same process').to.equal(null);

      const { checked, lost } = await load.audit();
      expect(checked).to.be.above(50);
      expect(lost).to.deep.equal([]);
    });
  }

  it('stays alive and ready, so that no replica leaves the load balancer', async () => {
    await database.freeze();
    try {
      expect((await find(service.url, 'somebody')).status).to.equal(503);
      expect((await send('GET', `${service.url}/livez`)).status).to.equal(200);
      expect((await send('GET', `${service.url}/readyz`)).status).to.equal(200);
      expect((await send('GET', `${service.metricsUrl}/metrics`)).body).to.match(
        /plusone_database_failures_total [1-9]/,
      );
    } finally {
      await database.thaw();
    }
  });

  it('rejects requests immediately when the queue is full', async () => {
    service.child.kill('SIGKILL');
    service = await startServing({ ...database.env, DATABASE_QUEUE_LIMIT: '10', DATABASE_POOL_SIZE: '2' });
    await database.freeze();
    try {
      await Promise.all(Array.from({ length: 200 }, () => find(service.url, 'somebody')));
      const lines = () => requestLines().filter(({ route }) => route === '/hello/:username');
      await eventually(async () => lines().length === 200);
      const answers = lines();
      expect(answers.filter(({ status }) => status !== 503)).to.deep.equal([]);
      const turnedAway = answers.filter(({ reason }) => reason?.startsWith('overload'));
      expect(turnedAway).to.have.length.above(100);
      expect(slowest(turnedAway)).to.be.below(500);
      expect(slowest(answers)).to.be.below(2_000);
    } finally {
      await database.thaw();
    }
    await eventually(async () => (await find(service.url, 'somebody')).status === 404, 2);
  });
});
