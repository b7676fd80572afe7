/** Three MariaDB servers on this machine that replicate with Galera, for drills: each of them takes writes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type mysql from 'mysql2/promise';
import { isRunning, output, run } from '../terminal/programs.ts';
import { startCleanupWatchdog } from './cleanup-watchdog.ts';
import { type Cluster, type Member, queryOnce } from './database-cluster.ts';
import { freePort } from './free-port.ts';
import { MovingEndpoint } from './moving-endpoint.ts';
import { findProgram } from './server-program.ts';

const DATABASE = 'plusone';
const USER = 'plusone';
/** Not root, of which a new data directory has several. */
const ADMINISTRATOR = 'administrator';
/** Each with the same ports, as on three machines, so that the endpoint is a name only. Linux has all of 127.0.0.0/8. */
const ADDRESSES = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];
const START_SECONDS = 120;
/** Written to, to see whether a node takes writes. */
const PROBE = 'probe.probe';
/** What a node that is frozen does not answer within counts as no answer. */
const ANSWER_MILLISECONDS = 500;
const LIBRARIES = ['/usr/lib/galera/libgalera_smm.so', '/usr/lib64/galera/libgalera_smm.so'];

/** Three nodes; `query` runs on each of them, and each may be written to. */
export interface GaleraCluster extends Cluster {
  /** The variables for a service that uses this node alone, not the endpoint. */
  envOf(member: Member): Record<string, string>;
  /** Cuts a node off from the others; clients still reach it. */
  cutOff(member: Member): Promise<void>;
}

interface StatusRow extends mysql.RowDataPacket {
  readonly name: string;
  readonly value: string;
}

/** What this machine lacks for {@link startGaleraCluster}; undefined if it lacks nothing. */
export function missingForGalera(): string | undefined {
  const hasAll = ['mariadbd', 'mariadb-install-db', 'wsrep_sst_rsync', 'rsync'].every(findProgram);
  if (process.platform === 'linux' && hasAll && LIBRARIES.some(existsSync)) return undefined;
  return 'it needs Linux and MariaDB with Galera: apt-get install mariadb-server galera-4';
}

/**
 * Starts the cluster, which takes some seconds; it ends with this process at the latest. The endpoint leads to one node as
 * long as that one can serve, so writes meet no other writer.
 * @throws if a program is missing ({@link missingForGalera}) or a node does not start; the message has the end of its log
 */
export async function startGaleraCluster(): Promise<GaleraCluster> {
  const [server, install] = [findProgram('mariadbd'), findProgram('mariadb-install-db')];
  const library = LIBRARIES.find(existsSync);
  if (server === undefined || install === undefined || library === undefined) throw new Error(missingForGalera());
  const directory = mkdtempSync(join(tmpdir(), `plusone-galera-${process.pid}-`));
  startCleanupWatchdog('cat "$1"/*/pid | xargs kill -KILL; rm -rf "$1"', directory);
  const [administration, password] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
  const [port, groupPort] = [await freePort(), await freePort()];
  const [incrementalPort, snapshotPort] = [await freePort(), await freePort()];
  const members = ADDRESSES.map((address, at): Member => ({ name: `node-${at + 1}`, address }));
  const [first, ...later] = members;
  if (first === undefined) throw new Error('a cluster has members');
  const processes = new Map<Member, ChildProcess>();
  const pathOf = ({ name }: Member, file: string) => join(directory, name, file);
  // As root, rsync would receive a copy of the data as nobody, who cannot write it.
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? ['--user=mysql'] : [];

  async function start(member: Member, { isNewCluster = false } = {}): Promise<void> {
    const { name, address } = member;
    const log = openSync(pathOf(member, 'log'), 'a');
    const provider = {
      'gmcast.listen_addr': `tcp://${address}:${groupPort}`,
      'ist.recv_addr': `${address}:${incrementalPort}`,
      'gcache.size': '32M',
    };
    const peers = isNewCluster ? '' : ADDRESSES.map((one) => `${one}:${groupPort}`).join(',');
    const child = spawn(
      server ?? '',
      [
        '--no-defaults',
        ...user,
        ...[`--datadir=${pathOf(member, 'data')}`, `--tmpdir=${pathOf(member, 'tmp')}`],
        ...[`--socket=${pathOf(member, 'socket')}`, `--bind-address=${address}`, `--port=${port}`],
        ...['--skip-name-resolve', '--innodb-buffer-pool-size=64M', '--max-connections=300'],
        // Each write is on the disk of its node before it is acknowledged.
        '--innodb-flush-log-at-trx-commit=1',
        ...['--binlog-format=ROW', '--innodb-autoinc-lock-mode=2'],
        ...['--wsrep-on=ON', `--wsrep-provider=${library}`, `--wsrep-cluster-address=gcomm://${peers}`],
        ...[`--wsrep-cluster-name=${directory}`, `--wsrep-node-name=${name}`, `--wsrep-node-address=${address}`],
        ...['--wsrep-sst-method=rsync', `--wsrep-sst-receive-address=${address}:${snapshotPort}`],
        // A read waits until its node has applied every write before it: without it, other nodes' writes are missing.
        '--wsrep-sync-wait=1',
        `--wsrep-provider-options=${Object.entries(provider)
          .map(([option, value]) => `${option}=${value}`)
          .join(';')}`,
        ...(isNewCluster ? [`--init-file=${join(directory, 'init.sql')}`] : []),
      ],
      { stdio: ['ignore', log, log], detached: true, env: { ...process.env, TMPDIR: pathOf(member, 'tmp') } },
    );
    closeSync(log);
    await once(child, 'spawn');
    writeFileSync(pathOf(member, 'pid'), `${child.pid}\n`);
    child.unref();
    processes.set(member, child);
    for (const deadline = Date.now() + START_SECONDS * 1000; !(await canServe(member)); await sleep(50)) {
      const hasEnded = child.exitCode !== null || child.signalCode !== null;
      if (!hasEnded && Date.now() < deadline) continue;
      const last = readFileSync(pathOf(member, 'log'), 'utf8').trimEnd().split('\n').slice(-15);
      throw new Error(`${name} does not start:\n${last.join('\n')}`);
    }
  }

  const query = <Row extends mysql.RowDataPacket>({ address }: Member, sql: string, limit = 60_000) =>
    queryOnce<Row>({ host: address, port, user: ADMINISTRATOR, password: administration }, sql, limit);

  /** Whether a node is in the part of the cluster that has the majority, and up to date. */
  async function canServe(member: Member): Promise<boolean> {
    const sql = `SELECT LOWER(variable_name) AS name, variable_value AS value FROM information_schema.global_status WHERE variable_name LIKE 'wsrep_%'`;
    const rows = await query<StatusRow>(member, sql, ANSWER_MILLISECONDS).catch(() => []);
    const status = new Map(rows.map(({ name, value }) => [name, value]));
    const isInMajority = status.get('wsrep_cluster_status') === 'Primary' && status.get('wsrep_ready') === 'ON';
    return isInMajority && status.get('wsrep_local_state_comment') === 'Synced';
  }

  async function isolate(member: Member, isCutOff: boolean): Promise<void> {
    await query(member, `SET GLOBAL wsrep_provider_options = 'gmcast.isolate=${Number(isCutOff)}'`);
  }

  async function chooseServing(current: Member): Promise<Member | undefined> {
    const serving = await Promise.all(members.map(canServe));
    return serving[members.indexOf(current)] ? current : members.find((_, at) => serving[at]);
  }

  async function untilWhole(): Promise<void> {
    for (const deadline = Date.now() + START_SECONDS * 1000; ; await sleep(200)) {
      const serving = await Promise.all(members.map(canServe));
      if (serving.every(Boolean)) return;
      if (Date.now() > deadline) throw new Error(`the cluster is not whole: ${serving}`);
    }
  }

  async function kill(member: Member): Promise<void> {
    const child = processes.get(member);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.ref();
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }

  for (const member of members) {
    for (const folder of ['data', 'tmp']) mkdirSync(pathOf(member, folder), { recursive: true });
  }
  if (isRoot) await run('chown', ['-R', 'mysql', directory]);
  await run(install, [
    ...['--no-defaults', ...user, `--datadir=${pathOf(first, 'data')}`],
    ...['--auth-root-authentication-method=normal', '--skip-test-db'],
  ]);
  const initial = [
    `CREATE DATABASE ${DATABASE} CHARACTER SET utf8mb4;`,
    'CREATE DATABASE probe;',
    `CREATE TABLE ${PROBE} (id INT AUTO_INCREMENT PRIMARY KEY);`,
    `CREATE USER '${ADMINISTRATOR}'@'%' IDENTIFIED BY '${administration}';`,
    `GRANT ALL PRIVILEGES ON *.* TO '${ADMINISTRATOR}'@'%' WITH GRANT OPTION;`,
    `CREATE USER '${USER}'@'%' IDENTIFIED BY '${password}';`,
    `GRANT ALL PRIVILEGES ON ${DATABASE}.* TO '${USER}'@'%';`,
  ];
  writeFileSync(join(directory, 'init.sql'), `${initial.join('\n')}\n`, { mode: 0o600 });
  if (isRoot) await run('chown', ['mysql', join(directory, 'init.sql')]);
  await start(first, { isNewCluster: true });
  for (const member of later) await start(member);
  await untilWhole();
  const endpoint = new MovingEndpoint(directory, first, chooseServing);
  const version = /\d+\.\d+\.\d+/.exec(await output(server, ['--version']))?.[0] ?? '';
  const variables = {
    DATABASE_PORT: String(port),
    DATABASE_NAME: DATABASE,
    DATABASE_USERNAME: USER,
    DATABASE_PASSWORD: password,
    DATABASE_TLS: 'off',
  };

  return {
    description: `${members.length} × MariaDB ${version} with Galera`,
    members,
    env: { ...variables, ...endpoint.env },
    envOf: ({ address }) => ({ ...variables, DATABASE_HOST: address }),
    primary: () => endpoint.current,
    async untilPrimaryIsNot(former) {
      const node = await endpoint.untilNot(former, START_SECONDS);
      // A node reads and says that it is ready before it takes writes: these wait until it knows that the other one is gone.
      await query(node, `INSERT INTO ${PROBE} VALUES ()`);
      return node;
    },
    kill,
    async freeze(member) {
      processes.get(member)?.kill('SIGSTOP');
    },
    query,
    cutOff: (member) => isolate(member, true),
    async heal() {
      for (const member of members) {
        const child = processes.get(member);
        child?.kill('SIGCONT');
        if (child?.pid === undefined || !isRunning(child.pid)) await start(member);
        await isolate(member, false);
      }
      await untilWhole();
    },
    async stop() {
      await endpoint.stop();
      for (const member of members) await kill(member);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
