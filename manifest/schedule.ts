import type { Diagnostic } from './document.ts';
import { seconds } from './fields.ts';

/** A schedule that EventBridge supports and a CronJob does not. */
class CronJobLimit extends SyntaxError {}

/**
 * Converts a schedule of Copilot or EventBridge, in UTC, to that of a CronJob that runs at the same times (both read
 * `@daily` and `@every 1h` in the same way). Throws a SyntaxError for schedules that only EventBridge supports.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
 * https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
 */
export function cronJobSchedule(schedule: string): string {
  const [, amount, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(schedule) ?? [];
  if (amount) return unit === 'day' ? `@every ${Number(amount) * 24}h` : `@every ${amount}${unit?.charAt(0)}`;

  const [, fields] = /^cron\((.+)\)$/.exec(schedule) ?? [];
  if (fields) return fromEventBridge(fields.trim().split(/\s+/), schedule);

  const every = /^@every (.+)$/.exec(schedule)?.[1];
  if (every !== undefined) {
    const interval = seconds(every);
    if (interval !== undefined && interval >= 60 && interval % 60 === 0) return schedule;
    throw new SyntaxError(`"${schedule}": expected a whole number of minutes or hours, such as @every 90m`);
  }
  if (Object.hasOwn(PRESETS, schedule)) return schedule;
  return changedByCopilot(checkedFields(schedule)) ?? schedule;
}

const PRESETS: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * ? *',
  '@daily': '0 0 * * ? *',
  '@midnight': '0 0 * * ? *',
  '@weekly': '0 0 ? * 1 *',
  '@monthly': '0 0 1 * ? *',
  '@yearly': '0 0 1 1 ? *',
  '@annually': '0 0 1 1 ? *',
};

/**
 * The schedule of a job's manifest as Copilot gives it to EventBridge: five fields of cron get a year, a `?` for the kind
 * of day that is free, and weekdays that begin with 1. It must be one that Copilot takes. As in Copilot, a day with a `*`
 * is every day even if it has a step, and the step of a weekday is counted up with it.
 * https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/deploy/cloudformation/stack/scheduled_job.go
 */
export function eventBridgeSchedule(schedule: string): string {
  if (/(rate|cron)\(.*\)|none/.test(schedule)) return schedule;
  const preset = PRESETS[schedule];
  if (preset !== undefined) return `cron(${preset})`;
  const every = /^@every (.+)$/.exec(schedule)?.[1];
  if (every !== undefined) {
    const minutes = Math.trunc((seconds(every) ?? 0) / 60);
    return `rate(${minutes} ${minutes === 1 ? 'minute' : 'minutes'})`;
  }
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = schedule.trim().split(/\s+/);
  const isFree = (field: string) => /[*?]/.test(field);
  const days = isFree(weekday) ? [isFree(day) ? '*' : day, '?'] : ['?', weekday];
  const counted = days[1]?.replaceAll(/\d/g, (digit) => String(Number(digit) + 1)) ?? '';
  return `cron(${[minute, hour, days[0], month, counted, '*'].join(' ')})`;
}

/** Says so if Copilot runs five fields of cron at other times than cron does. */
export function scheduleNote(schedule: string): string | undefined {
  if (schedule.trim().split(/\s+/).length !== 5) return undefined;
  const changed = changedByCopilot(schedule);
  return changed === undefined
    ? undefined
    : `Copilot runs "${schedule}" as "${changed}", because it drops or changes the step of a day: give it as EventBridge writes it, such as cron(0 8 1/2 * ? *) for every second day`;
}

/** Five fields of cron as Copilot changes them; undefined if their times stay the same. */
function changedByCopilot(schedule: string): string | undefined {
  const changed = cronJobSchedule(eventBridgeSchedule(schedule));
  return changed === schedule.trim().split(/\s+/).join(' ').replaceAll('?', '*') ? undefined : changed;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const FIELDS = [
  { name: 'minute', least: 0, most: 59, names: [] },
  { name: 'hour', least: 0, most: 23, names: [] },
  { name: 'day of the month', least: 1, most: 31, names: [] },
  { name: 'month', least: 1, most: 12, names: MONTHS },
  { name: 'day of the week', least: 0, most: 6, names: DAYS },
];

/**
 * Five fields as Copilot checks them: https://github.com/robfig/cron/blob/v3.0.1/parser.go, and one kind of day only.
 */
function checkedFields(schedule: string): string {
  const fields = schedule.trim().split(/\s+/);
  if (fields.length !== 5)
    throw new SyntaxError(
      `"${schedule}" is not a valid schedule: expected @daily, @every 1h, rate(5 minutes) or five fields of cron`,
    );
  for (const [i, { name, least, most, names }] of FIELDS.entries()) {
    for (const part of fields[i]?.split(',') ?? []) {
      const [, start, end, step] = /^(\*|\?|\w+)(?:-(\w+))?(?:\/([1-9]\d*))?$/.exec(part) ?? [];
      const from = start === '*' || start === '?' ? least : position(start, names, least);
      const to = end === undefined ? from : position(end, names, least);
      const fits =
        start !== undefined && from >= least && to <= most && from <= to && (step === undefined || Number(step) > 0);
      if (!fits)
        throw new SyntaxError(
          `"${schedule}": "${part}" is not a valid ${name}: expected a number from ${least} to ${most}, * or a range`,
        );
    }
  }
  const [, , day = '', , weekday = ''] = fields;
  if (!/[*?]/.test(day) && !/[*?]/.test(weekday))
    throw new SyntaxError(`"${schedule}" names both a day of the month and a day of the week: give one of them as *`);
  return schedule;
}

function position(text: string | undefined, names: readonly string[], least: number): number {
  const index = names.indexOf(text?.toLowerCase() ?? '');
  if (index >= 0) return index + least;
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : Number.NaN;
}

function fromEventBridge(fields: string[], schedule: string): string {
  const [minute, hour, day, month, weekday, year] = fields;
  if (fields.length !== 6 || !minute || !hour || !day || !month || !weekday) {
    throw new SyntaxError(
      `"${schedule}" has ${fields.length} fields: expected minute, hour, day, month, weekday and year`,
    );
  }
  if (year !== '*') throw new CronJobLimit(`"${schedule}" names a year, which a CronJob does not support`);
  const special = fields.find((field) => /[LW#]/.test(field.replaceAll(/[A-Z]{3}/gi, '')));
  if (special) throw new CronJobLimit(`"${schedule}" has "${special}", which a CronJob does not support`);
  // EventBridge counts the days of the week from 1 (Sunday), cron from 0; a step (`/2`) is no day.
  const days = weekday.replaceAll(/(?<!\/)\b\d+/g, (number) => String(Number(number) - 1));
  return [minute, hour, day, month, days].join(' ').replaceAll('?', '*');
}

/** The reason why a CronJob does not support a schedule, and whether AWS does; undefined if a CronJob does. */
export function scheduleProblem(schedule: string): Omit<Diagnostic, 'line'> | undefined {
  try {
    cronJobSchedule(schedule);
    return undefined;
  } catch (error) {
    if (error instanceof CronJobLimit) return { message: error.message, isOfKubernetes: true };
    if (error instanceof SyntaxError) return { message: error.message };
    throw error;
  }
}
