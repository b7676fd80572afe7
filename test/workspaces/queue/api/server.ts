// Takes orders (POST /orders/ID), publishes each to its topic, and tells what became of it (GET /orders/ID).
import { createServer } from 'node:http';

const { COPILOT_SNS_TOPIC_ARNS = '{}', AWS_ENDPOINT_URL = 'https://sns.amazonaws.com' } = process.env;
const topic: string = JSON.parse(COPILOT_SNS_TOPIC_ARNS).placed;
const states = new Map<string, string>();

const server = createServer(async ({ method, url = '' }, response) => {
  const order = /^\/orders\/(\w+)$/.exec(url)?.[1];
  if (order && method === 'POST') {
    const body = new URLSearchParams({ Action: 'Publish', TopicArn: topic, Message: order });
    const { ok } = await fetch(AWS_ENDPOINT_URL, { method: 'POST', body });
    states.set(order, 'placed');
    response.writeHead(ok ? 202 : 502);
  } else if (order && method === 'PUT') states.set(order, 'packed');
  response.end(order ? (states.get(order) ?? 'unknown') : 'orders');
});
server.listen(8080);
process.on('SIGTERM', () => server.close());
