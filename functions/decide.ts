/** One measured value and how old it is. */
export interface Reading {
  readonly value: number;
  /** Since the end of the period that was measured. */
  readonly ageMilliseconds: number;
}

/** The state of a service at one moment. A reading is undefined if there is none. */
export interface Observation {
  /** Requests or jobs whose processing has not started. */
  readonly waiting: Reading | undefined;
  /** Requests or jobs that are being processed. */
  readonly executing: Reading | undefined;
  /** The 99th percentile of the response time, in milliseconds. */
  readonly responseMilliseconds: Reading | undefined;
  /** The CPU utilization of the database in percent; 'none' if it is not measured, for example without a database. */
  readonly databasePercent: Reading | 'none' | undefined;
  /** The 99th percentile of the duration of statements, in milliseconds; 'none' if it is not measured. */
  readonly databaseMilliseconds: Reading | 'none' | undefined;
  /** The metrics of the service's target tracking policies, and those that the scaler tracks itself. */
  readonly tracked: readonly Tracked[];
  /** The desired count of the service. */
  readonly desired: number;
  /** The number of running tasks. */
  readonly running: number;
  /** The count that the platform's own autoscaling keeps, if it also removes tasks and keeps more than the scaler. */
  readonly keptByAutoscaling?: number | undefined;
  readonly min: number;
  readonly max: number;
  /** The time since the scaler last changed `desired`, in either direction; undefined if it never did. */
  readonly sinceChangeMilliseconds: number | undefined;
}

/** A metric per task that is to be kept at a target. */
export interface Tracked {
  readonly name: string;
  readonly target: number;
  /** No policy of the platform adds tasks for it, so the scaler does. */
  readonly isOurs?: boolean;
  /** 0 for a count without a value. */
  readonly reading: Reading | undefined;
}

/** When to add a task and when to remove one. Between `out` and `in` nothing changes, so that the count does not oscillate. */
export interface Thresholds {
  /** Waiting ÷ executing: a task is added above `out` and removed below `in`. */
  readonly waitingPerExecuting: { readonly out: number; readonly in: number };
  /** A task is added above `out`, even if nothing waits; none is removed unless the response time is below `in`. */
  readonly responseMilliseconds: { readonly out: number; readonly in: number };
  /** At or above this CPU utilization the database is the bottleneck, and no task is added. */
  readonly databasePercent: number;
  /** The same for the duration of statements. */
  readonly databaseMilliseconds: number;
  /** The minimum time from any change to the next one out or in. */
  readonly cooldownMilliseconds: { readonly out: number; readonly in: number };
  /** Older readings are ignored. */
  readonly maximumAgeMilliseconds: number;
}

/**
 * The cooldowns are those of `count` in copilot/plusone/manifest.yml; 500 ms and the database's 80 % are those of the
 * alarms Slow and DatabaseBusy in tools/alerts/alarms.ts. 3 and 1 are Plusone's own: three waiting per executing is more
 * than a short burst, and with less than one waiting per executing, the backlog is gone after one more round. A statement
 * by primary key takes about a millisecond. A service reports three times a minute: if one of the three values is 500 ms
 * and explains the minute's p99, their average is above 150. Three minutes are one period of CloudWatch and its delay.
 */
export const DEFAULT_THRESHOLDS: Thresholds = {
  waitingPerExecuting: { out: 3, in: 1 },
  responseMilliseconds: { out: 500, in: 250 },
  databasePercent: 80,
  databaseMilliseconds: 150,
  cooldownMilliseconds: { out: 30_000, in: 120_000 },
  maximumAgeMilliseconds: 180_000,
};

export interface Decision {
  /** The new desired count: unchanged, or one more, or one fewer. */
  readonly desired: number;
  /** The direction that the readings indicate, even if bounds, cooldown or database prevent it. */
  readonly indicated: 'out' | 'in' | 'none';
  /** Why it changes or does not, as text. */
  readonly reason: string;
  /** More tasks would help, and only the maximum prevents them. */
  readonly isAtMaximum: boolean;
}

/** Target tracking adds a task above its target; after a task is removed, the metric must stay below this share of it. */
const TRACKED_SHARE = 0.9;

/**
 * Decides the desired count of a service by the number of waiting requests or jobs per executing one and by the response
 * time. Pure: equal observations lead to equal decisions. It changes one task at a time, within `min` and `max`; never out
 * while the database is the bottleneck (more tasks only add to its load), never in if target tracking would add the task
 * again, and never on readings that are absent, stale or invalid. A `desired` outside the bounds was set by someone else,
 * for example an operator who stopped the service, and is left unchanged.
 */
export function decide(seen: Observation, thresholds: Thresholds = DEFAULT_THRESHOLDS): Decision {
  const { indicated, reason } = indicate(seen, thresholds);
  const prevented = indicated === 'none' ? undefined : obstacle(indicated, seen, thresholds);
  return {
    desired: seen.desired + (prevented === undefined ? STEPS[indicated] : 0),
    indicated,
    reason: prevented === undefined ? reason : `${reason}; no change: ${prevented}`,
    isAtMaximum: indicated === 'out' && seen.desired === seen.max && databaseObstacle(seen, thresholds) === undefined,
  };
}

const STEPS = { out: 1, in: -1, none: 0 };

type Indication = Pick<Decision, 'indicated' | 'reason'>;

function indicate(seen: Observation, thresholds: Thresholds): Indication {
  // A list, since a metric of target tracking may have any name.
  const invalid = [
    { name: 'waiting', reading: seen.waiting },
    { name: 'executing', reading: seen.executing },
    { name: 'response time', reading: seen.responseMilliseconds },
    { name: 'database CPU', reading: seen.databasePercent },
    { name: 'statement duration', reading: seen.databaseMilliseconds },
    ...seen.tracked,
  ].find(({ reading }) => reading !== undefined && reading !== 'none' && !isValid(reading));
  if (invalid) {
    return { indicated: 'none', reason: `no change: invalid reading of ${invalid.name}: ${show(invalid.reading)}` };
  }

  const limit = thresholds.maximumAgeMilliseconds;
  const waiting = fresh(seen.waiting, limit);
  const executing = fresh(seen.executing, limit);
  const response = fresh(seen.responseMilliseconds, limit);
  const { waitingPerExecuting, responseMilliseconds } = thresholds;

  if (response !== undefined && response > responseMilliseconds.out) {
    return { indicated: 'out', reason: `p99 is ${round(response)} ms, above ${responseMilliseconds.out}` };
  }
  for (const { name, target, reading, isOurs = false } of seen.tracked) {
    const value = fresh(reading, limit);
    if (isOurs && value !== undefined && value > target)
      return { indicated: 'out', reason: `${name}: ${round(value)}, above the target of ${target}` };
  }
  if (waiting === undefined || executing === undefined) {
    const missing = waiting === undefined ? 'waiting' : 'executing';
    const how = seen[missing] === undefined ? 'absent' : 'stale';
    const calm =
      response === undefined ? '' : `p99 is ${round(response)} ms, not above ${responseMilliseconds.out}, and `;
    return { indicated: 'none', reason: `no change: ${calm}the reading of ${missing} is ${how}` };
  }
  // If nothing is executing, divide by 1: the ratio stays finite and monotone.
  const ratio = waiting / Math.max(executing, 1);
  const told = `${round(ratio)} waiting per executing`;
  if (ratio > waitingPerExecuting.out) {
    return { indicated: 'out', reason: `${told}, above ${waitingPerExecuting.out}` };
  }
  if (ratio >= waitingPerExecuting.in)
    return { indicated: 'none', reason: `no change: ${told}, between the thresholds` };
  if (response !== undefined && response >= responseMilliseconds.in) {
    const { in: low } = responseMilliseconds;
    return { indicated: 'none', reason: `no change: ${told}, but p99 is ${round(response)} ms, not below ${low}` };
  }
  return { indicated: 'in', reason: `${told}, below ${waitingPerExecuting.in}` };
}

/** Why the change is not possible now; undefined if it is. */
function obstacle(direction: 'out' | 'in', seen: Observation, thresholds: Thresholds): string | undefined {
  const { desired, running, min, max, sinceChangeMilliseconds: since } = seen;
  if (![desired, running, min, max].every((count) => Number.isSafeInteger(count) && count >= 0) || min > max) {
    return `invalid counts: desired ${desired}, running ${running}, min ${min}, max ${max}`;
  }
  if (min === max) return `min and max are both ${min}`;
  if (desired < min || desired > max) return `desired ${desired} was set outside of ${min} to ${max} by someone else`;
  const database = direction === 'out' ? databaseObstacle(seen, thresholds) : undefined;
  if (database !== undefined) return database;
  if (direction === 'out' && desired === max) return `already at the maximum of ${max}`;
  if (direction === 'in' && desired === min) return `already at the minimum of ${min}`;
  if (since !== undefined && !(since >= 0)) return 'the time of the last change is invalid or in the future';
  const cooldown = thresholds.cooldownMilliseconds[direction];
  if (since !== undefined && since < cooldown) {
    return `cooldown: the last change was ${round(since / 1000)} s ago, ${cooldown / 1000} s must pass`;
  }
  if (direction === 'out') {
    return running < desired ? `only ${running} of ${desired} tasks run yet` : undefined;
  }
  if (running > desired) return `${running} tasks still run, ${desired} are desired`;
  const { keptByAutoscaling: kept } = seen;
  if (kept !== undefined && desired <= kept) return `the autoscaler itself still keeps ${kept}`;
  return trackingObstacle(seen, thresholds);
}

/**
 * Why the database prevents adding a task: one of its readings is too high, or there is no usable one. A high response time
 * is explained by the statements of the same time, or if there is no such reading, by the CPU of that time.
 */
function databaseObstacle(seen: Observation, thresholds: Thresholds): string | undefined {
  const { databasePercent, databaseMilliseconds, maximumAgeMilliseconds } = thresholds;
  const measured = [
    { what: 'the p99 of statements is', unit: 'ms', limit: databaseMilliseconds, reading: seen.databaseMilliseconds },
    { what: 'its CPU is at', unit: '%', limit: databasePercent, reading: seen.databasePercent },
  ].flatMap(({ reading, ...rest }) => (reading === 'none' ? [] : [{ ...rest, reading }]));
  if (measured.length === 0) return undefined;
  const known = measured.flatMap(({ reading, ...rest }) =>
    reading !== undefined && fresh(reading, maximumAgeMilliseconds) !== undefined ? [{ ...rest, ...reading }] : [],
  );
  const [first] = known;
  if (first === undefined) {
    const how = measured.every(({ reading }) => reading === undefined) ? 'absent' : 'stale';
    return `the load of the database is unknown: its readings are ${how}`;
  }
  const high = known.find(({ value, limit }) => value >= limit);
  if (high !== undefined) {
    return `the database is the bottleneck: ${high.what} ${round(high.value)} ${high.unit}, not below ${high.limit}; more tasks would add to its load`;
  }
  const response = seen.responseMilliseconds;
  const isSlow = (fresh(response, maximumAgeMilliseconds) ?? 0) > thresholds.responseMilliseconds.out;
  return isSlow && response !== undefined && first.ageMilliseconds > response.ageMilliseconds
    ? 'the readings of the database are older than the p99'
    : undefined;
}

/** Why target tracking prevents removing a task: with one task fewer, it would soon add it again. */
function trackingObstacle({ tracked, desired }: Observation, thresholds: Thresholds): string | undefined {
  for (const { name, target, reading } of tracked) {
    const value = fresh(reading, thresholds.maximumAgeMilliseconds);
    if (value === undefined) return `the reading of ${name} is ${reading === undefined ? 'absent' : 'stale'}`;
    // Without a task, any load is too high.
    const after = value === 0 ? 0 : (value * desired) / (desired - 1);
    if (after >= target * TRACKED_SHARE) {
      return `${name} would rise from ${round(value)} to ${round(after)} per task, and target tracking keeps it at ${target}`;
    }
  }
  return undefined;
}

/** Also false for a negative age: the clock has jumped, or the reading is from the future. */
function isValid({ value, ageMilliseconds }: Reading): boolean {
  return Number.isFinite(value) && value >= 0 && Number.isFinite(ageMilliseconds) && ageMilliseconds >= 0;
}

function fresh(reading: Reading | undefined, maximumAge: number): number | undefined {
  return reading && reading.ageMilliseconds <= maximumAge ? reading.value : undefined;
}

function show(reading: Reading | 'none' | undefined): string {
  return typeof reading === 'object' ? `${reading.value}, ${reading.ageMilliseconds} ms old` : String(reading);
}

const round = (value: number) => Math.round(value * 100) / 100;
