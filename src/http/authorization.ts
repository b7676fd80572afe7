import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Problem } from './problems.ts';

/**
 * Accepts a request with this bearer token (RFC 6750), and every request if `token` is undefined.
 * @throws {Problem} 401 with `WWW-Authenticate`
 */
export function requireToken(request: IncomingMessage, token: string | undefined): void {
  if (token === undefined) return;
  const sent = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (sent !== undefined && isSame(sent, token)) return;
  const why = sent === undefined ? '' : ', error="invalid_token"';
  throw new Problem(401, 'Changes need the header Authorization: Bearer, with the token of this service.', {
    headers: { 'WWW-Authenticate': `Bearer realm="changes"${why}` },
  });
}

/** Compares in constant time, so that the duration reveals nothing about the token. */
function isSame(one: string, other: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
