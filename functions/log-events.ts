import { gunzipSync } from 'node:zlib';
import * as z from 'zod';

/** An event of CloudWatch Logs: a line that a container, a function or MySQL wrote. */
export interface LogEvent {
  /** CloudWatch's id of the event: the same in every delivery. */
  readonly id: string;
  /** When it was logged, in milliseconds since the Unix epoch. */
  readonly timestamp: number;
  readonly message: string;
  readonly group: string;
  readonly stream: string;
}

/** The function was invoked with an event that contains no log events. */
export class UnreadableEvent extends Error {
  override readonly name = 'UnreadableEvent';
}

/**
 * A subscription's payload has at most 1 MB compressed; a log line of one repeated letter inflates a thousandfold. Storing
 * it takes up to six times the memory: more would end the function (MemorySize in environments/addons/logs.yml) without a
 * reason.
 */
const MOST_INFLATED_BYTES = 128 * 1024 * 1024;

const delivery = z.object({ awslogs: z.object({ data: z.string() }) });
/** Messages of the dead-letter queue: the original event, or in the envelope of an on-failure destination. */
const queued = z.object({ Records: z.array(z.object({ body: z.string() })) });
const deadLetter = z.union([delivery, z.object({ requestPayload: delivery }).transform((body) => body.requestPayload)]);
/** Within the range of Date: https://tc39.es/ecma262/#sec-time-values-and-time-range */
const timestamp = z.number().min(0).max(8.64e15);
const payload = z.discriminatedUnion('messageType', [
  z.object({
    messageType: z.literal('DATA_MESSAGE'),
    logGroup: z.string(),
    logStream: z.string(),
    logEvents: z.array(z.object({ id: z.string().min(1), timestamp, message: z.string() })),
  }),
  z.object({ messageType: z.literal('CONTROL_MESSAGE') }),
]);

/**
 * The log events in the function's event: a delivery of a CloudWatch Logs subscription filter, or such deliveries from the
 * dead-letter queue. CloudWatch's control messages, which test the subscription, contain none. The format:
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html#LambdaFunctionExample
 * @throws {UnreadableEvent} if it is neither
 */
export function readLogEvents(event: unknown): LogEvent[] {
  const direct = delivery.safeParse(event);
  if (direct.success) return inflate(direct.data.awslogs.data);
  const fromQueue = queued.safeParse(event);
  if (fromQueue.success) {
    return fromQueue.data.Records.flatMap(({ body }) => {
      const letter = deadLetter.safeParse(parseJson(body));
      if (!letter.success) throw new UnreadableEvent('a message of the dead-letter queue holds no log events');
      return inflate(letter.data.awslogs.data);
    });
  }
  throw new UnreadableEvent('the event has neither awslogs.data nor Records of SQS');
}

function inflate(data: string): LogEvent[] {
  let text: string;
  try {
    text = gunzipSync(Buffer.from(data, 'base64'), { maxOutputLength: MOST_INFLATED_BYTES }).toString();
  } catch (error) {
    throw new UnreadableEvent(`awslogs.data is not gzip in base64: ${error instanceof Error ? error.message : error}`);
  }
  const { success, data: read, error } = payload.safeParse(parseJson(text));
  if (!success) {
    const [issue] = error.issues;
    throw new UnreadableEvent(`awslogs.data is no log delivery: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  if (read.messageType === 'CONTROL_MESSAGE') return [];
  const { logGroup: group, logStream: stream } = read;
  return read.logEvents.map(({ id, timestamp, message }) => ({ id, timestamp, message, group, stream }));
}

/** The fields of a line that is a JSON object; undefined for any other line. */
export function fieldsOf({ message }: LogEvent): Record<string, unknown> | undefined {
  // This avoids an exception for most lines that are not JSON.
  if (!message.trimStart().startsWith('{')) return undefined;
  return z.record(z.string(), z.unknown()).safeParse(parseJson(message)).data;
}

/** The value of a JSON text; undefined for any other text. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
