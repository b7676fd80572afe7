import * as z from 'zod';
import type { Answer, DestinationRequest } from './destinations.ts';

/** The event of `make search`: only the function can reach the domain, which is in the VPC. */
export const searchEvent = z.object({
  search: z.strictObject({
    /** In OpenSearch's query string syntax, such as `level:error` or `requestId:abc`. */
    query: z.string().min(1).max(1_000),
    minutes: z.int().min(1).max(525_600),
    size: z.int().min(1).max(1_000),
  }),
});
export type LogSearch = z.output<typeof searchEvent>['search'];

/** The lines that were found, newest first, and the total number of matches. */
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
export function searchRequest(endpoint: string, name: string, { query, minutes, size }: LogSearch): DestinationRequest {
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
 * Parses OpenSearch's response.
 * @throws {Error} with the reason if it refused the request, for example because of an invalid query
 */
export function readFound({ status, body }: Answer): Found {
  if (status !== 200) throw new Error(`OpenSearch answered ${status}: ${body.slice(0, 500)}`);
  const { hits } = result.parse(JSON.parse(body));
  return { total: hits.total.value, lines: hits.hits.map(({ _source }) => _source) };
}
