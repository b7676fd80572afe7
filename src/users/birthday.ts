/** A calendar date in the proleptic Gregorian calendar, written `YYYY-MM-DD`. */
export type CalendarDate = string;

/** Returns the current time; tests pass their own. */
export type Clock = () => Date;

/** The earliest date that MySQL's DATE is documented for: https://dev.mysql.com/doc/refman/8.4/en/datetime.html */
export const EARLIEST_BIRTH_DATE: CalendarDate = '1000-01-01';

const MILLISECONDS_PER_DAY = 86_400_000;
const SHAPE = /^(\d{4})-(\d{2})-(\d{2})$/;
const FEBRUARY = 2;

interface Parts {
  year: number;
  month: number;
  day: number;
}

let lastDay = Number.NaN;
let lastDate: CalendarDate = '';

/** The current UTC date. It is formatted only when the day changes, because formatting is slow. */
export function today(clock: Clock): CalendarDate {
  const moment = clock();
  const day = Math.floor(moment.getTime() / MILLISECONDS_PER_DAY);
  if (day !== lastDay) {
    lastDay = day;
    lastDate = moment.toISOString().slice(0, 10);
  }
  return lastDate;
}

/**
 * The error in `text` as a birth date, for the client; undefined if it is valid:
 * a date that exists, from 1000-01-01 to the day before `onDate`.
 */
export function birthDateProblem(text: string, onDate: CalendarDate): string | undefined {
  if (!SHAPE.test(text)) return 'must be a date written YYYY-MM-DD, such as 2000-02-29';
  const { year, month, day } = partsOf(text);
  if (month < 1 || month > 12) return 'must have a month from 01 to 12';
  if (day < 1 || day > daysIn(month, year)) return 'must be a day that exists in that month of that year';
  // Both are zero-padded, so texts have the order of dates.
  if (text < EARLIEST_BIRTH_DATE) return `must not be before ${EARLIEST_BIRTH_DATE}`;
  if (text >= onDate) return 'must be before today (UTC)';
  return undefined;
}

/**
 * Whole days from `onDate` to the next birthday, 0 on the day itself.
 * The birthday of a person born on 29 February is 1 March in common years.
 */
export function daysUntilBirthday(birthDate: CalendarDate, onDate: CalendarDate): number {
  const born = partsOf(birthDate);
  const { year, month, day } = partsOf(onDate);
  const now = Date.UTC(year, month - 1, day);
  const thisYears = birthdayIn(year, born);
  const next = thisYears >= now ? thisYears : birthdayIn(year + 1, born);
  return (next - now) / MILLISECONDS_PER_DAY;
}

/** The sentence that the service answers with. */
export function greeting(username: string, birthDate: CalendarDate, onDate: CalendarDate): string {
  const days = daysUntilBirthday(birthDate, onDate);
  return days === 0 ? `Hello, ${username}! Happy birthday!` : `Hello, ${username}! Your birthday is in ${days} day(s)`;
}

function birthdayIn(year: number, { month, day }: Parts): number {
  // Date.UTC turns 29 February of a common year into 1 March, which is the rule.
  return Date.UTC(year, month - 1, day);
}

function daysIn(month: number, year: number): number {
  if (month === FEBRUARY) return isLeap(year) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function partsOf(date: CalendarDate): Parts {
  return { year: Number(date.slice(0, 4)), month: Number(date.slice(5, 7)), day: Number(date.slice(8, 10)) };
}
