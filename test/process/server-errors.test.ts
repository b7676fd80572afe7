import { expect } from 'chai';
import { pino } from 'pino';
import { readConfig } from '../../src/config.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { MIGRATIONS } from '../../src/database/migrations/index.ts';
import { Unavailable } from '../../src/unavailable.ts';
import { createUserRepository } from '../../src/users/repository.ts';
import { type PrivateDatabase, startPrivateDatabase } from '../../tools/process/database.ts';

const log = pino({ level: 'silent' });
const NAMES = ['ann', 'bob', 'cat'];

describe('a server that cannot serve at the moment', function () {
  this.timeout(60_000);
  let server: PrivateDatabase;
  let database: Database;
  let user: string;

  before(async () => {
    server = await startPrivateDatabase();
    const settings = readConfig(server.env).database;
    user = `'${settings.username}'@'%'`;
    await migrate(settings, MIGRATIONS, log);
  });
  beforeEach(() => {
    const settings = readConfig(server.env).database;
    database = openDatabase(settings, log, async () => settings);
  });
  afterEach(async () => {
    await database.close();
  });
  after(async () => {
    await server?.stop();
  });

  it('serves without prepared statements while no more can be prepared', async () => {
    const users = createUserRepository(database, 100);
    await server.query('SET GLOBAL max_prepared_stmt_count = 0');
    try {
      await Promise.all(NAMES.map((name) => users.save(name, '2000-02-29')));
      expect(await Promise.all(NAMES.map((name) => users.find(name)))).to.deep.equal(NAMES.map(() => '2000-02-29'));
      expect(await users.find('ann')).to.equal('2000-02-29');
      expect(await users.remove('ann')).to.equal(true);
      expect(database.statistics().statements, 'no batch is tried item by item').to.equal(4);
    } finally {
      await server.query('SET GLOBAL max_prepared_stmt_count = 16382');
    }
  });

  const save = () => createUserRepository(database, 100).save('ann', '2000-02-29');
  const conditions: [what: string, begin: string[], work: () => Promise<unknown>, end: string[]][] = [
    [
      'allows no more connections',
      ['ALTER USER {user} WITH MAX_CONNECTIONS_PER_HOUR 1', 'FLUSH USER_RESOURCES'],
      async () => {
        await save();
        // A second session, while the first is busy.
        await Promise.all([1, 2].map(() => database.execute('SELECT SLEEP(0.1)', [])));
      },
      ['ALTER USER {user} WITH MAX_CONNECTIONS_PER_HOUR 0', 'FLUSH USER_RESOURCES'],
    ],
    [
      'waits for a new primary of its replication group',
      [
        "CREATE PROCEDURE plusone.hold() SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 3781, MESSAGE_TEXT = 'Timeout exceeded'",
      ],
      () => database.execute('CALL hold()', []),
      ['DROP PROCEDURE plusone.hold'],
    ],
    [
      'is a node of a Galera cluster without a majority',
      [
        "CREATE PROCEDURE plusone.node() SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = 1047, MESSAGE_TEXT = 'WSREP has not yet prepared node'",
      ],
      () => database.execute('CALL node()', []),
      ['DROP PROCEDURE plusone.node'],
    ],
    [
      'is out of memory',
      [
        "CREATE PROCEDURE plusone.memory() SIGNAL SQLSTATE 'HY001' SET MYSQL_ERRNO = 3015, MESSAGE_TEXT = 'Out of memory'",
      ],
      () => database.execute('CALL memory()', []),
      ['DROP PROCEDURE plusone.memory'],
    ],
    ['is read-only', ['SET GLOBAL read_only = 1'], save, ['SET GLOBAL read_only = 0']],
    [
      'has lost the grants',
      ['REVOKE INSERT, UPDATE ON plusone.* FROM {user}'],
      save,
      ['GRANT INSERT, UPDATE ON plusone.* TO {user}'],
    ],
    [
      'has no table, as while it is rebuilt',
      ['RENAME TABLE plusone.users TO plusone.rebuilt'],
      save,
      ['RENAME TABLE plusone.rebuilt TO plusone.users'],
    ],
    [
      'is out of room',
      ['SET GLOBAL max_heap_table_size = 16384', 'CREATE TABLE plusone.small (text CHAR(200)) ENGINE = MEMORY'],
      () => database.execute("INSERT INTO small SELECT REPEAT('a', 200) FROM information_schema.COLLATIONS", []),
      ['SET GLOBAL max_heap_table_size = DEFAULT', 'DROP TABLE plusone.small'],
    ],
    [
      'ends the statement',
      [],
      async () => {
        const gate = await server.connect();
        try {
          await gate.query('LOCK TABLES plusone.users WRITE');
          const saving = save();
          const kill = async () => {
            const find = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'insert into `users`%'";
            for (;;) {
              const [row] = await server.query(find);
              if (row !== undefined) return await server.query('KILL QUERY ?', [Number(row.ID)]);
            }
          };
          await Promise.all([saving, kill()]);
        } finally {
          gate.destroy();
        }
      },
      [],
    ],
    [
      'is a proxy that has none behind it',
      ["CREATE PROCEDURE plusone.proxy() SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 9001"],
      () => database.execute('CALL proxy()', []),
      ['DROP PROCEDURE plusone.proxy'],
    ],
  ];
  for (const [what, begin, work, end] of conditions) {
    it(`is unavailable when it ${what}, and not afterwards`, async () => {
      const all = async (statements: string[]) => {
        for (const statement of statements) await server.query(statement.replace('{user}', user));
      };
      await all(begin);
      const refusal = await work()
        .catch((error: unknown) => error)
        .finally(() => all(end));
      expect(refusal).to.be.instanceOf(Unavailable);
      await save();
    });
  }
});
