import type { ServerResponse } from 'node:http';
import type { Request, Response, Server } from 'restify';

/** Routes GET to `handler`, and HEAD as well, which restify would refuse; Node leaves the body out. */
export function getAndHead(
  server: Server,
  path: string,
  handler: (request: Request, response: Response) => Promise<void>,
): void {
  server.get(path, handler);
  server.head(path, handler);
}

/** Sends `value` as JSON, which nobody may keep: it is true now. */
export function sendJson(response: ServerResponse, status: number, value: object): void {
  const body = JSON.stringify(value);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  });
  response.end(body);
}

/** Says that it is done, with nothing to show for it. */
export function sendNoContent(response: ServerResponse): void {
  response.writeHead(204);
  response.end();
}
