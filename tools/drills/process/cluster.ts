/** Drills with a database that is a cluster of three servers, behind a name that leads to the primary. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RowDataPacket } from 'mysql2/promise';
import { type Certificate, issueCertificate, makeAuthority } from '../../process/certificates.ts';
import type { Cluster, DatabaseCluster, Member } from '../../process/database-cluster.ts';
import { eventually } from '../../process/eventually.ts';
import { type ServiceProcess, startProcess } from '../../process/service.ts';
import { Failed, output } from '../../terminal/programs.ts';
import {
  type Assertion,
  failsOnlyWithTheGroup,
  failsOver,
  noRestart,
  nothingFails,
  nothingLost,
  observed,
  refusesWithin,
} from '../assertions.ts';
import type { Drill, Run } from '../drill.ts';
import type { ProcessFixture } from './fixture.ts';
import { NEW_TABLES, NEXT_RELEASE } from './next-release.ts';

type ProcessDrill = Drill<ProcessFixture>;

const failover = failsOver('Another server becomes the primary');

/** Not part of the quick runs, and so of CI: until the former primary is a member again, it takes half a minute. */
export const NOT_QUICK = { full: 0 };

/** A drill in which the primary fails, and the fault lasts until another server has taken its place. */
export function primaryFails<Kind extends Cluster>(
  clusterOf: (fixture: ProcessFixture) => Promise<Kind | string>,
  name: string,
  fault: string,
  assertions: readonly Assertion[],
  fail: (cluster: Kind, primary: Member) => Promise<void>,
): ProcessDrill {
  return {
    name,
    fault,
    assertions,
    duration: { full: 0, quick: 0 },
    async prepare(fixture) {
      const cluster = await serveFrom(clusterOf, fixture);
      if (typeof cluster === 'string') return cluster;
      const primary = cluster.primary();
      return {
        begin: () => fail(cluster, primary),
        async end({ observations }) {
          observations.failover = await failoverOf(cluster, primary);
        },
        // The audit must find what the former primary had not sent to the others, too.
        settle: () => cluster.heal(),
      };
    },
  };
}

const inGroup = (fixture: ProcessFixture) => fixture.databaseCluster();

/** A cluster with a service on it, which is whole again after the drill; or the reason why there is none. */
async function serveFrom<Kind extends Cluster>(
  clusterOf: (fixture: ProcessFixture) => Promise<Kind | string>,
  fixture: ProcessFixture,
): Promise<Kind | string> {
  const cluster = await clusterOf(fixture);
  if (typeof cluster === 'string') return cluster;
  fixture.defer(() => cluster.heal());
  await fixture.serve(cluster.env);
  return cluster;
}

/** Waits until another server is the primary; gives back how long that took. */
async function failoverOf(cluster: Cluster, primary: Member): Promise<string> {
  const began = performance.now();
  await cluster.untilPrimaryIsNot(primary);
  return `${((performance.now() - began) / 1000).toFixed(1)} s`;
}

/** How long the primary is gone before the replica goes on applying: longer than the group needs to elect another. */
const DELAY_SECONDS = 10;
/** At 200 requests per second. Writes that arrive together share a transaction, so there are fewer of these. */
const TRANSACTIONS_PER_SECOND = 50;

const replicaLags: ProcessDrill = {
  name: 'replica-lags',
  fault:
    'A replica applies nothing for two minutes. Then the primary is killed (-9), that replica is elected, and ten seconds later it goes on applying',
  assertions: [
    ...failover,
    observed('behind', 'The replica was more than a minute of transactions behind', (value) => {
      return Number.parseInt(String(value), 10) > 60 * TRANSACTIONS_PER_SECOND;
    }),
    observed('elected', 'It is elected, and takes no writes before it has applied them', (value) => {
      return value === 'PRIMARY, read-only';
    }),
  ],
  duration: { full: 120 },
  async prepare(fixture) {
    const cluster = await serveFrom(inGroup, fixture);
    if (typeof cluster === 'string') return cluster;
    const primary = cluster.primary();
    const replica = cluster.members.find((member) => member !== primary);
    if (replica === undefined) throw new Error('a cluster has replicas');
    let release = () => {};
    return {
      async begin() {
        release = await cluster.delay(replica);
        fixture.defer(() => release());
        await cluster.prefer(replica, true);
      },
      async end({ observations }) {
        observations.behind = `${await backlogOf(cluster, replica)} transactions`;
        await cluster.kill(primary);
        await sleep(DELAY_SECONDS * 1000);
        observations.elected = await roleOf(cluster, replica);
        release();
        // Counts from here: before, there is no primary that could serve.
        observations.failover = await failoverOf(cluster, primary);
      },
      async settle() {
        await cluster.prefer(replica, false);
        await cluster.heal();
      },
    };
  },
};

/** Whether a member is the primary, and takes writes. */
async function roleOf(cluster: DatabaseCluster, member: Member): Promise<string> {
  const [row] = await cluster.query<RowDataPacket>(
    member,
    'SELECT MEMBER_ROLE AS role, @@super_read_only AS readOnly ' +
      'FROM performance_schema.replication_group_members WHERE MEMBER_ID = @@server_uuid',
  );
  return `${row?.role}, ${row?.readOnly === 1 ? 'read-only' : 'takes writes'}`;
}

/** How many transactions a member has received and not applied. */
async function backlogOf(cluster: DatabaseCluster, member: Member): Promise<number> {
  const [row] = await cluster.query<RowDataPacket>(
    member,
    'SELECT COUNT_TRANSACTIONS_REMOTE_IN_APPLIER_QUEUE AS number ' +
      'FROM performance_schema.replication_group_member_stats WHERE MEMBER_ID = @@server_uuid',
  );
  return Number(row?.number);
}

const COMMIT_MILLISECONDS = 20;

/**
 * Commits at the primary again and again, beside the load. The function that it returns stops that and gives back how long two
 * commits in a row took at most, in seconds.
 */
async function watchCommits(cluster: DatabaseCluster): Promise<() => Promise<number>> {
  await cluster.query(cluster.primary(), 'CREATE TABLE plusone.commits (id INT PRIMARY KEY, number INT)');
  let [over, before, longest] = [false, 0, 0];
  const watch = async () => {
    for (let number = 0; !over; number += 1) {
      const began = performance.now();
      await cluster.query(cluster.primary(), `REPLACE INTO plusone.commits VALUES (1, ${number})`);
      const took = performance.now() - began;
      longest = Math.max(longest, before + took);
      before = took;
      await sleep(COMMIT_MILLISECONDS);
    }
  };
  const watching = watch();
  // What it rejects with is thrown by the function below.
  watching.catch(() => {});
  return async () => {
    over = true;
    await watching;
    await cluster.query(cluster.primary(), 'DROP TABLE IF EXISTS plusone.commits');
    return longest / 1000;
  };
}

const replicaAdded: ProcessDrill = {
  name: 'replica-added',
  fault: 'A replica is killed; it comes back and gets what it has missed',
  assertions: [failsOnlyWithTheGroup, nothingLost, noRestart],
  duration: { full: 10, quick: 2 },
  async prepare(fixture) {
    const cluster = await serveFrom(inGroup, fixture);
    if (typeof cluster === 'string') return cluster;
    const longestCommits = await watchCommits(cluster);
    fixture.defer(longestCommits);
    return {
      async begin() {
        const replica = cluster.members.find((member) => member !== cluster.primary());
        if (replica !== undefined) await cluster.kill(replica);
      },
      end: () => cluster.heal(),
      // After the load, which a pause may still stop when the group is whole again.
      async settle({ observations }) {
        observations['two commits'] = await longestCommits();
      },
    };
  },
};

const certificateRotated: ProcessDrill = {
  name: 'certificate-rotated',
  fault:
    'Three servers get a new certificate, then one of another authority; each time all sessions end between requests',
  assertions: [
    nothingFails,
    observed('certificates', 'New connections get the new certificate each time', (value) => value === 'new, new'),
    observed('sessions', 'Each time the service had sessions to open again', (value) =>
      /^[1-9]\d*, [1-9]\d*$/.test(String(value)),
    ),
    nothingLost,
    noRestart,
  ],
  duration: { full: 5, quick: 1 },
  async prepare(fixture) {
    const cluster = await fixture.databaseCluster();
    if (typeof cluster === 'string') return cluster;
    const directory = mkdtempSync(join(tmpdir(), 'plusone-certificates-'));
    fixture.defer(() => rmSync(directory, { recursive: true }));
    const authorities = await Promise.all(['one', 'two'].map((name) => makeAuthority(directory, name))).catch(
      (error: unknown) => {
        if (error instanceof Failed && error.isMissing) return undefined;
        throw error;
      },
    );
    const [one, two] = authorities ?? [];
    if (one === undefined || two === undefined) return 'it needs openssl';
    const issue = (authority: Certificate, name: string) =>
      issueCertificate(authority, directory, name, `DNS:${cluster.env.DATABASE_HOST}`);
    const [first, renewed, ofOther] = [
      await issue(one, 'first'),
      await issue(one, 'renewed'),
      await issue(two, 'other'),
    ];
    // As while an authority is replaced: the file has the old one and the new one.
    const trusted = join(directory, 'authorities.pem');
    writeFileSync(trusted, [one, two].map(({ certificate }) => readFileSync(certificate, 'utf8')).join('\n'));
    await cluster.present(first, trusted);
    await fixture.serve({ ...cluster.env, DATABASE_TLS: trusted });
    const certificates: string[] = [];
    const sessions: number[] = [];
    /** Without requests for a moment: a session that ends during a statement would fail a request for another reason. */
    const rotate = async ({ load }: Run, to: Certificate) => {
      await cluster.present(to, trusted);
      certificates.push(
        (await presentedBy(cluster.primary())) === fingerprint(readFileSync(to.certificate)) ? 'new' : 'old',
      );
      const { rate } = load;
      load.rate = 0;
      await sleep(300);
      sessions.push(await cluster.endSessions(cluster.primary()));
      await sleep(200);
      load.rate = rate;
    };
    return {
      begin: (running) => rotate(running, renewed),
      async end(running) {
        await rotate(running, ofOther);
        running.observations.certificates = certificates.join(', ');
        running.observations.sessions = sessions.join(', ');
      },
    };
  },
};

/** The fingerprint of the certificate that a server presents to a new connection. */
async function presentedBy({ address }: Member): Promise<string> {
  const shown = await output('openssl', ['s_client', '-starttls', 'mysql', '-connect', `${address}:3306`], {
    input: '',
  });
  return fingerprint(shown);
}

/** Of the first certificate in a text. */
function fingerprint(text: string | Buffer): string {
  const [pem = ''] = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/.exec(String(text)) ?? [];
  return new X509Certificate(pem).fingerprint256;
}

const MIGRATION_SECONDS = 60;

const migrationInFailover: ProcessDrill = {
  name: 'migration-in-failover',
  fault:
    'The primary of three servers is killed (-9) while `migrate` of the next release runs; it is run again at once',
  assertions: [
    ...failover,
    observed('first run', 'The interrupted run ends with 1 and names the reason', (value) => {
      return /^ended with 1: database unavailable: .*Connection lost.*; run migrate again/.test(String(value));
    }),
    observed(
      'second run',
      'The second run waits for the new primary and ends with 0',
      (value) => value === 'ended with 0',
    ),
    observed('schema', 'Each server has every table, and each migration once', (value) => {
      return value === Array(3).fill(`${NEW_TABLES.length} tables, ${NEW_TABLES.length} migrations`).join('; ');
    }),
  ],
  duration: NOT_QUICK,
  async prepare(fixture) {
    const cluster = await serveFrom(inGroup, fixture);
    if (typeof cluster === 'string') return cluster;
    const primary = cluster.primary();
    const recorded = `FROM ${cluster.env.DATABASE_NAME}.knex_migrations WHERE name LIKE '%drill%'`;
    // What an earlier attempt left.
    await cluster.query(primary, `DELETE ${recorded}`);
    await cluster.query(primary, `DROP TABLE IF EXISTS ${NEW_TABLES.map((table) => `plusone.${table}`).join(', ')}`);
    let runs: Promise<void> = Promise.resolve();
    let result: Record<string, number | string> = {};
    return {
      async begin({ observations }) {
        result = observations;
        const first = startProcess('migrate', cluster.env, { main: NEXT_RELEASE });
        await eventually(async () => (await count(cluster, primary, recorded)) >= 2);
        await cluster.kill(primary);
        runs = endingOf(first)
          .then((ending) => {
            result['first run'] = ending;
            return endingOf(startProcess('migrate', cluster.env, { main: NEXT_RELEASE }));
          })
          .then((ending) => {
            result['second run'] = ending;
          });
      },
      async end({ observations }) {
        observations.failover = await failoverOf(cluster, primary);
      },
      async settle() {
        await runs;
        await cluster.heal();
        const tables = `FROM information_schema.tables WHERE table_name LIKE 'drill%'`;
        const schemas = cluster.members.map(async (member) => {
          const [made, done] = [await count(cluster, member, tables), await count(cluster, member, recorded)];
          return `${made} tables, ${done} migrations`;
        });
        result.schema = (await Promise.all(schemas)).join('; ');
      },
    };
  },
};

async function count(cluster: DatabaseCluster, member: Member, selection: string): Promise<number> {
  const [row] = await cluster.query<RowDataPacket>(member, `SELECT COUNT(*) AS number ${selection}`);
  return Number(row?.number);
}

/** How a run of `migrate` ended, with the reason if it failed. */
async function endingOf({ child, exited, stdout }: ServiceProcess): Promise<string> {
  const exit = await Promise.race([exited, sleep(MIGRATION_SECONDS * 1000)]);
  if (exit === undefined) {
    child.kill('SIGKILL');
    return `still running after ${MIGRATION_SECONDS} s`;
  }
  const failure = stdout()
    .split('\n')
    .find((line) => line.includes('"migration failed"'));
  const reason = failure === undefined ? '' : `: ${JSON.parse(failure).err.message}`;
  return `ended with ${exit.code ?? exit.signal}${reason}`;
}

/** The drills with a cluster, which need Docker, in the order in which they run. */
export const clusterDrills: readonly ProcessDrill[] = [
  primaryFails(
    inGroup,
    'primary-killed',
    'The primary of three servers is killed (-9)',
    [refusesWithin(2), ...failover],
    (cluster, primary) => cluster.kill(primary),
  ),
  primaryFails(
    inGroup,
    'primary-frozen',
    'The primary of three servers is stopped (SIGSTOP): connections stay open and nothing answers',
    [refusesWithin(2), ...failover],
    (cluster, primary) => cluster.freeze(primary),
  ),
  primaryFails(
    inGroup,
    'primary-cut-off',
    'The network between the primary and the two others breaks; the service still reaches all three',
    failover,
    (cluster, primary) => cluster.cutOff(primary),
  ),
  primaryFails(
    inGroup,
    'switch-over',
    'Another of three servers is made the primary by command',
    failover,
    async (cluster, primary) => {
      const next = cluster.members.find((member) => member !== primary);
      if (next !== undefined) await cluster.switchTo(next);
    },
  ),
  {
    ...primaryFails(
      inGroup,
      'primary-disk-full',
      'The disk of the primary of three servers is full: its binary log waits for space, and so does every write',
      [refusesWithin(2), ...failover],
      (cluster, primary) => cluster.fillDisk(primary),
    ),
    duration: NOT_QUICK,
  },
  replicaLags,
  replicaAdded,
  certificateRotated,
  migrationInFailover,
];
