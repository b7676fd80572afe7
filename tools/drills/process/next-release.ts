/** A later release of the service, as far as `migrate` knows it: `node next-release.ts migrate`. */
import { fileURLToPath } from 'node:url';
import type { Knex } from 'knex';
import type { Migrations } from '../../../src/database/migrate.ts';
import { MIGRATIONS } from '../../../src/database/migrations/index.ts';
import { run } from '../../../src/run.ts';

/** Path of this program. */
export const NEXT_RELEASE = fileURLToPath(import.meta.url);
/** The tables that it adds, each with a migration of the same name. */
export const NEW_TABLES = Array.from({ length: 8 }, (_, at) => `drill_${at + 1}`);
/** Each migration takes this long after it has created its table, so that a fault hits some of them halfway. */
const MIGRATION_SECONDS = 0.3;

const added: Migrations = Object.fromEntries(
  NEW_TABLES.map((table) => [
    `20991231235959_${table}`,
    {
      async up(knex: Knex) {
        await knex.raw(`CREATE TABLE IF NOT EXISTS ${table} (id INT PRIMARY KEY)`);
        await knex.raw('DO SLEEP(?)', [MIGRATION_SECONDS]);
      },
      down: async (knex: Knex) => await knex.raw(`DROP TABLE IF EXISTS ${table}`),
    },
  ]),
);

if (import.meta.main) {
  const open = () => {
    throw new Error('this release only migrates');
  };
  await run(
    { name: 'next-release', version: '0', migrations: { ...MIGRATIONS, ...added }, open },
    process.argv.slice(2),
  );
}
