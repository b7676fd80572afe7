import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';

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

/** The headers of every response, as alternating names and values. */
export function headersOfAll(requestId: string): string[] {
  return ['x-request-id', requestId, ...SECURITY_HEADERS];
}

/**
 * Sends a response. `headers` are alternating names and values, in addition to those of every response. Without a body
 * there is no Content-Length. Node writes one list fastest: headers that are set one by one are looked up, checked and
 * copied again.
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

/** Sends `value` as JSON that may not be cached. */
export function sendJson(response: ServerResponse, status: number, value: object): void {
  send(response, status, JSON_HEADERS, JSON.stringify(value));
}

/** Answers 204, without a body. */
export function sendNoContent(response: ServerResponse): void {
  send(response, 204, []);
}
