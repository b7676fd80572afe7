import { createRequire } from 'node:module';
import type { Logger } from 'pino';
import type { Request, Response, Server } from 'restify';

declare module 'restify' {
  interface Server {
    /** Runs before everything else in a request; with false, restify does nothing more. @types/restify lacks it. */
    first(handler: (request: Request, response: Response) => boolean): void;
  }
}

/** The options of restify's server and router that are used here, and their constructors. */
interface Options {
  name: string;
  maxParamLength: number;
  log: Logger;
}
type Construct<Result, More = unknown> = new (options: Options & More) => Result;

const require = createRequire(import.meta.url);

/** Longer than any username: a longer one gets 400 and not 404. */
const LONGEST_PARAMETER = 16 * 1024;
/** The head of a request has 10 s to arrive and all of it 20 s; checked every 5 s. */
const HEAD_MILLISECONDS = 10_000;
const REQUEST_MILLISECONDS = 20_000;
const CHECK_MILLISECONDS = 5_000;
/** Longer than a load balancer keeps an idle connection (ALB: 60 s), so that it never reuses one that we are closing. */
const IDLE_MILLISECONDS = 65_000;

/**
 * restify's server with the time limits of this service, without routes. It is built as restify's `createServer` does it,
 * whose file also loads all plug-ins of restify: none is used here, and they take a fifth of the start and 10 MB.
 */
export function createRestify(log: Logger): Server {
  const Router: Construct<object> = require('restify/lib/router.js');
  const RestifyServer: Construct<Server, { router: object }> = require('restify/lib/server.js');
  const options = { name: '', maxParamLength: LONGEST_PARAMETER, log };
  const server = new RestifyServer({ ...options, router: new Router(options) });
  const { server: http } = server;
  http.headersTimeout = HEAD_MILLISECONDS;
  http.requestTimeout = REQUEST_MILLISECONDS;
  http.keepAliveTimeout = IDLE_MILLISECONDS;
  // Node's own refusal of a request without Host has no body; urlProblem() handles it instead.
  Object.assign(http, { connectionsCheckingInterval: CHECK_MILLISECONDS, requireHostHeader: false });
  // restify accepts upgrades and never answers them; without a listener Node treats them as plain requests.
  http.removeAllListeners('upgrade');
  return server;
}

/** Routes GET and HEAD to `handler`; restify has no HEAD by default, and Node omits its body. */
export function getAndHead(
  server: Server,
  path: string,
  handler: (request: Request, response: Response) => Promise<void>,
): void {
  server.get(path, handler);
  server.head(path, handler);
}
