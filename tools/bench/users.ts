/** The users that the load asks for. A user's name is "user" and the digits of a number, six or more, in the letters a to j. */
import type { RowDataPacket } from 'mysql2';
import type { PrivateDatabase } from '../process/database.ts';
import { migrate } from '../process/service.ts';

const DIGITS = 6;
const LETTERS = 'abcdefghij';

/** The name of a user; wrk.lua makes the same. */
export function username(number: number): string {
  return `user${[...String(number).padStart(DIGITS, '0')].map((digit) => LETTERS[Number(digit)]).join('')}`;
}

/**
 * Makes a database of that name on the server, with the service's schema and 10 to the power of `magnitude` users.
 * Gives back the variables that lead a server to it.
 */
export async function createUsers(
  database: PrivateDatabase,
  name: string,
  magnitude: number,
): Promise<Record<string, string>> {
  const env: Record<string, string> = { ...database.env, DATABASE_NAME: name };
  await database.query(`CREATE DATABASE IF NOT EXISTS ${name}`);
  await database.query(`GRANT ALL PRIVILEGES ON ${name}.* TO '${env.DATABASE_USERNAME}'@'%'`);
  await migrate(env);

  const places = Array.from({ length: magnitude }, (_, place) => place);
  const zeros = LETTERS.charAt(0).repeat(Math.max(0, DIGITS - magnitude));
  const letters = places.map((place) => `digit${place}.letter`).join(', ');
  await database.query(`
    INSERT INTO ${name}.users (username, date_of_birth)
    WITH digit AS (${[...LETTERS].map((letter) => `SELECT '${letter}' AS letter`).join(' UNION ALL ')}),
         name AS (SELECT CONCAT('user${zeros}', ${letters}) AS username
                  FROM ${places.map((place) => `digit AS digit${place}`).join(' CROSS JOIN ')})
    SELECT username, DATE_ADD('1950-01-01', INTERVAL CRC32(username) MOD 20000 DAY) FROM name`);
  await database.query(`ANALYZE TABLE ${name}.users`);
  return env;
}

/**
 * Checks before the measurement that every server does the same work: equal answers for the same users, and a PUT whose
 * date is in the database afterwards. Throws an error that names the server that doesn't.
 */
export async function requireSameWork(
  servers: readonly { readonly name: string; readonly url: string }[],
  database: PrivateDatabase,
  databaseName: string,
): Promise<void> {
  const names = Array.from({ length: 20 }, (_, number) => username(number * 37));
  const expected = new Map<string, string>();
  for (const { name: server, url } of servers) {
    for (const name of names) {
      const response = await fetch(`${url}/hello/${name}`);
      const answer = `${response.status} ${response.headers.get('content-type')?.split(';')[0]} ${await response.text()}`;
      const first = expected.get(name) ?? answer;
      expected.set(name, first);
      if (answer !== first) throw new Error(`${server} answers ${answer} for ${name}, where another said ${first}`);
    }
  }
  const [name = ''] = names;
  for (const [at, { name: server, url }] of servers.entries()) {
    const dateOfBirth = `1980-01-${String(at + 1).padStart(2, '0')}`;
    const headers = { 'Content-Type': 'application/json' };
    const response = await fetch(`${url}/hello/${name}`, {
      method: 'PUT',
      headers,
      body: JSON.stringify({ dateOfBirth }),
    });
    const [row] = await database.query<RowDataPacket>(
      `SELECT DATE_FORMAT(date_of_birth, '%Y-%m-%d') AS birthday FROM ${databaseName}.users WHERE username = ?`,
      [name],
    );
    if (response.status !== 204 || row?.birthday !== dateOfBirth) {
      throw new Error(`${server} answered ${response.status} to a PUT of ${dateOfBirth}, and ${row?.birthday} is kept`);
    }
  }
}
