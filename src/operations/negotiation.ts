import type { Request } from 'restify';
import { Problem } from './errors.ts';

/**
 * The one of `types` that the request's Accept header likes best; the first when it has no preference.
 * @throws {Problem} 406 when it accepts none of them
 */
export function requireAcceptable(request: Request, types: readonly [string, ...string[]]): string {
  const { accept } = request.headers;
  if (accept === undefined || accept === '*/*') return types[0];
  const chosen: unknown = request.accepts([...types]);
  if (typeof chosen !== 'string') {
    throw new Problem(406, `The Accept header allows none of what can be had here: ${types.join(', ')}.`);
  }
  return chosen;
}
