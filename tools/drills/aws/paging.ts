import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { environmentExport } from '../../aws/cloud.ts';
import { readTarget } from '../../aws/command.ts';
import { currentScale, type Scale } from '../../aws/scaling.ts';
import { output } from '../../terminal/programs.ts';
import { nothingLost, observed } from '../assertions.ts';
import type { Drill } from '../drill.ts';
import { type AwsFixture, MINUTE_MILLISECONDS } from './fixture.ts';

const PAGE_MINUTES = 3;
/** How long is waited for what may be late, so that the report says how late. */
const WAIT_MINUTES = 10;

/** https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html */
const message = z.discriminatedUnion('Type', [
  z.object({ Type: z.literal('SubscriptionConfirmation'), TopicArn: z.string(), Token: z.string() }),
  z.object({ Type: z.literal('Notification'), Message: z.string() }),
]);
const alarm = z.object({
  AlarmName: z.string(),
  AlarmDescription: z.string(),
  NewStateValue: z.string(),
  StateChangeTime: z.string(),
});
type Page = z.output<typeof alarm> & { readonly at: number };

/** In the place of PagerDuty: confirms the subscription of `make pager` and keeps what it is sent. */
class Receiver {
  readonly pages: Page[] = [];
  readonly #server = createServer((request, response) => {
    this.#receive(request).then(
      () => response.end(),
      (error: unknown) => response.writeHead(400).end(String(error)),
    );
  });

  /** Its address, once it listens. */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  async #receive(request: IncomingMessage): Promise<void> {
    const received = message.parse(JSON.parse(await text(request)));
    if (received.Type === 'Notification') {
      this.pages.push({ at: Date.now(), ...alarm.parse(JSON.parse(received.Message)) });
    } else {
      const { TopicArn, Token } = received;
      await output('aws', ['sns', 'confirm-subscription', '--topic-arn', TopicArn, '--token', Token]);
    }
  }

  /** Waits for a page with this state; undefined if it does not come. */
  async await(state: 'ALARM' | 'OK'): Promise<Page | undefined> {
    const deadline = performance.now() + WAIT_MINUTES * MINUTE_MILLISECONDS;
    for (; performance.now() < deadline; await sleep(250)) {
      const found = this.pages.find(({ NewStateValue }) => NewStateValue === state);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** On the pages of one environment, until `end`. */
async function subscribe(fixture: AwsFixture, receiver: Receiver): Promise<{ end(): Promise<void> }> {
  const endpoint = await receiver.listen();
  const { code, output: said } = await fixture.workspace.run('tools/aws/pager.ts', [], { PAGER_ENDPOINT: endpoint });
  if (code !== 0) throw new Error(`make pager ended with ${code}: ${said}`);
  const topic = (await environmentExport(readTarget(process.env), 'PageTopic')) ?? '';
  return {
    async end() {
      const words = ['--topic-arn', topic, '--query', `Subscriptions[?Endpoint=='${endpoint}'].SubscriptionArn`];
      const arns = await output('aws', ['sns', 'list-subscriptions-by-topic', ...words, '--output', 'text']);
      for (const arn of arns.split(/\s+/).filter(Boolean)) {
        await output('aws', ['sns', 'unsubscribe', '--subscription-arn', arn]);
      }
    },
  };
}

/** What a person needs and the page does not have. */
function missingIn(page: Page | undefined): string {
  const has = {
    'what is wrong': page?.AlarmDescription.includes('no task is healthy'),
    'since when': !Number.isNaN(Date.parse(page?.StateChangeTime ?? '')),
    'the runbook': page?.AlarmDescription.includes('docs/runbook.md#outage'),
    'the dashboard': page?.AlarmDescription.includes('#dashboards/dashboard/'),
  };
  const missing = Object.entries(has).flatMap(([what, isThere]) => (isThere ? [] : [what]));
  return missing.length === 0 ? 'all of it' : `not ${missing.join(', ')}`;
}

/** Nobody answers, so a person is told: the chain from the load balancer's metric to the endpoint of `make pager`. */
export const nobodyAnswers: Drill<AwsFixture> = {
  name: 'nobody-answers',
  fault: 'The desired count of the service is 0, so that no task runs',
  assertions: [
    observed(
      'page',
      `A person is paged within ${PAGE_MINUTES} minutes of CloudWatch`,
      (value) => Number.parseFloat(String(value)) <= PAGE_MINUTES,
    ),
    observed(
      'content',
      'The page says what is wrong, since when, and where the runbook and the dashboard are',
      (value) => value === 'all of it',
    ),
    observed('pages', 'A person is paged once', (value) => value === 1),
    observed('resolved', 'The page resolves under the same name', (value) => value === 'resolved'),
    nothingLost,
  ],
  duration: { full: 0, quick: 0 },
  rate: 5,
  async prepare(fixture) {
    if (!fixture.isEmulated) return 'the receiver of the page is on this machine, which only an emulator reaches';
    const target = readTarget(process.env);
    const before = await currentScale(target);
    if (before === undefined) return `${target.environment} has no service`;
    const receiver = new Receiver();
    fixture.defer(() => receiver.close());
    const subscription = await subscribe(fixture, receiver);
    fixture.defer(() => subscription.end());
    return {
      async begin({ observations }) {
        const from = Date.now();
        fixture.defer(() => setDesired(before, before.desired));
        await setDesired(before, 0);
        const page = await receiver.await('ALARM');
        const minutes = ((page?.at ?? 0) - from) / MINUTE_MILLISECONDS;
        observations.page = page === undefined ? 'no page' : `${minutes.toFixed(1)} minutes`;
        observations.content = missingIn(page);
      },
      async end({ observations }) {
        await setDesired(before, before.desired);
        const resolved = await receiver.await('OK');
        const alarms = receiver.pages.filter(({ NewStateValue }) => NewStateValue === 'ALARM');
        observations.pages = alarms.length;
        const [first] = alarms;
        observations.resolved =
          resolved !== undefined && resolved.AlarmName === first?.AlarmName
            ? 'resolved'
            : (resolved?.AlarmName ?? 'never');
      },
    };
  },
};

async function setDesired({ cluster, service }: Scale, count: number): Promise<void> {
  const words = ['--cluster', cluster, '--service', service, '--desired-count', String(count)];
  await output('aws', ['ecs', 'update-service', ...words]);
}
