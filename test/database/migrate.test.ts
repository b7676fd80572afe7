import { expect } from 'chai';
import { pino } from 'pino';
import { readConfig } from '../../src/config.ts';
import { migrate } from '../../src/database/migrate.ts';
import { type FakeServer, startFakeServer } from './fake-server.ts';

const INTEGER = 8;

describe('migrate', () => {
  let server: FakeServer | undefined;

  afterEach(() => {
    server?.close();
  });

  it('finds out that it has the lock where the server names the column itself, as Vitess does', async () => {
    server = await startFakeServer((session, sql) => {
      if (sql.startsWith('SELECT GET_LOCK')) session.writeTextResult([{ lock: '1' }], [column('lock')]);
      else if (sql === 'SELECT 1') session.writeOk();
      else session.writeError({ code: 1064, message: 'this is far enough' });
    });
    const { database } = readConfig({
      DATABASE_HOST: '127.0.0.1',
      DATABASE_PORT: String(server.port),
      DATABASE_USERNAME: 'ann',
      DATABASE_PASSWORD: 'secret',
      DATABASE_WAIT_SECONDS: '1',
    });
    const failure = await migrate(database, {}, pino({ level: 'silent' })).catch((error: Error) => error.message);
    expect(failure).to.contain('this is far enough');
  });
});

function column(name: string) {
  const table = { catalog: 'def', schema: '', table: '', orgTable: '' };
  return {
    ...table,
    name,
    orgName: name,
    characterSet: 63,
    columnLength: 1,
    columnType: INTEGER,
    flags: 0,
    decimals: 0,
  };
}
