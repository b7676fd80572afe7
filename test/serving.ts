import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { Health } from '../src/operations/health.ts';
import { createRequestLog } from '../src/operations/logging.ts';
import { createMetrics } from '../src/operations/metrics.ts';
import { createServer } from '../src/server.ts';
import type { UserRepository } from '../src/users/repository.ts';
import { idle } from './idle.ts';

/** A server on a free port with these users; `log()` gives back what it has logged, `lines()` the same, parsed. */
export async function serving(
  users: Partial<UserRepository> = {},
  now = '2026-11-24T12:00:00Z',
  writeToken?: string,
  beforeListening: (server: HttpServer) => void = () => {},
) {
  let lines = '';
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines += chunk;
      done();
    },
  });
  const health = new Health();
  const metrics = createMetrics({ version: '1', revision: 'abc' }, () => idle);
  const log = pino(sink);
  const server = createServer({
    users: {
      find: async () => undefined,
      save: async () => {},
      remove: async () => false,
      statistics: () => idle,
      ...users,
    },
    health,
    metrics,
    log,
    logRequest: createRequestLog(log, sink),
    clock: () => new Date(now),
    version: '1',
    writeToken,
  });
  beforeListening(server.server);
  server.listen(0);
  await once(server, 'listening');
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    health,
    metrics,
    port,
    log: () => lines,
    lines: (): Record<string, unknown>[] =>
      lines
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
    /** How many answers were counted, by `method route status`; those of none are left out. */
    async counts(): Promise<Record<string, number>> {
      const text = await metrics.registry.metrics();
      const counts = text.matchAll(
        /^http_request_duration_seconds_count\{method="(.*?)",route="(.*?)",status="(.*?)"\} (\d+)/gm,
      );
      return Object.fromEntries(
        Array.from(counts, ([, method, route, status, count]) => [`${method} ${route} ${status}`, Number(count)]),
      );
    },
    async close() {
      server.close();
      server.server.closeAllConnections();
    },
  };
}
