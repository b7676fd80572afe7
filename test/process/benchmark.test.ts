import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { createUsers, requireSameWork } from '../../tools/bench/users.ts';
import { type PrivateDatabase, startPrivateDatabase } from '../../tools/process/database.ts';
import { startServing } from '../../tools/process/service.ts';
import { skip } from '../skip.ts';

describe('the benchmark', function () {
  this.timeout(60_000);
  let database: PrivateDatabase;

  before(async () => {
    database = await startPrivateDatabase();
  });
  after(() => database?.stop());

  it('compares what servers answer and store, whether the database is MariaDB or MySQL', async () => {
    const service = await startServing(await createUsers(database, 'plusone', 3));
    try {
      await requireSameWork([{ name: 'Plusone', url: service.url }], database, 'plusone');
    } finally {
      await service.stop();
    }
  });

  it('knows the process of the database, whose processor time it reads', async function () {
    if (process.platform !== 'linux') skip(this, '/proc is of Linux');
    expect(readFileSync(`/proc/${await database.processId()}/comm`, 'utf8')).to.match(/mariadbd|mysqld/);
  });
});
