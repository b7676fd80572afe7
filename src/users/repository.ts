import type { RequestTracing } from '../database/coalescing.ts';
import type { Database } from '../database/database.ts';
import { createStore, type Store } from '../database/store.ts';
import type { CalendarDate } from './birthday.ts';
import { User } from './user.ts';

/** The store of users: their dates of birth by their names. */
export type UserRepository = Pick<Store<CalendarDate>, 'find' | 'save' | 'remove' | 'statistics'>;

/** The users in MySQL. */
export function createUserRepository(database: Database, queueLimit: number, tracing?: RequestTracing): UserRepository {
  return createStore<CalendarDate>(
    database,
    {
      model: User,
      columns: ['date_of_birth'],
      fromRow: (row) => row.date_of_birth,
      toRow: (dateOfBirth) => ({ date_of_birth: dateOfBirth }),
    },
    queueLimit,
    tracing,
  );
}
