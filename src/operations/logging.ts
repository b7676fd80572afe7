import type { Span, SpanContext } from '@opentelemetry/api';
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import type { LogLevel } from '../config.ts';
import type { Received } from '../http/answers.ts';
import { MalformedRequest } from '../http/problems.ts';
import { Unavailable } from '../unavailable.ts';
import { PROBES } from './health.ts';

export type { Logger } from 'pino';

/** Lines go out together, so that a request does not pay for a write: when there is this much of them, or after this time. */
const LEAST_WRITTEN_BYTES = 4 * 1024;
const LONGEST_HELD_MILLISECONDS = 100;
/** Past this much unwritten output (a blocked stdout), lines are dropped rather than memory filled. */
const MOST_BUFFERED_BYTES = 4 * 1024 * 1024;
/** How long the end of the process waits for a stdout that takes nothing; what it has not taken then is lost. */
const FLUSH_MILLISECONDS = 1_000;

/** The log of the process, and what is done with it. */
export interface Log {
  readonly log: Logger;
  readonly logRequest: LogRequest;
  /** Writes what is left, for the end of the process. */
  flush(): void;
}

/**
 * The process's log: one JSON line an event on stdout, or coloured lines where stdout is a terminal and pino-pretty
 * is installed. Lines are written asynchronously.
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
        // Or pino would try again, without end, as the process exits.
        stdout.destroy();
      }
    },
  };
}

/** Logs a request that was answered. */
export type LogRequest = (
  request: Received,
  status: number,
  route: string,
  milliseconds: number,
  error: unknown,
) => void;

/**
 * Writes one line for each answered request: route, status, duration and the reason of a failure; none of its content.
 * Probes are logged at the level debug: their result changes with the lines `ready` and `stopping`. `stream` is where
 * `log` writes to.
 */
export function createRequestLog(log: Logger, stream: DestinationStream): LogRequest {
  return (request, status, route, milliseconds, error) => {
    const { requestId, method, span } = request;
    const rounded = Math.round(milliseconds * 10) / 10;
    const isProbe = PROBES.has(route);
    if (status < 500 && !isProbe && !(error instanceof MalformedRequest)) {
      // Nearly every line is one of these, and nothing in it needs escaping: pino would spend a twentieth of the request's
      // time on finding that out.
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
    if (isProbe && (status < 500 || error instanceof Unavailable)) log.debug(line, 'request');
    else if (error instanceof MalformedRequest) log.info({ ...line, reason: error.message }, 'request');
    // The service works as it should, so the cause alone is enough; there can be thousands of these a second.
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

/** The time of a line, as pino wants it; formatted only when the millisecond changes, because that is slow. */
function isoTime(): string {
  const moment = Date.now();
  if (moment !== lastMoment) {
    lastMoment = moment;
    lastTime = `,"time":"${new Date(moment).toISOString()}"`;
  }
  return lastTime;
}

/**
 * An error for the log, with its causes. MySQL quotes values in its messages ("Incorrect date value: '…'"), and errors
 * carry statements and settings beside their message: all of that stays out.
 */
export function withoutData(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const fromMysql = 'sqlState' in error;
  const message = fromMysql ? error.message.replace(/'[^']*'/g, "'…'") : error.message;
  const frames = error.stack?.slice(error.stack.indexOf('\n    at ') + 1);
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
