import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Run } from '../../../functions/scaler-runs.ts';
import { aws } from '../../aws/cloud.ts';
import { readTarget, type Target } from '../../aws/command.ts';
import { currentScale, type Scale, scalerFunction, scalerRuns } from '../../aws/scaling.ts';
import { output } from '../../terminal/programs.ts';
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
import { type AwsFixture, MINUTE_MILLISECONDS } from './fixture.ts';

type ScalingDrill = Drill<AwsFixture>;

/** Between two questions to AWS. Each starts the AWS CLI, which takes a second of the CPU that the load needs too. */
const POLL_MILLISECONDS = 5_000;

/** The environment's service, as an emulator runs it: its tasks and its database are containers of this machine. */
class Emulated {
  readonly #target: Target = readTarget(process.env);
  readonly began = Date.now();

  async scale(): Promise<Scale> {
    const scale = await currentScale(this.#target);
    if (scale === undefined) throw new Error(`${this.#target.environment} has no service`);
    return scale;
  }

  runs(): Promise<Run[]> {
    return scalerRuns(this.#target, this.began);
  }

  untilCount(count: number, seconds: number): Promise<number | string> {
    return untilCount(() => this.scale(), count, seconds);
  }

  /** The service's alarms that notify people and are in the state ALARM, by their names in the addon. */
  async paging(): Promise<string[]> {
    return (await this.#notifying()).filter(({ StateValue }) => StateValue === 'ALARM').map(nameInAddon);
  }

  /** Those that have changed to ALARM since the beginning of the drill. */
  async paged(): Promise<string[]> {
    const item = z.object({ AlarmName: z.string(), HistorySummary: z.string() });
    const { AlarmHistoryItems: items } = await aws(
      z.object({ AlarmHistoryItems: z.array(item) }),
      ...['cloudwatch', 'describe-alarm-history', '--history-item-type', 'StateUpdate'],
      ...['--start-date', new Date(this.began).toISOString()],
    );
    const changes = items.filter(({ HistorySummary }) => HistorySummary.endsWith(' to ALARM'));
    const changed = new Set(changes.map(({ AlarmName }) => AlarmName));
    return (await this.#notifying()).filter(({ AlarmName }) => changed.has(AlarmName)).map(nameInAddon);
  }

  async #notifying(): Promise<{ readonly AlarmName: string; readonly StateValue: string }[]> {
    const alarm = z.object({ AlarmName: z.string(), StateValue: z.string(), AlarmActions: z.array(z.string()) });
    const prefix = `${this.#target.application}-${this.#target.environment}-`;
    const schema = z.object({ MetricAlarms: z.array(alarm) });
    const { MetricAlarms } = await aws(schema, 'cloudwatch', 'describe-alarms', '--alarm-name-prefix', prefix);
    return MetricAlarms.filter(({ AlarmActions }) => AlarmActions.some((arn) => arn.includes(':sns:')));
  }

  /** Waits until an alarm pages, or no longer does; the seconds it took, or 'never'. */
  untilPaging(name: string, pages: boolean, seconds: number): Promise<number | string> {
    return untilTrue(async () => (await this.paging()).includes(name) === pages, seconds, POLL_MILLISECONDS);
  }

  /** When the alarm that invokes the scaler changed to ALARM; undefined in another state. */
  async slowSince(): Promise<number | undefined> {
    const alarms = z.object({
      MetricAlarms: z.array(
        z.object({
          AlarmName: z.string(),
          StateValue: z.string(),
          StateUpdatedTimestamp: z.union([z.string(), z.number()]),
        }),
      ),
    });
    const prefix = `${this.#target.application}-${this.#target.environment}-`;
    const answer = await aws(alarms, 'cloudwatch', 'describe-alarms', '--alarm-name-prefix', prefix);
    const slow = answer.MetricAlarms.find(({ AlarmName }) => AlarmName.includes('-SlowAnswers-'));
    if (slow?.StateValue !== 'ALARM') return undefined;
    const at = slow.StateUpdatedTimestamp;
    return typeof at === 'number' ? at * 1000 : Date.parse(at);
  }

  /** Waits until the alarm on slow answers has ended; the seconds it took, or 'never'. */
  untilFast(seconds: number): Promise<number | string> {
    return untilTrue(async () => (await this.slowSince()) === undefined, seconds, POLL_MILLISECONDS);
  }

  /** Sets thresholds of the scaler; the others have their defaults. */
  async setThresholds(thresholds: object): Promise<void> {
    const name = ['--function-name', scalerFunction(this.#target)];
    const configuration = z.object({ Environment: z.object({ Variables: z.record(z.string(), z.string()) }) });
    const { Environment } = await aws(configuration, 'lambda', 'get-function-configuration', ...name);
    const Variables = { ...Environment.Variables, SCALER_THRESHOLDS: JSON.stringify(thresholds) };
    const environment = ['--environment', JSON.stringify({ Variables })];
    await output('aws', ['lambda', 'update-function-configuration', ...name, ...environment]);
  }

  /** Runs one statement as the root user of the database. */
  async sql(statement: string): Promise<void> {
    const client = `MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mysql -u root -e '${statement}'`;
    await output('docker', ['exec', await this.#database(), 'sh', '-c', client]);
  }

  /** Suspends the database again and again, 600 ms each, for this many seconds. It runs at the end, also after Ctrl-C. */
  async pauseDatabase(seconds: number): Promise<void> {
    const name = await this.#database();
    // A signal, since the emulator could not talk to a container that is paused by Docker.
    const signal = (which: string) => `docker kill --signal ${which} ${name} >/dev/null`;
    await output('sh', [
      '-c',
      `trap '${signal('CONT')}' EXIT; trap 'exit 130' INT TERM; end=$(($(date +%s) + ${seconds}))
       while [ $(date +%s) -lt $end ]; do ${signal('STOP')}; sleep 0.6; ${signal('CONT')}; sleep 0.02; done`,
    ]);
  }

  /** The name of the container of the database. */
  async #database(): Promise<string> {
    const { application, environment } = this.#target;
    const [name] = (await containers()).filter((one) => one.includes(`-instance-${application}-${environment}-`));
    if (name === undefined) throw new Error('the container of the database was not found');
    return name;
  }

  async setMaximum(max: number): Promise<void> {
    const { cluster, service } = await this.scale();
    await output('aws', [
      'application-autoscaling',
      'register-scalable-target',
      ...['--service-namespace', 'ecs', '--resource-id', `service/${cluster}/${service}`],
      ...['--scalable-dimension', 'ecs:service:DesiredCount', '--max-capacity', String(max)],
    ]);
  }

  /** Makes Lambda throttle the scaler, or stops throttling it. */
  async throttle(throttled: boolean): Promise<void> {
    const words = ['--function-name', scalerFunction(this.#target)];
    words.push('--reserved-concurrent-executions', throttled ? '0' : '1');
    await output('aws', ['lambda', 'put-function-concurrency', ...words]);
  }
}

/** CloudFormation puts the stack's before it, and letters after it. */
function nameInAddon({ AlarmName }: { readonly AlarmName: string }): string {
  return AlarmName.split('-').at(-2) ?? AlarmName;
}

/** The names of the containers that run. */
async function containers(): Promise<string[]> {
  return (await output('docker', ['ps', '--format', '{{.Names}}'])).split('\n');
}

/** A fault for the emulator, or the reason why it can't be injected. */
async function onEmulator(
  fixture: AwsFixture,
  fault: (service: Emulated) => Fault,
  needs: { readonly max: number },
): Promise<Fault | string> {
  if (!fixture.isEmulated) return 'it slows and pauses the database by its container, which only an emulator has';
  const service = new Emulated();
  const { desired, bounds } = await service.scale();
  if (bounds === undefined || bounds.min !== 1 || bounds.max < needs.max)
    return `the count must range from 1 to ${needs.max} at least`;
  if (desired !== 1) await service.untilCount(1, SHRINKING_SECONDS);
  // Opens the connections to the database, which takes long on a busy machine.
  const warmUp = new Pressure(fixture, { clients: WARM_UP_CLIENTS });
  await sleep(5_000);
  await warmUp.stop();
  // What the scaler did before does not count, nor what it reads of the warm-up: a value may be of the minute before.
  await sleep(2 * MINUTE_MILLISECONDS);
  // It adds a task if the warm-up was slow.
  const settled = await service.untilCount(1, SHRINKING_SECONDS);
  if (typeof settled === 'string') throw new Error(`one task must run at the beginning of the drill: ${settled}`);
  return fault(new Emulated());
}

/** Has requests wait in the tasks. */
async function press(fixture: AwsFixture, service: Emulated, backlog: Backlog): Promise<Pressure> {
  await delayCommits(fixture, service, backlog);
  return new Pressure(fixture, backlog);
}

async function delayCommits(fixture: AwsFixture, service: Emulated, { commitMilliseconds }: Backlog): Promise<void> {
  fixture.defer(() => service.sql(commitDelay(0)));
  await service.sql(commitDelay(commitMilliseconds));
}

const queueGrows: ScalingDrill = {
  name: 'queue-grows',
  fault: `${describeBacklog(QUEUE)}, so that requests wait in the task`,
  assertions: ASSERTIONS['queue-grows'],
  duration: { full: 10, quick: 0 },
  rate: RATE,
  prepare: (fixture) =>
    onEmulator(
      fixture,
      (service) => {
        let pressure: Pressure | undefined;
        return {
          async begin({ observations }) {
            pressure = await press(fixture, service, QUEUE);
            observations.grown = await service.untilCount(3, GROWTH_SECONDS);
          },
          async end({ observations }) {
            await pressure?.stop();
            observations.failed = pressure?.failed ?? 'no request was sent';
            observations.shrunk = await service.untilCount(1, SHRINKING_SECONDS);
            observations.paged = (await service.paged()).join(', ') || 'none';
          },
        };
      },
      { max: 3 },
    ),
};

const slowAnswers: ScalingDrill = {
  name: 'slow-answers',
  fault: `${describeBacklog(SLOW)}, so that answers are slow`,
  assertions: ASSERTIONS['slow-answers'],
  duration: { full: 0, quick: 0 },
  rate: RATE,
  prepare: (fixture) =>
    onEmulator(
      fixture,
      (service) => {
        let pressure: Pressure | undefined;
        return {
          async begin({ observations }) {
            fixture.defer(() => service.setThresholds({}));
            await service.setThresholds(ONLY_SLOW_ANSWERS);
            pressure = await press(fixture, service, SLOW);
            const end = Date.now() + GROWTH_SECONDS * 1000;
            let alarm: number | undefined;
            let change: Run | undefined;
            while ((alarm === undefined || change === undefined) && Date.now() < end) {
              await sleep(POLL_MILLISECONDS);
              alarm ??= await service.slowSince();
              // Before the alarm, if the scaler looks first.
              change = (await service.runs()).find(({ changed }) => changed);
            }
            observations.added = secondsToChange(alarm, change);
            await service.untilCount(3, GROWTH_SECONDS);
            observations.back = await service.untilFast(GROWTH_SECONDS);
          },
          async end() {
            await pressure?.stop();
            await service.untilCount(1, SHRINKING_SECONDS);
          },
        };
      },
      { max: 3 },
    ),
};

const slowDatabase: ScalingDrill = {
  name: 'slow-database',
  fault: 'MySQL answers twice a second only, for eight minutes of CloudWatch, while 5 clients save and delete',
  assertions: ASSERTIONS['slow-database'],
  duration: { full: 0, quick: 0 },
  rate: RATE,
  prepare: (fixture) =>
    onEmulator(
      fixture,
      (service) => ({
        async begin({ observations }) {
          const pressure = new Pressure(fixture, { clients: 5 });
          observations.alarm = 'no';
          const seconds = (8 * MINUTE_MILLISECONDS) / 1000;
          const watch = async () => {
            for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(POLL_MILLISECONDS)) {
              if ((await service.slowSince()) !== undefined) observations.alarm = 'yes';
            }
          };
          try {
            await Promise.all([service.pauseDatabase(seconds), watch()]);
          } finally {
            await pressure.stop();
          }
          const runs = await service.runs();
          observations.changes = changesOf(runs);
          observations.reason = runs.findLast(({ reason }) => reason.includes('p99'))?.reason ?? 'it saw nothing of it';
        },
        end() {},
      }),
      { max: 2 },
    ),
};

const atTheMaximum: ScalingDrill = {
  name: 'at-the-maximum',
  fault: 'The load of slow-answers, with a maximum of one task',
  assertions: ASSERTIONS['at-the-maximum'],
  duration: { full: 0, quick: 0 },
  rate: RATE,
  prepare: (fixture) =>
    onEmulator(
      fixture,
      (service) => {
        return {
          async begin({ observations }) {
            const max = (await service.scale()).bounds?.max ?? 1;
            fixture.defer(() => service.setMaximum(max));
            await service.setMaximum(1);
            const pressure = await press(fixture, service, SLOW);
            observations.paged = await service.untilPaging('AtMaximum', true, 20 * (MINUTE_MILLISECONDS / 1000));
            observations.most = (await service.scale()).desired;
            await pressure.stop();
            observations.resolved = await service.untilPaging('AtMaximum', false, 20 * (MINUTE_MILLISECONDS / 1000));
          },
          end() {},
        };
      },
      { max: 2 },
    ),
};

const flapping: ScalingDrill = {
  name: 'flapping',
  fault: FLAPPING,
  assertions: ASSERTIONS.flapping,
  duration: { full: 0, quick: 0 },
  rate: RATE,
  prepare: (fixture) =>
    onEmulator(
      fixture,
      (service) => ({
        async begin({ observations }) {
          await delayCommits(fixture, service, QUEUE);
          await flap(
            observations,
            () => new Pressure(fixture, QUEUE),
            () => service.runs(),
            MINUTE_MILLISECONDS,
          );
        },
        end() {},
      }),
      { max: 3 },
    ),
};

const scalerBroken: ScalingDrill = {
  name: 'scaler-broken',
  fault: 'Lambda refuses to run the scaler (throttled), and later runs it again',
  assertions: ASSERTIONS['scaler-broken'],
  duration: { full: 0, quick: 0 },
  rate: RATE,
  prepare: (fixture) =>
    onEmulator(
      fixture,
      (service) => ({
        async begin({ observations }) {
          fixture.defer(() => service.throttle(false));
          await service.throttle(true);
          observations.paged = await service.untilPaging('ScalerFails', true, 10 * (MINUTE_MILLISECONDS / 1000));
          observations.kept = (await service.scale()).running;
        },
        async end({ observations }) {
          await service.throttle(false);
          observations.resolved = await service.untilPaging('ScalerFails', false, 10 * (MINUTE_MILLISECONDS / 1000));
          observations.changes = changesOf((await service.runs()).filter(({ reason }) => !reason.startsWith('p99 is')));
        },
      }),
      { max: 1 },
    ),
};

const releaseWhileScaled: ScalingDrill = {
  name: 'release-while-scaled',
  fault: 'With 3 tasks by load, a release by `make publish`, then one that cannot start',
  assertions: ASSERTIONS['release-while-scaled'],
  duration: { full: 5, quick: 0 },
  rate: RATE,
  prepare: (fixture) =>
    onEmulator(
      fixture,
      (service) => {
        const fewestDuring = (work: Promise<unknown>) =>
          fewestDesired(() => service.scale(), work, { after: 20, pollMilliseconds: POLL_MILLISECONDS });
        return {
          async begin({ observations }) {
            // Until the drill ends, no task is removed because the load is over.
            fixture.defer(() => service.setThresholds({}));
            await service.setThresholds({ cooldownMilliseconds: { in: 86_400_000 } });
            const pressure = await press(fixture, service, QUEUE);
            observations.grown = await service.untilCount(3, GROWTH_SECONDS);
            await pressure.stop();
            await service.sql(commitDelay(0));
            observations.release = await fewestDuring(
              fixture.publish().then(({ code, output }) => {
                if (code !== 0) throw new Error(`the release failed: ${output}`);
              }),
            );
            fixture.workspace.edit('src/server.ts', (text) => `throw new Error('it cannot start');\n${text}`);
            observations.rollback = await fewestDuring(
              fixture.publish().then(({ code, output }) => {
                if (code !== 1) throw new Error(`the release that cannot start ended with ${code}: ${output}`);
              }),
            );
          },
          end() {},
        };
      },
      { max: 3 },
    ),
};

/** The scaling drills of `--target aws`, which run after the others, in this order. */
export const scalingDrills: readonly ScalingDrill[] = [
  queueGrows,
  slowAnswers,
  slowDatabase,
  atTheMaximum,
  flapping,
  scalerBroken,
  releaseWhileScaled,
];
