import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { username } from '../../bench/users.ts';
import { Load } from '../../load/load.ts';
import { measure } from '../../load/wrk.ts';
import { startPrivateDatabase } from '../../process/database.ts';
import { migrate, startProcess } from '../../process/service.ts';
import { mountSmallDisk } from '../../process/small-disk.ts';
import type { ParameterStore } from '../../process/ssm.ts';
import { lookAtTool } from '../../terminal/requirements.ts';
import {
  abortedAtMost,
  memoryAtMost,
  memoryGrowsAtMost,
  neverWrong,
  noneSlowerThan,
  noReadFails,
  noRestart,
  nothingFails,
  nothingLost,
  observed,
  okOr503,
  outageAtMost,
  p99AtMost,
  recoversWithin,
  refusesWithin,
} from '../assertions.ts';
import type { Drill, Run } from '../drill.ts';
import { clusterDrills } from './cluster.ts';
import type { ProcessFixture } from './fixture.ts';
import { galeraDrills } from './galera.ts';
import { disconnect, type HostileClients, openIdle, sendEndlessBodies, sendEndlessHeads } from './hostile-clients.ts';

type ProcessDrill = Drill<ProcessFixture>;

/** The assertions for a database that becomes unavailable and available again. */
const outage = [refusesWithin(2), recoversWithin(2), noneSlowerThan(3), okOr503, nothingLost, noRestart];
/** Enough for the load balancer to notice, which checks four times per second. */
const DRAIN = { SHUTDOWN_DRAIN_SECONDS: '2', SHUTDOWN_GRACE_SECONDS: '10' };
/** The smallest task of copilot/plusone/manifest.yml. */
const TASK_MEBIBYTES = 512;
const SECRETS_PATH = '/drill/secrets';

const databaseKilled: ProcessDrill = {
  name: 'database-killed',
  fault: 'MySQL is killed (-9), and started again later',
  assertions: outage,
  duration: { full: 10, quick: 3 },
  async prepare(fixture) {
    await fixture.serve();
    return { begin: () => fixture.database.kill(), end: () => fixture.database.start() };
  },
};

const MANY = 30;

const manyProcesses: ProcessDrill = {
  name: 'many-processes',
  fault: `MySQL is killed (-9), and started again later; ${MANY} processes of the service come back to it at once`,
  assertions: outage,
  duration: { full: 10 },
  async prepare(fixture) {
    for (let count = 0; count < MANY; count += 1) await fixture.serve();
    return { begin: () => fixture.database.kill(), end: () => fixture.database.start() };
  },
};

const databaseFrozen: ProcessDrill = {
  name: 'database-frozen',
  fault: 'MySQL is stopped (SIGSTOP): connections stay open and nothing answers',
  assertions: outage,
  duration: { full: 20, quick: 3 },
  async prepare(fixture) {
    await fixture.serve();
    fixture.defer(() => fixture.database.thaw());
    return { begin: () => fixture.database.freeze(), end: () => fixture.database.thaw() };
  },
};

const networkDropped: ProcessDrill = {
  name: 'network-dropped',
  fault: 'Packets to and from MySQL are dropped silently; what was sent arrives seconds after the network is back',
  assertions: outage,
  // Few, so that each is written again before the delayed write arrives.
  names: 20,
  duration: { full: 20, quick: 3 },
  async prepare(fixture) {
    await fixture.serve(fixture.viaProxy);
    return {
      begin: () => fixture.proxy.drop(),
      end: () => fixture.proxy.failOver(),
      async settle() {
        // TCP retransmits after longer and longer pauses.
        fixture.proxy.restore();
        await sleep(1_000);
      },
    };
  },
};

const databaseFailover: ProcessDrill = {
  name: 'database-failover',
  fault: 'MySQL stops answering for good; after a while its address leads to a replica with the same data',
  assertions: outage,
  duration: { full: 20, quick: 3 },
  async prepare(fixture) {
    await fixture.serve(fixture.viaProxy);
    return { begin: () => fixture.proxy.drop(), end: () => fixture.proxy.failOver() };
  },
};

const networkSlow: ProcessDrill = {
  name: 'network-slow',
  fault: 'Every packet between the service and MySQL takes 100 ms, so every query 200 ms',
  assertions: [nothingFails, p99AtMost(1_500), nothingLost, noRestart],
  duration: { full: 20, quick: 3 },
  async prepare(fixture) {
    await fixture.serve(fixture.viaProxy);
    return { begin: () => fixture.proxy.slowDown(100), end: () => fixture.proxy.restore() };
  },
};

const passwordRotated: ProcessDrill = {
  name: 'password-rotated',
  fault: 'MySQL is restarted with a new password, which SSM holds two seconds later',
  assertions: [recoversWithin(2), outageAtMost(5), noneSlowerThan(3), okOr503, nothingLost, noRestart],
  duration: { full: 2, quick: 2 },
  async prepare(fixture) {
    const { database } = fixture;
    const store = await serveFromStore(fixture);
    if (typeof store === 'string') return store;
    return {
      async begin() {
        await database.changePassword(randomBytes(16).toString('hex'));
        await database.kill();
        await database.start();
      },
      end: () => store.put(`${SECRETS_PATH}/DATABASE_PASSWORD`, database.env.DATABASE_PASSWORD ?? ''),
    };
  },
};

const databaseReadOnly: ProcessDrill = {
  name: 'database-read-only',
  fault: 'MySQL is read-only, as during a failover',
  assertions: [noReadFails, refusesWithin(2), recoversWithin(2), noneSlowerThan(3), okOr503, nothingLost, noRestart],
  duration: { full: 10, quick: 2 },
  async prepare(fixture) {
    await fixture.serve();
    const end = () => fixture.database.query('SET GLOBAL read_only = OFF');
    fixture.defer(end);
    return { begin: () => fixture.database.query('SET GLOBAL read_only = ON'), end };
  },
};

/** The disk size: the files of InnoDB, and some free space. */
const DISK_MEBIBYTES = 256;

const databaseFull: ProcessDrill = {
  name: 'database-full',
  fault: 'The disk of MySQL is full: its binary log waits for space, and so does every write',
  assertions: [noReadFails, refusesWithin(2), recoversWithin(2), noneSlowerThan(3), okOr503, nothingLost, noRestart],
  duration: { full: 20, quick: 3 },
  async prepare(fixture) {
    if (process.getuid?.() !== 0) return 'it needs root, to mount a small disk';
    const disk = await mountSmallDisk(join(tmpdir(), `plusone-disk-${process.pid}`), DISK_MEBIBYTES);
    fixture.defer(() => disk.remove());
    // As on RDS, for backups. Without it, InnoDB goes on while its own files have space, then refuses at once.
    const database = await startPrivateDatabase(['--log-bin=binlog', '--server-id=1'], disk.directory);
    fixture.defer(() => database.stop());
    if (readdirSync(disk.directory).length === 0)
      return 'it needs MariaDB or MySQL installed on this machine, not in Docker';
    await migrate(database.env);
    await fixture.serve(database.env);
    return { begin: () => disk.fill(), end: () => disk.makeRoom() };
  },
};

const ssmUnavailable: ProcessDrill = {
  name: 'ssm-unavailable',
  fault: 'SSM does not answer while the service runs, and another process is started meanwhile',
  assertions: [
    nothingFails,
    observed(
      'new process',
      'A process that starts without SSM ends with 1 within 20 s and names SECRETS_PATH',
      (value) => {
        return value === 'ended with 1, named SECRETS_PATH';
      },
    ),
    nothingLost,
    noRestart,
  ],
  duration: { full: 3 },
  async prepare(fixture) {
    const store = await serveFromStore(fixture);
    if (typeof store === 'string') return store;
    fixture.defer(() => store.thaw());
    return {
      async begin({ observations }) {
        store.freeze();
        const started = startProcess('serve', { ...store.env, SECRETS_PATH });
        const exit = await Promise.race([started.exited, sleep(20_000)]);
        started.child.kill('SIGKILL');
        const stderr = started.stderr();
        const named = stderr.includes('SECRETS_PATH') ? 'SECRETS_PATH' : stderr;
        observations['new process'] =
          exit === undefined ? 'still running' : `ended with ${exit.code ?? exit.signal}, named ${named}`;
      },
      end: () => store.thaw(),
    };
  },
};

/** Starts a service that reads its settings from a parameter store; returns the reason if that is not possible. */
async function serveFromStore(fixture: ProcessFixture): Promise<ParameterStore | string> {
  const store = await fixture.parameterStore();
  if (typeof store === 'string') return store;
  for (const [name, value] of Object.entries(fixture.database.env)) await store.put(`${SECRETS_PATH}/${name}`, value);
  await fixture.serve({ ...store.env, SECRETS_PATH });
  return store;
}

const serviceKilled: ProcessDrill = {
  name: 'service-killed',
  fault: 'The service is killed (-9) under load and restarted at once',
  assertions: [neverWrong, recoversWithin(2), outageAtMost(5), nothingLost],
  duration: { full: 0, quick: 0 },
  async prepare(fixture) {
    await fixture.serve();
    return {
      begin: () => fixture.kill(),
      end: () => fixture.start({ ...fixture.database.env, PORT: new URL(fixture.url).port }),
    };
  },
};

const serviceStopped: ProcessDrill = {
  name: 'service-stopped',
  fault: 'One of two processes behind a load balancer gets SIGTERM under load, and is replaced',
  assertions: [
    nothingFails,
    observed('exit code', 'The process ends with 0', (value) => value === 0),
    observed('seconds to end', 'It ends within its grace period of 10 s', (value) => Number(value) < 10),
    nothingLost,
    noRestart,
  ],
  duration: { full: 3, quick: 0 },
  async prepare(fixture) {
    const env = { ...fixture.database.env, ...DRAIN };
    await fixture.serveBehindLoadBalancer(2, env);
    return {
      begin: ({ observations }) => stopOldest(fixture, observations),
      end: () => fixture.startBehindLoadBalancer(env),
    };
  },
};

const rollingRelease: ProcessDrill = {
  name: 'rolling-release',
  fault: 'Both processes behind a load balancer are replaced under load: a new one is started, an old one gets SIGTERM',
  assertions: [
    nothingFails,
    observed('exit code', 'The old processes end with 0', (value) => value === 0),
    nothingLost,
    noRestart,
  ],
  duration: { full: 0 },
  async prepare(fixture) {
    const env = { ...fixture.database.env, ...DRAIN };
    await fixture.serveBehindLoadBalancer(2, env);
    return {
      async begin({ observations }) {
        for (let n = 0; n < 2; n += 1) {
          await fixture.startBehindLoadBalancer(env);
          await stopOldest(fixture, observations);
        }
      },
      end() {},
    };
  },
};

async function stopOldest(fixture: ProcessFixture, observations: Record<string, number | string>): Promise<void> {
  const service = fixture.expectExit();
  const from = performance.now();
  const { code, signal } = await service.stop();
  observations['exit code'] = code ?? signal ?? 'none';
  observations['seconds to end'] = ((performance.now() - from) / 1000).toFixed(1);
}

const overload: ProcessDrill = {
  name: 'overload',
  fault: 'Ten times as many requests arrive as can be answered (a queue of 5 and 100 ms to MySQL make that few)',
  assertions: [
    observed('load', 'Ten times the capacity is offered', (value) => Number.parseFloat(String(value)) >= 8),
    p99AtMost(500),
    okOr503,
    recoversWithin(1),
    memoryGrowsAtMost(64),
    nothingLost,
    noRestart,
  ],
  duration: { full: 15, quick: 3 },
  rate: 20,
  async prepare(fixture) {
    await fixture.serve({ ...fixture.viaProxy, DATABASE_QUEUE_LIMIT: '5' });
    // A second without delay, for opening the connections.
    await answersOf(fixture, 100, 1);
    fixture.proxy.slowDown(50);
    const answers = await answersOf(fixture, 400, 3);
    const capacity = answers.filter(({ verdict }) => verdict === 'ok').length / 3;
    return {
      begin({ load, observations }) {
        load.rate = 10 * capacity;
        observations.load = `${Math.round(capacity)} requests/s can be answered, ${Math.round(load.rate)} arrive`;
      },
      end({ load }) {
        load.rate = 20;
      },
      settle: () => fixture.proxy.restore(),
    };
  },
};

const FLOOD = { method: 'GET', connections: 3_000 } as const;
const FLOOD_SECONDS = { full: 15, quick: 4 };

const flooded: ProcessDrill = {
  name: 'flood',
  fault: '3,000 connections send a GET again as soon as they are answered, beside the usual load',
  assertions: [
    observed('answered', 'At least half of the flood gets a correct answer', (value) => {
      return Number.parseFloat(String(value)) >= 50;
    }),
    abortedAtMost(1),
    recoversWithin(2),
    memoryAtMost(TASK_MEBIBYTES * 0.8),
    nothingLost,
    noRestart,
  ],
  duration: { full: 0, quick: 0 },
  async prepare(fixture) {
    if ((await lookAtTool('wrk')).mark !== '✓') return 'it needs wrk (Debian, Ubuntu: apt-get install wrk)';
    await fixture.serve();
    const url = `${fixture.url}/hello/${username(0)}`;
    const headers = { 'content-type': 'application/json' };
    await fetch(url, { method: 'PUT', headers, body: JSON.stringify({ dateOfBirth: '1990-01-01' }) });
    return {
      async begin({ observations, quick }) {
        const seconds = quick ? FLOOD_SECONDS.quick : FLOOD_SECONDS.full;
        const { perSecond, errors } = await measure(FLOOD, fixture.url, 1, seconds, 1);
        const answered = perSecond * seconds;
        const requests = answered + errors;
        observations.answered = `${((100 * answered) / requests).toFixed(0)} % of ${requests.toFixed(0)}`;
      },
      end() {},
    };
  },
};

/** The answers to `rate` requests per second for some seconds. */
async function answersOf({ urls, lateWritesEnd }: ProcessFixture, rate: number, seconds: number) {
  const load = new Load({ rate, urls, lateWritesEnd });
  await sleep(seconds * 1000);
  await load.stop();
  return load.answers;
}

const twoWriters: ProcessDrill = {
  name: 'two-writers',
  fault: 'Two processes write the same ten names, while another client locks one of them now and then',
  assertions: [
    nothingFails,
    observed('deadlocks', 'MySQL sees no deadlock', (value) => value === 0),
    nothingLost,
    noRestart,
  ],
  duration: { full: 15, quick: 4 },
  names: 10,
  async prepare(fixture) {
    await fixture.serve();
    await fixture.serve();
    const before = await fixture.deadlocks();
    const client = await fixture.database.connect();
    fixture.defer(() => client.destroy());
    let locking = Promise.resolve();
    let over = false;
    /** Both processes then wait within a statement, holding locks on some rows and waiting for others. */
    const lockRepeatedly = async (names: readonly string[]) => {
      for (let turn = 0; !over; turn += 1) {
        await client.query('BEGIN');
        await client.query('SELECT * FROM plusone.users WHERE username = ? FOR UPDATE', [names[turn % names.length]]);
        await sleep(50);
        await client.query('COMMIT');
        await sleep(50);
      }
    };
    return {
      begin({ load }) {
        load.rate = 1_000;
        locking = lockRepeatedly(load.names);
      },
      async end({ load, observations }) {
        over = true;
        await locking;
        load.rate = 100;
        observations.deadlocks = (await fixture.deadlocks()) - before;
      },
    };
  },
};

const slowClients: ProcessDrill = {
  name: 'slow-clients',
  fault: '300 connections send headers that never end (slowloris), 300 a body that never ends, 300 send nothing',
  assertions: [
    nothingFails,
    p99AtMost(500),
    observed('slow connections', 'After 30 s the service has closed all of them', (value) => {
      return value === 'not measured in quick mode' || value === '900 of 900 closed';
    }),
    memoryAtMost(TASK_MEBIBYTES * 0.8),
    nothingLost,
    noRestart,
  ],
  duration: { full: 32, quick: 3 },
  async prepare(fixture) {
    await fixture.serve();
    const clients: HostileClients[] = [];
    fixture.defer(() => {
      for (const { stop } of clients) stop();
    });
    return {
      begin() {
        clients.push(sendEndlessHeads(fixture.port, 300), sendEndlessBodies(fixture.port, 300));
        clients.push(openIdle(fixture.port, 300));
      },
      end({ observations, quick }) {
        const ended = clients.reduce((sum, client) => sum + client.ended, 0);
        observations['slow connections'] = quick ? 'not measured in quick mode' : `${ended} of 900 closed`;
      },
    };
  },
};

const memoryLimit: ProcessDrill = {
  name: 'memory-limit',
  fault: '3,000 connections hold an almost complete body of 16 kB each, beside the usual load',
  assertions: [nothingFails, p99AtMost(1_000), memoryAtMost(TASK_MEBIBYTES * 0.8), nothingLost, noRestart],
  duration: { full: 15 },
  async prepare(fixture) {
    await fixture.serve();
    return {
      begin() {
        fixture.defer(sendEndlessBodies(fixture.port, 3_000).stop);
      },
      end() {},
    };
  },
};

const clientsHangUp: ProcessDrill = {
  name: 'clients-hang-up',
  fault: '200 clients per second close their connection before the answer, or in the middle of their body',
  assertions: [
    nothingFails,
    observed('left over', 'None of their requests waits for the database afterwards', (value) => value === 0),
    memoryAtMost(TASK_MEBIBYTES * 0.8),
    nothingLost,
    noRestart,
  ],
  duration: { full: 15, quick: 3 },
  async prepare(fixture) {
    await fixture.serve();
    let clients: HostileClients | undefined;
    fixture.defer(() => clients?.stop());
    return {
      begin() {
        clients = disconnect(fixture.port, 200);
      },
      async end({ observations, load }) {
        clients?.stop();
        const { rate } = load;
        load.rate = 0;
        await sleep(1_000);
        observations['left over'] =
          (await fixture.metric('plusone_reads_waiting')) + (await fixture.metric('plusone_writes_waiting'));
        load.rate = rate;
      },
    };
  },
};

const clockSteps: ProcessDrill = {
  name: 'clock-steps',
  fault: 'The clock is set to just before the end of the year, 29 February and 1 March of a leap year, and passes each',
  assertions: [
    nothingFails,
    observed('days', 'The service saw the start of each of the three days', (value) => {
      return /^01 Jan \d{4}, 29 Feb \d{4}, 01 Mar \d{4}$/.test(String(value));
    }),
    nothingLost,
    noRestart,
  ],
  duration: { full: 3, quick: 2.5 },
  async prepare(fixture) {
    const library = faketimeLibrary();
    if (library === undefined) return 'it needs libfaketime (Debian, Ubuntu: apt-get install libfaketime)';
    const directory = mkdtempSync(join(tmpdir(), 'plusone-clock-'));
    fixture.defer(() => rmSync(directory, { recursive: true, force: true }));
    const file = join(directory, 'offset');
    const setClock = (to: number) => writeFileSync(file, `+${Math.round((to - Date.now()) / 1000)}\n`);
    setClock(Date.now());
    /** Node caches the Date header of its answers for up to a second: during it, the day at the service is unknown. */
    const step = async ({ load }: Run, to: number) => {
      const { rate } = load;
      load.rate = 0;
      await sleep(300);
      setClock(to);
      await sleep(1_200);
      load.rate = rate;
    };
    await fixture.serve({
      ...fixture.database.env,
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      // Timeouts use the monotonic clock, which can't be set.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    });
    const year = new Date().getUTCFullYear() + 1;
    const leapYear = year + ((4 - (year % 4)) % 4);
    return {
      begin: (running) => step(running, Date.UTC(year, 0, 1) - 2_000),
      async end(running) {
        const days = [await dayAt(fixture.url)];
        for (const day of [Date.UTC(leapYear, 1, 29), Date.UTC(leapYear, 2, 1)]) {
          await step(running, day - 2_000);
          await sleep(2_500);
          days.push(await dayAt(fixture.url));
        }
        running.observations.days = days.join(', ');
        await step(running, Date.now());
      },
    };
  },
};

/** The date in the Date header of the service, as `01 Jan 2027`. */
async function dayAt(url: string): Promise<string> {
  const { headers } = await fetch(`${url}/livez`);
  return headers.get('date')?.slice(5, 16) ?? 'none';
}

function faketimeLibrary(): string | undefined {
  if (!existsSync('/usr/lib')) return undefined;
  return readdirSync('/usr/lib')
    .map((name) => join('/usr/lib', name, 'faketime', 'libfaketimeMT.so.1'))
    .find(existsSync);
}

const stdoutBlocked: ProcessDrill = {
  name: 'stdout-blocked',
  fault: 'The log is no longer read, so writes to stdout block (a dead collector, a full disk); then comes SIGTERM',
  assertions: [
    nothingFails,
    p99AtMost(500),
    observed('blocked', 'Stdout was blocked', (value) => value === 'yes'),
    observed('exit', 'SIGTERM ends the process within its grace period of 5 s', (value) =>
      /^[0-4]\.\d s$/.test(String(value)),
    ),
    memoryGrowsAtMost(64),
    nothingLost,
  ],
  duration: { full: 40, quick: 4 },
  rate: 600,
  async prepare(fixture) {
    await fixture.serve({ ...fixture.database.env, SHUTDOWN_GRACE_SECONDS: '5' });
    const { service } = fixture;
    return {
      begin: () => service.child.stdout?.pause(),
      async end({ load, observations }) {
        const { rate } = load;
        load.rate = 0;
        await sleep(500);
        const read = service.stdout().length;
        fixture.expectExit();
        const from = performance.now();
        const exit = once(service.child, 'exit');
        service.child.kill('SIGTERM');
        const ended = await Promise.race([exit, sleep(8_000)]);
        observations.exit =
          ended === undefined ? 'still running after 8 s' : `${((performance.now() - from) / 1000).toFixed(1)} s`;
        service.child.kill('SIGKILL');
        service.child.stdout?.resume();
        await service.exited;
        observations.blocked = service.stdout().length > read ? 'yes' : 'no';
        await fixture.start({ ...fixture.database.env, PORT: new URL(fixture.url).port });
        load.rate = rate;
      },
    };
  },
};

/** The drills of `--target process`, in the order in which they run. */
export const processDrills: readonly ProcessDrill[] = [
  databaseKilled,
  manyProcesses,
  databaseFrozen,
  networkDropped,
  databaseFailover,
  networkSlow,
  passwordRotated,
  databaseReadOnly,
  databaseFull,
  ssmUnavailable,
  serviceKilled,
  serviceStopped,
  rollingRelease,
  overload,
  flooded,
  twoWriters,
  slowClients,
  memoryLimit,
  clientsHangUp,
  clockSteps,
  stdoutBlocked,
  ...clusterDrills,
  ...galeraDrills,
];
