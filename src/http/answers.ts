import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

declare module 'node:http' {
  interface IncomingMessage {
    /** Names the request in its answer and in the log; given by `receive`. */
    requestId?: string;
    /** When its head was there, as `performance.now()` tells it; given by `receive`. */
    receivedAt?: number;
  }
}

/** A caller's request id is kept when it is short and plain enough for a log line. */
const VALID_REQUEST_ID = /^[\w.:-]{1,128}$/;

/** Security headers of every response on the public port: nothing from other hosts, nothing inline, no framing. */
const SECURITY_HEADERS: readonly string[] = [
  'content-security-policy',
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'x-content-type-options',
  'nosniff',
  'x-frame-options',
  'DENY',
  'referrer-policy',
  'no-referrer',
  'cross-origin-opener-policy',
  'same-origin',
  'cross-origin-resource-policy',
  'same-origin',
];

/** What is known of every request, and of what could not be read as one. */
export type Received = Pick<Partial<IncomingMessage>, 'requestId' | 'receivedAt' | 'method' | 'span'>;

/** Notes when a request came, and its id: the caller's if that is valid, else a new one. */
export function receive(request: IncomingMessage): void {
  request.receivedAt = performance.now();
  const wanted = request.headers['x-request-id'];
  request.requestId = typeof wanted === 'string' && VALID_REQUEST_ID.test(wanted) ? wanted : randomUUID();
}

/** The headers of every answer, names and values in turn, with the id of the request that is answered. */
export function headersOfAll(requestId: string): string[] {
  return ['x-request-id', requestId, ...SECURITY_HEADERS];
}

/**
 * Sends an answer: `headers` are names and values in turn, on top of those that every answer has. Without a body there
 * is no Content-Length either. One list is what Node writes fastest; headers that are set one by one are looked up,
 * checked and copied again.
 */
export function send(
  response: ServerResponse,
  status: number,
  headers: readonly string[],
  body?: string | Uint8Array,
): void {
  const all = headersOfAll(response.req.requestId ?? randomUUID());
  if (body !== undefined) all.push('content-length', String(Buffer.byteLength(body)));
  all.push(...headers);
  response.writeHead(status, all);
  response.end(body);
}

const JSON_HEADERS = ['content-type', 'application/json', 'cache-control', 'no-store'];

/** Sends `value` as JSON that must not be cached. */
export function sendJson(response: ServerResponse, status: number, value: object): void {
  send(response, status, JSON_HEADERS, JSON.stringify(value));
}

/** Answers 204, without a body. */
export function sendNoContent(response: ServerResponse): void {
  send(response, 204, []);
}
