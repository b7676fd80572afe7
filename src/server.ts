import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Request, Response, Server } from 'restify';
import { headersOfAll, receive, send, sendJson } from './http/answers.ts';
import { preferredType, requireAcceptable } from './http/negotiation.ts';
import { Problem, problemBody, sendProblem, toProblem, Unavailable } from './http/problems.ts';
import { createRestify } from './http/restify.ts';
import type { Health } from './operations/health.ts';
import type { Logger, LogRequest } from './operations/logging.ts';
import type { Metrics } from './operations/metrics.ts';
import type { Tracing } from './operations/tracing.ts';
import type { Clock } from './users/birthday.ts';
import type { UserRepository } from './users/repository.ts';
import { greetingFor, PLAIN_USER_PATH, USER_PATH, userHandlers } from './users/routes.ts';
import { homePage, type Lookup, pages } from './web/pages.ts';

/** What the HTTP surface stands on. */
export interface Dependencies {
  users: UserRepository;
  health: Health;
  metrics: Metrics;
  log: Logger;
  logRequest: LogRequest;
  clock: Clock;
  version: string;
  /** The bearer token that changes need; without it they are open to everyone. */
  writeToken?: string | undefined;
  /** Undefined when traces are off. */
  tracing?: Tracing | undefined;
}

/** What the log and the metrics say of a request whose caller hung up before the answer, as nginx and restify do. */
const HUNG_UP = 444;
/** The route, in the log and the metrics, of a request that no handler is for. */
const NO_ROUTE = 'none';
/** More than any username has; longer ones shall be called wrong, not "not found". */
const LONGEST_PARAMETER = 16 * 1024;

/** A request's head has 10 s to arrive and the whole of it 20 s; looked at every 5 s. */
const HEAD_MILLISECONDS = 10_000;
const REQUEST_MILLISECONDS = 20_000;
const CHECK_MILLISECONDS = 5_000;
/** Longer than a load balancer keeps an idle connection (ALB: 60 s), so that it is never us who closes under a request. */
const IDLE_MILLISECONDS = 65_000;

/** The whole HTTP surface of the public port, not yet listening. */
export function createServer(dependencies: Dependencies): Server {
  const { users, health, metrics, log, logRequest, clock, version, writeToken, tracing } = dependencies;
  const server = createRestify({ name: '', maxParamLength: LONGEST_PARAMETER, log });
  const user = userHandlers(users, clock, writeToken);
  const direct = new Map(Object.entries(user));

  // Before restify looks at the request.
  server.first((request: Request, response: Response) => {
    receive(request);
    // Whoever holds a connection shall open the next one elsewhere.
    if (health.phase === 'stopping') response.shouldKeepAlive = false;
    // What comes by the thousand needs no router, and restify's own work takes longer than all of ours.
    const username = PLAIN_USER_PATH.exec(request.url ?? '')?.[1];
    // restify dies on a Host or a target that makes no URL.
    if (!(username === undefined ? makesUrl(request) : makesUrlOfHost(request))) {
      refuseEarly(response, new Problem(400, 'The Host header and the target of the request do not make a URL.'));
      return false;
    }
    tracing?.beginRequest(request);
    const handler = username === undefined ? undefined : direct.get(request.method ?? '');
    if (username === undefined || handler === undefined) return true;
    const work =
      tracing === undefined
        ? handler(request, response, username)
        : tracing.forRequest(request, handler, request, response, username);
    void answerDirectly(request, response, work);
    return false;
  });
  // The others go on inside of `next`.
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

  // Handlers are async functions throughout: restify catches what those throw, and nothing else. It is not told that
  // this is done, or it would send an answer of its own.
  server.on('restifyError', (request: Request, response: Response, error: unknown) => refuse(request, response, error));
  server.on('after', (request: Request, response: Response, _route: unknown, error: unknown) => {
    record(request, response, String(request.getRoute()?.path ?? NO_ROUTE), error);
  });

  async function answerDirectly(request: IncomingMessage, response: ServerResponse, work: Promise<void>) {
    let failure: unknown;
    try {
      await work;
    } catch (error) {
      failure = error;
      refuse(request, response, error);
    }
    if (response.destroyed && !response.writableFinished) response.statusCode = HUNG_UP;
    record(request, response, USER_PATH, failure);
  }

  function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    if (!response.headersSent) sendProblem(response, toProblem(error, request));
  }

  function record(request: IncomingMessage, response: ServerResponse, route: string, error: unknown): void {
    const now = performance.now();
    const milliseconds = now - (request.receivedAt ?? now);
    metrics.observe(request.method ?? 'none', route, response.statusCode, milliseconds / 1000);
    logRequest(request, response, route, milliseconds, error);
    tracing?.endRequest(request, route === NO_ROUTE ? undefined : route, response.statusCode, error);
  }

  const { server: http } = server;
  http.headersTimeout = HEAD_MILLISECONDS;
  http.requestTimeout = REQUEST_MILLISECONDS;
  http.keepAliveTimeout = IDLE_MILLISECONDS;
  // Node's own refusal of a request without Host has no body; makesUrl() refuses it instead.
  Object.assign(http, { connectionsCheckingInterval: CHECK_MILLISECONDS, requireHostHeader: false });
  // restify takes upgrades over and leaves them without an answer; without a listener Node answers them as plain requests.
  http.removeAllListeners('upgrade');
  http.on('clientError', answerBrokenRequest);
  http.on('checkExpectation', (request, response) => {
    receive(request);
    refuseEarly(response, new Problem(417, 'The only expectation that can be met is 100-continue.'));
  });
  return server;
}

/** Routes GET to `handler`, and HEAD as well, which restify would refuse; Node leaves the body out. */
function getAndHead(
  server: Server,
  path: string,
  handler: (request: Request, response: Response) => Promise<void>,
): void {
  server.get(path, handler);
  server.head(path, handler);
}

function addPages(
  server: Server,
  users: UserRepository,
  clock: Clock,
  version: string,
  access: { closed: boolean },
): void {
  for (const [path, alternatives] of Map.groupBy(pages(version, access), (page) => page.path)) {
    const types = alternatives.map((page) => page.contentType.replace(/;.*/, ''));
    const [first, ...others] = types;
    if (first === undefined) continue;

    const answer = async (request: Request, response: Response): Promise<void> => {
      // Where there is a choice, the first is for everyone who asks for none of them.
      const type = others.length > 0 ? (preferredType(request, types) ?? first) : requireAcceptable(request, first);
      const page = alternatives[types.indexOf(type)];
      if (page === undefined) throw new Error(`no page of type ${type} at ${path}`);
      const vary = alternatives.length > 1 ? ['vary', 'Accept'] : [];

      const username =
        path === '/' && type === 'text/html' ? new URLSearchParams(request.getQuery()).get('username') : null;
      if (username !== null) {
        const { lookup, problem } = await lookUp(username, users, clock, request);
        const headers = ['content-type', page.contentType, 'cache-control', 'no-store', ...vary];
        headers.push(...Object.entries(problem?.headers ?? {}).flat());
        send(response, problem?.status ?? 200, headers, homePage(lookup, access));
        // It is answered, and the log shall have it as well.
        if (problem !== undefined) throw problem.cause;
        return;
      }
      const headers = ['etag', page.etag, ...Object.entries(page.headers).flat(), ...vary];
      if (request.headers['if-none-match']?.includes(page.etag)) send(response, 304, headers);
      else send(response, 200, ['content-type', page.contentType, ...headers], page.body);
    };
    getAndHead(server, path, answer);
  }
}

/**
 * What the page shows for a lookup that came with its address, as from a form where no script runs; with the problem,
 * where it is one of ours.
 */
async function lookUp(
  username: string,
  users: UserRepository,
  clock: Clock,
  request: Request,
): Promise<{ lookup: Lookup; problem?: Problem }> {
  try {
    return { lookup: { username, greeting: await greetingFor(username, users, clock) } };
  } catch (error) {
    const problem = toProblem(error, request);
    if (problem.status === 400) return { lookup: { username, invalid: problem.message } };
    const lookup = { username, failure: problem.message };
    return problem.status < 500 ? { lookup } : { lookup, problem };
  }
}

/**
 * Whether restify can make a URL of this request; it puts one together just like this. HTTP/1.1 wants a Host for it:
 * https://www.rfc-editor.org/rfc/rfc9112#section-3.2
 */
function makesUrl(request: Request): boolean {
  if (request.headers.host === undefined && request.httpVersion === '1.1') return false;
  const base = `http://${request.headers.host ?? 'localhost'}`;
  const target = request.url ?? '';
  return target.startsWith('/') ? URL.canParse(base + target) : URL.canParse(target, base);
}

let lastHost: string | undefined;

/** The same for a plain path, where it is up to the Host alone: callers send one with thousands of requests. */
function makesUrlOfHost(request: Request): boolean {
  const { host } = request.headers;
  if (host !== undefined && host === lastHost) return true;
  const good = makesUrl(request);
  if (good) lastHost = host;
  return good;
}

const BROKEN: Readonly<Record<string, [status: number, phrase: string, detail: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'The head of the request is larger than 16 KiB.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The request did not arrive in time.'],
};

/** Answers a request that restify never gets to see, and ends its connection. */
function refuseEarly(response: ServerResponse, problem: Problem): void {
  response.shouldKeepAlive = false;
  sendProblem(response, problem);
}

/** What could not be read as HTTP is answered as far as possible, and the connection ended. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, phrase, detail] = BROKEN[error.code ?? ''] ?? [
    400,
    'Bad Request',
    'This is not a request of HTTP/1.1.',
  ];
  const body = problemBody(new Problem(status, detail), undefined);
  const headers = headersOfAll(randomUUID());
  headers.push('content-type', 'application/problem+json', 'content-length', String(Buffer.byteLength(body)));
  headers.push('connection', 'close');
  const lines = headers.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
  socket.end(`HTTP/1.1 ${status} ${phrase}\r\n${lines}\r\n${body}`);
}
