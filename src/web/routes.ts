import type { Request, Server } from 'restify';
import { send } from '../http/answers.ts';
import { type Problem, toProblem } from '../http/problems.ts';
import type { Clock } from '../users/birthday.ts';
import type { UserRepository } from '../users/repository.ts';
import { greetingFor } from '../users/routes.ts';
import { homePage, type Lookup, pages } from './pages.ts';
import { servePages, TYPES } from './static.ts';

/** Adds the page, the documentation and their assets to `server`; `closed` if changes require a token. */
export function addPages(
  server: Server,
  users: UserRepository,
  clock: Clock,
  version: string,
  access: { closed: boolean },
): void {
  servePages(server, pages(version, access), async (request, response, { path, contentType }, vary) => {
    if (path !== '/' || contentType !== TYPES.html) return false;
    const username = new URLSearchParams(request.getQuery()).get('username');
    if (username === null) return false;
    const { lookup, problem } = await lookUp(username, users, clock, request);
    const headers = ['content-type', contentType, 'cache-control', 'no-store', ...vary];
    headers.push(...Object.entries(problem?.headers ?? {}).flat());
    send(response, problem?.status ?? 200, headers, homePage(lookup, access));
    // The response is sent; the error is for the log.
    if (problem !== undefined) throw problem.cause;
    return true;
  });
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
