import type { DestinationRequest } from './destinations.ts';

/**
 * The index template and the retention policy of OpenSearch, created before the first event. Both requests are idempotent.
 * Fields that are not listed are stored and shown, but cannot be searched: so log lines cannot add fields to the index, nor
 * disagree on the type of one.
 */
export function preparations(endpoint: string, name: string, retentionDays: number): DestinationRequest[] {
  return [
    put(endpoint, `/_index_template/logs-${name}`, {
      index_patterns: [`logs-${name}-*`],
      template: {
        settings: {
          number_of_shards: 1,
          auto_expand_replicas: '0-1',
          'index.mapping.ignore_malformed': true,
          refresh_interval: '5s',
        },
        mappings: { dynamic: false, properties: PROPERTIES },
      },
    }),
    // https://docs.opensearch.org/latest/im-plugin/ism/policies/
    put(endpoint, `/_plugins/_ism/policies/logs-${name}`, {
      policy: {
        description: `Deletes an index of logs after ${retentionDays} days`,
        default_state: 'kept',
        states: [
          {
            name: 'kept',
            actions: [],
            transitions: [{ state_name: 'deleted', conditions: { min_index_age: `${retentionDays}d` } }],
          },
          { name: 'deleted', actions: [{ delete: {} }], transitions: [] },
        ],
        ism_template: [{ index_patterns: [`logs-${name}-*`], priority: 100 }],
      },
    }),
  ];
}

const keyword = { type: 'keyword', ignore_above: 1024 } as const;

/** The fields of docs/observability.md, section Logs. */
export const PROPERTIES = {
  '@timestamp': { type: 'date' },
  time: { type: 'date' },
  level: keyword,
  msg: keyword,
  requestId: keyword,
  method: keyword,
  route: keyword,
  status: { type: 'short' },
  milliseconds: { type: 'float' },
  reason: keyword,
  traceId: keyword,
  spanId: keyword,
  version: keyword,
  revision: keyword,
  err: { properties: { type: keyword, code: keyword, message: { type: 'text' } } },
  message: { type: 'text' },
  group: keyword,
  stream: keyword,
  shipping: { type: 'text' },
} as const;

function put(endpoint: string, path: string, body: object): DestinationRequest {
  return {
    method: 'PUT',
    url: new URL(path, endpoint).href,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
}
