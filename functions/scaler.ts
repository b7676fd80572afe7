import { awsCloud } from './aws.ts';
import { type Cloud, scale } from './scale.ts';
import { type Metric, readSettings } from './settings.ts';

/** Kept between invocations, with its connections. */
let aws: Cloud<Metric> | undefined;

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
