const { createServer } = require('node:http');
const version = require('node:fs').readFileSync(`${__dirname}/VERSION`, 'utf8').trim();
const { GREETING, STAGE, UPLOADS_NAME, JOBS_URL } = process.env;
if (version === 'broken') process.exit(3);
const server = createServer((request, response) => {
  if (request.url === '/healthz') return response.end('ok');
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ version, greeting: GREETING, stage: STAGE, bucket: UPLOADS_NAME, queue: JOBS_URL }));
}).listen(3000);
process.on('SIGTERM', () => server.close(() => process.exit(0)));
