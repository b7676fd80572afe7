/**
 * The scaler as a pod: does in Kubernetes what scaler.ts does on AWS, once a minute, when Alertmanager calls its webhook, and
 * when others change the lower bound of the autoscaler. One run at a time: there must be one pod, and a call during a run
 * leads to one more run after it.
 */
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge, Registry } from 'prom-client';
import { KubernetesError, kubernetesCloud } from './kubernetes.ts';
import { type Outcome, scale } from './scale.ts';
import { type PodSettings, readPodSettings, SettingsError } from './settings.ts';

/** As often a run is repeated at once, if the autoscaler was changed meanwhile. */
const ATTEMPTS = 3;
const WATCH_PAUSE_MILLISECONDS = 1_000;
/** So that a flood of webhooks is not one of requests to the API server and Prometheus. */
const RUN_PAUSE_MILLISECONDS = 1_000;
const READINGS = ['waiting', 'executing', 'responseMilliseconds', 'databaseMilliseconds'] as const;
/** As in sysexits.h. */
const CONFIGURATION_ERROR = 78;

/** The metrics of the scaler itself, and the readings of its last run: what the dashboard and the alarms show. */
export function scalerMetrics() {
  const registry = new Registry();
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] });
  const failed = gauge('scaler_failed', '1 if the last run failed, else 0');
  const atMaximum = gauge('scaler_at_maximum', '1 if more pods are wanted, would help, and the maximum prevents them');
  const counts = {
    desired: gauge('scaler_desired', 'The desired number of pods after the last run'),
    running: gauge('scaler_running', 'Ready pods'),
    min: gauge('scaler_min', 'The lower bound that the manifest or the schedule sets'),
    max: gauge('scaler_max', 'The upper bound'),
  };
  const readings = {
    waiting: gauge('scaler_waiting', 'Requests that wait, as the last run read it; NaN if it is absent'),
    executing: gauge('scaler_executing', 'Requests that are executing, likewise'),
    responseMilliseconds: gauge('scaler_response_milliseconds', 'The p99 of the response time, likewise'),
    databaseMilliseconds: gauge('scaler_database_milliseconds', 'The p99 of the duration of statements, likewise'),
  };
  return {
    registry,
    observe({ seen, decision }: Outcome): void {
      failed.set(0);
      atMaximum.set(decision?.isAtMaximum ? 1 : 0);
      counts.desired.set(decision?.desired ?? Number.NaN);
      for (const name of ['running', 'min', 'max'] as const) counts[name].set(seen?.[name] ?? Number.NaN);
      for (const name of READINGS) {
        const reading = seen?.[name];
        readings[name].set(typeof reading === 'object' ? reading.value : Number.NaN);
      }
    },
    fail(): void {
      failed.set(1);
      atMaximum.set(0);
    },
  };
}

/** Runs `run` at each call, one run at a time: calls during a run and the pause after it lead to one more run then. */
export function oneAtATime(run: () => Promise<void>, pauseMilliseconds: number): () => void {
  let isRunning = false;
  let again = false;
  async function start(): Promise<void> {
    isRunning = true;
    do {
      again = false;
      await run();
      await sleep(pauseMilliseconds, undefined, { ref: false });
    } while (again);
    isRunning = false;
  }
  return () => {
    if (isRunning) again = true;
    else void start();
  };
}

/**
 * Starts the scaler; it listens on `settings.port`: POST /scale has it run, GET /metrics has its metrics, GET /healthz is 503
 * if it did not run for four minutes. Gives back a function that ends it.
 */
export function startPodScaler(settings: PodSettings, write: (line: string) => void): () => void {
  const cloud = kubernetesCloud(settings);
  const metrics = scalerMetrics();
  const minute = settings.minuteSeconds * 1000;
  let lastRun = Date.now();
  let isOver = false;

  async function run(): Promise<void> {
    try {
      const outcome = await attempt();
      metrics.observe(outcome);
      say('info', outcome);
    } catch (error) {
      const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
      metrics.fail();
      say('error', { changed: false, reason: `the run failed: ${name}: ${message}` });
    } finally {
      lastRun = Date.now();
    }
  }

  async function attempt(): Promise<Outcome> {
    for (let attempts = 1; ; attempts += 1) {
      try {
        return await scale(cloud, settings, new Date());
      } catch (error) {
        if (!(error instanceof KubernetesError && error.status === 409 && attempts < ATTEMPTS)) throw error;
      }
    }
  }

  /** For ever: the API server ends a watch after some minutes. */
  async function watch(): Promise<void> {
    let trouble = '';
    for (; !isOver; await sleep(WATCH_PAUSE_MILLISECONDS)) {
      const before = trouble;
      trouble = await cloud.watch(request).then(
        () => '',
        // The runs report an API server that does not answer.
        (error: unknown) => (error instanceof KubernetesError ? error.message : before),
      );
      if (trouble !== before && trouble !== '') say('warn', { msg: `the autoscaler cannot be watched: ${trouble}` });
    }
  }

  function say(level: string, line: object): void {
    write(`${JSON.stringify({ level, time: new Date().toISOString(), ...line })}\n`);
  }

  const request = oneAtATime(run, RUN_PAUSE_MILLISECONDS);
  const timer = setInterval(request, minute);
  const server = createServer(async (incoming, response) => {
    incoming.resume();
    let body = '';
    if (incoming.method === 'POST' && incoming.url === '/scale') {
      request();
      response.statusCode = 202;
    } else if (incoming.url === '/healthz') {
      response.statusCode = Date.now() - lastRun > 3 * minute + 60_000 ? 503 : 200;
    } else if (incoming.url === '/metrics') {
      response.setHeader('content-type', metrics.registry.contentType);
      body = await metrics.registry.metrics();
    } else {
      response.statusCode = 404;
    }
    response.end(body);
  }).listen(settings.port);
  request();
  void watch();
  return () => {
    isOver = true;
    clearInterval(timer);
    server.close();
    server.closeAllConnections();
  };
}

if (import.meta.main) {
  try {
    startPodScaler(readPodSettings(process.env), (line) => process.stdout.write(line));
    for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(0));
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(CONFIGURATION_ERROR);
  }
}
