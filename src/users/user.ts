import { Model, snakeCaseMappers } from 'objection';
import type { CalendarDate } from './birthday.ts';

/** A user with a known birthday: a row of the table `users`. */
export class User extends Model {
  static override readonly tableName = 'users';
  static override readonly idColumn = 'username';
  static override readonly columnNameMappers = snakeCaseMappers();

  declare username: string;
  declare dateOfBirth: CalendarDate;
}
