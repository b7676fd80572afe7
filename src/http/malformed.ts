import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { headersOfAll } from './answers.ts';
import { decodes, MalformedRequest, pathOf, problemBody, sendProblem } from './problems.ts';
import { type Received, receive } from './request-id.ts';

declare module 'node:http' {
  interface ServerResponse {
    /** The problem that was sent instead of this response because the rest of its request could not be read. */
    replacedBy?: MalformedRequest;
  }
}

/** A connection of Node's HTTP server, with its pending response, if any. */
interface Connection extends Duplex {
  // Node's default handling of client errors uses it too: https://github.com/nodejs/node/blob/v24.x/lib/_http_server.js
  readonly _httpMessage?: ServerResponse | null;
}

/** Records a refused request, once for each response. */
type RecordRefusal = (request: Received, problem: MalformedRequest) => void;

/** Characters that end the host in a URL: what follows them would be read as part of the path, or as the host. */
const ENDS_HOST = /[/\\?#@]/;

/**
 * The reason why restify cannot route this request; undefined if it can. restify combines Host and request target
 * exactly like this, and throws if the result is not a URL.
 */
export function urlProblem(request: IncomingMessage): MalformedRequest | undefined {
  const { host } = request.headers;
  // https://www.rfc-editor.org/rfc/rfc9112#section-3.2
  if (host === undefined && request.httpVersion === '1.1') {
    return new MalformedRequest(400, 'The Host header is missing.');
  }
  const base = `http://${host ?? 'localhost'}`;
  const target = request.url ?? '';
  const isValid = target.startsWith('/') ? URL.canParse(base + target) : URL.canParse(target, base);
  if (!isValid || ENDS_HOST.test(host ?? '')) {
    return new MalformedRequest(400, 'The Host header and the request target do not form a valid URL.');
  }
  return decodes(pathOf(target))
    ? undefined
    : new MalformedRequest(
        400,
        'The path is invalid: a percent sign is not followed by the code of a character in UTF-8.',
      );
}

let lastValidHost: string | undefined;

/** The same for a path that is known to be valid: only the Host matters, and clients repeat it in many requests. */
export function hostProblem(request: IncomingMessage): MalformedRequest | undefined {
  const { host } = request.headers;
  if (host !== undefined && host === lastValidHost) return undefined;
  const problem = urlProblem(request);
  if (problem === undefined) lastValidHost = host;
  return problem;
}

/** The answer to an `Expect` other than 100-continue. */
function expectationProblem(): MalformedRequest {
  return new MalformedRequest(417, 'The only supported expectation is 100-continue.');
}

/** The answer to CONNECT: no resource has this method. */
function tunnelProblem(): MalformedRequest {
  return new MalformedRequest(405, 'Method not allowed: CONNECT. This server is no proxy.', { headers: { Allow: '' } });
}

/** Answers a request that restify does not see, records the answer and closes the connection. */
export function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  problem: MalformedRequest,
  record: RecordRefusal,
): void {
  response.shouldKeepAlive = false;
  sendProblem(response, problem);
  record(request, problem);
}

/** Answers the requests that Node's HTTP server refuses by itself, and records the answers. */
export function answerRefused(server: Server, record: RecordRefusal): void {
  server.on('clientError', answerClientErrors(record));
  server.on('checkExpectation', (request, response) => {
    receive(request);
    refuse(request, response, expectationProblem(), record);
  });
  // Without a listener, Node closes the connection without an answer.
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    receive(request);
    const { requestId = randomUUID() } = request;
    const problem = tunnelProblem();
    socket.on('error', () => socket.destroy());
    socket.end(rawResponse(problem, requestId));
    record(request, problem);
  });
}

/**
 * A listener for `clientError`: answers what could not be parsed as HTTP, closes the connection and records the response.
 * If a request is pending on the connection, this response replaces its own and is recorded with it.
 */
function answerClientErrors(record: RecordRefusal): (error: NodeJS.ErrnoException, socket: Duplex) => void {
  return (error, socket: Connection) => {
    const pending = socket._httpMessage;
    if (error.code === 'ECONNRESET' || !socket.writable || pending?.headersSent === true) {
      socket.destroy();
      return;
    }
    const problem = problemOf(error);
    const requestId = pending?.req.requestId ?? randomUUID();
    socket.end(rawResponse(problem, requestId));
    if (pending) pending.replacedBy = problem;
    else record({ requestId }, problem);
  };
}

function problemOf({ code }: NodeJS.ErrnoException): MalformedRequest {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new MalformedRequest(431, 'The head of the request is larger than 16 KiB.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new MalformedRequest(408, 'The request did not arrive in time.');
    case 'HPE_INVALID_EOF_STATE':
      return new MalformedRequest(400, 'The connection ended before the request was complete.');
    default:
      return new MalformedRequest(400, 'The request is not valid HTTP/1.1.');
  }
}

function rawResponse(problem: MalformedRequest, requestId: string): string {
  const body = problemBody(problem, undefined);
  const headers = [...headersOfAll(requestId), ...Object.entries(problem.headers).flat()];
  headers.push('content-type', 'application/problem+json', 'content-length', String(Buffer.byteLength(body)));
  headers.push('connection', 'close');
  const lines = headers.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
  return `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines}\r\n${body}`;
}
