import * as z from 'zod';
import type { Answer, IntakeRequest } from './intakes.ts';

/** What `make search` asks the function, which is in the network of the domain. */
export const searchEvent = z.object({
  search: z.strictObject({
    /** In OpenSearch's query string syntax, such as `level:error` or `requestId:abc`. */
    query: z.string().min(1).max(1_000),
    minutes: z.int().min(1).max(525_600),
    size: z.int().min(1).max(1_000),
  }),
});
export type LogSearch = z.output<typeof searchEvent>['search'];

/** Lines that were found, the newest first, and how many there are in all. */
export interface Found {
  readonly total: number;
  readonly lines: readonly Readonly<Record<string, unknown>>[];
}

const result = z.object({
  hits: z.object({
    total: z.object({ value: z.number() }),
    hits: z.array(z.object({ _source: z.record(z.string(), z.unknown()) })),
  }),
});

/** The request for a search in the logs `name`; https://docs.opensearch.org/latest/query-dsl/full-text/query-string/ */
export function searchRequest(endpoint: string, name: string, { query, minutes, size }: LogSearch): IntakeRequest {
  const time = { range: { '@timestamp': { gte: `now-${minutes}m` } } };
  return {
    method: 'POST',
    url: new URL(`/logs-${name}-*/_search`, endpoint).href,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      size,
      track_total_hits: true,
      sort: [{ '@timestamp': 'desc' }],
      query: { bool: { must: [{ query_string: { query, default_field: 'message' } }], filter: [time] } },
    }),
  };
}

/**
 * Reads what OpenSearch answered.
 * @throws {Error} with its reason when it refused, as for a query that cannot be read
 */
export function readFound({ status, body }: Answer): Found {
  if (status !== 200) throw new Error(`OpenSearch answered ${status}: ${body.slice(0, 500)}`);
  const { hits } = result.parse(JSON.parse(body));
  return { total: hits.total.value, lines: hits.hits.map(({ _source }) => _source) };
}
