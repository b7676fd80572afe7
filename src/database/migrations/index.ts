import type { Migrations } from '../migrate.ts';
import * as createUsers from './20260101000000_create_users.ts';

/** In the order in which they run; append new ones. */
export const MIGRATIONS: Migrations = {
  '20260101000000_create_users': createUsers,
};
