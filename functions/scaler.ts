import { awsCloud, type Cloud, type Service } from './aws.ts';
import { type Decision, decide, type Observation, type Reading } from './decide.ts';
import { type Metric, type Metrics, readSettings, type Settings } from './settings.ts';

/** The tag on the ECS service that has the time of the last change, as ISO 8601 in UTC. */
export const LAST_CHANGE_TAG = 'scaler:last-change';

/** The result of one run, as logged. */
export interface Outcome {
  readonly service: string | undefined;
  readonly seen: Observation | undefined;
  readonly decision: Decision | undefined;
  readonly changed: boolean;
  readonly reason: string;
}

/**
 * Reads the state of the service and its metrics, decides, and changes the service's desired count by at most one. Two
 * runs must not overlap (on Lambda: reserved concurrency 1), because the second would not see the first one's change.
 * @throws {Error} the SDK's error if AWS refuses a call; or if more than one active service has the prefix
 */
export async function scale(cloud: Cloud, settings: Settings, now: Date): Promise<Outcome> {
  const { cluster, servicePrefix, metrics, thresholds, minuteSeconds } = settings;
  const active = (await cloud.findServices(cluster, servicePrefix)).filter(({ status }) => status === 'ACTIVE');
  const [service] = active;
  if (service === undefined) {
    return nothing(
      undefined,
      `no change: no active service in ${cluster} has a name that begins with ${servicePrefix}`,
    );
  }
  if (active.length > 1) {
    const names = active.map(({ name }) => name).join(', ');
    throw new Error(`SCALER_SERVICE_PREFIX: ${servicePrefix} fits ${names}; make it longer, so that it fits one`);
  }
  const bounds = await cloud.bounds(cluster, service.name);
  if (bounds === undefined) {
    return nothing(service.name, 'no change: the service has no scalable target, so its count is fixed');
  }

  const tracking = await cloud.tracked(cluster, service.name);
  const asked = {
    ...present(metrics),
    ...Object.fromEntries(tracking.map(({ metric }, at) => [`tracked${at}`, metric])),
  };
  const readings = await cloud.read(asked, now, minuteSeconds);
  const response = readings.responseSeconds;
  const ofDatabase = (name: 'databasePercent' | 'databaseMilliseconds') =>
    metrics[name] === undefined ? 'none' : readings[name];
  const seen: Observation = {
    waiting: readings.waiting,
    executing: readings.executing,
    responseMilliseconds: response && { ...response, value: response.value * 1000 },
    databasePercent: ofDatabase('databasePercent'),
    databaseMilliseconds: ofDatabase('databaseMilliseconds'),
    tracked: tracking.map(({ metric, target }, at) => ({
      name: metric.name,
      target,
      reading: readings[`tracked${at}`] ?? noneOf(metric),
    })),
    desired: service.desired,
    running: service.running,
    ...bounds,
    sinceChangeMilliseconds: sinceChange(service, now),
  };
  const decision = decide(seen, thresholds);
  const changed = decision.desired !== seen.desired;
  const { sinceChangeMilliseconds: since } = seen;
  // The tag comes first: if the update fails, there is an unnecessary cooldown, but never a change without one. A time that
  // is invalid or in the future is replaced as well, because it would prevent every change until then.
  if (changed || (since !== undefined && !(since >= 0))) {
    await cloud.tag(service.arn, LAST_CHANGE_TAG, now.toISOString());
  }
  if (changed) await cloud.setDesired(cluster, service.name, decision.desired);
  return { service: service.name, seen, decision, changed, reason: decision.reason };
}

/** Kept between invocations, with its connections. */
let aws: Cloud | undefined;

/**
 * The Lambda function. It ignores the event: it does the same for a schedule and an alarm. It logs one line of JSON, and
 * throws if a call of AWS fails or the settings are invalid. The line is in CloudWatch's embedded metric format, for the
 * alarms on the scaler itself: `Failed` and `AtMaximum`, each 0 or 1, by `ServicePrefix`. `Failed` has no value if the
 * function did not run.
 */
export async function handler(): Promise<void> {
  try {
    const settings = readSettings(process.env);
    aws ??= awsCloud();
    const outcome = await scale(aws, settings, new Date());
    log('info', outcome, { Failed: 0, AtMaximum: outcome.decision?.isAtMaximum ? 1 : 0 });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
    log('error', { changed: false, reason: `the run failed: ${name}: ${message}` }, { Failed: 1 });
    throw error;
  }
}

function nothing(service: string | undefined, reason: string): Outcome {
  return { service, seen: undefined, decision: undefined, changed: false, reason };
}

/** ECS always measures running tasks. Other metrics have no value for a minute without requests, which means no load. */
function noneOf({ namespace }: Metric): Reading | undefined {
  return namespace === 'AWS/ECS' ? undefined : { value: 0, ageMilliseconds: 0 };
}

function present(metrics: Metrics): Record<string, Metric> {
  const named: [string, Metric][] = [];
  for (const [name, metric] of Object.entries(metrics)) if (metric !== undefined) named.push([name, metric]);
  return Object.fromEntries(named);
}

function sinceChange({ tags }: Service, now: Date): number | undefined {
  const last = tags[LAST_CHANGE_TAG];
  return last === undefined ? undefined : now.getTime() - Date.parse(last);
}

function log(level: 'info' | 'error', line: object, metrics: Readonly<Record<string, number>>): void {
  const now = new Date();
  const embedded = {
    Timestamp: now.getTime(),
    CloudWatchMetrics: [
      { Namespace: 'Scaler', Dimensions: [['ServicePrefix']], Metrics: Object.keys(metrics).map((Name) => ({ Name })) },
    ],
  };
  const ServicePrefix = process.env.SCALER_SERVICE_PREFIX ?? '';
  const whole = { level, time: now.toISOString(), ...line, ServicePrefix, ...metrics, _aws: embedded };
  process.stdout.write(`${JSON.stringify(whole)}\n`);
}

if (import.meta.main) {
  await handler().catch(() => {
    process.exitCode = 1;
  });
}
