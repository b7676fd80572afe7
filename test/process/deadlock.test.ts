import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Connection } from 'mysql2/promise';
import type { PrivateDatabase } from '../../tools/process/database.ts';
import { eventually } from '../../tools/process/eventually.ts';
import { type Service, startServing } from '../../tools/process/service.ts';
import { save, send } from './requests.ts';
import { sharedDatabase } from './shared-database.ts';

describe('with another writer', function () {
  this.timeout(60_000);
  let database: PrivateDatabase;
  let service: Service;
  let other: Connection;
  let gate: Connection;

  before(async () => {
    database = await sharedDatabase();
    service = await startServing(database.env);
    other = await database.connect();
    gate = await database.connect();
    for (const session of [other, gate]) await session.query('USE plusone');
    for (const name of ['a', 'b', 'z']) await save(service.url, name, '1990-01-01');
  });
  after(async () => {
    other?.destroy();
    gate?.destroy();
    await service?.stop();
  });

  /** Waits until a statement like this waits for a lock. */
  async function untilLocked(statement: string): Promise<void> {
    const sql = `SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE ?`;
    await eventually(async () => {
      // InnoDB refreshes this table only if nothing has read it for 0.1 s.
      await sleep(110);
      return (await database.query(sql, [statement])).length === 1;
    }, 3);
  }

  /** Makes the service and another session wait for each other's rows; returns the statuses of the requests. */
  async function cross(attempt: number): Promise<number[]> {
    // MySQL rolls back the session with fewer changes, so the other one makes many.
    const many = Array.from({ length: 200 }, (_, at) => `('other${attempt}x${at}', '1990-01-01')`);
    await other.query('BEGIN');
    await other.query(`INSERT INTO users (username, date_of_birth) VALUES ${many}`);
    await other.query(`UPDATE users SET date_of_birth = '1991-01-01' WHERE username = 'b'`);
    await gate.query('BEGIN');
    await gate.query(`SELECT * FROM users WHERE username = 'z' FOR UPDATE`);

    // While `z` waits, `a` and `b` form the next batch.
    const first = save(service.url, 'z', '2000-01-01');
    await untilLocked('insert%');
    const together = ['a', 'b'].map((name) => save(service.url, name, '2000-01-01'));
    await eventually(async () => {
      return (await send('GET', `${service.metricsUrl}/metrics`)).body.includes('plusone_writes_waiting 3');
    }, 3);
    await gate.query('COMMIT');
    await first;
    // Now the service holds `a` and waits for `b`, which the other one holds.
    await untilLocked('insert%values%), (%');
    await other.query(`UPDATE users SET date_of_birth = '1991-01-01' WHERE username = 'a'`);
    await other.query('COMMIT');
    return (await Promise.all(together)).map(({ status }) => status);
  }

  /** InnoDB's report of the last deadlock, which starts with its time; undefined if there was none. */
  async function lastDeadlock(): Promise<string | undefined> {
    const [innodb] = await database.query('SHOW ENGINE INNODB STATUS');
    return /LATEST DETECTED DEADLOCK\n-+\n(.*)/.exec(String(innodb?.Status))?.[1];
  }

  it('retries a save that MySQL rolled back because of a deadlock', async () => {
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      const before = await lastDeadlock();
      const statuses = await cross(attempt).catch((): number[] => []);
      await Promise.all([other.query('ROLLBACK'), gate.query('ROLLBACK')]);
      // On a busy machine a step can come after a statement's timeout: then there is no deadlock, or a 503.
      if ((await lastDeadlock()) === before || statuses.includes(503)) continue;

      expect(statuses).to.deep.equal([204, 204]);
      const rows = await database.query(`SELECT date_of_birth FROM plusone.users WHERE username IN ('a', 'b')`);
      expect(rows.map(({ date_of_birth }) => date_of_birth)).to.deep.equal(['2000-01-01', '2000-01-01']);
      return;
    }
    throw new Error('in five attempts no save survived a deadlock');
  });
});
