import * as z from 'zod';
import { DEFAULT_THRESHOLDS, type Thresholds } from './decide.ts';

/** A CloudWatch metric, such as the Average of AWS/RDS CPUUtilization. */
export interface Metric {
  readonly namespace: string;
  readonly name: string;
  /** A statistic such as Average, or a percentile such as p99. */
  readonly statistic: string;
  readonly dimensions: Readonly<Record<string, string>>;
}

/** The metrics of a service that the scaler reads, if they are set. */
export interface Metrics {
  readonly waiting?: Metric | undefined;
  readonly executing?: Metric | undefined;
  /** In seconds, like the load balancer's TargetResponseTime. */
  readonly responseSeconds?: Metric | undefined;
  /** The CPU utilization of the database in percent; absent for a service without a database. */
  readonly databasePercent?: Metric | undefined;
  /** The 99th percentile of the duration of statements, in milliseconds. */
  readonly databaseMilliseconds?: Metric | undefined;
}

/** The validated settings of the scaler. */
export interface Settings {
  /** The name of the ECS cluster. */
  readonly cluster: string;
  /** The beginning of the ECS service's name; CloudFormation generates the end. */
  readonly servicePrefix: string;
  readonly metrics: Metrics;
  readonly thresholds: Thresholds;
  /** The duration of a CloudWatch minute in seconds: 60, except for an emulator with a faster clock. */
  readonly minuteSeconds: number;
}

/** Invalid settings: one line for each. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

const metric = z.strictObject({
  namespace: z.string().min(1),
  name: z.string().min(1),
  statistic: z.string().regex(/^(Average|Sum|Minimum|Maximum|p\d{1,2}(\.\d+)?)$/, 'a statistic such as Average or p99'),
  dimensions: z.record(z.string(), z.string()).default({}),
});

const metrics = z
  .strictObject({
    waiting: metric.optional(),
    executing: metric.optional(),
    responseSeconds: metric.optional(),
    databasePercent: metric.optional(),
    databaseMilliseconds: metric.optional(),
  })
  .refine(
    ({ waiting, executing }) => (waiting === undefined) === (executing === undefined),
    'waiting and executing go together: set both or neither',
  )
  .refine(
    ({ waiting, responseSeconds }) => waiting !== undefined || responseSeconds !== undefined,
    'set waiting and executing, or responseSeconds, or all three',
  );

const positive = z.number().positive();
const limits = (defaults: Thresholds['waitingPerExecuting']) =>
  z
    .strictObject({ out: positive.default(defaults.out), in: positive.default(defaults.in) })
    .refine((pair) => pair.in < pair.out, 'in must be below out, or a steady load would add and remove in turn')
    .prefault({});
const milliseconds = z.int().nonnegative();

const thresholds = z.strictObject({
  waitingPerExecuting: limits(DEFAULT_THRESHOLDS.waitingPerExecuting),
  responseMilliseconds: limits(DEFAULT_THRESHOLDS.responseMilliseconds),
  databasePercent: positive.max(100).default(DEFAULT_THRESHOLDS.databasePercent),
  databaseMilliseconds: positive.default(DEFAULT_THRESHOLDS.databaseMilliseconds),
  cooldownMilliseconds: z
    .strictObject({
      out: milliseconds.default(DEFAULT_THRESHOLDS.cooldownMilliseconds.out),
      in: milliseconds.default(DEFAULT_THRESHOLDS.cooldownMilliseconds.in),
    })
    .prefault({}),
  maximumAgeMilliseconds: milliseconds.default(DEFAULT_THRESHOLDS.maximumAgeMilliseconds),
});

const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'not valid JSON' });
    return z.NEVER;
  }
});

const variables = z.object({
  SCALER_CLUSTER: z.string().min(1),
  SCALER_SERVICE_PREFIX: z.string().min(1),
  SCALER_METRICS: json.pipe(metrics),
  SCALER_THRESHOLDS: json.pipe(thresholds).prefault('{}'),
  SCALER_MINUTE_SECONDS: z.coerce.number().int().min(1).max(60).default(60),
});

/**
 * The settings in `environment`: SCALER_CLUSTER, SCALER_SERVICE_PREFIX, as JSON SCALER_METRICS and SCALER_THRESHOLDS (each
 * threshold has its default), and SCALER_MINUTE_SECONDS, which shortens the times like the emulator's minutes.
 * @throws {SettingsError} with each variable or field that is missing or invalid
 */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const { success, data, error } = variables.safeParse(environment);
  if (!success) {
    throw new SettingsError(error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
  }
  return {
    cluster: data.SCALER_CLUSTER,
    servicePrefix: data.SCALER_SERVICE_PREFIX,
    metrics: data.SCALER_METRICS,
    thresholds: shortened(data.SCALER_THRESHOLDS, data.SCALER_MINUTE_SECONDS / 60),
    minuteSeconds: data.SCALER_MINUTE_SECONDS,
  };
}

function shortened(thresholds: Thresholds, factor: number): Thresholds {
  const { cooldownMilliseconds: cooldown, maximumAgeMilliseconds } = thresholds;
  return {
    ...thresholds,
    cooldownMilliseconds: { out: cooldown.out * factor, in: cooldown.in * factor },
    maximumAgeMilliseconds: maximumAgeMilliseconds * factor,
  };
}
