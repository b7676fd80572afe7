import type { ServerResponse } from 'node:http';
import type { RecordResponse } from '../http/direct.ts';
import type { MalformedRequest } from '../http/problems.ts';
import type { Received } from '../http/request-id.ts';
import type { LogRequest } from './logging.ts';
import type { Metrics } from './metrics.ts';
import type { Tracing } from './tracing.ts';

/** The route, in the log and the metrics, of a request without a handler. */
export const NO_ROUTE = 'none';
/** nginx's status for a client that closed the connection before the response; in the log and the metrics. */
const CLIENT_CLOSED_REQUEST = 499;

/** Records responses. */
export interface Recorder {
  readonly response: RecordResponse;
  /** Records a request that was refused before it had a response or a route. */
  readonly refusal: (request: Received, problem: MalformedRequest) => void;
}

export function createRecorder(sinks: {
  metrics: Metrics;
  logRequest: LogRequest;
  tracing?: Tracing | undefined;
}): Recorder {
  const { metrics, logRequest, tracing } = sinks;

  function write(request: Received, route: string, status: number, error: unknown): void {
    const now = performance.now();
    const milliseconds = now - (request.receivedAt ?? now);
    metrics.observe(request.method ?? 'none', route, status, milliseconds / 1000);
    logRequest(request, status, route, milliseconds, error);
  }

  return {
    response(request, response, route, error) {
      const { replacedBy } = response;
      const status = replacedBy?.status ?? statusOf(response);
      const cause = replacedBy ?? error;
      write(request, route, status, cause);
      tracing?.endRequest(request, route === NO_ROUTE ? undefined : route, status, cause);
    },
    refusal(request, problem) {
      write(request, NO_ROUTE, problem.status, problem);
    },
  };
}

function statusOf(response: ServerResponse): number {
  return response.destroyed && !response.writableFinished ? CLIENT_CLOSED_REQUEST : response.statusCode;
}
