// Says who it is and what it was asked for.
import { createServer } from 'node:http';

const { PORT, COPILOT_SERVICE_NAME, COPILOT_ENVIRONMENT_NAME } = process.env;
const server = createServer(({ url }, response) =>
  response.end(`${COPILOT_SERVICE_NAME} in ${COPILOT_ENVIRONMENT_NAME}: ${url}`),
);
server.listen(Number(PORT));
process.on('SIGTERM', () => server.close());
