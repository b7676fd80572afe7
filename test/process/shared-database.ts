import { randomInt } from 'node:crypto';
import { type PrivateDatabase, startPrivateDatabase } from '../../tools/process/database.ts';
import { migrate } from '../../tools/process/service.ts';

let starting: Promise<PrivateDatabase> | undefined;

/**
 * The database server of all the tests that leave it unharmed, started when first asked for; it ends with the test
 * run. `database.env` leads to a schema that is up to date.
 */
export function sharedDatabase(): Promise<PrivateDatabase> {
  starting ??= startPrivateDatabase().then(async (database) => {
    await migrate(database.env);
    return database;
  });
  return starting;
}

/** The variables that lead to an empty schema of its own in `database`. */
export async function emptySchema(
  database: PrivateDatabase,
): Promise<Record<string, string> & { DATABASE_NAME: string }> {
  const name = `plusone_${randomInt(1e9)}`;
  await database.query(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
  await database.query(`GRANT ALL PRIVILEGES ON ${name}.* TO '${database.env.DATABASE_USERNAME}'@'%'`);
  return { ...database.env, DATABASE_NAME: name };
}
