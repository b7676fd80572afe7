import type { ServerResponse } from 'node:http';
import type { Request } from 'restify';
import type { z } from 'zod';
import { sendJson, sendNoContent } from '../http/answers.ts';
import { requireToken } from '../http/authorization.ts';
import { readJson } from '../http/body.ts';
import { requireAcceptable } from '../http/negotiation.ts';
import { type FieldError, Problem } from '../http/problems.ts';
import { birthDateProblem, type CalendarDate, type Clock, greeting, today } from './birthday.ts';
import type { UserRepository } from './repository.ts';
import { birthdaySchema, USERNAME, USERNAME_RULE, usernameSchema } from './schemas.ts';

/** The path of a user, as a pattern of the router. */
export const USER_PATH = '/hello/:username';
/** The usual form of this path, with the username: nothing to decode, no query, no invalid name. */
export const PLAIN_USER_PATH = new RegExp(`^/hello/(${USERNAME})$`);

/** Answers a request about the user in the path; `toProblem` converts what it throws. */
export type UserHandler = (request: Request, response: ServerResponse, username: string) => Promise<void>;

/** The handlers of `/hello/:username`; with a `writeToken`, changes require it. */
export function userHandlers(
  users: UserRepository,
  clock: Clock,
  writeToken?: string,
): Readonly<Record<'GET' | 'PUT' | 'DELETE', UserHandler>> {
  return {
    async GET(request, response, username) {
      requireAcceptable(request, 'application/json');
      sendJson(response, 200, { message: await greetingFor(username, users, clock) });
    },

    async PUT(request, response, username) {
      requireToken(request, writeToken);
      checkUsername(username);
      const dateOfBirth = dateOfBirthIn(await readJson(request), today(clock));
      await users.save(username, dateOfBirth);
      sendNoContent(response);
    },

    async DELETE(request, response, username) {
      requireToken(request, writeToken);
      checkUsername(username);
      if (!(await users.remove(username))) throw unknownUser(username);
      sendNoContent(response);
    },
  };
}

/**
 * The greeting for `username` today.
 * @throws {Problem} 400 if it isn't a username, 404 if there is no such user
 */
export async function greetingFor(username: string, users: UserRepository, clock: Clock): Promise<string> {
  checkUsername(username);
  const dateOfBirth = await users.find(username);
  if (dateOfBirth === undefined) throw unknownUser(username);
  return greeting(username, dateOfBirth, today(clock));
}

function checkUsername(username: string): void {
  if (!usernameSchema.safeParse(username).success) throw new Problem(400, `The username must be ${USERNAME_RULE}.`);
}

function unknownUser(username: string): Problem {
  return new Problem(404, `No birthday is known for ${username}.`);
}

function dateOfBirthIn(body: unknown, onDate: CalendarDate): CalendarDate {
  const { success, data, error } = birthdaySchema.safeParse(body);
  const errors = success ? dateErrors(data.dateOfBirth, onDate) : error.issues.flatMap(fieldErrors);
  if (success && errors.length === 0) return data.dateOfBirth;
  throw new Problem(400, `${errors.map(({ pointer, detail }) => `${nameOf(pointer)} ${detail}`).join('; ')}.`, {
    errors,
  });
}

function dateErrors(dateOfBirth: string, onDate: CalendarDate): FieldError[] {
  const detail = birthDateProblem(dateOfBirth, onDate);
  return detail === undefined ? [] : [{ pointer: '#/dateOfBirth', detail }];
}

function fieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ pointer: pointerTo([key]), detail: 'is not a field that is known here' }));
  }
  return [{ pointer: pointerTo(issue.path), detail: issue.message }];
}

/** A JSON Pointer as a URI fragment: https://www.rfc-editor.org/rfc/rfc6901#section-6 */
function pointerTo(path: readonly PropertyKey[]): string {
  return `#${path.map((key) => `/${encodeURIComponent(String(key).replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('')}`;
}

function nameOf(pointer: string): string {
  return pointer === '#' ? 'The body' : pointer.slice(2);
}
