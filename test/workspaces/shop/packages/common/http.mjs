import { createServer } from 'node:http';

/** Answers each request by JSON, and ends when the platform says so. */
export function serve(port, answer) {
  const server = createServer(async ({ method = '', url = '' }, response) => {
    try {
      response.end(JSON.stringify(await answer(method, url)));
    } catch (error) {
      response.writeHead(503).end(JSON.stringify({ error: String(error) }));
    }
  });
  server.listen(port);
  process.on('SIGTERM', () => server.close());
}
