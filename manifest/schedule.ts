/**
 * A schedule of Copilot's or EventBridge's, in UTC, as a CronJob takes it (both read `@daily`, `@every 1h` and five
 * fields alike). Throws a SyntaxError for what only EventBridge can say.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
 * https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
 */
export function cronJobSchedule(schedule: string): string {
  const [, amount, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(schedule) ?? [];
  if (amount) return unit === 'day' ? `@every ${Number(amount) * 24}h` : `@every ${amount}${unit?.charAt(0)}`;

  const [, fields] = /^cron\((.+)\)$/.exec(schedule) ?? [];
  if (fields) return fromEventBridge(fields.trim().split(/\s+/), schedule);

  const known = /^@(yearly|annually|monthly|weekly|daily|midnight|hourly|every \S+)$/.test(schedule);
  if (known || schedule.trim().split(/\s+/).length === 5) return schedule;
  throw new SyntaxError(
    `"${schedule}" is no schedule: expected @daily, @every 1h, rate(5 minutes) or five fields of cron`,
  );
}

function fromEventBridge(fields: string[], schedule: string): string {
  const [minute, hour, day, month, weekday, year] = fields;
  if (fields.length !== 6 || !minute || !hour || !day || !month || !weekday) {
    throw new SyntaxError(
      `"${schedule}" has ${fields.length} fields: expected minute, hour, day, month, weekday and year`,
    );
  }
  if (year !== '*') throw new SyntaxError(`"${schedule}" names a year, which a CronJob can't`);
  const special = fields.find((field) => /[LW#]/.test(field.replaceAll(/[A-Z]{3}/gi, '')));
  if (special) throw new SyntaxError(`"${schedule}" has "${special}", which a CronJob can't say`);
  // EventBridge counts the days of the week from 1 (Sunday), cron from 0; a step (`/2`) is no day.
  const days = weekday.replaceAll(/(?<!\/)\b\d+/g, (number) => String(Number(number) - 1));
  return [minute, hour, day, month, days].join(' ').replaceAll('?', '*');
}

/** Why a CronJob can't keep a schedule, or undefined when it can. */
export function scheduleProblem(schedule: string): string | undefined {
  try {
    cronJobSchedule(schedule);
    return undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return error.message;
    throw error;
  }
}
