import { randomInt } from 'node:crypto';
import { type PrivateDatabase, startPrivateDatabase } from '../../tools/process/database.ts';
import { migrate } from '../../tools/process/service.ts';

let starting: Promise<PrivateDatabase> | undefined;

/**
 * The database server of the tests that neither kill nor change it, started when first used; it ends with the test run.
 * `database.env` names a current schema.
 */
export function sharedDatabase(): Promise<PrivateDatabase> {
  starting ??= startPrivateDatabase().then(async (database) => {
    await migrate(database.env);
    return database;
  });
  return starting;
}

/** Creates an empty schema in `database` and returns its variables. */
export async function emptySchema(
  database: PrivateDatabase,
): Promise<Record<string, string> & { DATABASE_NAME: string }> {
  const name = `plusone_${randomInt(1e9)}`;
  await database.query(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
  await database.query(`GRANT ALL PRIVILEGES ON ${name}.* TO '${database.env.DATABASE_USERNAME}'@'%'`);
  return { ...database.env, DATABASE_NAME: name };
}
