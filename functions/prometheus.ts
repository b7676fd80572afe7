import * as z from 'zod';
import type { Reading } from './decide.ts';
import { reasonOf } from './reason.ts';
import { json } from './settings.ts';

/** The newest value is searched for in this many minutes, to distinguish a stale one from an absent one. */
const LOOK_BACK_MINUTES = 10;
const STEPS_A_MINUTE = 4;
/** A sample counts for so long: three scrapes. Prometheus's default of five minutes would hide that they have stopped. */
const LOOK_BACK_DELTA_SECONDS = 15;
const REQUEST_MILLISECONDS = 10_000;

const answer = z.object({
  data: z.object({
    resultType: z.literal('matrix'),
    result: z.array(z.object({ values: z.array(z.tuple([z.number(), z.string()])) })),
  }),
});

/**
 * The newest value of each PromQL query, in which `MINUTE` stands for a minute as a range, up to `now`. NaN, such as a
 * percentile of no requests, is no value; queries without a value are absent.
 * https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
 * @throws {Error} if Prometheus cannot be reached or refuses a query, or if a query has more than one series
 */
export async function readPrometheus(
  url: string,
  queries: Readonly<Record<string, string>>,
  now: Date,
  minuteSeconds: number,
): Promise<Record<string, Reading>> {
  const readings = await Promise.all(
    Object.entries(queries).map(async ([name, query]): Promise<[string, Reading][]> => {
      const reading = await newest(url, name, query, now, minuteSeconds);
      return reading === undefined ? [] : [[name, reading]];
    }),
  );
  return Object.fromEntries(readings.flat());
}

async function newest(
  url: string,
  name: string,
  query: string,
  now: Date,
  minuteSeconds: number,
): Promise<Reading | undefined> {
  const end = now.getTime() / 1000;
  const parameters = new URLSearchParams({
    query: query.replaceAll('MINUTE', `${minuteSeconds}s`),
    start: String(end - LOOK_BACK_MINUTES * minuteSeconds),
    end: String(end),
    step: String(minuteSeconds / STEPS_A_MINUTE),
    lookback_delta: `${LOOK_BACK_DELTA_SECONDS}s`,
  });
  const signal = AbortSignal.timeout(REQUEST_MILLISECONDS);
  const response = await fetch(`${url}/api/v1/query_range?${parameters}`, { signal }).catch((error: unknown) => {
    throw new Error(`Prometheus cannot be reached at ${url}: ${reasonOf(error)}`, { cause: error });
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`Prometheus answers ${response.status} to ${name}: ${text.slice(0, 300)}`);
  const { success, data: read } = json.pipe(answer).safeParse(text);
  if (!success) throw new Error(`what answers at ${url} is no Prometheus: ${text.slice(0, 300)}`);
  const { result } = read.data;
  if (result.length > 1) {
    throw new Error(`SCALER_METRICS.${name}: the query has ${result.length} series; make it one, with sum() or max()`);
  }
  const last = result[0]?.values
    .map(([at, value]) => ({ at, value: number(value) }))
    .findLast(({ value }) => !Number.isNaN(value));
  return last && { value: last.value, ageMilliseconds: Math.round(now.getTime() - last.at * 1000) };
}

/** Prometheus writes infinity as +Inf and -Inf. */
function number(text: string): number {
  return Number(text.replace('Inf', 'Infinity'));
}
