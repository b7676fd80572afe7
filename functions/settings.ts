import * as z from 'zod';
import { DEFAULT_THRESHOLDS, type Thresholds } from './decide.ts';
import { reasonOf } from './reason.ts';

/** A CloudWatch metric, such as the Average of AWS/RDS CPUUtilization. */
export interface Metric {
  readonly namespace: string;
  readonly name: string;
  /** A statistic such as Average, or a percentile such as p99. */
  readonly statistic: string;
  readonly dimensions: Readonly<Record<string, string>>;
}

/** The metrics of a service that the scaler reads, if they are set. `M` names one: in CloudWatch a `Metric`, in Prometheus a query. */
export interface Metrics<M> {
  readonly waiting?: M | undefined;
  readonly executing?: M | undefined;
  /** In seconds, like the load balancer's TargetResponseTime. */
  readonly responseSeconds?: M | undefined;
  /** The CPU utilization of the database in percent; absent for a service without a database. */
  readonly databasePercent?: M | undefined;
  /** The 99th percentile of the duration of statements, in milliseconds. */
  readonly databaseMilliseconds?: M | undefined;
}

/** The validated settings of the scaler. */
export interface Settings<M> {
  /** The name of the ECS cluster; in Kubernetes the namespace. */
  readonly cluster: string;
  /** The beginning of the ECS service's name, since CloudFormation generates the end; in Kubernetes the autoscaler's name. */
  readonly servicePrefix: string;
  readonly metrics: Metrics<M>;
  readonly thresholds: Thresholds;
  /** The duration of a minute in seconds: 60, except for drills and for an emulator with a faster clock. */
  readonly minuteSeconds: number;
}

/** The settings of the scaler as a pod: its metrics are PromQL, in which `MINUTE` stands for a minute as a range. */
export interface PodSettings extends Settings<string> {
  readonly prometheus: string;
  /** PromQL of what no autoscaler measures, for the targets that the manifest has: per minute and pod, and in seconds. */
  readonly tracked: { readonly requests?: string | undefined; readonly responseSeconds?: string | undefined };
  /** The address of the API server, and the file with the token for it. */
  readonly kubernetes: string;
  readonly tokenFile: string;
  readonly port: number;
}

/** Invalid settings: one line for each. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

const metric = z.strictObject({
  namespace: z.string().min(1),
  name: z.string().min(1),
  statistic: z
    .string()
    .regex(
      /^(Average|Sum|Minimum|Maximum|p\d{1,2}(\.\d+)?)$/,
      'expected Average, Sum, Minimum, Maximum or a percentile such as p99',
    ),
  dimensions: z.record(z.string(), z.string()).default({}),
});

const metricsOf = <M extends z.ZodType<unknown>>(metric: M) =>
  z
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

/** The value of a JSON text. */
export const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: `not valid JSON: ${reasonOf(error)}` });
    return z.NEVER;
  }
});

const common = {
  SCALER_THRESHOLDS: json.pipe(thresholds).prefault('{}'),
  SCALER_MINUTE_SECONDS: z.coerce.number().int().min(1).max(60).default(60),
};
const variables = z.object({
  SCALER_CLUSTER: z.string().min(1),
  SCALER_SERVICE_PREFIX: z.string().min(1),
  SCALER_METRICS: json.pipe(metricsOf(metric)),
  ...common,
});
/** The errors of fetch show a user and a password. */
const address = z.url({ protocol: /^https?$/ }).regex(/^[^@]*$/, 'must have no user and no password');
const podVariables = z.object({
  SCALER_NAMESPACE: z.string().min(1),
  SCALER_AUTOSCALER: z.string().min(1),
  SCALER_METRICS: json.pipe(metricsOf(z.string().min(1))),
  SCALER_TRACKED: json
    .pipe(z.strictObject({ requests: z.string().optional(), responseSeconds: z.string().optional() }))
    .prefault('{}'),
  ...common,
  PROMETHEUS_URL: address,
  KUBERNETES_URL: address.default('https://kubernetes.default.svc'),
  KUBERNETES_TOKEN_FILE: z.string().default('/var/run/secrets/kubernetes.io/serviceaccount/token'),
  PORT: z.coerce.number().int().min(1).max(65535).default(8080),
});

/**
 * The settings in `environment`: SCALER_CLUSTER, SCALER_SERVICE_PREFIX, as JSON SCALER_METRICS and SCALER_THRESHOLDS (each
 * threshold has its default), and SCALER_MINUTE_SECONDS, which shortens the times like the emulator's minutes.
 * @throws {SettingsError} with each variable or field that is missing or invalid
 */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings<Metric> {
  const data = parsed(variables, environment);
  return { cluster: data.SCALER_CLUSTER, servicePrefix: data.SCALER_SERVICE_PREFIX, ...commonOf(data) };
}

/**
 * The settings of the scaler as a pod in `environment`: SCALER_NAMESPACE and SCALER_AUTOSCALER name the
 * HorizontalPodAutoscaler, SCALER_METRICS and SCALER_TRACKED have PromQL, and the others are as for `readSettings`.
 * @throws {SettingsError} with each variable or field that is missing or invalid
 */
export function readPodSettings(environment: Readonly<Record<string, string | undefined>>): PodSettings {
  const data = parsed(podVariables, environment);
  return {
    cluster: data.SCALER_NAMESPACE,
    servicePrefix: data.SCALER_AUTOSCALER,
    ...commonOf(data),
    tracked: data.SCALER_TRACKED,
    prometheus: data.PROMETHEUS_URL.replace(/\/$/, ''),
    kubernetes: data.KUBERNETES_URL.replace(/\/$/, ''),
    tokenFile: data.KUBERNETES_TOKEN_FILE,
    port: data.PORT,
  };
}

function parsed<S extends z.ZodType>(
  schema: S,
  environment: Readonly<Record<string, string | undefined>>,
): z.output<S> {
  const { success, data, error } = schema.safeParse(environment);
  if (success) return data;
  throw new SettingsError(error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
}

function commonOf<M>(data: {
  SCALER_METRICS: Metrics<M>;
  SCALER_THRESHOLDS: Thresholds;
  SCALER_MINUTE_SECONDS: number;
}) {
  return {
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
