import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { createServer as createRestify, type Request, type Response, type Server } from 'restify';
import { getAndHead, sendJson } from './operations/answers.ts';
import { Problem, problemBody, sendProblem, toProblem, Unavailable } from './operations/errors.ts';
import type { Health } from './operations/health.ts';
import { type Logger, logRequest } from './operations/logging.ts';
import type { Metrics } from './operations/metrics.ts';
import { preferredType, requireAcceptable } from './operations/negotiation.ts';
import type { Clock } from './users/birthday.ts';
import type { UserRepository } from './users/repository.ts';
import { addUserRoutes, greetingFor } from './users/routes.ts';
import { homePage, type Lookup, type Page, pages, securityHeaders } from './web/pages.ts';

declare module 'restify' {
  interface Server {
    /** Runs before all else of a request; false ends restify's part in it. Its type package lacks it. */
    first(handler: (request: Request, response: Response) => boolean): void;
  }
}

/** What the HTTP surface stands on. */
export interface Dependencies {
  users: UserRepository;
  health: Health;
  metrics: Metrics;
  log: Logger;
  clock: Clock;
  version: string;
  /** The bearer token that changes need; without it they are open to everyone. */
  writeToken?: string | undefined;
}

/** A caller's request id is kept when it is short and plain enough for a log line. */
const SANE_REQUEST_ID = /^[\w.:-]{1,128}$/;
/** More than any username has; longer ones shall be called wrong, not "not found". */
const LONGEST_PARAMETER = 16 * 1024;

/** A request's head has 10 s to arrive and the whole of it 20 s; looked at every 5 s. */
const HEAD_MILLISECONDS = 10_000;
const REQUEST_MILLISECONDS = 20_000;
const CHECK_MILLISECONDS = 5_000;
/** Longer than a load balancer keeps an idle connection (ALB: 60 s), so that it is never us who closes under a request. */
const IDLE_MILLISECONDS = 65_000;

/** The whole HTTP surface of the public port, not yet listening. */
export function createServer({ users, health, metrics, log, clock, version, writeToken }: Dependencies): Server {
  const server = createRestify({ name: '', maxParamLength: LONGEST_PARAMETER });
  const receivedAt = new WeakMap<IncomingMessage, number>();

  // Before restify looks at the request: it dies on a Host or a target that makes no URL.
  server.first((request: Request, response: Response) => {
    receivedAt.set(request, performance.now());
    setHeadersOfAll(request, response);
    // Whoever holds a connection shall open the next one elsewhere.
    if (health.phase === 'stopping') response.setHeader('Connection', 'close');
    if (makesUrl(request)) return true;
    sendEarly(response, new Problem(400, 'The Host header and the target of the request do not make a URL.'));
    return false;
  });

  getAndHead(server, '/livez', async (_request, response) => sendJson(response, 200, { status: 'alive' }));
  getAndHead(server, '/readyz', async (_request, response) => {
    const { phase } = health;
    if (phase !== 'ready') throw new Unavailable(`the service is ${phase}`);
    sendJson(response, 200, { status: phase });
  });
  addUserRoutes(server, users, clock, writeToken);
  addPages(server, users, clock, pages(version, { closed: writeToken !== undefined }));

  // Handlers are async functions throughout: restify catches what those throw, and nothing else.
  server.on('restifyError', (request: Request, response: Response, error: unknown, done: () => void) => {
    if (!response.headersSent) sendProblem(request, response, toProblem(error, request));
    done();
  });

  server.on('after', (request: Request, response: Response, _route: unknown, error: unknown) => {
    const milliseconds = performance.now() - (receivedAt.get(request) ?? performance.now());
    const route = String(request.getRoute()?.path ?? 'none');
    metrics.observe(request.method ?? 'none', route, response.statusCode, milliseconds / 1000);
    logRequest(log, request, response, route, milliseconds, error);
  });

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
    setHeadersOfAll(request, response);
    sendEarly(response, new Problem(417, 'The only expectation that can be met is 100-continue.'));
  });
  return server;
}

const SECURITY_HEADERS = Object.entries(securityHeaders);

/** Sets what every answer carries: a request id, the caller's if it is sane, and what browsers shall keep to. */
function setHeadersOfAll(request: IncomingMessage, response: ServerResponse): void {
  const wanted = request.headers['x-request-id'];
  response.setHeader(
    'x-request-id',
    typeof wanted === 'string' && SANE_REQUEST_ID.test(wanted) ? wanted : randomUUID(),
  );
  for (const [name, value] of SECURITY_HEADERS) response.setHeader(name, value);
}

function addPages(server: Server, users: UserRepository, clock: Clock, all: readonly Page[]): void {
  for (const [path, alternatives] of Map.groupBy(all, (page) => page.path)) {
    const types = alternatives.map((page) => page.contentType.replace(/;.*/, ''));
    const [first, ...others] = types;
    if (first === undefined) continue;

    const answer = async (request: Request, response: Response): Promise<void> => {
      // Where there is a choice, the first is for everyone who asks for none of them.
      const type = others.length > 0 ? (preferredType(request, types) ?? first) : requireAcceptable(request, first);
      const page = alternatives[types.indexOf(type)];
      if (page === undefined) throw new Error(`no page of type ${type} at ${path}`);
      if (alternatives.length > 1) response.setHeader('Vary', 'Accept');

      const username =
        path === '/' && type === 'text/html' ? new URLSearchParams(request.getQuery()).get('username') : null;
      if (username !== null) {
        const found = await lookUp(username, users, clock);
        const html = homePage(found);
        response.writeHead(200, {
          'Content-Type': page.contentType,
          'Content-Length': Buffer.byteLength(html),
          'Cache-Control': 'no-store',
        });
        response.end(html);
        return;
      }
      const headers = { ...page.headers, ETag: page.etag };
      if (request.headers['if-none-match']?.includes(page.etag)) {
        response.writeHead(304, headers);
        response.end();
        return;
      }
      response.writeHead(200, { ...headers, 'Content-Type': page.contentType, 'Content-Length': page.body.length });
      response.end(page.body);
    };
    getAndHead(server, path, answer);
  }
}

/** What the page shows for a lookup that came with its address, as from a form where no script runs. */
async function lookUp(username: string, users: UserRepository, clock: Clock): Promise<Lookup> {
  try {
    return { username, greeting: await greetingFor(username, users, clock) };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return error.status === 400 ? { username, invalid: error.message } : { username, failure: error.message };
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

const BROKEN: Readonly<Record<string, [status: number, phrase: string, detail: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'The head of the request is larger than 16 KiB.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The request did not arrive in time.'],
};

/** Answers a request that restify never gets to see. */
function sendEarly(response: ServerResponse, problem: Problem): void {
  const body = problemBody(problem, undefined);
  response.writeHead(problem.status, {
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
    Connection: 'close',
  });
  response.end(body);
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
  const headers = Object.entries({
    ...securityHeaders,
    'x-request-id': randomUUID(),
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
    Connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${phrase}\r\n${headers.join('')}\r\n${body}`);
}
