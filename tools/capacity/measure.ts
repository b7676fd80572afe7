/**
 * `npm run capacity:measure -- --users 1e7`: what a request and a user take on this machine, as plan.ts needs it. On a busy
 * machine fewer requests share a statement, and each takes more.
 */

import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import type { RowDataPacket } from 'mysql2';
import { median } from '../bench/results.ts';
import { createUsers, username } from '../bench/users.ts';
import { type Load, measure, requireWrk } from '../load/wrk.ts';
import { type PrivateDatabase, startPrivateDatabase } from '../process/database.ts';
import { type Service, startServing } from '../process/service.ts';
import { makeTarget } from '../terminal/make-target.ts';
import { say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import type { Measured } from './plan.ts';

/** As many as a busy task has: with more, more requests share a statement, and each takes less. */
const CONNECTIONS = 16;
const SECONDS = 10;
const ROUNDS = 3;
/** The kernel's clock ticks in /proc: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
const TICKS_PER_SECOND = 100;

await makeTarget('npm run capacity:measure', async () => {
  const { users } = parseArgs({ options: { users: { type: 'string', default: '1e6' } } }).values;
  const magnitude = Math.log10(Number(users));
  if (!Number.isInteger(magnitude) || magnitude < 3 || magnitude > 8)
    throw new Refusal(`--users ${users}: expected a power of ten from 1e3 to 1e8`);
  if (process.platform !== 'linux')
    throw new Refusal('the processor time of the database is read from /proc: use Linux');
  await requireWrk();
  const database = await startPrivateDatabase(['--innodb-buffer-pool-size=2G']);
  try {
    const env = await step(`10^${magnitude} users`, () => createUsers(database, 'plusone', magnitude));
    const service = await startServing(env);
    const read = await step('reads', () => costOf('GET', service, database, 10 ** magnitude));
    const write = await step('writes', () => costOf('PUT', service, database, 10 ** magnitude));
    const measured: Measured = {
      service: { read: read.service, write: write.service },
      database: { read: read.database, write: write.database },
      bytesPerUser: await bytesPerUser(database, 10 ** magnitude),
      bytesPerResponse: await bytesPerResponse(new URL(service.url), username(10 ** magnitude - 1)),
      bytesPerLine: Math.round(read.bytesPerLine),
    };
    await service.stop();
    say(JSON.stringify(measured, undefined, 2));
  } finally {
    await database.stop();
  }
});

/** Microseconds of processor time of a request, the medians of the rounds, and the bytes of its line in the log. */
async function costOf(method: Load['method'], service: Service, database: PrivateDatabase, users: number) {
  const rounds = [];
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round += 1) {
    const before = await usage(service, database);
    const { perSecond } = await measure({ method, connections: CONNECTIONS }, service.url, users, SECONDS, round);
    const after = await usage(service, database);
    const requests = perSecond * SECONDS;
    rounds.push({
      service: ((after.service - before.service) * 1e6) / requests,
      database: ((after.database - before.database) * 1e6) / requests,
      bytesPerLine: (after.log - before.log) / requests,
    });
  }
  const [, ...counted] = rounds;
  return {
    service: Math.round(median(counted.map((round) => round.service))),
    database: Math.round(median(counted.map((round) => round.database))),
    bytesPerLine: median(counted.map((round) => round.bytesPerLine)),
  };
}

/** Seconds of processor time so far, and the bytes of the log. */
async function usage({ child, stdout }: Service, database: PrivateDatabase) {
  return {
    service: processorSeconds(child.pid),
    database: processorSeconds(await database.processId()),
    log: stdout().length,
  };
}

function processorSeconds(pid: number | undefined): number {
  // The name of the program, in brackets, may contain spaces.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function bytesPerUser(database: PrivateDatabase, users: number): Promise<number> {
  const [row] = await database.query<RowDataPacket>(
    "SELECT data_length + index_length AS bytes FROM information_schema.tables WHERE table_schema = 'plusone' AND table_name = 'users'",
  );
  return Math.round(Number(row?.bytes) / users);
}

/** The size of the response to a read; the service closes the connection after it. */
function bytesPerResponse({ hostname, port }: URL, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () =>
      socket.write(`GET /hello/${name} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`),
    );
    socket
      .resume()
      .once('error', reject)
      .once('end', () => resolve(socket.bytesRead));
  });
}
