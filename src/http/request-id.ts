import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

declare module 'node:http' {
  interface IncomingMessage {
    /** Identifies the request in its response and in the log; set by `receive`. */
    requestId?: string;
    /** When its head had arrived, in the time of `performance.now()`; set by `receive`. */
    receivedAt?: number;
  }
}

/** A client's request id is kept if it is short and safe in a log line. */
const VALID_REQUEST_ID = /^[\w.:-]{1,128}$/;

/** What is known about every request, including one that could not be parsed. */
export type Received = Pick<Partial<IncomingMessage>, 'requestId' | 'receivedAt' | 'method' | 'span'>;

/** Records when a request arrived and its id: the client's if that is valid, else a new one. */
export function receive(request: IncomingMessage): void {
  request.receivedAt = performance.now();
  const wanted = request.headers['x-request-id'];
  request.requestId = typeof wanted === 'string' && VALID_REQUEST_ID.test(wanted) ? wanted : randomUUID();
}
