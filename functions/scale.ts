import { type Decision, decide, type Observation, type Reading, type Tracked } from './decide.ts';
import type { Metrics, Settings } from './settings.ts';

/** The fields of a service that the scaler needs. */
export interface Service {
  /** Identifies the service for `tag`: in ECS its ARN, in Kubernetes the name of its autoscaler. */
  readonly arn: string;
  readonly name: string;
  /** ACTIVE; any other while it is being deleted and afterwards. */
  readonly status: string;
  readonly desired: number;
  readonly running: number;
  /** The count that the platform's own autoscaling keeps; undefined if it only adds tasks, or keeps no more than the scaler. */
  readonly keptByAutoscaling?: number | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * The calls that the scaler makes: those of AWS in aws.ts, those of Kubernetes and Prometheus in kubernetes.ts. `M` is what
 * names a metric. Each method rejects with the error of the call if it is refused.
 */
export interface Cloud<M> {
  /** The tag of a service that has the time of the last change, as ISO 8601 in UTC. */
  readonly lastChangeTag: string;
  /** The services of the cluster whose names begin with `prefix`. */
  findServices(cluster: string, prefix: string): Promise<Service[]>;
  /** The limits of the service's desired count; undefined if it has none, because its count is fixed. */
  bounds(cluster: string, service: string): Promise<{ min: number; max: number } | undefined>;
  /** The metrics that the platform's own autoscaling keeps at a target, except those with metric math, and those of `isOurs`. */
  tracked(cluster: string, service: string): Promise<TrackedMetric<M>[]>;
  /** The newest value of each metric; metrics without a value are absent. A minute lasts `minuteSeconds`. */
  read(metrics: Readonly<Record<string, M>>, now: Date, minuteSeconds: number): Promise<Record<string, Reading>>;
  tag(arn: string, key: string, value: string): Promise<void>;
  setDesired(cluster: string, service: string, desired: number): Promise<void>;
}

/** A metric per task, and its target. */
export interface TrackedMetric<M> extends Tracked {
  /** Is read with the other metrics; `reading` counts if it has no value, or is undefined. */
  readonly metric: M | undefined;
}

/** The result of one run, as logged. */
export interface Outcome {
  readonly service: string | undefined;
  readonly seen: Observation | undefined;
  readonly decision: Decision | undefined;
  readonly changed: boolean;
  readonly reason: string;
  /** What the settings name for `waiting` and `executing`, where it has no value. */
  readonly absent: Readonly<Record<string, unknown>>;
}

/**
 * Reads the state of the service and its metrics, decides, and changes the service's desired count by at most one. Two
 * runs must not overlap (on Lambda: reserved concurrency 1), because the second would not see the first one's change.
 * @throws {Error} the error of a call that is refused; or if more than one active service has the prefix
 */
export async function scale<M>(cloud: Cloud<M>, settings: Settings<M>, now: Date): Promise<Outcome> {
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
    ...present(Object.fromEntries(tracking.map(({ metric }, at) => [`tracked${at}`, metric]))),
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
    tracked: tracking.map(({ name, target, reading, isOurs = false }, at) => ({
      name,
      target,
      isOurs,
      reading: readings[`tracked${at}`] ?? reading,
    })),
    desired: service.desired,
    running: service.running,
    ...(service.keptByAutoscaling === undefined ? {} : { keptByAutoscaling: service.keptByAutoscaling }),
    ...bounds,
    sinceChangeMilliseconds: sinceChange(service.tags[cloud.lastChangeTag], now),
  };
  const decision = decide(seen, thresholds);
  const changed = decision.desired !== seen.desired;
  const { sinceChangeMilliseconds: since } = seen;
  // The tag comes first: if the update fails, there is an unnecessary cooldown, but never a change without one. A time that
  // is invalid or in the future is replaced as well, because it would prevent every change until then.
  if (changed || (since !== undefined && !(since >= 0))) {
    await cloud.tag(service.arn, cloud.lastChangeTag, now.toISOString());
  }
  if (changed) await cloud.setDesired(cluster, service.name, decision.desired);
  const { waiting, executing } = metrics;
  const absent = Object.fromEntries(
    Object.entries(present({ waiting, executing })).filter(([name]) => readings[name] === undefined),
  );
  return { service: service.name, seen, decision, changed, reason: decision.reason, absent };
}

function nothing(service: string | undefined, reason: string): Outcome {
  return { service, seen: undefined, decision: undefined, changed: false, reason, absent: {} };
}

function present<M>(metrics: Metrics<M> | Readonly<Record<string, M | undefined>>): Record<string, M> {
  const named: [string, M][] = [];
  for (const [name, metric] of Object.entries(metrics)) if (metric !== undefined) named.push([name, metric]);
  return Object.fromEntries(named);
}

function sinceChange(last: string | undefined, now: Date): number | undefined {
  return last === undefined ? undefined : now.getTime() - Date.parse(last);
}
