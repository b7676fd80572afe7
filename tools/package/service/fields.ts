/**
 * The types of fields: each is stored and read back exactly, and is described in OpenAPI as it is checked. Messages complete
 * a sentence that begins with the name of the field.
 */
import { z } from 'zod';

const LONGEST_ID = 64;
const LONGEST_TEXT = 255;
const LONGEST_EMAIL = 254;
/**
 * The days of the calendar from the year 1000, since which MySQL documents DATE and DATETIME:
 * https://dev.mysql.com/doc/refman/8.4/en/datetime.html
 */
const LEAP_YEAR = '(?:[1-9][0-9](?:[2468][048]|[13579][26]|0[48])|(?:[2468][048]|[13579][26])00)';
const MONTH_AND_DAY =
  '(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))';
const DAY = `(?:${LEAP_YEAR}-02-29|[1-9][0-9]{3}-${MONTH_AND_DAY})`;
const TIME = '(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z';
/** The addresses of https://html.spec.whatwg.org/#valid-e-mail-address that RFC 5321 allows and that need no quoting. */
const EMAIL =
  /^(?=[^@]{1,64}@)[A-Za-z0-9_'+-]+(?:\.[A-Za-z0-9_'+-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$/;
const DECIMAL = /^(?!-0\.00$)-?(0|[1-9][0-9]{0,14})\.[0-9]{2}$/;

/** The key of a resource as a regular expression, without anchors. */
export const ID = `[A-Za-z0-9_-]{1,${LONGEST_ID}}`;

/** The key of a resource, which is the end of its path. */
export const idSchema = z
  .string()
  .min(1)
  .max(LONGEST_ID)
  .regex(new RegExp(`^${ID}$`))
  .meta({ description: `1 to ${LONGEST_ID} letters, digits, _ or -, compared exactly.`, examples: ['example-1'] });

/** An object with these fields and no others. */
export function fields<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const names = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: ({ code }) => (code === 'invalid_type' ? `must be an object with the fields ${names}` : undefined),
  });
}

const missingOr =
  (what: string) =>
  ({ input }: { input?: unknown }): string =>
    input === undefined ? 'is missing' : `must be ${what}`;

/** Up to 255 characters; a VARCHAR(255). */
export function text() {
  const what = `a text of at most ${LONGEST_TEXT} characters`;
  return z
    .string({ error: missingOr(what) })
    .max(LONGEST_TEXT, `must be ${what}`)
    .refine((value) => value.isWellFormed(), 'must be valid Unicode')
    .meta({ description: `At most ${LONGEST_TEXT} characters.`, examples: ['a text'] });
}

/** A whole number that JSON and JavaScript have exactly; a BIGINT. */
export function integer() {
  return z
    .int({ error: missingOr('a whole number from -9007199254740991 to 9007199254740991') })
    .meta({ description: 'A whole number.', examples: [42] });
}

/** A floating-point number; a DOUBLE. For money, use `decimal`. */
export function number() {
  return z.number({ error: missingOr('a number') }).meta({ description: 'A floating-point number.', examples: [2.5] });
}

/** An exact amount with two decimals, as text: JSON has no exact decimals. A DECIMAL(17, 2). */
export function decimal() {
  const what = 'a text with an amount and two decimals, such as "12.50"';
  return z
    .string({ error: missingOr(what) })
    .regex(DECIMAL, `must be ${what}`)
    .meta({ description: 'An exact amount: up to 15 digits, a point, two decimals.', examples: ['12.50'] });
}

/** true or false; a BOOLEAN. */
export function boolean() {
  return z.boolean({ error: missingOr('true or false') }).meta({ description: 'true or false.', examples: [true] });
}

/** A calendar date; a DATE. */
export function date() {
  const what = 'a date that exists, written YYYY-MM-DD, such as "2026-02-28", from the year 1000';
  return z
    .string({ error: missingOr(what) })
    .regex(new RegExp(`^${DAY}$`), `must be ${what}`)
    .meta({ description: 'A calendar date, from 1000-01-01.', format: 'date', examples: ['2026-02-28'] });
}

/** A moment in UTC with milliseconds; a DATETIME(3). `tableOf` knows it by its format. */
export function datetime() {
  const what = 'a time in UTC with milliseconds, such as "2026-02-28T12:00:00.000Z", from the year 1000';
  return z
    .string({ error: missingOr(what) })
    .regex(new RegExp(`^${DAY}T${TIME}$`), `must be ${what}`)
    .meta({
      description: 'A time in UTC, with milliseconds.',
      format: 'date-time',
      examples: ['2026-02-28T12:00:00.000Z'],
    });
}

/** An email address in ASCII; a VARCHAR(254). */
export function email() {
  const what = `an email address of at most ${LONGEST_EMAIL} characters, such as "ann@example.com"`;
  return z
    .string({ error: missingOr(what) })
    .max(LONGEST_EMAIL, `must be ${what}`)
    .regex(EMAIL, `must be ${what}`)
    .meta({ description: 'An email address.', format: 'email', examples: ['ann@example.com'] });
}
