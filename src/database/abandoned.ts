import { randomUUID } from 'node:crypto';
import type { Connection } from 'mysql2';
import { codeOf } from './errors.ts';
import { runWithin } from './statement.ts';

const MARKER_PREFIX = 'plusone.session.';

/**
 * Sessions that were left with a statement under way, and how they are ended: docs/decisions/07-late-statements.md.
 *
 * Each session holds a user-level lock with a name of its own. The lock goes with the session, so
 * `KILL IS_USED_LOCK(name)` ends that session or none, also after a restart or failover that gave its thread id to
 * another session. https://dev.mysql.com/doc/refman/8.4/en/locking-functions.html
 */
export class AbandonedSessions {
  readonly #markers = new WeakMap<Connection, string>();
  readonly #abandoned = new Set<string>();

  get size(): number {
    return this.#abandoned.size;
  }

  /**
   * Marks a new session, so that it can be ended later.
   * @throws {StatementTimeout} after `milliseconds` without an answer, and whatever the server refuses it with
   */
  async mark(session: Connection, milliseconds: number): Promise<void> {
    const marker = MARKER_PREFIX + randomUUID();
    await runWithin(milliseconds, (done) => session.query('DO GET_LOCK(?, 0)', [marker], done));
    this.#markers.set(session, marker);
  }

  /** Notes that `session` is left with a statement that MySQL may still carry out. */
  add(session: Connection): void {
    const marker = this.#markers.get(session);
    if (marker !== undefined) this.#abandoned.add(marker);
  }

  /** Ends the sessions that were left, each within `milliseconds`. Nothing else may run before. */
  async end(session: Connection, milliseconds: number): Promise<void> {
    for (const marker of this.#abandoned) {
      await runWithin(milliseconds, (done) => session.query('KILL IS_USED_LOCK(?)', [marker], done)).catch(
        (error: unknown) => {
          // The session has ended, or credentials of another user were read since: nothing is left that could be done.
          if (codeOf(error) !== 'ER_NO_SUCH_THREAD' && codeOf(error) !== 'ER_KILL_DENIED_ERROR') throw error;
        },
      );
      this.#abandoned.delete(marker);
    }
  }
}
