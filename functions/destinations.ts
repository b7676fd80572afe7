import { gzipSync } from 'node:zlib';
import * as z from 'zod';
import { fieldsOf, type LogEvent, parseJson } from './log-events.ts';

/** An unsigned HTTP request to a log destination. */
export interface DestinationRequest {
  readonly method: 'POST' | 'PUT';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
}

/** The response of a destination. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/**
 * The result for an event.
 * - stored: the destination has stored it; `again` if an earlier delivery had already stored it
 * - retry: the same request may succeed later
 * - rejected: the destination will never accept this event in this form
 * - stop: the destination accepts no event until an operator changes something
 */
export type Verdict =
  | { readonly kind: 'stored'; readonly again: boolean }
  | { readonly kind: 'retry' | 'rejected' | 'stop'; readonly reason: string };

/** How an event is sent: whole, or as shortened plain text if the destination rejected it whole. */
export type Form = { readonly kind: 'whole' } | { readonly kind: 'plain'; readonly reason: string };

/** A destination of logs. All methods are pure. The result of `request` may contain a key, so it must never be logged. */
export interface Destination {
  readonly name: string;
  /** The maximum size of a request: events, and bytes of entries. */
  readonly limits: { readonly events: number; readonly bytes: number };
  entry(event: LogEvent, form: Form): string;
  request(entries: readonly string[]): DestinationRequest;
  /** One verdict for each of the `count` events of a request, in order, or one for the whole request. */
  judge(answer: Answer, count: number): Verdict | Verdict[];
}

/** The maximum length of a line in the plain form: below the limits of a term in Lucene and of a message in New Relic. */
const PLAIN_BYTES = 32_000;
const MEGABYTE = 1_000_000;

const STORED: Verdict = { kind: 'stored', again: false };

/**
 * OpenSearch's bulk API. `create` with CloudWatch's event id as `_id`, in the index of the event's day, stores an event
 * once even if it is delivered several times. `name` is part of the indices' names: `logs-<name>-2026.11.29`.
 */
export function openSearch(endpoint: string, name: string): Destination {
  const item = z.object({
    create: z.object({
      status: z.number(),
      error: z.object({ type: z.string().default('error'), reason: z.string().nullish() }).optional(),
    }),
  });
  const bulk = z.object({ items: z.array(item) });
  return {
    name: 'OpenSearch',
    limits: { events: 5_000, bytes: 5 * MEGABYTE },
    entry(event, form) {
      const day = new Date(event.timestamp).toISOString().slice(0, 10).replaceAll('-', '.');
      const action = { create: { _index: `logs-${name}-${day}`, _id: event.id } };
      const common = {
        '@timestamp': new Date(event.timestamp).toISOString(),
        group: event.group,
        stream: event.stream,
      };
      const fields = form.kind === 'whole' ? fieldsOf(event) : undefined;
      const rest = fields ?? { message: textOf(event, form) };
      const note = form.kind === 'plain' ? { shipping: form.reason } : {};
      return `${JSON.stringify(action)}\n${JSON.stringify({ ...rest, ...common, ...note })}\n`;
    },
    request(entries) {
      return {
        method: 'POST',
        url: new URL('/_bulk', endpoint).href,
        headers: { 'content-type': 'application/x-ndjson' },
        body: entries.join(''),
      };
    },
    judge(answer, count) {
      const whole = refusal(
        'OpenSearch',
        answer,
        'the access policy of the domain must allow es:ESHttpPost to the role of this function',
      );
      if (whole !== undefined) return whole;
      const { success, data } = bulk.safeParse(parseJson(answer.body));
      if (!success || data.items.length !== count) {
        const reason = `OpenSearch answered ${answer.status} with something else than ${count} results; is LOGS_ENDPOINT a domain's address?`;
        return { kind: 'retry', reason };
      }
      return data.items.map(({ create: { status, error } }): Verdict => {
        if (status === 409) return { kind: 'stored', again: true };
        if (error === undefined && status < 300) return STORED;
        const reason = `OpenSearch answered ${status} for an event: ${error?.type}: ${summary(error?.reason ?? '')}`;
        if (status === 403 || error?.type === 'cluster_block_exception') {
          return { kind: 'retry', reason: `the index is read-only, as when the domain's disk is full. ${reason}` };
        }
        return status === 429 || status >= 500 ? { kind: 'retry', reason } : { kind: 'rejected', reason };
      });
    },
  };
}

/**
 * Datadog's log intake, version 2. It has no ids: an event that is delivered twice is stored twice.
 * https://docs.datadoghq.com/api/latest/logs/#send-logs
 */
export function datadog(endpoint: string, name: string, key: string): Destination {
  return {
    name: 'Datadog',
    limits: { events: 1_000, bytes: 4.5 * MEGABYTE },
    entry(event, form) {
      const trace = traceOf(event);
      return JSON.stringify({
        ddsource: 'plusone',
        ddtags: `env:${name}`,
        service: event.group.split('/').at(-1),
        hostname: event.stream,
        timestamp: event.timestamp,
        message: textOf(event, form),
        ...(trace && { dd: { trace_id: trace.traceId, span_id: trace.spanId } }),
        ...(form.kind === 'plain' ? { shipping: form.reason } : {}),
      });
    },
    request(entries) {
      return {
        method: 'POST',
        url: new URL('/api/v2/logs', endpoint).href,
        headers: { 'content-type': 'application/json', 'content-encoding': 'gzip', 'dd-api-key': key },
        body: gzipSync(`[${entries.join(',')}]`),
      };
    },
    judge: (answer) => judgeIntake('Datadog', answer, key),
  };
}

/**
 * New Relic's Log API. It has no ids: an event that is delivered twice is stored twice. The limit of a request is 1 MB.
 * https://docs.newrelic.com/docs/logs/log-api/introduction-log-api/
 */
export function newRelic(endpoint: string, name: string, key: string): Destination {
  return {
    name: 'New Relic',
    limits: { events: 5_000, bytes: 0.9 * MEGABYTE },
    entry(event, form) {
      const trace = traceOf(event);
      return JSON.stringify({
        timestamp: event.timestamp,
        message: textOf(event, form),
        attributes: {
          logtype: 'plusone',
          environment: name,
          'service.name': event.group.split('/').at(-1),
          group: event.group,
          stream: event.stream,
          ...(trace && { 'trace.id': trace.traceId, 'span.id': trace.spanId }),
          ...(form.kind === 'plain' ? { shipping: form.reason } : {}),
        },
      });
    },
    request(entries) {
      return {
        method: 'POST',
        url: new URL('/log/v1', endpoint).href,
        headers: { 'content-type': 'application/json', 'content-encoding': 'gzip', 'api-key': key },
        body: gzipSync(`[{"logs":[${entries.join(',')}]}]`),
      };
    },
    judge: (answer) => judgeIntake('New Relic', answer, key),
  };
}

const WRONG_KEY = 'the key at LOGS_KEY_PARAMETER is not valid there, or not at LOGS_ENDPOINT, which is of one region';

/**
 * The verdict of a vendor's log intake, which answers 202 to what it takes: another 2xx is of something else, such as a
 * login page. An answer may repeat the key, so it is removed.
 */
function judgeIntake(name: string, { status, body }: Answer, key: string): Verdict {
  if (status === 202) return STORED;
  const answer = { status, body: body.replaceAll(key, '…') };
  return refusal(name, answer, WRONG_KEY) ?? notAnIntake(name, answer);
}

function notAnIntake(name: string, { status, body }: Answer): Verdict {
  const reason = `${name} answered ${status}: ${summary(body)}; LOGS_ENDPOINT must be the address of ${name}'s log intake`;
  return { kind: 'stop', reason };
}

/** The verdict on all events of a request that failed as a whole; undefined if it succeeded. */
function refusal(name: string, answer: Answer, whenForbidden: string): Verdict | undefined {
  const { status, body } = answer;
  if (status >= 200 && status < 300) return undefined;
  const reason = `${name} answered ${status}: ${summary(body)}`;
  if (status === 401 || status === 403) return { kind: 'stop', reason: `${reason}; ${whenForbidden}` };
  if (status === 408 || status === 429 || status >= 500) return { kind: 'retry', reason };
  if (status === 400 || status === 413 || status === 422) return { kind: 'rejected', reason };
  return notAnIntake(name, answer);
}

/** The trace that a line belongs to. */
function traceOf(event: LogEvent): { traceId: string; spanId: string } | undefined {
  const { traceId, spanId } = fieldsOf(event) ?? {};
  return typeof traceId === 'string' && typeof spanId === 'string' ? { traceId, spanId } : undefined;
}

function textOf({ message }: LogEvent, form: Form): string {
  if (form.kind === 'whole') return message;
  const bytes = Buffer.from(message);
  if (bytes.length <= PLAIN_BYTES) return message;
  return `${bytes.subarray(0, PLAIN_BYTES).toString()}… (the first ${PLAIN_BYTES} of ${bytes.length} bytes)`;
}

/** The beginning of a response, for a message. OpenSearch quotes values of log lines in single quotes: they are removed. */
function summary(text: string): string {
  return text
    .replace(/'[^']*'/g, "'…'")
    .replace(/\s+/g, ' ')
    .slice(0, 300)
    .trim();
}
