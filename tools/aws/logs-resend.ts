import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { aws, environmentExport, environmentStack } from './cloud.ts';
import { command } from './command.ts';

const WAIT_MINUTES = 10;
const counts = z.object({
  Attributes: z.object({
    ApproximateNumberOfMessages: z.coerce.number(),
    ApproximateNumberOfMessagesNotVisible: z.coerce.number(),
  }),
});

// Has the log shipper process the dead-letter queue: the log lines that could not be stored.
await command('logs-resend', ['aws'], async (target) => {
  const stack = environmentStack(target);
  const mapping = await environmentExport(target, 'ResendLogs');
  const queue = await environmentExport(target, 'LogsNotShipped');
  if (!mapping || !queue) throw new Refusal(`${stack} ships no logs: LogsTo in addons.parameters.yml is none`);
  const { QueueUrl } = await aws(z.object({ QueueUrl: z.string() }), 'sqs', 'get-queue-url', '--queue-name', queue);
  const left = async () => {
    const names = Object.keys(counts.shape.Attributes.shape);
    const { Attributes } = await aws(
      counts,
      ...['sqs', 'get-queue-attributes', '--queue-url', QueueUrl, '--attribute-names', ...names],
    );
    return Attributes.ApproximateNumberOfMessages + Attributes.ApproximateNumberOfMessagesNotVisible;
  };
  const switched = (flag: '--enabled' | '--no-enabled') =>
    aws(z.unknown(), 'lambda', 'update-event-source-mapping', '--uuid', mapping, flag);

  const before = await left();
  if (before === 0) return say('\nThe dead-letter queue is empty.');
  await switched('--enabled');
  const after = await step(`${before} deliveries from the dead-letter queue`, async () => {
    let now = before;
    for (const end = Date.now() + WAIT_MINUTES * 60_000; now > 0 && Date.now() < end; now = await left()) {
      await sleep(2_000);
    }
    return now;
  }).finally(() => switched('--no-enabled'));
  if (after > 0) throw new Refusal(`${after} of ${before} remain: aws logs tail /aws/lambda/${stack}-log-shipper`);
  say('\nAll of them are stored.');
});
