import type { Request } from 'restify';
import { Problem } from '../../../src/http/problems.ts';
import { idSchema } from './fields.ts';

const DEFAULT_LIMIT = 20;
/** The largest page. */
export const LARGEST_LIMIT = 100;

/**
 * Which page of a list a request is for: `?after=ID&limit=20`.
 * @throws {Problem} 400 for another `after` or `limit`
 */
export function readPage(request: Request): { after: string; limit: number } {
  const query = new URLSearchParams(request.getQuery());
  const after = query.get('after') ?? undefined;
  const limit = query.get('limit') ?? String(DEFAULT_LIMIT);
  if (after !== undefined && !idSchema.safeParse(after).success)
    throw new Problem(400, `after must be an id: ${idSchema.description}`);
  if (!/^[1-9][0-9]{0,2}$/.test(limit) || Number(limit) > LARGEST_LIMIT)
    throw new Problem(400, `limit must be a whole number from 1 to ${LARGEST_LIMIT}.`);
  return { after: after ?? '', limit: Number(limit) };
}
