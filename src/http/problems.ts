import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { send } from './answers.ts';

/** One field that was refused; `pointer` is a JSON Pointer into the request's body (RFC 6901), as a URI fragment. */
export interface FieldError {
  readonly pointer: string;
  readonly detail: string;
}

/** An answer that is an error, as RFC 9457 describes it. `detail` is written for whoever sent the request. */
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

/** The service cannot do this now and may be asked again: MySQL is away, or too much is waiting for it. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** So much waits already that this was turned away at once. */
export class Overloaded extends Unavailable {}

const RETRY_AFTER_SECONDS = '1';

/** The problem to answer with for whatever was thrown; what isn't meant for the outside becomes a bare 500. */
export function toProblem(error: unknown, request: IncomingMessage): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof Unavailable) {
    return new Problem(503, 'The service cannot answer this at the moment; please try again.', {
      headers: {
        'Retry-After': RETRY_AFTER_SECONDS,
        // Otherwise more than 1,024 who ask again at once keep libuv reading (`uv__io_poll`), and nobody new gets in.
        ...(error instanceof Overloaded ? { Connection: 'close' } : {}),
      },
      cause: error,
    });
  }
  const status = restifyStatus(error);
  if (status === 404) {
    return decodes(request.url)
      ? new Problem(404, 'There is nothing at this path.')
      : new Problem(400, 'The path has a percent sign that is not followed by the code of a character in UTF-8.');
  }
  if (status === 405) return new Problem(405, `${request.method} is not possible here; the Allow header says what is.`);
  return new Problem(500, 'Something went wrong on our side.', { cause: error });
}

/** The body of `problem` as JSON text; `instance` is the path that was asked for. */
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

/** Answers with `problem` as application/problem+json. */
export function sendProblem(response: ServerResponse, problem: Problem): void {
  const { url } = response.req;
  // Anything but a clean path would have been refused before, save for one that is not a URI: then it is left out.
  const instance = url?.startsWith('/') && decodes(url) ? url.replace(/\?.*$/s, '') : undefined;
  const headers = [...PROBLEM_HEADERS, ...Object.entries(problem.headers).flat()];
  send(response, problem.status, headers, problemBody(problem, instance));
}

/** The status that restify's router gave an error of its own; undefined for any other error. */
function restifyStatus(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && 'body' in error
    ? error.statusCode
    : undefined;
}

function decodes(url: string | undefined): boolean {
  try {
    decodeURIComponent(url ?? '');
    return true;
  } catch {
    return false;
  }
}
