import type { Knex } from 'knex';
import type { Logger } from 'pino';
import type { DatabaseSettings } from '../config.ts';
import { connectionTo } from './connection.ts';
import { codeOf } from './errors.ts';

/** The settings that can change while the process runs. */
export type Credentials = Pick<DatabaseSettings, 'username' | 'password'>;

/** For this long, renewed credentials are not read again: a wrong password must not flood SSM with requests. */
const RENEWAL_MILLISECONDS = 1_000;

/** The current credentials, which are read again when MySQL refuses them. */
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

  /** Gives Knex the settings of a new connection. */
  readonly provide = async (): Promise<Knex.StaticConnectionConfig & { expirationChecker(): boolean }> => {
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

  /** The result of `connect`; if MySQL refuses the credentials, it runs once more with new ones. */
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
