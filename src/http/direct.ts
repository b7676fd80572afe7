import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request } from 'restify';
import { respondWithProblem } from './problems.ts';

/** Answers a request for the resource with that key; `toProblem` converts what it throws. */
export type Handler = (request: Request, response: ServerResponse, key: string) => Promise<void>;

/** Resources of one kind, each with a key that is the end of its path. */
export interface Resource {
  /** The path as a pattern of the router, such as `/hello/:username`. */
  readonly path: string;
  /** The parameter in it. */
  readonly parameter: string;
  /** The usual form of the path, with the key as its group: nothing to decode, no query, no invalid key. */
  readonly plainPath: RegExp;
  readonly handlers: Readonly<Record<'GET' | 'PUT' | 'DELETE', Handler>>;
}

/** Records how a request was answered: one log line, one count and the end of its span. */
export type RecordResponse = (
  request: IncomingMessage,
  response: ServerResponse,
  route: string,
  error: unknown,
) => void;

/** Runs the work of a request so that its statements can be attributed to it. */
interface RequestContext {
  forRequest<Args extends unknown[], Result>(
    request: IncomingMessage,
    work: (...args: Args) => Result,
    ...args: Args
  ): Result;
}

/**
 * Answers requests of one route without restify's router, which takes longer than the rest of the work. The returned
 * function does nothing and returns false if there is no handler for the request's method.
 */
export function directRoute(
  route: string,
  handlers: Readonly<Record<string, Handler>>,
  record: RecordResponse,
  tracing: RequestContext | undefined,
): (request: Request, response: ServerResponse, name: string) => boolean {
  const byMethod = new Map(Object.entries(handlers));

  async function answer(request: Request, response: ServerResponse, work: Promise<void>): Promise<void> {
    let failure: unknown;
    try {
      await work;
    } catch (error) {
      failure = error;
      respondWithProblem(request, response, error);
    }
    record(request, response, route, failure);
  }

  return (request, response, name) => {
    const handler = byMethod.get(request.method ?? '');
    if (handler === undefined) return false;
    const work =
      tracing === undefined
        ? handler(request, response, name)
        : tracing.forRequest(request, handler, request, response, name);
    void answer(request, response, work);
    return true;
  };
}
