import type { Request, Response, Server } from 'restify';
import { send } from '../http/answers.ts';
import { preferredType, requireAcceptable } from '../http/negotiation.ts';
import { type Problem, toProblem } from '../http/problems.ts';
import { getAndHead } from '../http/restify.ts';
import type { Clock } from '../users/birthday.ts';
import type { UserRepository } from '../users/repository.ts';
import { greetingFor } from '../users/routes.ts';
import { homePage, type Lookup, pages } from './pages.ts';

/** Adds the page, the documentation and their assets to `server`; `closed` if changes require a token. */
export function addPages(
  server: Server,
  users: UserRepository,
  clock: Clock,
  version: string,
  access: { closed: boolean },
): void {
  for (const [path, alternatives] of Map.groupBy(pages(version, access), (page) => page.path)) {
    const types = alternatives.map((page) => page.contentType.replace(/;.*/, ''));
    const [first, ...others] = types;
    if (first === undefined) continue;

    const answer = async (request: Request, response: Response): Promise<void> => {
      // With alternatives, the first is for clients that accept none of them.
      const type = others.length > 0 ? (preferredType(request, types) ?? first) : requireAcceptable(request, first);
      const page = alternatives[types.indexOf(type)];
      if (page === undefined) throw new Error(`no page of type ${type} at ${path}`);
      const vary = alternatives.length > 1 ? ['vary', 'Accept'] : [];

      const username =
        path === '/' && type === 'text/html' ? new URLSearchParams(request.getQuery()).get('username') : null;
      if (username !== null) {
        const { lookup, problem } = await lookUp(username, users, clock, request);
        const headers = ['content-type', page.contentType, 'cache-control', 'no-store', ...vary];
        headers.push(...Object.entries(problem?.headers ?? {}).flat());
        send(response, problem?.status ?? 200, headers, homePage(lookup, access));
        // The response is sent; the error is for the log.
        if (problem !== undefined) throw problem.cause;
        return;
      }
      const headers = ['etag', page.etag, ...Object.entries(page.headers).flat(), ...vary];
      if (isCached(request.headers['if-none-match'], page.etag)) send(response, 304, headers);
      else send(response, 200, ['content-type', page.contentType, ...headers], page.body);
    };
    getAndHead(server, path, answer);
  }
}

/** Whether an If-None-Match header names this version, or any: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2 */
function isCached(ifNoneMatch: string | undefined, etag: string): boolean {
  return ifNoneMatch !== undefined && (ifNoneMatch.trim() === '*' || ifNoneMatch.includes(etag));
}

/**
 * The result of a lookup in the query, as from a form without script; with the problem if the service failed.
 */
async function lookUp(
  username: string,
  users: UserRepository,
  clock: Clock,
  request: Request,
): Promise<{ lookup: Lookup; problem?: Problem }> {
  try {
    return { lookup: { username, greeting: await greetingFor(username, users, clock) } };
  } catch (error) {
    const problem = toProblem(error, request);
    if (problem.status === 400) return { lookup: { username, invalid: problem.message } };
    const lookup = { username, failure: problem.message };
    return problem.status < 500 ? { lookup } : { lookup, problem };
  }
}
