import { createRequire } from 'node:module';
import type { Logger } from 'pino';
import type { Request, Response, Server } from 'restify';

declare module 'restify' {
  interface Server {
    /** Runs before all else of a request; false ends restify's part in it. Its type package lacks it. */
    first(handler: (request: Request, response: Response) => boolean): void;
  }
}

/** The parts of restify's options that are used here, and how its server and router are made from them. */
interface Options {
  name: string;
  maxParamLength: number;
  log: Logger;
}
type Construct<Result, More = unknown> = new (options: Options & More) => Result;

const require = createRequire(import.meta.url);

/**
 * restify's server, put together as its `createServer` does it. That one lies in a file which also loads all of
 * restify's plug-ins; none is used here, and they take a fifth of the start and ten megabytes.
 */
export function createRestify(options: Options): Server {
  const Router: Construct<object> = require('restify/lib/router.js');
  const RestifyServer: Construct<Server, { router: object }> = require('restify/lib/server.js');
  return new RestifyServer({ ...options, router: new Router(options) });
}

/** Routes GET to `handler`, and HEAD as well, which restify would refuse; Node leaves the body out. */
export function getAndHead(
  server: Server,
  path: string,
  handler: (request: Request, response: Response) => Promise<void>,
): void {
  server.get(path, handler);
  server.head(path, handler);
}
