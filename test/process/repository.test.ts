import { expect } from 'chai';
import { pino } from 'pino';
import { readConfig } from '../../src/config.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { MIGRATIONS } from '../../src/database/migrations/index.ts';
import { createUserRepository, type UserRepository } from '../../src/users/repository.ts';
import { type PrivateDatabase, startPrivateDatabase } from '../../tools/process/database.ts';

const log = pino({ level: 'silent' });

/** Usernames that differ only in their letters. */
function names(count: number): string[] {
  const letter = (n: number) => String.fromCharCode('a'.charCodeAt(0) + n);
  return Array.from(
    { length: count },
    (_, at) => letter(Math.floor(at / 676) % 26) + letter(Math.floor(at / 26) % 26) + letter(at % 26),
  );
}

describe('users in a real database', () => {
  let server: PrivateDatabase;
  const open: Database[] = [];

  function repository(): UserRepository {
    const { database: settings } = readConfig(server.env);
    const database = openDatabase(settings, log, async () => settings);
    open.push(database);
    return createUserRepository(database, 10_000);
  }

  before(async function () {
    this.timeout(60_000);
    server = await startPrivateDatabase();
    await migrate(readConfig(server.env).database, MIGRATIONS, log);
  });
  afterEach(async () => {
    for (const database of open.splice(0)) await database.close();
    await server.query('DELETE FROM plusone.users');
  });
  after(async () => {
    await server?.stop();
  });

  it('reads the saved date', async () => {
    const users = repository();
    await users.save('ann', '2000-02-29');
    expect(await users.find('ann')).to.equal('2000-02-29');
  });

  it('saves the earliest date and a recent one', async () => {
    const users = repository();
    await Promise.all([users.save('old', '1000-01-01'), users.save('young', '2026-11-23')]);
    expect(await Promise.all([users.find('old'), users.find('young')])).to.deep.equal(['1000-01-01', '2026-11-23']);
  });

  it('distinguishes ann from Ann', async () => {
    const users = repository();
    await users.save('Ann', '2000-01-01');
    expect(await users.find('ann')).to.equal(undefined);
  });

  it('reports whether a user was deleted', async () => {
    const users = repository();
    await users.save('ann', '2000-01-01');
    expect(await users.remove('ann')).to.equal(true);
    expect(await users.remove('ann')).to.equal(false);
  });

  it('keeps the order of changes to one user that arrive together', async () => {
    const users = repository();
    const results = [
      users.save('ann', '2000-01-01'),
      users.remove('ann'),
      users.remove('ann'),
      users.save('ann', '2000-01-02'),
    ];
    expect(await Promise.all(results)).to.deep.equal([undefined, true, false, undefined]);
    expect(await users.find('ann')).to.equal('2000-01-02');
  });

  it('reads each of 2,000 writes immediately after it is acknowledged', async function () {
    this.timeout(30_000);
    const users = repository();
    const wrong: string[] = [];
    await Promise.all(
      names(2000).map(async (name, at) => {
        const date = `19${String(10 + (at % 90))}-01-01`;
        await users.save(name, date);
        if ((await users.find(name)) !== date) wrong.push(name);
      }),
    );
    expect(wrong).to.deep.equal([]);
  });

  it('keeps the last of many writes to one user', async () => {
    const users = repository();
    const dates = Array.from({ length: 300 }, (_, at) => `2000-01-${String(1 + (at % 28)).padStart(2, '0')}`);
    await Promise.all(dates.map((date) => users.save('ann', date)));
    expect(await users.find('ann')).to.equal(dates.at(-1));
  });

  it('accepts writes of the same users by two processes in opposite orders', async function () {
    this.timeout(30_000);
    const [one, other] = [repository(), repository()];
    const all = names(1000);
    await Promise.all([
      ...all.map((name) => one.save(name, '2001-01-01')),
      ...all.toReversed().map((name) => other.save(name, '2002-02-02')),
    ]);
    const found = await Promise.all(all.map((name) => one.find(name)));
    expect(new Set(found).size).to.be.within(1, 2);
    expect(found).not.to.include(undefined);
  });

  it('fails one invalid row and saves the others of its batch', async () => {
    const users = repository();
    await server.query(
      "CREATE TRIGGER plusone.bad BEFORE INSERT ON plusone.users FOR EACH ROW BEGIN IF NEW.username = 'bad' THEN SIGNAL SQLSTATE '45000'; END IF; END",
    );
    try {
      const results = await Promise.allSettled(['ann', 'bad', 'zoe'].map((name) => users.save(name, '2000-01-01')));
      expect(results.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected', 'fulfilled']);
      expect(await Promise.all(['ann', 'bad', 'zoe'].map((name) => users.find(name)))).to.deep.equal([
        '2000-01-01',
        undefined,
        '2000-01-01',
      ]);
    } finally {
      await server.query('DROP TRIGGER plusone.bad');
    }
  });

  it('prepares few statements for batches of all sizes', async function () {
    this.timeout(30_000);
    const users = repository();
    const all = names(900);
    for (let size = 1; size < all.length; size += 37)
      await Promise.all(all.slice(0, size).map((name) => users.find(name)));
    const rows = await server.query("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'");
    expect(Number(rows[0]?.Value)).to.be.below(40);
  });
});
