import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { DatabaseSettings } from '../config.ts';
import { createKnex } from './connection.ts';
import { codeOf } from './errors.ts';

const PAUSE_MILLISECONDS = 3_000;
const ANSWER_MILLISECONDS = 2_000;

/**
 * Watches the session that holds a user-level lock, from other connections: a statement may take hours, and one at a
 * server that no longer responds never ends.
 * Rejects when for `seconds` no server has answered that the session is there. Never settles once `signal` is aborted.
 */
export async function untilLost(
  settings: DatabaseSettings,
  lock: string,
  log: Logger,
  seconds: number,
  signal: AbortSignal,
): Promise<never> {
  let holder: unknown;
  let heard = performance.now();
  let reason: unknown;
  for (;;) {
    await sleep(PAUSE_MILLISECONDS, undefined, { ref: false });
    if (signal.aborted) return await new Promise<never>(() => {});
    try {
      const now = await holderOf(settings, lock, log);
      holder ??= now;
      if (now === holder) heard = performance.now();
      else reason = 'the server does not have the session of this run, as after a failover';
    } catch (error) {
      reason = error instanceof Error ? error.message : error;
      // Any other answer of the server will do, also that it takes no more connections.
      if (codeOf(error)?.startsWith('ER_')) heard = performance.now();
    }
    if (performance.now() - heard > seconds * 1000)
      throw new Error(`no answer from the database for ${seconds} s: ${reason}`);
  }
}

/** The id of the session that holds a lock, as the server has it; null if none does. */
async function holderOf(settings: DatabaseSettings, lock: string, log: Logger): Promise<unknown> {
  const limits = { acquireTimeoutMillis: ANSWER_MILLISECONDS, createTimeoutMillis: ANSWER_MILLISECONDS };
  const knex = createKnex(settings, log, { min: 0, max: 1, ...limits });
  try {
    const [[row]] = await knex.raw('SELECT IS_USED_LOCK(?)', [lock]).timeout(ANSWER_MILLISECONDS);
    return Object.values(row)[0];
  } finally {
    // Not waited for: it waits for a statement without an answer.
    void knex.destroy();
  }
}
