const { createServer } = require('node:http');
const version = require('node:fs').readFileSync(`${__dirname}/VERSION`, 'utf8').trim();
if (version === 'broken') process.exit(3);
const { COPILOT_SERVICE_NAME, GREETING } = process.env;
const server = createServer((_request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ service: COPILOT_SERVICE_NAME, version, greeting: GREETING }));
}).listen(3000);
process.on('SIGTERM', () => server.close(() => process.exit(0)));
