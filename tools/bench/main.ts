/**
 * `npm run bench`: compares the service with alternatives on one private database, in rounds in which each server gets
 * each load. Writes docs/performance.md and its chart; `--quick` runs everything in about a minute and writes nothing, and
 * `--generated` compares it with a service of `plusone new` only.
 */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { RowDataPacket } from 'mysql2';
import { measure, requireWrk } from '../load/wrk.ts';
import { startCleanupWatchdog } from '../process/cleanup-watchdog.ts';
import { type PrivateDatabase, startPrivateDatabase } from '../process/database.ts';
import { makeTarget } from '../terminal/make-target.ts';
import { output } from '../terminal/programs.ts';
import { remark, say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { chart } from './chart.ts';
import {
  bareNodeMilliseconds,
  type Contestant,
  prepareContestants,
  RAW,
  type Running,
  SERVICE,
  start,
} from './contestants.ts';
import { compareGenerated } from './generated.ts';
import { report } from './report.ts';
import { GET_64, type Machine, type Results } from './results.ts';
import { type Extent, measureRounds, rotated } from './rounds.ts';
import { createUsers, requireSameWork } from './users.ts';

const USAGE = `usage: npm run bench [-- [--quick] [--generated]]

  --quick      one short round, to check that everything works; its numbers are rough and not saved
  --generated  compare the service with one that plusone new writes, of the same shape; saves nothing
`;
const PAGE = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));
const PICTURE = fileURLToPath(new URL('../../docs/images/performance.svg', import.meta.url));
const SHOWN = '![Requests per second and response times, as in the tables below](images/performance.svg)';
const BEGIN = '<!-- written by npm run bench: begin -->';
const END = '<!-- written by npm run bench: end -->';

const FULL: Extent = { rounds: 5, seconds: 4, warmUpSeconds: 2, starts: 7 };
const QUICK: Extent = { rounds: 1, seconds: 1, warmUpSeconds: 1, starts: 2 };

/** Users, as powers of ten. */
const MAGNITUDE = 4;
const FEW = 3;
const MANY = 6;

const { quick, generated } = readArguments();
const extent = quick ? QUICK : FULL;
await makeTarget('make bench', async () => {
  warnIfBusy();
  if (generated) {
    say(await compareGenerated(extent));
    return;
  }
  const results = await bench(extent);
  say(report(results));
  if (extent === FULL) publish(results);
});

function readArguments(): { quick: boolean; generated: boolean } {
  const options = {
    quick: { type: 'boolean', default: false },
    generated: { type: 'boolean', default: false },
  } as const;
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    process.exit(64);
  }
}

function warnIfBusy(): void {
  const [load = 0] = loadavg();
  if (load > cpus().length / 4)
    remark(`the machine is busy (load average ${load.toFixed(1)}): the numbers will be worse than they could be`);
}

async function bench(size: Extent): Promise<Results> {
  const { rounds, seconds, starts } = size;
  const [loadBefore = 0] = loadavg();
  const directory = mkdtempSync(join(tmpdir(), 'plusone-bench-'));
  startCleanupWatchdog('rm -rf "$1"', directory);
  const wrk = await requireWrk();
  const contestants = await prepareContestants(directory);
  const database = await startPrivateDatabase();
  try {
    const env = await step(`10^${MAGNITUDE} users in ${database.description}`, () =>
      createUsers(database, 'plusone', MAGNITUDE),
    );

    const startTimes = new Map<Contestant, number[]>(contestants.map((contestant) => [contestant, []]));
    const bareNode: number[] = [];
    const startNow = async (contestant: Contestant) => await start(contestant, env, directory);
    await step(`starting each server ${starts} times`, async () => {
      for (let time = 0; time < starts; time += 1) {
        bareNode.push(await bareNodeMilliseconds());
        for (const contestant of rotated(contestants, time)) {
          const running = await startNow(contestant);
          startTimes.get(contestant)?.push(running.startMilliseconds);
          await running.stop();
        }
      }
    });

    const running: Running[] = [];
    for (const contestant of contestants) running.push(await startNow(contestant));
    await requireSameWork(
      running.map(({ contestant, url }) => ({ name: contestant.name, url })),
      database,
      'plusone',
    );
    const servers = await measureRounds(running, 10 ** MAGNITUDE, size, startTimes);

    return {
      machine: await describeMachine(database, wrk, loadBefore),
      rounds,
      seconds,
      servers,
      flatness: await measureFlatness(database, directory, size),
      bareNode,
    };
  } finally {
    await database.stop();
  }
}

/** Compares the service and raw with few users and with many, alternating. */
async function measureFlatness(
  database: PrivateDatabase,
  directory: string,
  { rounds, seconds, warmUpSeconds }: Pick<Extent, 'rounds' | 'seconds' | 'warmUpSeconds'>,
): Promise<Results['flatness']> {
  const few = await step(`10^${FEW} users`, () => createUsers(database, 'few', FEW));
  const many = await step(`10^${MANY} users`, () => createUsers(database, 'many', MANY));
  const flatness = [];
  for (const contestant of [SERVICE, RAW]) {
    const withFew = await start(contestant, few, directory);
    const withMany = await start(contestant, many, directory);
    const numbers = new Map([
      [withFew, 10 ** FEW],
      [withMany, 10 ** MANY],
    ]);
    const shares: number[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      const perSecond = new Map<Running, number>();
      const which = round === 0 ? 'warming up' : `round ${round} of ${rounds}`;
      await step(`${contestant.name} with few and many users, ${which}`, async () => {
        for (const [server, users] of rotated([...numbers], round)) {
          const outcome = await measure(GET_64, server.url, users, round === 0 ? warmUpSeconds : seconds, round);
          perSecond.set(server, outcome.perSecond);
        }
      });
      if (round > 0) shares.push((perSecond.get(withMany) ?? Number.NaN) / (perSecond.get(withFew) ?? Number.NaN));
    }
    flatness.push({ name: contestant.name, shares });
    await withFew.stop();
    await withMany.stop();
  }
  return flatness;
}

async function describeMachine(database: PrivateDatabase, wrk: string, loadBefore: number): Promise<Machine> {
  const processors = cpus();
  const [variables] = await database.query<RowDataPacket>(
    'SELECT @@innodb_flush_log_at_trx_commit AS flush, @@log_bin AS binlog, @@sync_binlog AS sync',
  );
  const commit = await output('git', ['rev-parse', '--short', 'HEAD']);
  const changes = await output('git', ['status', '--porcelain', '--', 'src', 'tools/bench', 'tools/load']);
  const go = await output('go', ['env', 'GOVERSION']).then(
    (version) => `, Go ${version.replace('go', '')}`,
    () => '',
  );
  const rust = await output('rustc', ['--version']).then(
    (version) => `, Rust ${version.split(' ')[1]}`,
    () => '',
  );
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: changes === '' ? commit : `${commit} with changes`,
    hardware:
      `${processors.length} processors (${processors[0]?.model.trim()}), ` +
      `${Math.round(totalmem() / 2 ** 30)} GiB of memory, ${type()} ${release()}`,
    software: `Node ${process.versions.node}${go}${rust}, wrk ${wrk}, ${database.description}`,
    durability:
      `innodb_flush_log_at_trx_commit is ${variables?.flush}, and the binary log ` +
      `${variables?.binlog === 1 ? `on with sync_binlog ${variables.sync}` : 'off'}.`,
    loadBefore,
  };
}

/** Puts the tables into docs/performance.md, between its two markers, and the chart beside it. */
function publish(results: Results): void {
  const page = readFileSync(PAGE, 'utf8');
  const [before, after] = [page.split(BEGIN)[0], page.split(END)[1]];
  if (before === undefined || after === undefined || !page.includes(BEGIN)) {
    throw new Refusal(`${PAGE} lacks one of the lines ${BEGIN} and ${END}`);
  }
  writeFileSync(PAGE, `${before}${BEGIN}\n\n${SHOWN}\n\n${report(results)}\n\n${END}${after}`);
  mkdirSync(join(PICTURE, '..'), { recursive: true });
  writeFileSync(PICTURE, chart(results));
  remark(`written: ${PAGE} and ${PICTURE}`);
}
