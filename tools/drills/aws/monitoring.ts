/** The drills of monitoring on an emulator of AWS. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { aws, serviceStack } from '../../aws/cloud.ts';
import { readTarget } from '../../aws/command.ts';
import { currentScale } from '../../aws/scaling.ts';
import { output } from '../../terminal/programs.ts';
import { nothingLost, observed } from '../assertions.ts';
import type { Drill } from '../drill.ts';
import type { AwsFixture } from './fixture.ts';

type AwsDrill = Drill<AwsFixture>;

const RATE = 10;
/** An emulator can shorten CloudWatch's minute; the seconds are in CLOUDWATCH_MINUTE. */
const MINUTE_SECONDS = Number(process.env.CLOUDWATCH_MINUTE || 60);
const PAGE_MINUTES = 3;
const WAIT_MINUTES = 10;

const message = z.object({ Type: z.string(), Message: z.string() });
/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html */
const notification = z.object({ AlarmName: z.string(), NewStateValue: z.string() });
type Notification = z.output<typeof notification> & { readonly at: number };

/** In place of PagerDuty: receives what SNS delivers to an HTTP endpoint. */
export async function startPagerEndpoint() {
  const notifications: Notification[] = [];
  const server = createServer(async (request, response) => {
    const { Type, Message } = message.parse(await json(request));
    if (Type === 'Notification') notifications.push({ at: Date.now(), ...notification.parse(JSON.parse(Message)) });
    response.end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    notifications,
    /** The first notification of that state of the alarm; undefined if it does not come within that time. */
    async receives(alarm: string, state: string, seconds: number): Promise<Notification | undefined> {
      for (const deadline = Date.now() + seconds * 1000; ; await sleep(250)) {
        const found = notifications.find((one) => one.AlarmName === alarm && one.NewStateValue === state);
        if (found !== undefined || Date.now() > deadline) return found;
      }
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

const nobodyAnswers: AwsDrill = {
  name: 'nobody-answers',
  fault: 'The last task is stopped, and ECS starts no other',
  assertions: [
    observed(
      'page',
      `A person is paged within ${PAGE_MINUTES} minutes of CloudWatch`,
      (value) => Number.parseFloat(String(value)) <= PAGE_MINUTES,
    ),
    observed('pages', 'A person is paged once', (value) => value === 1),
    observed('resolved', 'The page resolves under the same name', (value) => value === 'resolved'),
    nothingLost,
  ],
  duration: { full: 0, quick: 0 },
  rate: RATE,
  async prepare(fixture) {
    if (!fixture.isEmulated) return 'SNS of AWS cannot reach an endpoint of this machine';
    const target = readTarget(process.env);
    const scale = await currentScale(target);
    if (scale === undefined) return 'there is no service';
    const { cluster, service, desired } = scale;
    const endpoint = await startPagerEndpoint();
    const ENV = target.environment;
    const pager = await fixture.workspace.run('tools/aws/pager.ts', [], { ENV, PAGER_ENDPOINT: endpoint.url });
    if (pager.code !== 0) throw new Error(pager.output);
    const setCount = (count: number) =>
      output('aws', [
        'ecs',
        'update-service',
        '--cluster',
        cluster,
        '--service',
        service,
        '--desired-count',
        `${count}`,
      ]);
    const alarm = `${serviceStack(target)}-Outage`;
    return {
      async begin({ observations }) {
        await setCount(0);
        while (((await currentScale(target))?.running ?? 0) > 0) await sleep(250);
        const from = Date.now();
        const page = await endpoint.receives(alarm, 'ALARM', WAIT_MINUTES * MINUTE_SECONDS);
        observations.page = page === undefined ? 'never' : `${minutesSince(from, page.at)} minutes`;
      },
      async end({ observations }) {
        await setCount(desired);
        const isResolved = await endpoint.receives(alarm, 'OK', WAIT_MINUTES * MINUTE_SECONDS);
        observations.resolved = isResolved ? 'resolved' : 'not resolved';
        observations.pages = endpoint.notifications.filter((one) => one.NewStateValue === 'ALARM').length;
      },
      async settle() {
        await setCount(desired);
        await unsubscribe(endpoint.url);
        endpoint.close();
      },
    };
  },
};

const minutesSince = (from: number, at: number) => ((at - from) / 1000 / MINUTE_SECONDS).toFixed(1);

async function unsubscribe(endpoint: string): Promise<void> {
  const list = z.object({ Subscriptions: z.array(z.object({ SubscriptionArn: z.string(), Endpoint: z.string() })) });
  const { Subscriptions } = await aws(list, 'sns', 'list-subscriptions');
  for (const { SubscriptionArn: arn, Endpoint } of Subscriptions)
    if (Endpoint === endpoint) await output('aws', ['sns', 'unsubscribe', '--subscription-arn', arn]);
}

/** The monitoring drills of `--target aws`, in this order. */
export const monitoringDrills: readonly AwsDrill[] = [nobodyAnswers];
