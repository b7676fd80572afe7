import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { readRun, type Run as ScalerRun } from '../../../functions/scaler-runs.ts';
import { NotReady } from '../../../local-kind/wait-for-rollout.ts';
import { observed } from '../assertions.ts';
import type { Drill, Fault } from '../drill.ts';
import {
  ASSERTIONS,
  type Backlog,
  changesOf,
  commitDelay,
  describeBacklog,
  FLAPPING,
  fewestDesired,
  flap,
  GROWTH_SECONDS,
  ONLY_SLOW_ANSWERS,
  Pressure,
  QUEUE,
  RATE,
  SHRINKING_SECONDS,
  SLOW,
  secondsToChange,
  untilCount,
  untilTrue,
  WARM_UP_CLIENTS,
} from '../scaling.ts';
import type { KindFixture } from './fixture.ts';

type ScalingDrill = Drill<KindFixture>;

const MONITORING = ['-n', 'monitoring'];
const HPA = 'horizontalpodautoscaler/plusone';

const autoscaler = z.object({
  spec: z.object({ minReplicas: z.number(), maxReplicas: z.number() }),
  status: z.object({ desiredReplicas: z.number().default(0) }),
});
const deployment = z.object({
  spec: z.object({ replicas: z.number() }),
  status: z.object({ readyReplicas: z.number().default(0) }),
});
const answer = z.object({
  data: z.object({ result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })) }),
});
const alerts = z.object({
  data: z.object({
    alerts: z.array(z.object({ labels: z.object({ alertname: z.string() }), state: z.string(), activeAt: z.string() })),
  }),
});

/** The service with its autoscaler, the scaler and Prometheus, as `make dashboard` installs them. */
class Scaled {
  readonly #fixture: KindFixture;
  readonly #prometheus: string;
  readonly minuteMilliseconds: number;
  readonly began = Date.now();

  constructor(fixture: KindFixture, prometheus: string, minuteMilliseconds: number) {
    this.#fixture = fixture;
    this.#prometheus = prometheus;
    this.minuteMilliseconds = minuteMilliseconds;
  }

  /** Desired is the count of the Deployment, which the autoscaler sets; running are its ready pods. */
  async scale(): Promise<{ desired: number; running: number }> {
    const json = await this.#fixture.kubectl(['get', 'deployment', 'plusone', '-o', 'json']);
    const { spec, status } = deployment.parse(JSON.parse(json));
    return { desired: spec.replicas, running: status.readyReplicas };
  }

  async setBounds(minReplicas: number, maxReplicas: number): Promise<void> {
    // As the jobs of the schedule do.
    const metadata = { annotations: { 'scaler/minimum': String(minReplicas) } };
    const patch = JSON.stringify({ metadata, spec: { minReplicas, maxReplicas } });
    await this.#fixture.kubectl(['patch', HPA, '--type', 'merge', '--patch', patch]);
  }

  /** The runs of the scaler since the drill began, oldest first. */
  async runs(): Promise<ScalerRun[]> {
    const since = `--since-time=${new Date(this.began).toISOString()}`;
    const log = await this.#fixture.kubectl(['logs', 'deployment/scaler', ...MONITORING, since]);
    return log.split('\n').flatMap((line) => readRun(line) ?? []);
  }

  untilCount(count: number, seconds: number): Promise<number | string> {
    return untilCount(() => this.scale(), count, seconds);
  }

  /** When an alert began to fire, in milliseconds since the Unix epoch; undefined if it does not. */
  async firingSince(name: string): Promise<number | undefined> {
    const response = await fetch(`${this.#prometheus}/api/v1/alerts`);
    const found = alerts.parse(await response.json()).data.alerts;
    const firing = found.find(({ labels, state }) => labels.alertname === name && state === 'firing');
    return firing && Date.parse(firing.activeAt);
  }

  /** Waits until an alert fires, or no longer does; the seconds it took, or 'never'. */
  untilFiring(name: string, fires: boolean, seconds: number): Promise<number | string> {
    return untilTrue(async () => ((await this.firingSince(name)) !== undefined) === fires, seconds, 500);
  }

  /** How often the alerts that these labels select began to fire since the drill began. */
  async fired(labels: string): Promise<number> {
    const seconds = Math.ceil((Date.now() - this.began) / 1000);
    // A series of an alert is there while it fires: it began where it is there and was not a moment before.
    const began = `(max(ALERTS{alertstate="firing",${labels}}) unless max(ALERTS{alertstate="firing",${labels}} offset 5s))`;
    const query = `count_over_time(${began}[${seconds}s:5s])`;
    const response = await fetch(`${this.#prometheus}/api/v1/query?${new URLSearchParams({ query })}`);
    return Number(answer.parse(await response.json()).data.result[0]?.value[1] ?? 0);
  }

  /** Sets thresholds of the scaler; the others have their defaults. */
  async setThresholds(thresholds: object): Promise<void> {
    const variable = `SCALER_THRESHOLDS=${JSON.stringify(thresholds)}`;
    await this.#fixture.kubectl(['set', 'env', 'deployment/scaler', ...MONITORING, variable]);
    await this.#fixture.kubectl(['rollout', 'status', 'deployment/scaler', ...MONITORING, '--timeout=120s']);
  }

  /** Suspends MySQL again and again, 600 ms each, for this many seconds. */
  async pauseDatabase(seconds: number): Promise<void> {
    const { node, id } = await this.#fixture.placeOf(await this.#fixture.databasePod());
    await this.#fixture.onNode(
      node,
      `pid=$(ctr -n k8s.io tasks ls | awk '$1 == "${id}" { print $2 }'); end=$(($(date +%s) + ${seconds}))
       while [ $(date +%s) -lt $end ]; do kill -STOP $pid; sleep 0.6; kill -CONT $pid; sleep 0.02; done`,
    );
  }
}

/** A fault for a cluster that has the scaler, or the reason why it cannot be injected. Its bounds are 1 and `max` meanwhile. */
async function withScaler(
  fixture: KindFixture,
  max: number,
  fault: (service: Scaled) => Fault,
): Promise<Fault | string> {
  const container = 'jsonpath={.spec.template.spec.containers[0].env[?(@.name=="SCALER_MINUTE_SECONDS")].value}';
  const seconds = await fixture.kubectl([
    'get',
    'deployment/scaler',
    ...MONITORING,
    '--ignore-not-found',
    '-o',
    container,
  ]);
  if (seconds === '') return 'it needs the scaler: make dashboard';
  const { spec } = autoscaler.parse(JSON.parse(await fixture.kubectl(['get', HPA, '-o', 'json'])));
  const { url, end } = await fixture.forward('monitoring', 'prometheus', 9090);
  const minute = Number(seconds) * 1000;
  const service = new Scaled(fixture, url, minute);
  fixture.defer(end);
  fixture.defer(() => service.setBounds(Math.min(2, spec.maxReplicas), spec.maxReplicas));
  await service.setBounds(1, max);
  await service.untilCount(1, SHRINKING_SECONDS);
  // Opens the connections to the database.
  const warmUp = pressureOn(fixture, WARM_UP_CLIENTS);
  await sleep(3_000);
  await warmUp.stop();
  // What the scaler did before does not count, nor what it reads of the warm-up.
  await sleep(minute);
  // It adds a pod if the warm-up was slow.
  const settled = await service.untilCount(1, SHRINKING_SECONDS);
  if (typeof settled === 'string') throw new Error(`one pod must run at the beginning of the drill: ${settled}`);
  return fault(new Scaled(fixture, url, minute));
}

/** Has requests wait in the pods. */
async function press(fixture: KindFixture, backlog: Backlog): Promise<Pressure> {
  await delayCommits(fixture, backlog);
  return pressureOn(fixture, backlog.clients);
}

async function delayCommits(fixture: KindFixture, { commitMilliseconds }: Backlog): Promise<void> {
  fixture.defer(() => fixture.sql(commitDelay(0)));
  await fixture.sql(commitDelay(commitMilliseconds));
}

/** Kubernetes spreads connections over the pods, and not requests as a load balancer does. */
function pressureOn(fixture: KindFixture, clients: number): Pressure {
  return new Pressure(fixture, { clients, keepAlive: false });
}

const queueGrows: ScalingDrill = {
  name: 'queue-grows',
  fault: `${describeBacklog(QUEUE)}, so that requests wait in the pod`,
  assertions: ASSERTIONS['queue-grows'],
  duration: { full: 10, quick: 0 },
  rate: RATE,
  prepare: (fixture) =>
    withScaler(fixture, 3, (service) => {
      let pressure: Pressure | undefined;
      return {
        async begin({ observations }) {
          pressure = await press(fixture, QUEUE);
          observations.grown = await service.untilCount(3, GROWTH_SECONDS);
        },
        async end({ observations }) {
          await pressure?.stop();
          observations.failed = pressure?.failed ?? 'no request was sent';
          observations.shrunk = await service.untilCount(1, SHRINKING_SECONDS);
          observations.paged = (await service.fired('severity="page"')) || 'none';
        },
      };
    }),
};

const slowAnswers: ScalingDrill = {
  name: 'slow-answers',
  fault: `${describeBacklog(SLOW)}, so that answers are slow`,
  assertions: ASSERTIONS['slow-answers'],
  duration: { full: 0, quick: 0 },
  rate: RATE,
  prepare: (fixture) =>
    withScaler(fixture, 3, (service) => {
      let pressure: Pressure | undefined;
      return {
        async begin({ observations }) {
          fixture.defer(() => service.setThresholds({}));
          await service.setThresholds(ONLY_SLOW_ANSWERS);
          pressure = await press(fixture, SLOW);
          let alarm: number | undefined;
          let change: ScalerRun | undefined;
          for (const end = Date.now() + GROWTH_SECONDS * 1000; Date.now() < end; await sleep(500)) {
            alarm ??= await service.firingSince('SlowAnswers');
            // Before the alarm, if the scaler looks first.
            change = (await service.runs()).find(({ changed }) => changed);
            if (alarm !== undefined && change !== undefined) break;
          }
          observations.added = secondsToChange(alarm, change);
          await service.untilCount(3, GROWTH_SECONDS);
          observations.back = await service.untilFiring('SlowAnswers', false, GROWTH_SECONDS);
        },
        async end() {
          await pressure?.stop();
        },
      };
    }),
};

const slowDatabase: ScalingDrill = {
  name: 'slow-database',
  fault: 'MySQL answers twice a second only, for eight minutes of the scaler, while 5 clients save and delete',
  assertions: ASSERTIONS['slow-database'],
  duration: { full: 0, quick: 0 },
  rate: RATE,
  prepare: (fixture) =>
    withScaler(fixture, 3, (service) => ({
      async begin({ observations }) {
        const five = pressureOn(fixture, 5);
        await service.pauseDatabase((8 * service.minuteMilliseconds) / 1000);
        await five.stop();
        observations.alarm = (await service.fired('alertname="SlowAnswers"')) > 0 ? 'yes' : 'no';
        const runs = await service.runs();
        observations.changes = changesOf(runs);
        observations.reason = runs.findLast(({ reason }) => reason.includes('p99'))?.reason ?? 'it saw nothing of it';
      },
      end() {},
    })),
};

const atTheMaximum: ScalingDrill = {
  name: 'at-the-maximum',
  fault: 'The load of slow-answers, with a maximum of one pod',
  assertions: [...ASSERTIONS['at-the-maximum'], observed('times', 'It pages once', (value) => value === 1)],
  duration: { full: 0, quick: 0 },
  rate: RATE,
  prepare: (fixture) =>
    withScaler(fixture, 1, (service) => ({
      async begin({ observations }) {
        const minutes = (20 * service.minuteMilliseconds) / 1000;
        const pressure = await press(fixture, SLOW);
        observations.paged = await service.untilFiring('AtMaximum', true, minutes);
        observations.most = (await service.scale()).desired;
        await pressure.stop();
        observations.resolved = await service.untilFiring('AtMaximum', false, minutes);
        observations.times = await service.fired('alertname="AtMaximum"');
      },
      end() {},
    })),
};

const flapping: ScalingDrill = {
  name: 'flapping',
  fault: FLAPPING,
  assertions: ASSERTIONS.flapping,
  duration: { full: 0, quick: 0 },
  rate: RATE,
  prepare: (fixture) =>
    withScaler(fixture, 3, (service) => ({
      async begin({ observations }) {
        await delayCommits(fixture, QUEUE);
        const start = () => pressureOn(fixture, QUEUE.clients);
        await flap(observations, start, () => service.runs(), service.minuteMilliseconds);
      },
      end() {},
    })),
};

const scalerBroken: ScalingDrill = {
  name: 'scaler-broken',
  fault: 'The scaler loses its permission and gets it back; then its pod is gone, and comes back',
  assertions: [
    ...ASSERTIONS['scaler-broken'],
    observed('refused', 'Without permission its alarm pages, too, and resolves', (value) => typeof value === 'number'),
  ],
  duration: { full: 0, quick: 0 },
  rate: RATE,
  prepare: (fixture) =>
    withScaler(fixture, 3, (service) => {
      const minutes = (10 * service.minuteMilliseconds) / 1000;
      const replicas = (count: number) =>
        fixture.kubectl(['scale', 'deployment/scaler', ...MONITORING, `--replicas=${count}`]);
      return {
        async begin({ observations }) {
          const verbs = async (...words: string[]) => {
            const patch = [{ op: 'replace', path: '/rules/0/verbs', value: words }];
            await fixture.kubectl(['patch', 'role', 'scaler', '--type', 'json', '--patch', JSON.stringify(patch)]);
          };
          const allow = () => verbs('get', 'patch', 'watch');
          fixture.defer(allow);
          await verbs('watch');
          const refused = await service.untilFiring('ScalerFails', true, minutes);
          await allow();
          const allowed = await service.untilFiring('ScalerFails', false, minutes);
          observations.refused = typeof allowed === 'number' ? refused : 'it did not resolve';

          fixture.defer(() => replicas(1));
          await replicas(0);
          observations.paged = await service.untilFiring('ScalerFails', true, minutes);
          observations.kept = (await service.scale()).running;
        },
        async end({ observations }) {
          await replicas(1);
          observations.resolved = await service.untilFiring('ScalerFails', false, minutes);
          observations.changes = changesOf((await service.runs()).filter(({ reason }) => !reason.startsWith('p99 is')));
        },
      };
    }),
};

const releaseWhileScaled: ScalingDrill = {
  name: 'release-while-scaled',
  fault: 'With 3 pods by load, a release by `make up` whose manifest has 2 as its least, then one that cannot start',
  assertions: ASSERTIONS['release-while-scaled'],
  duration: { full: 5, quick: 0 },
  rate: RATE,
  async prepare(fixture) {
    const source = readFileSync(new URL('../../../src/server.ts', import.meta.url), 'utf8');
    const next = await fixture.imageWith('drill-scaled', { 'src/server.ts': `${source}\n// drill\n` });
    const broken = await fixture.imageWith('drill-broken', {
      'src/server.ts': `throw new Error('a release that cannot start');\n${source}`,
    });
    return await withScaler(fixture, 3, (service) => {
      // The autoscaler acts every 15 seconds, so it has acted after 20.
      const fewestDuring = (work: Promise<unknown>) =>
        fewestDesired(() => service.scale(), work, { after: 20, pollMilliseconds: 500 });
      return {
        async begin({ observations }) {
          // Until the drill ends, no pod is removed because the load is over.
          fixture.defer(() => service.setThresholds({}));
          await service.setThresholds({ cooldownMilliseconds: { in: 86_400_000 } });
          const pressure = await press(fixture, QUEUE);
          observations.grown = await service.untilCount(3, GROWTH_SECONDS);
          await pressure.stop();
          await fixture.sql(commitDelay(0));
          observations.release = await fewestDuring(fixture.release(next));
          const refused = fixture.release(broken).then(
            () => {
              throw new Error('the release that cannot start was not rolled back');
            },
            (error: unknown) => {
              if (!(error instanceof NotReady)) throw error;
            },
          );
          observations.rollback = await fewestDuring(refused);
        },
        end() {},
      };
    });
  },
};

/** The scaling drills of `--target kind`, which run after the others, in this order. */
export const scalingDrills: readonly ScalingDrill[] = [
  queueGrows,
  slowAnswers,
  slowDatabase,
  atTheMaximum,
  flapping,
  scalerBroken,
  releaseWhileScaled,
];
