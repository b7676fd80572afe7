/** Requested every few seconds by the platform: in the log and in traces they would bury the requests of users. */
export const PROBES: ReadonlySet<string | undefined> = new Set(['/livez', '/readyz']);

/** Where the process is between its first and its last moment. */
export type Phase = 'starting' | 'ready' | 'stopping';

/**
 * What the probes are told. Being ready is a fact about this process alone: it got its configuration, found its
 * schema and had one good connection. A later outage of MySQL does not take it back, since every replica would
 * leave the load balancer at once, and none would be left to answer 503.
 */
export class Health {
  #phase: Phase = 'starting';

  get phase(): Phase {
    return this.#phase;
  }

  /** From now on the load balancer may send requests; without effect once a shutdown has started. */
  becomeReady(): void {
    if (this.#phase === 'starting') this.#phase = 'ready';
  }

  /** From now on the load balancer should send requests elsewhere. */
  beginStopping(): void {
    this.#phase = 'stopping';
  }
}
