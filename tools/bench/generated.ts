/**
 * `npm run bench -- --generated`: a service that `plusone new` writes, with a resource of one date as the birthdays have,
 * installed from its packages and started as in its image, beside Plusone on one database.
 */
import { mkdtempSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireWrk } from '../load/wrk.ts';
import { create } from '../new/create.ts';
import { startCleanupWatchdog } from '../process/cleanup-watchdog.ts';
import { type PrivateDatabase, startPrivateDatabase } from '../process/database.ts';
import { migrate } from '../process/service.ts';
import { run } from '../terminal/programs.ts';
import { step } from '../terminal/progress.ts';
import { version } from '../terminal/version.ts';
import { type Contestant, SERVICE, start } from './contestants.ts';
import { table, withRange } from './report.ts';
import { errors, LOADS, median, type ServerResults, series, shares } from './results.ts';
import { type Extent, measureRounds, rotated } from './rounds.ts';
import { createUsers } from './users.ts';

/** Users, as a power of ten. */
const MAGNITUDE = 4;
/** The least share of Plusone's requests per second. */
const GOAL = 0.9;

/** The comparison as Markdown. */
export async function compareGenerated(extent: Extent): Promise<string> {
  const { rounds, seconds, starts } = extent;
  const [loadBefore = 0] = loadavg();
  const directory = mkdtempSync(join(tmpdir(), 'plusone-bench-'));
  startCleanupWatchdog('rm -rf "$1"', directory);
  await requireWrk();
  const folder = join(directory, 'service');
  const main = join(folder, 'src/main.ts');
  const generated = { name: 'plusone new', command: [process.execPath, main, 'serve'], path: '/users/' } as const;
  await step('a service of plusone new', () => install(folder));
  const database = await startPrivateDatabase();
  try {
    const env = await step(`10^${MAGNITUDE} users in ${database.description}`, async () => {
      const users = await createUsers(database, 'plusone', MAGNITUDE);
      return new Map([
        [SERVICE, users],
        [generated, await copyUsers(database, main, users)],
      ]);
    });
    const startNow = async (contestant: Contestant) => await start(contestant, env.get(contestant) ?? {}, directory);
    const contestants = [SERVICE, generated];
    const startTimes = new Map<Contestant, number[]>(contestants.map((contestant) => [contestant, []]));
    await step(`starting each server ${starts} times`, async () => {
      for (let time = 0; time < starts; time += 1)
        for (const contestant of rotated(contestants, time)) {
          const running = await startNow(contestant);
          startTimes.get(contestant)?.push(running.startMilliseconds);
          await running.stop();
        }
    });
    const running = [await startNow(SERVICE), await startNow(generated)];
    const servers = await measureRounds(running, 10 ** MAGNITUDE, extent, startTimes);
    return [
      `Rounds: ${rounds}; seconds of each load: ${seconds}; load average before the run: ${loadBefore.toFixed(1)}.`,
    ]
      .concat(comparison(servers))
      .join('\n\n');
  } finally {
    await database.stop();
  }
}

/** Writes the service into a folder and installs what its image has. */
async function install(folder: string): Promise<void> {
  const resources = [{ name: 'user', fields: ['dateOfBirth:date'], created: '20260101000000' }];
  await create({ version, name: 'people', port: 5000, resources }, folder);
  const options = ['--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  await run('npm', ['install', ...options], { cwd: folder });
}

/** The same users in a database with the schema of the generated service. Gives back the variables that lead to it. */
async function copyUsers(
  database: PrivateDatabase,
  main: string,
  users: Record<string, string>,
): Promise<Record<string, string>> {
  const env = { ...users, DATABASE_NAME: 'people' };
  await database.query('CREATE DATABASE people');
  await database.query(`GRANT ALL PRIVILEGES ON people.* TO '${users.DATABASE_USERNAME}'@'%'`);
  await migrate({ ...process.env, ...env }, { main });
  await database.query(
    'INSERT INTO people.users (id, date_of_birth) SELECT username, date_of_birth FROM plusone.users',
  );
  await database.query('ANALYZE TABLE people.users');
  return env;
}

function comparison(servers: readonly ServerResults[]): string[] {
  const [service, generated] = servers;
  if (service === undefined || generated === undefined) throw new Error('two servers were measured');
  return [
    table(
      [
        '',
        ...servers.map(({ name }) => `${name}, per second`),
        'as a multiple of Plusone',
        'goal',
        ...servers.map(({ name }) => `p99 of ${name}, ms`),
      ],
      LOADS.map((load) => {
        const own = shares(generated, service, load, 'perSecond');
        return [
          `${load.method}, ${load.connections} connection${load.connections > 1 ? 's' : ''}`,
          ...servers.map((server) => withRange(series(server, load, 'perSecond'), 0)),
          withRange(own, 2),
          `≥ ${GOAL}: ${median(own) >= GOAL ? 'met' : '**missed**'}`,
          ...servers.map((server) => withRange(series(server, load, 'p99'), 1)),
        ];
      }),
    ),
    table(
      ['', 'process start to first 200, ms', 'resident memory after the load, MiB', 'errors'],
      servers.map((server) => [
        server.name,
        withRange(server.starts, 0),
        server.memory.toFixed(0),
        String(errors(server)),
      ]),
    ),
  ];
}
