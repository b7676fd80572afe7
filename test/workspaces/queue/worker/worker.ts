// Packs the orders of its queue, and tells the API, whose address Service Connect knows by its name.
const { COPILOT_QUEUE_URI: queue = '', API = 'http://api:8080' } = process.env;
let stopped = false;
process.on('SIGTERM', () => {
  stopped = true;
});

while (!stopped) {
  const answer = await ask({ Action: 'ReceiveMessage', WaitTimeSeconds: '2' });
  const order = /Message&quot;:\s*&quot;(\w+)|"Message":\s*"(\w+)/.exec(answer)?.slice(1).find(Boolean);
  const receipt = /<ReceiptHandle>([^<]+)/.exec(answer)?.[1];
  if (!order || !receipt) continue;
  await fetch(`${API}/orders/${order}`, { method: 'PUT' });
  console.log(`packed order ${order}`);
  await ask({ Action: 'DeleteMessage', ReceiptHandle: receipt });
}

async function ask(parameters: Record<string, string>): Promise<string> {
  const body = new URLSearchParams({ QueueUrl: queue, ...parameters });
  return (await fetch(queue, { method: 'POST', body })).text();
}
