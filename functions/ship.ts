import { setTimeout as sleep } from 'node:timers/promises';
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import * as z from 'zod';
import { credentialsIn, signed } from './aws-signature.ts';
import { type Outcome, ship, type World } from './delivery.ts';
import {
  type Answer,
  type Destination,
  type DestinationRequest,
  datadog,
  newRelic,
  openSearch,
} from './destinations.ts';
import { readLogEvents } from './log-events.ts';
import { type Found, type LogSearch, readFound, searchEvent, searchRequest } from './log-search.ts';
import { preparations } from './search-index.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Invalid settings: one line for each. */
export class ShipSettingsError extends Error {
  override readonly name = 'ShipSettingsError';
}

/** Some events were not stored. Lambda retries the whole invocation, and finally sends it to the dead-letter queue. */
export class ShippingFailed extends Error {
  override readonly name = 'ShippingFailed';
}

const VENDORS = {
  datadog: { create: datadog, endpoint: 'https://http-intake.logs.datadoghq.com' },
  newrelic: { create: newRelic, endpoint: 'https://log-api.newrelic.com' },
} as const;

const url = z
  .url({ protocol: /^https?$/, error: 'must be a URL such as https://vpc-logs.us-west-2.es.amazonaws.com' })
  // The errors of fetch show them.
  .regex(/^[^@]*$/, 'must have no user and no password');
const variables = z.object({
  LOGS_TO: z.enum(['opensearch', 'datadog', 'newrelic'], { error: 'must be opensearch, datadog or newrelic' }),
  LOGS_NAME: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'must be a name such as plusone-test, in lower case'),
  LOGS_ENDPOINT: url.optional(),
  LOGS_KEY_PARAMETER: z
    .string()
    .startsWith('/', 'must be the name of an SSM parameter, which begins with /')
    .optional(),
  LOGS_RETENTION_DAYS: z.coerce.number('must be a whole number').int().min(1).max(3650).default(30),
});

/** The timeout of a request, and the time of an invocation that is reserved for its end. */
const REQUEST_MILLISECONDS = 10_000;
const RESERVE_MILLISECONDS = 3_000;

let destination: Promise<Destination> | undefined;

/**
 * The Lambda function: stores the log events of a CloudWatch Logs subscription, or of the dead-letter queue, in the
 * destination that LOGS_TO names. Logs one line of JSON per invocation, with its metrics (CloudWatch's embedded metric format).
 * An event with `search` searches lines instead: only this function can reach the domain, which is in the VPC.
 * @throws {ShippingFailed} if an event was not stored, so that Lambda retries
 * @throws {UnreadableEvent} if the event contains no log events
 * @throws {ShipSettingsError} with each invalid variable, or with the key that cannot be read
 */
export async function handler(
  event: unknown,
  context: { getRemainingTimeInMillis(): number },
): Promise<Found | undefined> {
  const world = createWorld(() => context.getRemainingTimeInMillis() - RESERVE_MILLISECONDS);
  const asked = searchEvent.safeParse(event);
  if (asked.success) return await search(asked.data.search, world);
  const events = readLogEvents(event);
  if (events.length === 0) return undefined;
  destination ??= createDestination(process.env, world);
  let outcome: Outcome;
  try {
    outcome = await ship(events, await destination, world);
  } catch (error) {
    destination = undefined;
    throw error;
  }
  report(process.env.LOGS_NAME ?? '', outcome);
  const [first] = outcome.failed;
  if (first === undefined) return undefined;
  // Read the key and create the index template again: either may be the cause.
  destination = undefined;
  throw new ShippingFailed(`${outcome.failed.length} of ${events.length} log events are not stored: ${first.reason}`);
}

async function search(asked: LogSearch, world: World): Promise<Found> {
  const { LOGS_ENDPOINT: endpoint, LOGS_NAME: name = '', LOGS_TO: to } = process.env;
  if (to !== 'opensearch' || !endpoint)
    throw new ShipSettingsError(`LOGS_TO is ${to}; only opensearch is searched here`);
  return readFound(await world.send(searchRequest(endpoint, name, asked)));
}

async function createDestination(environment: Environment, world: World): Promise<Destination> {
  const { success, data, error } = variables.safeParse(environment);
  if (!success) {
    throw new ShipSettingsError(error.issues.map(({ path, message }) => `${path.join('.')} ${message}`).join('\n'));
  }
  const { LOGS_TO: to, LOGS_NAME: name, LOGS_ENDPOINT: endpoint, LOGS_RETENTION_DAYS: days } = data;
  if (to === 'opensearch') {
    if (endpoint === undefined) throw new ShipSettingsError('LOGS_ENDPOINT is missing: the address of the domain');
    await prepare(preparations(endpoint, name, days), world);
    return openSearch(endpoint, name);
  }
  const parameter = data.LOGS_KEY_PARAMETER;
  if (parameter === undefined) {
    throw new ShipSettingsError(`LOGS_KEY_PARAMETER is missing: the name of the SSM parameter that holds ${to}'s key`);
  }
  const vendor = VENDORS[to];
  return vendor.create(endpoint ?? vendor.endpoint, name, await readKey(parameter));
}

/** Logs are stored without them too, so a failure is only logged. */
async function prepare(requests: readonly DestinationRequest[], world: World): Promise<void> {
  for (const request of requests) {
    const { pathname } = new URL(request.url);
    try {
      const { status } = await world.send(request);
      // 409: the policy exists.
      if (status >= 300 && status !== 409) say('warn', `PUT ${pathname} was answered with ${status}`);
    } catch (error) {
      say('warn', `PUT ${pathname} had no answer: ${error instanceof Error ? error.message : error}`);
    }
  }
}

async function readKey(parameter: string): Promise<string> {
  try {
    const answer = await new SSMClient().send(new GetParameterCommand({ Name: parameter, WithDecryption: true }));
    const key = answer.Parameter?.Value?.trim();
    if (!key) throw new Error('it is empty');
    // The error of a header that has others would show it.
    if (!/^[!-~]+$/.test(key)) throw new Error('it has spaces, line breaks or other characters that no key has');
    return key;
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
    throw new ShipSettingsError(`the key at the SSM parameter ${parameter} cannot be read: ${name}: ${message}`);
  }
}

function createWorld(remaining: () => number): World {
  return {
    remaining,
    sleep: (milliseconds) => sleep(milliseconds),
    async send(request): Promise<Answer> {
      const credentials = process.env.LOGS_TO === 'opensearch' ? credentialsIn(process.env) : undefined;
      const { method, url, headers, body } =
        credentials === undefined ? request : await signed(request, credentials, process.env.AWS_REGION ?? '');
      const signal = AbortSignal.timeout(Math.max(1, Math.min(REQUEST_MILLISECONDS, remaining())));
      // Elsewhere the key must not go, and what answers there stores nothing.
      const response = await fetch(url, { method, headers, body, signal, redirect: 'manual' });
      return { status: response.status, body: await response.text() };
    },
  };
}

const METRICS = {
  LogEventsStored: (outcome: Outcome) => outcome.stored,
  LogEventsStoredAgain: (outcome: Outcome) => outcome.again,
  LogEventsStoredPlain: (outcome: Outcome) => outcome.plain,
  LogEventsFailed: (outcome: Outcome) => outcome.failed.length,
} as const;

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
function report(name: string, outcome: Outcome): void {
  const reasons = [...new Set(outcome.failed.map(({ reason }) => reason))].slice(0, 5);
  say(outcome.failed.length === 0 ? 'info' : 'error', 'log events shipped', {
    Logs: name,
    ...Object.fromEntries(Object.entries(METRICS).map(([metric, read]) => [metric, read(outcome)])),
    retries: outcome.retries,
    ...(reasons.length > 0 ? { reasons, ids: outcome.failed.slice(0, 20).map(({ id }) => id) } : {}),
    _aws: {
      Timestamp: Date.now(),
      CloudWatchMetrics: [
        {
          Namespace: 'Plusone',
          Dimensions: [['Logs']],
          Metrics: Object.keys(METRICS).map((Name) => ({ Name, Unit: 'Count' })),
        },
      ],
    },
  });
}

function say(level: 'info' | 'warn' | 'error', msg: string, more: object = {}): void {
  process.stdout.write(`${JSON.stringify({ level, time: new Date().toISOString(), msg, ...more })}\n`);
}
