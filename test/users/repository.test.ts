import { createHistogram } from 'node:perf_hooks';
import { expect } from 'chai';
import knex from 'knex';
import type { Database } from '../../src/database/database.ts';
import { Unavailable } from '../../src/unavailable.ts';
import { createUserRepository } from '../../src/users/repository.ts';
import { idleDatabase } from '../idle.ts';

/** A database that records its statements and fails a given number of times. */
function scripted(failures: Error[] = []) {
  const asked: { sql: string; values: readonly string[] }[] = [];
  const database: Database = {
    knex: knex({ client: 'mysql2' }),
    poolSize: 10,
    // The same for a SELECT and an INSERT: no rows, none affected.
    async execute<Result>(sql: string, values: readonly string[]): Promise<Result> {
      asked.push({ sql, values });
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return JSON.parse('[]');
    },
    durations: createHistogram(),
    statistics: () => idleDatabase,
    close: async () => {},
  };
  return { users: createUserRepository(database, 1000), asked };
}

const deadlock = () => Object.assign(new Error('Deadlock found'), { code: 'ER_LOCK_DEADLOCK' });

describe('the user repository', () => {
  it('reads names that arrive together with one statement', async () => {
    const { users, asked } = scripted();
    await Promise.all(['ann', 'bob'].map((name) => users.find(name)));
    expect(asked).to.deep.equal([
      { sql: 'select `username`, `date_of_birth` from `users` where `username` in (?, ?)', values: ['ann', 'bob'] },
    ]);
  });

  it('reads a name once that is requested several times', async () => {
    const { users, asked } = scripted();
    await Promise.all(['ann', 'ann', 'ann'].map((name) => users.find(name)));
    expect(asked.map(({ values }) => values)).to.deep.equal([['ann']]);
  });

  it('pads lists to powers of two, so that there are few statements to prepare', async () => {
    const { users, asked } = scripted();
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => users.find(name)));
    expect(asked[0]?.values).to.deep.equal(['a', 'b', 'c', 'd', 'e', 'e', 'e', 'e']);
  });

  it('writes in the order of the keys, so that two processes do not deadlock', async () => {
    const { users, asked } = scripted();
    await Promise.all([users.save('bob', '2000-01-01'), users.save('ann', '2000-01-02')]);
    expect(asked).to.deep.equal([
      {
        sql:
          'insert into `users` (`date_of_birth`, `username`) values (?, ?), (?, ?) ' +
          'on duplicate key update `date_of_birth` = values(`date_of_birth`)',
        values: ['2000-01-02', 'ann', '2000-01-01', 'bob'],
      },
    ]);
  });

  it('writes the last value of a name that is saved twice at once', async () => {
    const { users, asked } = scripted();
    await Promise.all([users.save('ann', '2000-01-01'), users.save('ann', '2000-01-02')]);
    expect(asked.map(({ values }) => values)).to.deep.equal([['2000-01-02', 'ann']]);
  });

  it('retries after a deadlock', async () => {
    const { users, asked } = scripted([deadlock(), deadlock()]);
    await users.save('ann', '2000-01-01');
    expect(asked).to.have.length(3);
  });

  it('is unavailable after four deadlocks in a row', async () => {
    const { users, asked } = scripted([deadlock(), deadlock(), deadlock(), deadlock()]);
    const refusal = await users.save('ann', '2000-01-01').catch((error: unknown) => error);
    expect(refusal).to.be.instanceOf(Unavailable);
    expect(asked).to.have.length(4);
  });
});
