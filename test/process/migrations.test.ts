import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { pino } from 'pino';
import { readConfig } from '../../src/config.ts';
import { migrate as migrateHere } from '../../src/database/migrate.ts';
import { startFaultProxy } from '../../tools/drills/process/fault-proxy.ts';
import { type PrivateDatabase, startPrivateDatabase } from '../../tools/process/database.ts';
import { eventually } from '../../tools/process/eventually.ts';
import { migrate, startProcess, startServing } from '../../tools/process/service.ts';
import { save } from './requests.ts';
import { emptySchema, sharedDatabase } from './shared-database.ts';

describe('migrations', function () {
  this.timeout(60_000);
  let database: PrivateDatabase;

  before(async () => {
    database = await sharedDatabase();
  });

  /** How often the schema records each migration as done. */
  async function noted(schema: string): Promise<number[]> {
    const rows = await database.query(`SELECT COUNT(*) AS times FROM ${schema}.knex_migrations GROUP BY name`);
    return rows.map(({ times }) => Number(times));
  }

  /** The number of sessions of the service's user that run a statement like this. */
  async function running(pattern: string): Promise<number> {
    const rows = await database.query('SELECT id FROM information_schema.processlist WHERE user = ? AND info LIKE ?', [
      database.env.DATABASE_USERNAME ?? '',
      pattern,
    ]);
    return rows.length;
  }

  it('run one after another if three are started at once, each migration once', async () => {
    const schema = await emptySchema(database);
    const lock = await database.connect();
    await lock.query(`SELECT GET_LOCK('plusone.migrations', 10)`);
    const three = [1, 2, 3].map(() => startProcess('migrate', schema));
    await eventually(async () => (await running('%GET_LOCK%')) === 3, 30);
    lock.destroy();

    const exits = await Promise.all(three.map(({ exited }) => exited));
    expect(exits.map(({ code }) => code)).to.deep.equal([0, 0, 0]);
    expect(three.filter(({ stdout }) => stdout().includes('20260101000000_create_users'))).to.have.length(1);
    expect(await noted(schema.DATABASE_NAME)).to.deep.equal([1]);
  });

  it('are finished by the next run if one was killed halfway', async () => {
    const schema = await emptySchema(database);
    const name = schema.DATABASE_NAME;
    await migrate(schema);
    await database.query(`DROP TABLE ${name}.users`);
    await database.query(`DELETE FROM ${name}.knex_migrations`);
    // The table can be created but not recorded: this is halfway.
    const obstacle = await database.connect();
    await obstacle.query(`LOCK TABLES ${name}.knex_migrations READ`);
    const first = startProcess('migrate', schema);
    await eventually(async () => (await running('insert into%knex_migrations%')) === 1, 30);
    first.child.kill('SIGKILL');
    await first.exited;
    obstacle.destroy();

    const second = startProcess('migrate', schema);
    expect((await second.exited).code, second.stdout()).to.equal(0);
    expect(await noted(name)).to.deep.equal([1]);
    const service = await startServing(schema);
    expect((await save(service.url, 'ann', '2000-01-01')).status).to.equal(204);
    await service.stop();
  });

  it('log that the schema is current the second time', async () => {
    const schema = await emptySchema(database);
    await migrate(schema);
    const again = startProcess('migrate', schema);
    expect((await again.exited).code).to.equal(0);
    expect(again.stdout()).to.include('schema already current');
    expect(await noted(schema.DATABASE_NAME)).to.deep.equal([1]);
  });

  it('are kept by an older release after a rollback, which knows fewer of them', async () => {
    const schema = await emptySchema(database);
    await migrate(schema);
    await database.query(
      `INSERT INTO ${schema.DATABASE_NAME}.knex_migrations (name, batch, migration_time) VALUES ('20991231235959_later', 2, NOW())`,
    );
    const older = startProcess('migrate', schema);
    expect((await older.exited).code, older.stdout()).to.equal(0);
    expect(await noted(schema.DATABASE_NAME)).to.deep.equal([1, 1]);
    const service = await startServing(schema);
    await service.stop();
  });

  it('keep existing users', async () => {
    const schema = await emptySchema(database);
    await migrate(schema);
    await database.query(
      `INSERT INTO ${schema.DATABASE_NAME}.users (username, date_of_birth) VALUES ('ann', '2000-02-29')`,
    );
    await migrate(schema);
    expect(await database.query(`SELECT username FROM ${schema.DATABASE_NAME}.users`)).to.have.length(1);
  });

  const SLOW_STATEMENT = `SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'`;

  /** Runs a migration of a minute, which gives up after three seconds of silence; resolves with the reason of its failure. */
  async function migrateSlowly(own: PrivateDatabase, more: Record<string, string> = {}): Promise<string> {
    const { database: settings } = readConfig({ ...own.env, ...more });
    const slow = {
      up: async (knex: Knex) => await knex.raw('SELECT SLEEP(60), ?', ['1990-02-03']),
      down: async () => {},
    };
    return await migrateHere(settings, { slow }, pino({ level: 'silent' }), 3).then(
      () => 'done',
      (error: Error) => error.message,
    );
  }

  it('end with the reason if the database dies meanwhile, without the values of the statement', async () => {
    const own = await startPrivateDatabase();
    try {
      const migrating = migrateSlowly(own);
      await eventually(async () => (await own.query(SLOW_STATEMENT)).length === 1);
      await own.kill();
      const reason = await migrating;
      expect(reason).to.match(/^database unavailable: .*Connection lost.*; run migrate again when/);
      expect(reason).not.to.contain('1990');
    } finally {
      await own.stop();
    }
  });

  it('end with the reason if the database stops responding meanwhile', async () => {
    const own = await startPrivateDatabase();
    try {
      const migrating = migrateSlowly(own);
      await eventually(async () => (await own.query(SLOW_STATEMENT)).length === 1);
      await own.freeze();
      expect(await migrating).to.match(
        /^database unavailable: no answer from the database for 3 s: connect ETIMEDOUT; run migrate again/,
      );
    } finally {
      await own.stop();
    }
  });

  it('end with the reason if their session is gone without a word, as when another server has become the primary', async () => {
    const own = await startPrivateDatabase();
    const proxy = await startFaultProxy(own.port);
    try {
      const migrating = migrateSlowly(own, { DATABASE_PORT: String(proxy.port) });
      await eventually(async () => (await own.query(SLOW_STATEMENT)).length === 1);
      // Until they have seen their session from another connection.
      await sleep(4_000);
      proxy.failOver();
      await own.query(`KILL IS_USED_LOCK('plusone.migrations')`);
      expect(await migrating).to.match(
        /^database unavailable: no answer from the database for 3 s: the server does not have the session of this run/,
      );
    } finally {
      proxy.close();
      await own.stop();
    }
  });

  it('go on while the database is there', async () => {
    const own = await startPrivateDatabase();
    try {
      const migrating = migrateSlowly(own);
      expect(await Promise.race([migrating, sleep(7_000, 'still running')])).to.equal('still running');
      await own.kill();
      await migrating;
    } finally {
      await own.stop();
    }
  });

  it('end with the reason if the database stops responding while they wait for another run', async () => {
    const own = await startPrivateDatabase();
    try {
      const other = await own.connect();
      other.on('error', () => {});
      await other.query(`SELECT GET_LOCK('plusone.migrations', 10)`);
      const waiting = startProcess('migrate', { ...own.env, DATABASE_WAIT_SECONDS: '1' });
      const waits = `SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT GET_LOCK%'`;
      await eventually(async () => (await own.query(waits)).length > 0, 30);
      await own.freeze();
      expect((await waiting.exited).code).to.equal(1);
      expect(waiting.stdout()).to.include('database unavailable: no answer to a statement within 6000 ms');
      other.destroy();
    } finally {
      await own.stop();
    }
  });

  it('wait for a database that is still starting', async () => {
    const own = await startPrivateDatabase();
    try {
      await own.kill();
      const waiting = startProcess('migrate', own.env);
      await eventually(async () => waiting.stdout().includes('; trying again'));
      await own.start();
      expect((await waiting.exited).code).to.equal(0);
    } finally {
      await own.stop();
    }
  });
});
