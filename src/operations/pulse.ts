import { performance, type RecordableHistogram } from 'node:perf_hooks';
import type { PulseSettings } from '../config.ts';
import type { StoreStatistics } from '../database/store.ts';
import type { Logger } from './logging.ts';

const NAMESPACE = 'Plusone';
const SAMPLE_MILLISECONDS = 1_000;

/**
 * Every `settings.seconds`, logs one line in CloudWatch's embedded metric format, which CloudWatch Logs turns into metrics
 * by itself (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html):
 *
 * - `Waiting`: requests that wait for a statement to begin, the mean of one sample a second.
 * - `Executing`: requests whose statement is running, likewise.
 * - `DatabaseMilliseconds`: the 99th percentile of the duration of statements, times the share of the time in which the
 *   event loop was idle; 0 without statements. A percentile, since it explains a percentile: between pauses of the
 *   database most statements are fast, and the mean hides the slow ones. When the process itself has too little CPU,
 *   statements seem slow because their answers wait for the event loop. While the loop is idle, there is nothing to wait
 *   for but the database.
 *
 * The time of the metrics is the beginning of what they describe, so that they belong to the same minute as other metrics of
 * it. The line is written at every log level. `durations` has those of statements in milliseconds, and each line resets
 * it. Gives back a function that ends it.
 */
export function startPulse(
  settings: PulseSettings,
  statistics: () => StoreStatistics,
  durations: RecordableHistogram,
  log: Logger,
): () => void {
  const { seconds, dimensions } = settings;
  // A warning's level would leave the scaler without its indicator.
  const always = log.child({}, { level: 'info' });
  let samples = 0;
  let waiting = 0;
  let executing = 0;
  let loopBefore = performance.eventLoopUtilization();
  let began = Date.now();

  function sample(): void {
    const now = statistics();
    samples += 1;
    waiting += now.reads + now.writes - now.executing;
    executing += now.executing;
  }

  function beat(): void {
    if (samples === 0) sample();
    const loop = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(loop, loopBefore);
    always.info(
      {
        _aws: {
          Timestamp: began,
          CloudWatchMetrics: [
            {
              Namespace: NAMESPACE,
              Dimensions: [Object.keys(dimensions)],
              Metrics: [
                { Name: 'Waiting', Unit: 'Count' },
                { Name: 'Executing', Unit: 'Count' },
                { Name: 'DatabaseMilliseconds', Unit: 'Milliseconds' },
              ],
            },
          ],
        },
        ...dimensions,
        Waiting: rounded(waiting / samples),
        Executing: rounded(executing / samples),
        DatabaseMilliseconds: rounded(durations.count === 0 ? 0 : durations.percentile(99) * (1 - utilization)),
      },
      'pulse',
    );
    samples = 0;
    waiting = 0;
    executing = 0;
    durations.reset();
    loopBefore = loop;
    began = Date.now();
  }

  const sampling = setInterval(sample, SAMPLE_MILLISECONDS);
  const beating = setInterval(beat, seconds * 1000);
  sampling.unref();
  beating.unref();
  return () => {
    clearInterval(sampling);
    clearInterval(beating);
  };
}

const rounded = (value: number) => Math.round(value * 100) / 100;
