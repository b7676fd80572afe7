import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config.ts';
import type { Health } from './health.ts';
import type { Logger } from './logging.ts';

/** What has to happen, in this order, once the load balancer has had time to look elsewhere. */
export interface Stoppable {
  /** Accepts nothing new and comes back when what was under way is answered. */
  closeServer(): Promise<void>;
  /** Closes the pool. */
  closeDatabase(): Promise<void>;
  /** Sends the traces that are left. */
  flushTraces(): Promise<void>;
}

const SIGNAL_NUMBERS = { SIGTERM: 15, SIGINT: 2 } as const;

/**
 * Ends the process in good order on SIGTERM or SIGINT: not ready → the drain delay, still serving → accept nothing
 * new → let requests end → close the pool → send the last traces → exit 0. When the grace period runs out first, or on
 * a second signal, it exits at once (1, or 128 + the signal's number as shells do).
 */
export function exitOnSignals(
  config: Pick<Config, 'drainSeconds' | 'graceSeconds'>,
  health: Health,
  log: Logger,
  service: Stoppable,
  exit: (code: number) => void,
): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (health.phase === 'stopping') {
        log.warn({ signal }, 'second signal: exiting at once');
        exit(128 + SIGNAL_NUMBERS[signal]);
        return;
      }
      health.beginStopping();
      log.info({ signal, drainSeconds: config.drainSeconds, graceSeconds: config.graceSeconds }, 'stopping');
      stop(config, log, service).then(
        (inTime) => exit(inTime ? 0 : 1),
        (error: unknown) => {
          log.error({ err: error }, 'stopping failed');
          exit(1);
        },
      );
    });
  }
}

async function stop(
  config: Pick<Config, 'drainSeconds' | 'graceSeconds'>,
  log: Logger,
  service: Stoppable,
): Promise<boolean> {
  const outOfTime = sleep(config.graceSeconds * 1000, false);
  const inOrder = async (): Promise<boolean> => {
    await sleep(config.drainSeconds * 1000);
    await service.closeServer();
    await service.closeDatabase();
    return true;
  };
  const inTime = await Promise.race([inOrder(), outOfTime]);
  // Whether they arrive is no question of order: every request was answered.
  if (inTime) await Promise.race([service.flushTraces(), outOfTime]);
  if (inTime) log.info('stopped');
  else log.error('grace period ended; requests aborted');
  return inTime;
}
