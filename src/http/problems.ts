import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { Overloaded, Unavailable } from '../unavailable.ts';
import { send } from './answers.ts';

/** An invalid field; `pointer` is a JSON Pointer (RFC 6901) into the request's body, as a URI fragment. */
export interface FieldError {
  readonly pointer: string;
  readonly detail: string;
}

/** An error response as RFC 9457 describes it. `detail` is written for the client. */
export class Problem extends Error {
  readonly status: number;
  readonly errors: readonly FieldError[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    detail: string,
    more: { errors?: readonly FieldError[]; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(detail, { cause: more.cause });
    this.name = 'Problem';
    this.status = status;
    this.errors = more.errors ?? [];
    this.headers = more.headers ?? {};
  }
}

/** A request that is refused before routing. `message` quotes nothing from the request, so it may be logged. */
export class MalformedRequest extends Problem {}

const RETRY_AFTER_SECONDS = '1';

/** The problem to send for a thrown value; an internal error becomes a 500 without details. */
export function toProblem(error: unknown, request: IncomingMessage): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof Unavailable) {
    return new Problem(503, 'The service cannot answer this at the moment; please try again.', {
      headers: {
        'Retry-After': RETRY_AFTER_SECONDS,
        // Else more than 1,024 clients that retry immediately keep libuv reading (`uv__io_poll`), and no connection is accepted.
        ...(error instanceof Overloaded ? { Connection: 'close' } : {}),
      },
      cause: error,
    });
  }
  const status = restifyStatus(error);
  if (status === 404) return new Problem(404, 'Not found: no resource has this path.');
  if (status === 405) {
    return new Problem(405, `Method not allowed: ${request.method}. The Allow header lists those that are.`);
  }
  return new Problem(500, 'The service failed; its log has the reason under the request id.', { cause: error });
}

/** The body of `problem` as JSON text; `instance` is the requested path. */
export function problemBody(problem: Problem, instance: string | undefined): string {
  return JSON.stringify({
    type: 'about:blank',
    title: STATUS_CODES[problem.status] ?? 'Error',
    status: problem.status,
    detail: problem.message,
    ...(instance === undefined ? {} : { instance }),
    ...(problem.errors.length === 0 ? {} : { errors: problem.errors }),
  });
}

const PROBLEM_HEADERS = ['content-type', 'application/problem+json', 'cache-control', 'no-store'];

/** Sends `problem` as application/problem+json. */
export function sendProblem(response: ServerResponse, problem: Problem): void {
  const { url } = response.req;
  // Other invalid paths were refused earlier; a path that is not a URI is left out.
  const path = url?.startsWith('/') ? pathOf(url) : undefined;
  const instance = path !== undefined && decodes(path) ? path : undefined;
  const headers = [...PROBLEM_HEADERS, ...Object.entries(problem.headers).flat()];
  send(response, problem.status, headers, problemBody(problem, instance));
}

/** Sends the problem for `error`, unless a response has been sent. */
export function respondWithProblem(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (!response.headersSent) sendProblem(response, toProblem(error, request));
}

/** The status of an error of restify's router; undefined for any other error. */
function restifyStatus(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && 'body' in error
    ? error.statusCode
    : undefined;
}

/** A request target without its query. */
export function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query === -1 ? target : target.slice(0, query);
}

/** Whether each percent sign in `path` begins a valid code. */
export function decodes(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
