import { createServer } from 'node:http';
import { connect } from 'node:net';

const { CACHE_HOST = '', CACHE_PORT = '', QUEUE_URL = '', AWS_ENDPOINT_URL = '', AWS_REGION = '' } = process.env;

/** One command of the Redis protocol, and the first chunk of its reply. */
function redis(command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(CACHE_PORT), CACHE_HOST, () => socket.write(`${command}\r\n`));
    socket.once('error', reject).once('data', (data) => {
      resolve(String(data).trim());
      socket.end();
    });
  });
}

async function aws(service: string, target: string, type: string, body: object): Promise<string> {
  const response = await fetch(AWS_ENDPOINT_URL, {
    method: 'POST',
    headers: {
      'Content-Type': type,
      'X-Amz-Target': target,
      // The emulator reads the service and the region, and checks no signature.
      Authorization: `AWS4-HMAC-SHA256 Credential=local-only/20260101/${AWS_REGION}/${service}/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: JSON.stringify(body),
  });
  return `${response.status} ${await response.text()}`;
}

createServer(async (request, response) => {
  const answers: Readonly<Record<string, () => Promise<string>>> = {
    '/': async () => 'ready',
    '/count': () => redis('INCR visits'),
    '/publish': () =>
      aws('events', 'AWSEvents.PutEvents', 'application/x-amz-json-1.1', {
        Entries: [{ Source: 'shop', DetailType: 'sold', Detail: '{"item":"apple"}' }],
      }),
    '/receive': () =>
      aws('sqs', 'AmazonSQS.ReceiveMessage', 'application/x-amz-json-1.0', {
        QueueUrl: QUEUE_URL,
        MaxNumberOfMessages: 10,
      }),
  };
  const answer = answers[request.url ?? ''];
  try {
    response.end(answer ? await answer() : 'unknown path');
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
}).listen(8080);
