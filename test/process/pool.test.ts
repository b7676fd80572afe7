import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { RowDataPacket } from 'mysql2';
import { createConnection } from 'mysql2/promise';
import { pino } from 'pino';
import { readConfig } from '../../src/config.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { createUserRepository } from '../../src/users/repository.ts';
import { type PrivateDatabase, startPrivateDatabase } from '../../tools/process/database.ts';
import { letters } from './requests.ts';
import { sharedDatabase } from './shared-database.ts';

const log = pino({ level: 'silent' });
const LOAD_MILLISECONDS = 1_500;

describe('the pool of connections', function () {
  this.timeout(60_000);
  let server: PrivateDatabase;
  const open: Database[] = [];

  before(async () => {
    server = await sharedDatabase();
  });
  afterEach(async () => {
    for (const database of open.splice(0)) await database.close();
  });

  function openWith(poolSize: number, idleMilliseconds?: number): Database {
    const settings = { ...readConfig(server.env).database, poolSize };
    const database = openDatabase(settings, log, async () => settings, undefined, idleMilliseconds);
    open.push(database);
    return database;
  }

  for (const poolSize of [1, 2, 10]) {
    for (const callers of [1, 16, 300]) {
      it(`of size ${poolSize} serves reads and writes of ${callers} clients each without a failure`, async () => {
        const users = createUserRepository(openWith(poolSize), 10_000);
        const until = performance.now() + LOAD_MILLISECONDS;
        const failures: unknown[] = [];
        const done = { reads: 0, writes: 0 };
        const repeat = async (kind: keyof typeof done, work: () => Promise<unknown>) => {
          while (performance.now() < until) {
            await work().then(
              () => {
                done[kind] += 1;
              },
              (error: unknown) => failures.push(error),
            );
          }
        };
        await Promise.all(
          Array.from({ length: callers }, (_, at) => [
            repeat('reads', () => users.find(`pool${letters(at)}`)),
            repeat('writes', () => users.save(`pool${letters(at)}`, '2000-01-01')),
          ]).flat(),
        );
        expect(failures).to.deep.equal([]);
        expect(done.reads).to.be.above(callers);
        expect(done.writes).to.be.above(callers);
      });
    }
  }

  it('gives a connection to a statement that waits for it before it becomes idle', async () => {
    const database = openWith(1);
    const order: string[] = [];
    const run = async (name: string) => {
      await database.execute('SELECT SLEEP(0.1)', []);
      order.push(name);
    };
    const first = run('first');
    await sleep(20);
    const second = run('second');
    await first;
    await Promise.all([second, run('third')]);
    expect(order).to.deep.equal(['first', 'second', 'third']);
  });

  it('closes after the running statement has ended', async () => {
    const database = openWith(1);
    let hasEnded = false;
    const running = database.execute('SELECT SLEEP(0.2)', []).then(() => {
      hasEnded = true;
    });
    await sleep(50);
    await database.close();
    expect(hasEnded).to.equal(true);
    await running;
  });

  it('closes unused connections', async () => {
    const database = openWith(3, 100);
    await Promise.all([1, 2, 3].map(() => database.execute('SELECT SLEEP(0.1)', [])));
    expect(database.statistics().free).to.equal(3);
    // tarn checks for idle connections once per second.
    for (const end = performance.now() + 5_000; database.statistics().free > 0 && performance.now() < end; ) {
      await sleep(50);
    }
    expect(database.statistics().free).to.equal(0);
  });

  it('ends the session of a statement that timed out before the next statement', async () => {
    const database = openWith(2);
    const users = createUserRepository(database, 100);
    const gate = await server.connect();
    try {
      await users.save('late', '2000-01-01');
      await gate.query('USE plusone');
      await gate.query('LOCK TABLES users WRITE');
      const refusal = await users.save('late', '2000-01-02').catch(String);
      expect(refusal).to.contain('no answer to a statement');
      await database.execute('SELECT 1', []);
    } finally {
      gate.destroy();
    }
    await sleep(200);
    expect(await users.find('late')).to.equal('2000-01-01');
  });

  it('never ends a session of another process that has the same thread id after a restart', async () => {
    const restarted = await startPrivateDatabase();
    const settings = readConfig(restarted.env).database;
    const { host, port, username: user, password } = settings;
    const connect = () => createConnection({ host, port, user, password });
    try {
      // The start uses some ids; the id of the session that times out must be higher.
      for (let count = 0; count < 50; count += 1) (await restarted.connect()).destroy();
      const database = openDatabase(settings, log, async () => settings);
      open.push(database);
      const [{ id } = { id: 0 }] = await database.execute<RowDataPacket[]>('SELECT CONNECTION_ID() AS id', []);
      await restarted.freeze();
      expect(await database.execute('SELECT 1', []).catch(String)).to.contain('no answer to a statement');
      await restarted.kill();
      await restarted.start();

      let other = await connect();
      while (other.threadId < id) {
        other.destroy();
        other = await connect();
      }
      expect(other.threadId).to.equal(id);
      await database.execute('SELECT 1', []);
      await sleep(100);
      await other.query('SELECT 1');
      other.destroy();
    } finally {
      await restarted.stop();
    }
  });
});
