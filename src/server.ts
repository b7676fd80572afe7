import type { Request, Response, Server } from 'restify';
import { sendJson } from './http/answers.ts';
import { directRoute } from './http/direct.ts';
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
import type { Clock } from './users/birthday.ts';
import type { UserRepository } from './users/repository.ts';
import { PLAIN_USER_PATH, USER_PATH, userHandlers } from './users/routes.ts';
import { addPages } from './web/routes.ts';

/** What the HTTP server depends on. */
export interface Dependencies {
  users: UserRepository;
  health: Health;
  metrics: Metrics;
  log: Logger;
  logRequest: LogRequest;
  clock: Clock;
  version: string;
  /** The bearer token that changes require; undefined: anyone may change users. */
  writeToken?: string | undefined;
  /** Undefined when tracing is off. */
  tracing?: Tracing | undefined;
}

/** The server of the public port with all of its routes, not yet listening. */
export function createServer(dependencies: Dependencies): Server {
  const { users, health, log, clock, version, writeToken, tracing } = dependencies;
  const server = createRestify(log);
  const record = createRecorder(dependencies);
  const user = userHandlers(users, clock, writeToken);
  const answerDirectly = directRoute(USER_PATH, user, record.response, tracing);

  // Runs before restify looks at the request.
  server.first((request: Request, response: Response) => {
    receive(request);
    // The client opens its next connection to another replica.
    if (health.phase === 'stopping') response.shouldKeepAlive = false;
    const username = PLAIN_USER_PATH.exec(request.url ?? '')?.[1];
    const problem = username === undefined ? urlProblem(request) : hostProblem(request);
    if (problem !== undefined) {
      refuse(request, response, problem, record.refusal);
      return false;
    }
    tracing?.beginRequest(request);
    return username === undefined || !answerDirectly(request, response, username);
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
  getAndHead(server, USER_PATH, async (request, response) => user.GET(request, response, request.params.username));
  server.put(USER_PATH, async (request, response) => user.PUT(request, response, request.params.username));
  server.del(USER_PATH, async (request, response) => user.DELETE(request, response, request.params.username));
  addPages(server, users, clock, version, { closed: writeToken !== undefined });

  // All handlers are async: restify catches only errors of async handlers. The listener does not report the error as
  // handled, because restify would then send a response of its own.
  server.on('restifyError', respondWithProblem);
  server.on('after', (request: Request, response: Response, _route: unknown, error: unknown) => {
    record.response(request, response, String(request.getRoute()?.path ?? NO_ROUTE), error);
  });
  return server;
}
