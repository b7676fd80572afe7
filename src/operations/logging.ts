import type { Span, SpanContext } from '@opentelemetry/api';
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import type { LogLevel } from '../config.ts';
import { MalformedRequest } from '../http/problems.ts';
import type { Received } from '../http/request-id.ts';
import { Unavailable } from '../unavailable.ts';
import { PROBES } from './health.ts';

export type { Logger } from 'pino';

/** Lines are written together, at this size or after this time, so that a request does not wait for a write. */
const LEAST_WRITTEN_BYTES = 4 * 1024;
const LONGEST_HELD_MILLISECONDS = 100;
/** With more unwritten output than this (a blocked stdout), lines are dropped, so that memory does not fill. */
const MOST_BUFFERED_BYTES = 4 * 1024 * 1024;
/** How long the process waits for a blocked stdout at its end; then the remaining lines are lost. */
const FLUSH_MILLISECONDS = 1_000;

/** The log of the process. */
export interface Log {
  readonly log: Logger;
  readonly logRequest: LogRequest;
  /** Writes the buffered lines, at the end of the process. */
  flush(): void;
}

/**
 * The log of the process: one JSON line per event on stdout, or coloured text if stdout is a terminal and pino-pretty is
 * installed. Lines are written asynchronously.
 */
export async function createLog(level: LogLevel): Promise<Log> {
  const options = {
    level,
    base: null,
    timestamp: isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: withoutData },
  };
  const pretty = process.stdout.isTTY ? await prettyStream() : undefined;
  if (pretty !== undefined) {
    const log = pino(options, pretty);
    return { log, logRequest: createRequestLog(log, pretty), flush: () => {} };
  }
  let giveUpAt = Number.POSITIVE_INFINITY;
  const retryEAGAIN = () => performance.now() < giveUpAt;
  const stdout = destination({
    dest: 1,
    sync: false,
    minLength: LEAST_WRITTEN_BYTES,
    maxLength: MOST_BUFFERED_BYTES,
    periodicFlush: LONGEST_HELD_MILLISECONDS,
    retryEAGAIN,
  });
  const log = pino(options, stdout);
  return {
    log,
    logRequest: createRequestLog(log, stdout),
    flush() {
      giveUpAt = performance.now() + FLUSH_MILLISECONDS;
      try {
        stdout.flushSync();
      } catch {
        // Else pino would retry endlessly while the process exits.
        stdout.destroy();
      }
    },
  };
}

/** Logs an answered request. */
export type LogRequest = (
  request: Received,
  status: number,
  route: string,
  milliseconds: number,
  error: unknown,
) => void;

/**
 * Writes one line per answered request: route, status, duration and the reason of a failure, but none of its content.
 * Probes are logged at level debug; their result changes with the lines `ready` and `stopping`. `log` writes to `stream`.
 */
export function createRequestLog(log: Logger, stream: DestinationStream): LogRequest {
  return (request, status, route, milliseconds, error) => {
    const { requestId, method, span } = request;
    const rounded = Math.round(milliseconds * 10) / 10;
    const isProbe = PROBES.has(route);
    if (status < 500 && !isProbe && !(error instanceof MalformedRequest)) {
      // Nearly every line is one of these, and nothing in it needs escaping. pino would cost 4 % more CPU time per request.
      if (!log.isLevelEnabled('info')) return;
      const { traceId, spanId } = traceOf(span);
      const trace = traceId === undefined ? '' : `,"traceId":"${traceId}","spanId":"${spanId}"`;
      stream.write(
        `{"level":"info"${isoTime()},"requestId":"${requestId}","method":"${method}","route":"${route}",` +
          `"status":${status},"milliseconds":${rounded}${trace},"msg":"request"}\n`,
      );
      return;
    }
    const line = { requestId, method, route, status, milliseconds: rounded, ...traceOf(span) };
    if (error instanceof MalformedRequest) log.info({ ...line, reason: error.message }, 'request');
    else if (isProbe && (status < 500 || error instanceof Unavailable)) log.debug(line, 'request');
    // The service works as intended, so the message is enough; there can be thousands of these per second.
    else if (error instanceof Unavailable) log.warn({ ...line, reason: error.message }, 'request');
    else log.error({ ...line, err: error }, 'request');
  };
}

const NO_TRACE = {};

function traceOf(span: Span | undefined): Partial<SpanContext> {
  if (span === undefined) return NO_TRACE;
  const { traceId, spanId } = span.spanContext();
  return { traceId, spanId };
}

let lastMoment = 0;
let lastTime = '';

/** The time of a line in pino's format. It is formatted only when the millisecond changes, because formatting is slow. */
function isoTime(): string {
  const moment = Date.now();
  if (moment !== lastMoment) {
    lastMoment = moment;
    lastTime = `,"time":"${new Date(moment).toISOString()}"`;
  }
  return lastTime;
}

/**
 * An error and its causes for the log. Leaves out the values that MySQL quotes in its messages ("Incorrect date value:
 * '…'"), and the statements and settings in other properties of an error.
 */
export function withoutData(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const fromMysql = 'sqlState' in error;
  const message = fromMysql ? error.message.replace(/'.*'/s, "'…'") : error.message;
  // Without frames, the stack has only the message.
  const [, frames] = /\n( {4}at .*)$/s.exec(error.stack ?? '') ?? [];
  return {
    type: error.name,
    message,
    ...('code' in error ? { code: error.code } : {}),
    frames,
    ...(error.cause === undefined ? {} : { cause: withoutData(error.cause) }),
  };
}

async function prettyStream(): Promise<DestinationStream | undefined> {
  try {
    const { default: pretty } = await import('pino-pretty');
    return pretty({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', sync: true });
  } catch {
    // Not installed, as in the image: JSON then.
    return undefined;
  }
}
