import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const server = createServer((_request, response) => {
  try {
    response.end(readFileSync('/reports/today'));
  } catch {
    response.writeHead(404).end('no report yet');
  }
});
server.listen(8080);
process.on('SIGTERM', () => server.close());
