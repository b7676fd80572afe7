import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Server } from 'restify';
import type { Config } from '../config.ts';
import type { Health } from './health.ts';
import type { Logger } from './logging.ts';

/** The steps of a shutdown, in this order, after the drain delay. */
export interface Stoppable {
  /** Accepts no more connections, and waits for the pending requests. */
  closeServer(): Promise<void>;
  /** Closes the pool. */
  closeDatabase(): Promise<void>;
  /** Sends the remaining spans. */
  flushTraces(): Promise<void>;
}

const SWEEP_MILLISECONDS = 50;
const SIGNAL_NUMBERS = { SIGTERM: 15, SIGINT: 2 } as const;

/**
 * Shuts down gracefully on SIGTERM or SIGINT: not ready → serve during the drain delay → accept no more connections →
 * finish requests → close the pool → send the last spans → exit 0. When the grace period ends first, or on a second
 * signal, it exits immediately (1, or 128 + the signal's number as shells do).
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
        log.warn({ signal }, 'second signal; exiting immediately');
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
  // Lost spans do not make the shutdown a failure: every request was answered.
  if (inTime) await Promise.race([service.flushTraces(), outOfTime]);
  if (inTime) log.info('stopped');
  else log.error('grace period ended; requests aborted');
  return inTime;
}

/** Accepts no more connections; resolves when the open requests are answered and the port of the metrics is closed. */
export async function closeServer(server: Server, metricsServer: HttpServer): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  // A connection that is busy when the server closes becomes idle after its response; Node would keep it open.
  const sweep = setInterval(() => server.server.closeIdleConnections(), SWEEP_MILLISECONDS);
  await closed;
  clearInterval(sweep);
  metricsServer.close();
  metricsServer.closeAllConnections();
}
