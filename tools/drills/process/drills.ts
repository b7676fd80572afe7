import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { codeOf } from '../../../src/database/errors.ts';
import { startPrivateDatabase } from '../../process/database.ts';
import { migrate, startProcess } from '../../process/service.ts';
import type { ParameterStore } from '../../process/ssm.ts';
import type { Drill, Running } from '../drill.ts';
import { Load } from '../load.ts';
import {
  backWithin,
  cutAtMost,
  memoryAtMost,
  memoryGrowsAtMost,
  neverWrong,
  noneSlowerThan,
  noRestart,
  noted,
  nothingFails,
  nothingLost,
  outageAtMost,
  p99AtMost,
  readsGoOn,
  rightOr503,
  saysSoWithin,
} from '../promises.ts';
import {
  flood,
  type HostileClients,
  hangUp,
  sendEndlessBodies,
  sendEndlessHeads,
  staySilent,
} from './hostile-clients.ts';
import type { ProcessScene } from './scene.ts';

type ProcessDrill = Drill<ProcessScene>;

const run = promisify(execFile);

/** What holds whenever the database goes away and comes back. */
const outage = [saysSoWithin(2), backWithin(2), noneSlowerThan(3), rightOr503, nothingLost, noRestart];
/** Enough for the front door to notice, which looks four times a second. */
const DRAIN = { SHUTDOWN_DRAIN_SECONDS: '2', SHUTDOWN_GRACE_SECONDS: '10' };
/** The smallest task of copilot/plusone/manifest.yml. */
const TASK_MEBIBYTES = 512;
const SECRETS_PATH = '/drill/secrets';

const databaseKilled: ProcessDrill = {
  name: 'database-killed',
  fault: 'MySQL is killed (-9), and started again later',
  promises: outage,
  lasts: { full: 10, quick: 3 },
  async prepare(scene) {
    await scene.serve();
    return { begin: () => scene.database.kill(), end: () => scene.database.start() };
  },
};

const databaseFrozen: ProcessDrill = {
  name: 'database-frozen',
  fault: 'MySQL is stopped (SIGSTOP): connections stay open and nothing answers',
  promises: outage,
  lasts: { full: 20, quick: 3 },
  async prepare(scene) {
    await scene.serve();
    scene.atTheEnd(() => scene.database.thaw());
    return { begin: () => scene.database.freeze(), end: () => scene.database.thaw() };
  },
};

const networkDropped: ProcessDrill = {
  name: 'network-dropped',
  fault:
    'Packets to and from MySQL are dropped without a word; what was sent arrives seconds after the network is back',
  promises: outage,
  // Few, so that each is written again before the late write arrives.
  names: 20,
  lasts: { full: 20, quick: 3 },
  async prepare(scene) {
    await scene.serve(scene.overWire);
    return {
      begin: () => scene.wire.drop(),
      end: () => scene.wire.failOver(),
      async settle() {
        // TCP sends again what got lost after longer and longer pauses.
        scene.wire.restore();
        await sleep(1_000);
      },
    };
  },
};

const databaseFailover: ProcessDrill = {
  name: 'database-failover',
  fault: 'MySQL falls silent and never comes back; after a while its address leads to another, which has the same data',
  promises: outage,
  lasts: { full: 20, quick: 3 },
  async prepare(scene) {
    await scene.serve(scene.overWire);
    return { begin: () => scene.wire.drop(), end: () => scene.wire.failOver() };
  },
};

const networkSlow: ProcessDrill = {
  name: 'network-slow',
  fault: 'Every packet between the service and MySQL takes 100 ms, so every question 200 ms',
  promises: [nothingFails, p99AtMost(1_500), nothingLost, noRestart],
  lasts: { full: 20, quick: 3 },
  async prepare(scene) {
    await scene.serve(scene.overWire);
    return { begin: () => scene.wire.slowDown(100), end: () => scene.wire.restore() };
  },
};

const passwordRotated: ProcessDrill = {
  name: 'password-rotated',
  fault: 'MySQL is restarted with a new password, which SSM holds two seconds later',
  promises: [backWithin(2), outageAtMost(5), noneSlowerThan(3), rightOr503, nothingLost, noRestart],
  lasts: { full: 2, quick: 2 },
  async prepare(scene) {
    const { database } = scene;
    const store = await serveFromStore(scene);
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
  fault: 'MySQL takes no writes, as in the middle of a failover',
  promises: [readsGoOn, saysSoWithin(2), backWithin(2), noneSlowerThan(3), rightOr503, nothingLost, noRestart],
  lasts: { full: 10, quick: 2 },
  async prepare(scene) {
    await scene.serve();
    const end = () => scene.database.query('SET GLOBAL read_only = OFF');
    scene.atTheEnd(end);
    return { begin: () => scene.database.query('SET GLOBAL read_only = ON'), end };
  },
};

/** What InnoDB needs for itself, and some room. */
const DISK_MEBIBYTES = 256;

const databaseFull: ProcessDrill = {
  name: 'database-full',
  fault: 'The disk of MySQL is full: its binary log waits for room, and so does every write',
  promises: [readsGoOn, saysSoWithin(2), backWithin(2), noneSlowerThan(3), rightOr503, nothingLost, noRestart],
  lasts: { full: 20, quick: 3 },
  async prepare(scene) {
    if (process.getuid?.() !== 0) return 'it needs root, to mount a small disk';
    const disk = mkdtempSync(join(tmpdir(), 'plusone-disk-'));
    await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MEBIBYTES}m`, 'plusone-drill', disk]);
    scene.atTheEnd(async () => {
      await run('umount', [disk]);
      rmSync(disk, { recursive: true });
    });
    // As RDS has it, for its backups. Without it InnoDB goes on while its own files have room, then refuses at once.
    const database = await startPrivateDatabase(['--log-bin=binlog', '--server-id=1'], disk);
    scene.atTheEnd(() => database.stop());
    if (readdirSync(disk).length === 0) return 'it needs MariaDB or MySQL on this machine: it runs in Docker here';
    await migrate(database.env);
    await scene.serve(database.env);
    const filler = join(disk, 'filler');
    return {
      begin: () => fill(filler),
      end: () => rmSync(filler),
    };
  },
};

/** Writes a file until the disk has no room for it. */
function fill(file: string): void {
  const descriptor = openSync(file, 'w');
  const piece = Buffer.alloc(1024 * 1024);
  for (let size = piece.length; size >= 512; ) {
    try {
      writeSync(descriptor, piece, 0, size);
    } catch (error) {
      if (codeOf(error) !== 'ENOSPC') throw error;
      size /= 2;
    }
  }
  closeSync(descriptor);
}

const ssmAway: ProcessDrill = {
  name: 'ssm-away',
  fault: 'SSM answers nothing while the service runs, and another process is started meanwhile',
  promises: [
    nothingFails,
    noted('newcomer', 'A process that starts without SSM ends with 1 within 20 s and names SECRETS_PATH', (value) => {
      return value === 'ended with 1, named SECRETS_PATH';
    }),
    nothingLost,
    noRestart,
  ],
  lasts: { full: 3 },
  async prepare(scene) {
    const store = await serveFromStore(scene);
    if (typeof store === 'string') return store;
    scene.atTheEnd(() => store.thaw());
    return {
      async begin({ notes }) {
        store.freeze();
        const newcomer = startProcess('serve', { ...store.env, SECRETS_PATH });
        const exit = await Promise.race([newcomer.exited, sleep(20_000)]);
        newcomer.child.kill('SIGKILL');
        const words = newcomer.stderr();
        const named = words.includes('SECRETS_PATH') ? 'SECRETS_PATH' : words;
        notes.newcomer = exit === undefined ? 'still there' : `ended with ${exit.code ?? exit.signal}, named ${named}`;
      },
      end: () => store.thaw(),
    };
  },
};

/** Starts a service that has its settings from a parameter store; a text says why there can be none. */
async function serveFromStore(scene: ProcessScene): Promise<ParameterStore | string> {
  const store = await scene.parameterStore();
  if (typeof store === 'string') return store;
  for (const [name, value] of Object.entries(scene.database.env)) await store.put(`${SECRETS_PATH}/${name}`, value);
  await scene.serve({ ...store.env, SECRETS_PATH });
  return store;
}

const serviceKilled: ProcessDrill = {
  name: 'service-killed',
  fault: 'The service is killed (-9) under load and started again at once',
  promises: [neverWrong, backWithin(2), outageAtMost(5), nothingLost],
  lasts: { full: 0, quick: 0 },
  async prepare(scene) {
    await scene.serve();
    return {
      begin: () => scene.kill(),
      end: () => scene.start({ ...scene.database.env, PORT: new URL(scene.url).port }),
    };
  },
};

const serviceStopped: ProcessDrill = {
  name: 'service-stopped',
  fault: 'One of two processes behind a load balancer gets SIGTERM under load, and another takes its place',
  promises: [
    nothingFails,
    noted('exit code', 'The process ends with 0', (value) => value === 0),
    noted('seconds to end', 'It ends within its grace period of 10 s', (value) => Number(value) < 10),
    nothingLost,
    noRestart,
  ],
  lasts: { full: 3, quick: 0 },
  async prepare(scene) {
    const env = { ...scene.database.env, ...DRAIN };
    await scene.serveBehindDoor(2, env);
    return { begin: ({ notes }) => stopOldest(scene, notes), end: () => scene.startBehindDoor(env) };
  },
};

const rollingRelease: ProcessDrill = {
  name: 'rolling-release',
  fault: 'Both processes behind a load balancer are replaced under load: a new one is started, an old one gets SIGTERM',
  promises: [
    nothingFails,
    noted('exit code', 'The old processes end with 0', (value) => value === 0),
    nothingLost,
    noRestart,
  ],
  lasts: { full: 0 },
  async prepare(scene) {
    const env = { ...scene.database.env, ...DRAIN };
    await scene.serveBehindDoor(2, env);
    return {
      async begin({ notes }) {
        for (let n = 0; n < 2; n += 1) {
          await scene.startBehindDoor(env);
          await stopOldest(scene, notes);
        }
      },
      end() {},
    };
  },
};

async function stopOldest(scene: ProcessScene, notes: Record<string, number | string>): Promise<void> {
  const service = scene.letGo();
  const from = performance.now();
  const { code, signal } = await service.stop();
  notes['exit code'] = code ?? signal ?? 'none';
  notes['seconds to end'] = ((performance.now() - from) / 1000).toFixed(1);
}

const overload: ProcessDrill = {
  name: 'overload',
  fault: 'Ten times as many requests come as can be answered (a queue of 5 and MySQL 100 ms away make that few)',
  promises: [
    noted('load', 'Ten times the capacity is offered', (value) => Number.parseFloat(String(value)) >= 8),
    p99AtMost(500),
    rightOr503,
    backWithin(1),
    memoryGrowsAtMost(64),
    nothingLost,
    noRestart,
  ],
  lasts: { full: 15, quick: 3 },
  rate: 20,
  async prepare(scene) {
    await scene.serve({ ...scene.overWire, DATABASE_QUEUE_LIMIT: '5' });
    // A second without delay, in which the connections are opened.
    await answersOf(scene, 100, 1);
    scene.wire.slowDown(50);
    const answers = await answersOf(scene, 400, 3);
    const capacity = answers.filter(({ verdict }) => verdict === 'right').length / 3;
    return {
      begin({ load, notes }) {
        load.rate = 10 * capacity;
        notes.load = `${Math.round(capacity)} requests/s can be answered, ${Math.round(load.rate)} come`;
      },
      end({ load }) {
        load.rate = 20;
      },
      settle: () => scene.wire.restore(),
    };
  },
};

const FLOOD_SECONDS = { full: 15, quick: 4 };

const flooded: ProcessDrill = {
  name: 'flood',
  fault: '3,000 connections ask for a birthday again as soon as they are answered, beside the usual load',
  promises: [
    noted('answered', 'At least half of the flood is answered rightly', (value) => {
      return Number.parseFloat(String(value)) >= 50;
    }),
    cutAtMost(1),
    backWithin(2),
    memoryAtMost(TASK_MEBIBYTES * 0.8),
    nothingLost,
    noRestart,
  ],
  lasts: { full: 0, quick: 0 },
  async prepare(scene) {
    await scene.serve();
    const url = `${scene.url}/hello/flood`;
    const headers = { 'content-type': 'application/json' };
    await fetch(url, { method: 'PUT', headers, body: JSON.stringify({ dateOfBirth: '1990-01-01' }) });
    return {
      async begin({ notes, quick }) {
        const answers = await flood(url, 3_000, quick ? FLOOD_SECONDS.quick : FLOOD_SECONDS.full);
        const all = [...answers.values()].reduce((sum, count) => sum + count, 0);
        notes.answered = `${((100 * (answers.get(200) ?? 0)) / all).toFixed(0)} % of ${all}`;
      },
      end() {},
    };
  },
};

/** What comes of `rate` requests a second for some seconds. */
async function answersOf({ urls, lateWritesEnd }: ProcessScene, rate: number, seconds: number) {
  const load = new Load({ rate, urls, lateWritesEnd });
  await sleep(seconds * 1000);
  await load.stop();
  return load.answers;
}

const twoWriters: ProcessDrill = {
  name: 'two-writers',
  fault: 'Two processes write the same ten names, while somebody else locks one of them, now and then',
  promises: [
    nothingFails,
    noted('deadlocks', 'MySQL sees no deadlock', (value) => value === 0),
    nothingLost,
    noRestart,
  ],
  lasts: { full: 15, quick: 4 },
  names: 10,
  async prepare(scene) {
    await scene.serve();
    await scene.serve();
    const before = await scene.deadlocks();
    const somebody = await scene.database.connect();
    scene.atTheEnd(() => somebody.destroy());
    let locking = Promise.resolve();
    let over = false;
    /** Both processes then stand in the middle of a statement, holding some rows and wanting others. */
    const lockAgainAndAgain = async (names: readonly string[]) => {
      for (let turn = 0; !over; turn += 1) {
        await somebody.query('BEGIN');
        await somebody.query('SELECT * FROM plusone.users WHERE username = ? FOR UPDATE', [names[turn % names.length]]);
        await sleep(50);
        await somebody.query('COMMIT');
        await sleep(50);
      }
    };
    return {
      begin({ load }) {
        load.rate = 1_000;
        locking = lockAgainAndAgain(load.names);
      },
      async end({ load, notes }) {
        over = true;
        await locking;
        load.rate = 100;
        notes.deadlocks = (await scene.deadlocks()) - before;
      },
    };
  },
};

const slowClients: ProcessDrill = {
  name: 'slow-clients',
  fault: '300 connections send a head that never ends (slowloris), 300 a body that never ends, 300 say nothing at all',
  promises: [
    nothingFails,
    p99AtMost(500),
    noted('slow connections', 'After 30 s the service has ended them all', (value) => {
      return value === 'not waited for' || value === '900 of 900 ended';
    }),
    memoryAtMost(TASK_MEBIBYTES * 0.8),
    nothingLost,
    noRestart,
  ],
  lasts: { full: 32, quick: 3 },
  async prepare(scene) {
    await scene.serve();
    const clients: HostileClients[] = [];
    scene.atTheEnd(() => {
      for (const { stop } of clients) stop();
    });
    return {
      begin() {
        clients.push(sendEndlessHeads(scene.port, 300), sendEndlessBodies(scene.port, 300));
        clients.push(staySilent(scene.port, 300));
      },
      end({ notes, quick }) {
        const ended = clients.reduce((sum, client) => sum + client.ended, 0);
        notes['slow connections'] = quick ? 'not waited for' : `${ended} of 900 ended`;
      },
    };
  },
};

const memoryLimit: ProcessDrill = {
  name: 'memory-limit',
  fault: '3,000 connections hold a body that is almost complete, each 16 kB, while others ask as ever',
  promises: [nothingFails, p99AtMost(1_000), memoryAtMost(TASK_MEBIBYTES * 0.8), nothingLost, noRestart],
  lasts: { full: 15 },
  async prepare(scene) {
    await scene.serve();
    return {
      begin() {
        scene.atTheEnd(sendEndlessBodies(scene.port, 3_000).stop);
      },
      end() {},
    };
  },
};

const clientsHangUp: ProcessDrill = {
  name: 'clients-hang-up',
  fault: '200 callers a second break their connection before they have their answer, or in the middle of their body',
  promises: [
    nothingFails,
    noted('left behind', 'Nothing of theirs waits for the database afterwards', (value) => value === 0),
    memoryAtMost(TASK_MEBIBYTES * 0.8),
    nothingLost,
    noRestart,
  ],
  lasts: { full: 15, quick: 3 },
  async prepare(scene) {
    await scene.serve();
    let clients: HostileClients | undefined;
    scene.atTheEnd(() => clients?.stop());
    return {
      begin() {
        clients = hangUp(scene.port, 200);
      },
      async end({ notes, load }) {
        clients?.stop();
        const { rate } = load;
        load.rate = 0;
        await sleep(1_000);
        notes['left behind'] =
          (await scene.metric('plusone_reads_waiting')) + (await scene.metric('plusone_writes_waiting'));
        load.rate = rate;
      },
    };
  },
};

const clockSteps: ProcessDrill = {
  name: 'clock-steps',
  fault: 'The clock is set to just before the year’s end, 29 February and 1 March of a leap year, and runs over each',
  promises: [
    nothingFails,
    noted('days', 'The service saw each of the three days begin', (value) => {
      return /^01 Jan \d{4}, 29 Feb \d{4}, 01 Mar \d{4}$/.test(String(value));
    }),
    nothingLost,
    noRestart,
  ],
  lasts: { full: 3, quick: 2.5 },
  async prepare(scene) {
    const library = faketimeLibrary();
    if (library === undefined) return 'it needs libfaketime (Debian, Ubuntu: apt-get install libfaketime)';
    const directory = mkdtempSync(join(tmpdir(), 'plusone-clock-'));
    scene.atTheEnd(() => rmSync(directory, { recursive: true, force: true }));
    const file = join(directory, 'offset');
    const setClock = (to: number) => writeFileSync(file, `+${Math.round((to - Date.now()) / 1000)}\n`);
    setClock(Date.now());
    /** Node keeps the Date header of its answers for up to a second, so nobody could tell what day it was there. */
    const step = async ({ load }: Running, to: number) => {
      const { rate } = load;
      load.rate = 0;
      await sleep(300);
      setClock(to);
      await sleep(1_200);
      load.rate = rate;
    };
    await scene.serve({
      ...scene.database.env,
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      // Time-outs go by this one, which nobody can set.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    });
    const year = new Date().getUTCFullYear() + 1;
    const leapYear = year + ((4 - (year % 4)) % 4);
    return {
      begin: (running) => step(running, Date.UTC(year, 0, 1) - 2_000),
      async end(running) {
        const days = [await dayAt(scene.url)];
        for (const day of [Date.UTC(leapYear, 1, 29), Date.UTC(leapYear, 2, 1)]) {
          await step(running, day - 2_000);
          await sleep(2_500);
          days.push(await dayAt(scene.url));
        }
        running.notes.days = days.join(', ');
        await step(running, Date.now());
      },
    };
  },
};

/** The date that the service has in the head of its answers: 01 Jan 2027. */
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
  fault: 'Nobody reads the log any more, so stdout takes nothing (a dead collector, a full disk); then comes SIGTERM',
  promises: [
    nothingFails,
    p99AtMost(500),
    noted('blocked', 'Stdout was blocked indeed', (value) => value === 'yes'),
    noted('exit', 'SIGTERM ends the process within its grace period of 5 s', (value) =>
      /^[0-4]\.\d s$/.test(String(value)),
    ),
    memoryGrowsAtMost(64),
    nothingLost,
  ],
  lasts: { full: 40, quick: 4 },
  rate: 600,
  async prepare(scene) {
    await scene.serve({ ...scene.database.env, SHUTDOWN_GRACE_SECONDS: '5' });
    const { service } = scene;
    return {
      begin: () => service.child.stdout?.pause(),
      async end({ load, notes }) {
        const { rate } = load;
        load.rate = 0;
        await sleep(500);
        const read = service.stdout().length;
        scene.letGo();
        const from = performance.now();
        const exit = once(service.child, 'exit');
        service.child.kill('SIGTERM');
        const ended = await Promise.race([exit, sleep(8_000)]);
        notes.exit =
          ended === undefined ? 'still there after 8 s' : `${((performance.now() - from) / 1000).toFixed(1)} s`;
        service.child.kill('SIGKILL');
        service.child.stdout?.resume();
        await service.exited;
        notes.blocked = service.stdout().length > read ? 'yes' : 'no';
        await scene.start({ ...scene.database.env, PORT: new URL(scene.url).port });
        load.rate = rate;
      },
    };
  },
};

/** What is run with `--target process`, in this order. */
export const processDrills: readonly ProcessDrill[] = [
  databaseKilled,
  databaseFrozen,
  networkDropped,
  databaseFailover,
  networkSlow,
  passwordRotated,
  databaseReadOnly,
  databaseFull,
  ssmAway,
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
];
