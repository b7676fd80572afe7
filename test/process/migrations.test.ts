import { expect } from 'chai';
import type { Knex } from 'knex';
import { pino } from 'pino';
import { readConfig } from '../../src/config.ts';
import { migrate as migrateHere } from '../../src/database/migrate.ts';
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

  it('end with the reason if the database dies meanwhile, without the values of the statement', async () => {
    const own = await startPrivateDatabase();
    try {
      const { database: settings } = readConfig(own.env);
      const slow = {
        up: async (knex: Knex) => await knex.raw('SELECT SLEEP(60), ?', ['1990-02-03']),
        down: async () => {},
      };
      const migrating = migrateHere(settings, { slow }, pino({ level: 'silent' })).catch(
        (error: Error) => error.message,
      );
      const statement = `SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'`;
      await eventually(async () => (await own.query(statement)).length === 1);
      await own.kill();
      const reason = await migrating;
      expect(reason).to.match(/^database unavailable: .*Connection lost.*; run migrate again when/);
      expect(reason).not.to.contain('1990');
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
