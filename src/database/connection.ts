import knex, { type Knex } from 'knex';
import type { Logger } from 'pino';
import type { DatabaseSettings } from '../config.ts';

/** Shorter than the limits of the pool, so that the reported error is the one nearest to the cause. */
const CONNECT_MILLISECONDS = 800;
/** Knex on mysql2 with the settings that every use of it needs. */
export function createKnex(
  settings: DatabaseSettings,
  log: Logger,
  pool: Knex.PoolConfig,
  connection: Knex.ConnectionConfigProvider = async () => connectionTo(settings, settings),
): Knex {
  return knex({
    client: 'mysql2',
    connection,
    pool,
    // A statement is in the message of its error, which is logged, and must not have its values there.
    compileSqlOnError: false,
    log: {
      // A warning of Knex comes with a statement that fails, whose error is more precise.
      warn: (message) => log.debug(String(message)),
      error: (message) => log.error(String(message)),
      debug: (message) => log.debug(String(message)),
      deprecate: (message) => log.debug(String(message)),
    },
  });
}

/** How mysql2 connects: over TLS if there are certificate authorities, and with dates as text. */
export function connectionTo(
  settings: DatabaseSettings,
  { username, password }: Pick<DatabaseSettings, 'username' | 'password'>,
): Knex.MySql2ConnectionConfig {
  const { host, port, name, certificateAuthorities: ca } = settings;
  // mysql2 documents more options than Knex's type has; verifyIdentity compares the certificate with the host name.
  const tls = { minVersion: 'TLSv1.2', rejectUnauthorized: true, verifyIdentity: true };
  return {
    host,
    port,
    database: name,
    user: username,
    password,
    connectTimeout: CONNECT_MILLISECONDS,
    // Else a DATE becomes midnight in the time zone of the machine, which can be another day.
    dateStrings: true,
    ...(ca === undefined ? {} : { ssl: { ...tls, ca } }),
  };
}
