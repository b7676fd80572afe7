import knex, { type Knex } from 'knex';
import type { Logger } from 'pino';
import type { DatabaseSettings } from '../config.ts';
import { codeOf } from './errors.ts';

/** The part of the settings that can change while the process runs. */
export type Credentials = Pick<DatabaseSettings, 'username' | 'password'>;

/** Shorter than the limits of the pool, so that the error which is reported is the one nearest to the cause. */
const CONNECT_MILLISECONDS = 800;
/** How long renewed credentials count as new, so that a wrong password does not become a flood of requests to SSM. */
const RENEWAL_MILLISECONDS = 1_000;

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
    log: {
      // What Knex warns of also fails a statement, which says it better.
      warn: (message) => log.debug(String(message)),
      error: (message) => log.error(String(message)),
      debug: (message) => log.debug(String(message)),
      deprecate: (message) => log.debug(String(message)),
    },
  });
}

/** The credentials in use, which are read again when MySQL refuses them. */
export class RenewableCredentials {
  readonly #settings: DatabaseSettings;
  readonly #renew: () => Promise<Credentials>;
  readonly #log: Logger;
  #current: Credentials;
  #refused = false;
  #renewal: Promise<Credentials> | undefined;

  constructor(settings: DatabaseSettings, renew: () => Promise<Credentials>, log: Logger) {
    this.#settings = settings;
    this.#current = settings;
    this.#renew = renew;
    this.#log = log;
  }

  /** What Knex connects with. */
  readonly provide = async () => {
    if (this.#refused) {
      this.#renewal ??= this.#renew().finally(() => {
        setTimeout(() => {
          this.#renewal = undefined;
        }, RENEWAL_MILLISECONDS);
      });
      this.#current = await this.#renewal;
      this.#refused = false;
    }
    return { ...connectionTo(this.#settings, this.#current), expirationChecker: () => this.#refused };
  };

  /** What `connect` gives back; when MySQL refuses the credentials, it is tried once more with new ones. */
  async retry<Result>(connect: () => Promise<Result>): Promise<Result> {
    try {
      return await connect();
    } catch (error) {
      if (codeOf(error) !== 'ER_ACCESS_DENIED_ERROR') throw error;
      this.#log.warn('MySQL refused the credentials; reading them again');
      this.#refused = true;
      return await connect();
    }
  }
}

function connectionTo(settings: DatabaseSettings, { username, password }: Credentials): Knex.MySql2ConnectionConfig {
  const { host, port, name, certificateAuthorities: ca } = settings;
  // More than Knex's type knows of, as mysql2 documents it; verifyIdentity compares the certificate with the host's name.
  const tls = { minVersion: 'TLSv1.2', rejectUnauthorized: true, verifyIdentity: true };
  return {
    host,
    port,
    database: name,
    user: username,
    password,
    connectTimeout: CONNECT_MILLISECONDS,
    // Without this a DATE becomes midnight of the machine's own time zone, which can be another day.
    dateStrings: true,
    ...(ca === undefined ? {} : { ssl: { ...tls, ca } }),
  };
}
