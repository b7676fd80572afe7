import type { Request, Response, Server } from 'restify';
import { sendJson } from './http/answers.ts';
import { directRoute, type Resource } from './http/direct.ts';
import { answerRefused, hostProblem, refuse, urlProblem } from './http/malformed.ts';
import { respondWithProblem } from './http/problems.ts';
import { receive } from './http/request-id.ts';
import { createRestify, getAndHead } from './http/restify.ts';
import type { Health } from './operations/health.ts';
import type { Logger, LogRequest } from './operations/logging.ts';
import type { Metrics } from './operations/metrics.ts';
import { createRecorder, NO_ROUTE } from './operations/record.ts';
import type { Tracing } from './operations/tracing.ts';
import { Unavailable } from './unavailable.ts';

/** What every HTTP server depends on. */
export interface ServerParts {
  readonly health: Health;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly logRequest: LogRequest;
  /** Undefined when tracing is off. */
  readonly tracing?: Tracing | undefined;
}

/** A server with health checks and these resources, not yet listening; further routes may be added. */
export function createHttpServer(parts: ServerParts, resources: readonly Resource[]): Server {
  const { health, log, tracing } = parts;
  const server = createRestify(log);
  const record = createRecorder(parts);
  const direct = resources.map(({ path, plainPath, handlers }) => ({
    plainPath,
    answer: directRoute(path, handlers, record.response, tracing),
  }));

  // Runs before restify looks at the request.
  server.first((request: Request, response: Response) => {
    receive(request);
    // The client opens its next connection to another replica.
    if (health.phase === 'stopping') response.shouldKeepAlive = false;
    for (const { plainPath, answer } of direct) {
      const key = plainPath.exec(request.url ?? '')?.[1];
      if (key === undefined) continue;
      const problem = hostProblem(request);
      if (problem !== undefined) {
        refuse(request, response, problem, record.refusal);
        return false;
      }
      tracing?.beginRequest(request);
      return !answer(request, response, key);
    }
    const problem = urlProblem(request);
    if (problem !== undefined) {
      refuse(request, response, problem, record.refusal);
      return false;
    }
    tracing?.beginRequest(request);
    return true;
  });
  answerRefused(server.server, record.refusal);
  // The rest of the request runs inside `next`.
  if (tracing !== undefined) server.pre((request, _response, next) => tracing.forRequest(request, next));

  getAndHead(server, '/livez', async (_request, response) => sendJson(response, 200, { status: 'alive' }));
  getAndHead(server, '/readyz', async (_request, response) => {
    const { phase } = health;
    if (phase !== 'ready') throw new Unavailable(`the service is ${phase}`);
    sendJson(response, 200, { status: phase });
  });
  for (const { path, parameter, handlers } of resources) {
    const { GET, PUT, DELETE } = handlers;
    getAndHead(server, path, async (request, response) => GET(request, response, request.params[parameter]));
    server.put(path, async (request, response) => PUT(request, response, request.params[parameter]));
    server.del(path, async (request, response) => DELETE(request, response, request.params[parameter]));
  }

  // All handlers are async: restify catches only errors of async handlers. The listener does not report the error as
  // handled, because restify would then send a response of its own.
  server.on('restifyError', respondWithProblem);
  server.on('after', (request: Request, response: Response, _route: unknown, error: unknown) => {
    record.response(request, response, String(request.getRoute()?.path ?? NO_ROUTE), error);
  });
  return server;
}
