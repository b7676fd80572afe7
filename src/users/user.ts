import { Model, snakeCaseMappers } from 'objection';
import type { CalendarDate } from './birthday.ts';

/** Someone whose birthday is known: a row of the table `users`. */
export class User extends Model {
  static override readonly tableName = 'users';
  static override readonly idColumn = 'username';
  static override readonly columnNameMappers = snakeCaseMappers();

  declare username: string;
  declare dateOfBirth: CalendarDate;
}
