import { createServer, type Server } from 'node:http';
import { performance } from 'node:perf_hooks';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type DatabaseStatistics, STATEMENT_BOUNDS } from '../database/database.ts';
import type { StoreStatistics } from '../database/store.ts';
import type { Logger } from './logging.ts';

/** The metrics of the service. */
export interface Metrics {
  readonly registry: Registry;
  /** Counts an answered request. `route` is the pattern, such as `/hello/:username`, never the path. */
  observe(method: string, route: string, status: number, seconds: number): void;
}

type Statistics = DatabaseStatistics & StoreStatistics;

/** Requests with the same labels. */
interface Kind {
  readonly histogram: Histogram.Internal<'method' | 'route' | 'status'>;
  /** Durations that the histogram has not been told yet, in seconds. */
  held: number[];
}

/** Finer around 500 ms, the threshold of the alarms. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5];
/** So many durations of a kind are told to prom-client in one go, which takes less than one with each request. */
const MOST_HELD = 256;
/** Methods with their own label. Other methods share one, so that clients cannot create labels without limit. */
export const KNOWN_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'POST', 'PATCH', 'OPTIONS']);

/**
 * The service's metrics: requests by route, method and status; the database's pool and queue, from `statistics` at each
 * scrape; the event loop's lag and the process's memory; version and revision.
 */
export function createMetrics(build: { version: string; revision: string }, statistics: () => Statistics): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  new Gauge({
    name: 'plusone_build_info',
    help: 'Version and revision of the service; the value is always 1',
    labelNames: ['version', 'revision', 'node'],
    registers,
  }).set({ ...build, node: process.version }, 1);

  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the request head to the end of the response',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATION_BUCKETS,
    registers,
    collect() {
      for (const kind of kinds.values()) settle(kind);
    },
  });
  const kinds = new Map<string, Kind>();

  gauge('plusone_database_connections_used', 'Connections to MySQL that run a statement', (now) => now.used);
  gauge('plusone_database_connections_free', 'Connections to MySQL that are open and idle', (now) => now.free);
  gauge(
    'plusone_database_connection_waits',
    'Statements that wait for a connection',
    (now) => now.waitingForConnection,
  );
  gauge('plusone_reads_waiting', 'Lookups that have no answer from MySQL yet', (now) => now.reads);
  gauge('plusone_writes_waiting', 'Changes that have no answer from MySQL yet', (now) => now.writes);
  gauge('plusone_requests_executing', 'Lookups and changes whose statement is running', (now) => now.executing);
  counter('plusone_database_statements_total', 'Statements sent to MySQL', (now) => now.statements);
  counter(
    'plusone_database_statement_seconds_total',
    'Time that statements took, the wait for a connection included',
    (now) => now.statementSeconds,
  );
  counter('plusone_database_failures_total', 'Statements and connections that failed', (now) => now.failures);

  counter(
    'plusone_event_loop_idle_seconds_total',
    'Time in which the event loop was idle',
    () => performance.eventLoopUtilization().idle / 1000,
  );
  new Counter({
    name: 'plusone_database_statement_duration_seconds_bucket',
    help: 'Statements that took at most this time, the wait for a connection included',
    labelNames: ['le'],
    registers,
    collect() {
      const { statementBuckets } = statistics();
      this.reset();
      let count = 0;
      for (const [at, bound] of [...STATEMENT_BOUNDS.map((milliseconds) => milliseconds / 1000), '+Inf'].entries()) {
        count += statementBuckets[at] ?? 0;
        this.inc({ le: String(bound) }, count);
      }
    },
  });

  function gauge(name: string, help: string, value: (now: Statistics) => number): void {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value(statistics()));
      },
    });
  }

  function counter(name: string, help: string, value: (now: Statistics) => number): void {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(value(statistics()));
      },
    });
  }

  return {
    registry,
    observe(method, route, status, seconds) {
      const known = KNOWN_METHODS.has(method) ? method : 'other';
      const key = `${known} ${status} ${route}`;
      let kind = kinds.get(key);
      if (kind === undefined) {
        kind = { histogram: duration.labels(known, route, String(status)), held: [] };
        kinds.set(key, kind);
      }
      kind.held.push(seconds);
      if (kind.held.length === MOST_HELD) settle(kind);
    },
  };
}

function settle(kind: Kind): void {
  for (const seconds of kind.held) kind.histogram.observe(seconds);
  kind.held = [];
}

/** A server that answers `GET /metrics` in Prometheus text and nothing else; it is not yet listening. */
export function createMetricsServer(registry: Registry, log: Logger): Server {
  return createServer((request, response) => {
    response.statusCode = 404;
    if (request.url !== '/metrics' || (request.method !== 'GET' && request.method !== 'HEAD')) {
      response.end();
      return;
    }
    registry.metrics().then(
      (text) => {
        response.statusCode = 200;
        response.setHeader('Content-Type', registry.contentType);
        response.end(text);
      },
      (error: unknown) => {
        log.error({ err: error }, 'metrics collection failed');
        response.statusCode = 500;
        response.end();
      },
    );
  });
}
