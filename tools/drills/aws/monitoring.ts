/** The drills of monitoring on an emulator of AWS: a page when nobody answers, and logs that arrive in OpenSearch. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { aws, environmentExport, environmentStack, serviceStack } from '../../aws/cloud.ts';
import { readTarget } from '../../aws/command.ts';
import { currentScale } from '../../aws/scaling.ts';
import { output } from '../../terminal/programs.ts';
import { nothingFails, nothingLost, observed } from '../assertions.ts';
import type { Drill, Run } from '../drill.ts';
import type { AwsFixture } from './fixture.ts';

type AwsDrill = Drill<AwsFixture>;

const RATE = 10;
/** An emulator can shorten CloudWatch's minute; the seconds are in CLOUDWATCH_MINUTE. */
const MINUTE_SECONDS = Number(process.env.CLOUDWATCH_MINUTE || 60);
const PAGE_MINUTES = 3;
const WAIT_MINUTES = 10;
const ARRIVAL_SECONDS = 60;

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

/** The most lines that the function returns. */
const MOST_LINES = 1_000;

const logsArrive: AwsDrill = {
  name: 'logs-arrive',
  fault: 'The log shipper loses its domain: OpenSearch is stopped (SIGSTOP) while the service writes its log',
  assertions: [
    observed('arrived', `The line of every request is found, within ${ARRIVAL_SECONDS} s of the last`, (value) =>
      /^(\d+) of \1 after/.test(String(value)),
    ),
    observed('twice', 'No line is stored twice', (value) => value === 0),
    nothingFails,
  ],
  duration: { full: 30, quick: 10 },
  rate: RATE,
  async prepare(fixture) {
    const target = readTarget(process.env);
    if (!fixture.isEmulated) return 'it stops the domain, which only an emulator lets it';
    if ((await environmentExport(target, 'LogShipper')) === undefined)
      return 'LogsTo in addons.parameters.yml is none; it must be opensearch';
    const words = ['ps', '--filter', 'ancestor=opensearchproject/opensearch:2.19.6', '--format', '{{.Names}}'];
    const [domain] = (await output('docker', words)).split('\n').filter(Boolean);
    if (domain === undefined) return 'the container of the domain was not found';
    const signal = (name: string) => output('docker', ['kill', '--signal', name, domain]);
    let current: Run | undefined;
    return {
      async begin(run) {
        current = run;
        await signal('STOP');
      },
      end: () => signal('CONT'),
      async settle() {
        if (current === undefined) return;
        const { load, observations } = current;
        const ids = new Set(load.answers.flatMap(({ requestId }) => requestId ?? []));
        const from = Date.now();
        for (;;) {
          const lines = await search(`${environmentStack(target)}-log-shipper`);
          const found = lines.flatMap(({ requestId }) => (ids.has(`${requestId}`) ? `${requestId}` : []));
          const seconds = (Date.now() - from) / 1000;
          observations.arrived = `${new Set(found).size} of ${ids.size} after ${seconds.toFixed(1)} s`;
          observations.twice = found.length - new Set(found).size;
          if (new Set(found).size === ids.size || seconds > ARRIVAL_SECONDS) return;
          await sleep(1_000);
        }
      },
    };
  },
};

/** The lines of requests of the last minutes, as `make search` finds them. */
async function search(name: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const folder = mkdtempSync(join(tmpdir(), 'plusone-drill-'));
  try {
    const [payload, file] = [join(folder, 'search.json'), join(folder, 'found.json')];
    writeFileSync(payload, JSON.stringify({ search: { query: 'msg:request', minutes: 5, size: MOST_LINES } }));
    await output('aws', ['lambda', 'invoke', '--function-name', name, '--payload', `fileb://${payload}`, file]);
    const found = z.object({ lines: z.array(z.record(z.string(), z.unknown())) });
    return found.parse(JSON.parse(readFileSync(file, 'utf8'))).lines;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The monitoring drills of `--target aws`, in this order. */
export const monitoringDrills: readonly AwsDrill[] = [nobodyAnswers, logsArrive];
