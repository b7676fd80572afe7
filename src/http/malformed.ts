import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { headersOfAll, type Received, receive } from './answers.ts';
import { MalformedRequest, problemBody, sendProblem } from './problems.ts';

declare module 'node:http' {
  interface ServerResponse {
    /** What was sent in place of this response, when the rest of its request could not be read. */
    replacedBy?: MalformedRequest;
  }
}

/** A connection as Node's HTTP server keeps it: with the response that is under way, if any. */
interface Connection extends Duplex {
  // Node's own handling of client errors decides by it as well: https://github.com/nodejs/node/blob/v24.x/lib/_http_server.js
  readonly _httpMessage?: ServerResponse | null;
}

/** Notes a request that was refused: once for each answer. */
type RecordRefusal = (request: Received, problem: MalformedRequest) => void;

/**
 * Why restify could not route this request, undefined if it can: restify throws on a Host or a target that does not
 * make a URL, and it combines the two exactly like this.
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
  return isValid
    ? undefined
    : new MalformedRequest(400, 'The Host header and the request target do not form a valid URL.');
}

let lastValidHost: string | undefined;

/** The same for a path that is known to be valid, where only the Host matters: callers send one with many requests. */
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
}

/**
 * A listener for `clientError`: answers what could not be read as HTTP, closes the connection and records the answer.
 * When a request is under way on the connection, the answer takes the place of its response, and is recorded with it.
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
    socket.end(rawAnswer(problem, requestId));
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
    default:
      return new MalformedRequest(400, 'The request is not valid HTTP/1.1.');
  }
}

function rawAnswer(problem: MalformedRequest, requestId: string): string {
  const body = problemBody(problem, undefined);
  const headers = headersOfAll(requestId);
  headers.push('content-type', 'application/problem+json', 'content-length', String(Buffer.byteLength(body)));
  headers.push('connection', 'close');
  const lines = headers.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
  return `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines}\r\n${body}`;
}
