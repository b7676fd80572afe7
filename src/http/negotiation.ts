import type { IncomingMessage } from 'node:http';
import Negotiator from 'negotiator';
import { Problem } from './problems.ts';

/** The one of `types` that the Accept header prefers, the earlier of equal ones; undefined if it allows none. */
export function preferredType(request: IncomingMessage, types: readonly string[]): string | undefined {
  const { accept } = request.headers;
  if (accept === undefined || accept === '*/*') return types[0];
  return new Negotiator(request).mediaType([...types]);
}

/**
 * Returns `type`, the only one available, if the request's Accept header allows it.
 * @throws {Problem} 406 if it does not
 */
export function requireAcceptable(request: IncomingMessage, type: string): string {
  if (preferredType(request, [type]) === undefined) {
    throw new Problem(406, `The Accept header does not allow what can be had here: ${type}.`);
  }
  return type;
}
