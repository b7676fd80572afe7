import { createServer } from 'node:http';

const { QUOTE, AUTHOR } = process.env;
const server = createServer((_request, response) => response.end(`${QUOTE} ${AUTHOR}`));
server.listen(8080);
process.on('SIGTERM', () => server.close());
