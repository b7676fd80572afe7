import { sendJson, sendNoContent } from '../http/answers.ts';
import { requireToken } from '../http/authorization.ts';
import { readJson } from '../http/body.ts';
import type { Resource } from '../http/direct.ts';
import { requireAcceptable } from '../http/negotiation.ts';
import { Problem } from '../http/problems.ts';
import { invalidFields, parseBody } from '../http/validation.ts';
import { birthDateProblem, type CalendarDate, type Clock, greeting, today } from './birthday.ts';
import type { UserRepository } from './repository.ts';
import { birthdaySchema, USERNAME, USERNAME_RULE, usernameSchema } from './schemas.ts';

/** The path of a user, as a pattern of the router. */
const USER_PATH = '/hello/:username';
/** The usual form of this path, with the username: nothing to decode, no query, no invalid name. */
const PLAIN_USER_PATH = new RegExp(`^/hello/(${USERNAME})$`);

/** `/hello/:username`; with a `writeToken`, changes require it. */
export function userResource(users: UserRepository, clock: Clock, writeToken?: string): Resource {
  return {
    path: USER_PATH,
    parameter: 'username',
    plainPath: PLAIN_USER_PATH,
    handlers: {
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
  const { dateOfBirth } = parseBody(birthdaySchema, body);
  const detail = birthDateProblem(dateOfBirth, onDate);
  if (detail !== undefined) throw invalidFields([{ pointer: '#/dateOfBirth', detail }]);
  return dateOfBirth;
}
