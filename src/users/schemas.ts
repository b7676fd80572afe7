/** What requests about users may contain: `routes.ts` checks them with these schemas, and OpenAPI describes them by them. */
import { z } from 'zod';

const LONGEST_USERNAME = 64;
/** A username as a regular expression, without anchors. */
export const USERNAME = `[A-Za-z]{1,${LONGEST_USERNAME}}`;
/** The same in words. */
export const USERNAME_RULE = `1 to ${LONGEST_USERNAME} letters, A to Z or a to z`;

export const usernameSchema = z
  .string()
  .min(1)
  .max(LONGEST_USERNAME)
  .regex(new RegExp(`^${USERNAME}$`))
  .meta({ description: `${USERNAME_RULE}, compared exactly: ann is not Ann.`, examples: ['ann'] });

/**
 * The body of a PUT. Its messages are for the client. Whether the date exists and is in the past depends on the day:
 * `birthDateProblem` checks that, and the pattern here is for the description alone.
 */
export const birthdaySchema = z
  .strictObject(
    {
      dateOfBirth: z
        .string({
          error: ({ input }) => (input === undefined ? 'is missing' : 'must be a text such as "2000-02-29"'),
        })
        .meta({
          description: 'A real calendar date, from 1000-01-01 to yesterday (UTC).',
          format: 'date',
          pattern: '^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$',
          examples: ['2000-02-29'],
        }),
    },
    {
      error: ({ code }) =>
        code === 'invalid_type'
          ? 'must be an object with the one field dateOfBirth, such as {"dateOfBirth": "2000-02-29"}'
          : undefined,
    },
  )
  .meta({ description: 'What is saved for a name.' });
