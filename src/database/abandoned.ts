import { randomUUID } from 'node:crypto';
import type { Connection } from 'mysql2';
import { codeOf, isStatementError } from './errors.ts';
import { runWithin } from './statement.ts';

const MARKER_PREFIX = 'plusone.session.';

/**
 * Sessions that were given up while a statement was running, and how to end them: docs/decisions/07-late-statements.md.
 *
 * Each session holds a user-level lock with a unique name. The lock ends with the session, so
 * `KILL IS_USED_LOCK(name)` ends that session or none, even after a restart or failover has given its thread id to
 * another session. https://dev.mysql.com/doc/refman/8.4/en/locking-functions.html
 */
export class AbandonedSessions {
  readonly #markers = new WeakMap<Connection, string>();
  readonly #abandoned = new Set<string>();

  get size(): number {
    return this.#abandoned.size;
  }

  /**
   * Takes the lock of a new session, so that it can be ended later.
   * @throws {StatementTimeout} after `milliseconds` without an answer; an error of the server
   */
  async mark(session: Connection, milliseconds: number): Promise<void> {
    const marker = MARKER_PREFIX + randomUUID();
    await runWithin(milliseconds, (done) => session.query('DO GET_LOCK(?, 0)', [marker], done));
    this.#markers.set(session, marker);
  }

  /** Records that MySQL may still execute a statement of `session`, which is given up. */
  add(session: Connection): void {
    const marker = this.#markers.get(session);
    if (marker !== undefined) this.#abandoned.add(marker);
  }

  /** Ends the sessions that were given up, each within `milliseconds`. To be called before any other statement. */
  async end(session: Connection, milliseconds: number): Promise<void> {
    for (const marker of this.#abandoned) {
      await runWithin(milliseconds, (done) => session.query('KILL IS_USED_LOCK(?)', [marker], done)).catch(
        (error: unknown) => {
          // The session has ended, it is another user's, or the server has no such KILL: nothing more can be done.
          if (!isStatementError(error) && codeOf(error) !== 'ER_UNKNOWN_ERROR') throw error;
        },
      );
      this.#abandoned.delete(marker);
    }
  }
}
