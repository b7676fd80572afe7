import type { Knex } from 'knex';

/**
 * MySQL commits each CREATE separately, so a run that was interrupted after it begins here again: hence IF NOT EXISTS.
 * `ascii_bin` compares byte by byte: `ann` is not `Ann`.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE IF NOT EXISTS users (
      username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
      date_of_birth DATE NOT NULL
    ) ENGINE = InnoDB
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE IF EXISTS users');
}
