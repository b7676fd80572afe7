/** The platform requests these every few seconds; in the log and in traces they would hide the requests of users. */
export const PROBES: ReadonlySet<string | undefined> = new Set(['/livez', '/readyz']);

/** The state of the process. */
export type Phase = 'starting' | 'ready' | 'stopping';

/**
 * The state that the probes report. Readiness depends on this process alone: it has its configuration, the current schema
 * and has had one working connection. A later outage of MySQL does not change it: all replicas would leave the load
 * balancer at once, and none would remain to answer 503.
 */
export class Health {
  #phase: Phase = 'starting';

  get phase(): Phase {
    return this.#phase;
  }

  /** Allows the load balancer to send requests; without effect after a shutdown has started. */
  becomeReady(): void {
    if (this.#phase === 'starting') this.#phase = 'ready';
  }

  /** Asks the load balancer to send requests elsewhere. */
  beginStopping(): void {
    this.#phase = 'stopping';
  }
}
