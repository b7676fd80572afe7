import * as z from 'zod';
import { parseJson } from './log-events.ts';

/** JSON has null for a value that is not finite, which is an invalid reading. */
const reading = z.union([z.object({ value: z.number().nullable() }), z.literal('none')]).optional();
const observation = z.object({
  waiting: reading,
  executing: reading,
  responseMilliseconds: reading,
  databaseMilliseconds: reading,
  databasePercent: reading,
  desired: z.number(),
});
const run = z.object({
  time: z.string(),
  changed: z.boolean(),
  reason: z.string(),
  seen: observation.optional(),
  decision: z.object({ desired: z.number() }).optional(),
  absent: z.record(z.string(), z.unknown()).optional(),
});
/** The log line of a run of the scaler. */
export type Run = z.output<typeof run>;

/** The run that a line of the scaler's log reports; undefined for a line of something else. */
export function readRun(line: string): Run | undefined {
  const { success, data } = run.safeParse(parseJson(line));
  return success ? data : undefined;
}

/** What the scaler saw and did in a run, and why, as two lines; and a line for each indicator that it did not find. */
export function describeRun({ time, changed, reason, seen, decision, absent = {} }: Run): string {
  const known = (reading: z.output<typeof observation>['waiting']) => {
    if (typeof reading !== 'object') return '-';
    return reading.value === null ? 'invalid' : Math.round(reading.value * 100) / 100;
  };
  const saw =
    seen &&
    [
      `waiting ${known(seen.waiting)}`,
      `executing ${known(seen.executing)}`,
      `p99 ${known(seen.responseMilliseconds)} ms`,
      `statement ${known(seen.databaseMilliseconds)} ms`,
      `database ${known(seen.databasePercent)} %`,
      `desired ${seen.desired}${changed && decision ? ` → ${decision.desired}` : ''}`,
    ].join(', ');
  const named = (metric: unknown) => (typeof metric === 'string' ? metric : JSON.stringify(metric));
  return [
    `${time}  ${changed ? 'CHANGED' : '       '}  ${saw ?? ''}`,
    `    ${reason}`,
    ...Object.entries(absent).map(([name, metric]) => `    no value of ${name} was found: ${named(metric)}`),
  ].join('\n');
}
