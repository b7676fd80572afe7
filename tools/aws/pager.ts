import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { aws, environmentExport, environmentStack, serviceStack, UPTIME_REGION } from './cloud.ts';
import { command, type Target } from './command.ts';
import { awsWithSecret } from './database-password.ts';

/** PagerDuty's Amazon CloudWatch integration. Events of an alarm have the same key, so the incident resolves with it. */
const PAGERDUTY = 'https://events.pagerduty.com/integration';

// Subscribes PagerDuty, or another HTTP endpoint, to the topic of alarms that page. The key comes from PAGERDUTY_KEY or
// from stdin; it is part of the endpoint, so the endpoint is treated as a secret.
await command('pager', ['aws'], async (target) => {
  const topic = await step('the topic for pages', () => environmentExport(target, 'PageTopic'));
  if (topic === undefined) {
    throw new Refusal(
      `${environmentStack(target)} has no topic for pages: ENV=${target.environment} make infra-create`,
    );
  }
  const endpoint = process.env.PAGER_ENDPOINT || `${PAGERDUTY}/${await readKey()}/enqueue`;
  const [protocol = ''] = endpoint.split(':');
  if (protocol !== 'https' && protocol !== 'http')
    throw new Refusal('PAGER_ENDPOINT must begin with https:// or http://');
  await step('its subscription', () =>
    awsWithSecret({ TopicArn: topic, Protocol: protocol, Endpoint: endpoint }, 'sns', 'subscribe'),
  );
  const outside = await uptimeTopic(target);
  if (outside !== undefined) {
    await step(`the subscription to the uptime checks, in ${UPTIME_REGION}`, () =>
      awsWithSecret(
        { TopicArn: outside, Protocol: protocol, Endpoint: endpoint },
        ...['sns', 'subscribe', '--region', UPTIME_REGION],
      ),
    );
  }
  say('\nThe endpoint first gets a confirmation request, which PagerDuty answers automatically.');
});

/** The topic of `make uptime`; undefined without it. */
async function uptimeTopic(target: Target): Promise<string | undefined> {
  const answer = z.object({ Topics: z.array(z.object({ TopicArn: z.string() })) });
  const { Topics } = await aws(answer, 'sns', 'list-topics', '--region', UPTIME_REGION);
  return Topics.find(({ TopicArn }) => TopicArn.endsWith(`:${serviceStack(target)}-unreachable`))?.TopicArn;
}

async function readKey(): Promise<string> {
  if (!process.env.PAGERDUTY_KEY && process.stdin.isTTY) {
    throw new Refusal('the integration key is missing: make pager < file-with-the-key, or PAGERDUTY_KEY');
  }
  const key = (process.env.PAGERDUTY_KEY || (await text(process.stdin))).trim();
  if (!/^[\da-f]{32}$/i.test(key)) {
    throw new Refusal('the integration key is invalid; it must be the 32 digits of an Amazon CloudWatch integration');
  }
  return key;
}
