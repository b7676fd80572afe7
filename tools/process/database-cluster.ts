/** Three MySQL servers in containers that replicate as a group, for drills: one of them, the primary, takes writes. */
import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { output } from '../terminal/programs.ts';
import type { Certificate } from './certificates.ts';
import { startCleanupWatchdog } from './cleanup-watchdog.ts';
import { MovingEndpoint } from './moving-endpoint.ts';
import { IMAGE } from './server-program.ts';
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';

const SIZE = 3;
const DATABASE = 'plusone';
const USER = 'plusone';
const GROUP_PORT = 33_061;
const START_SECONDS = 120;
/** Longer than the five seconds after which the group suspects a member. */
const EXPEL_SECONDS = 15;
const WATCH_MILLISECONDS = 200;
/** What a member that is frozen or cut off does not answer within counts as no answer. */
const ANSWER_MILLISECONDS = 500;
/** The most that the disk of a member can have; its files need a third of it. */
const DISK_MEBIBYTES = 640;
/** Where a member has what it presents to clients. */
const TLS_FILES = { ca: '/server-authorities.pem', cert: '/server-certificate.pem', key: '/server-certificate.key' };

/** One server of the cluster. */
export interface Member {
  /** Of its container or process, and in the group. */
  readonly name: string;
  readonly address: string;
}

/** A cluster whose endpoint leads to one member, the primary, and to another one after a failover. */
export interface Cluster {
  readonly description: string;
  /** The DATABASE_* variables for the service, and what has it resolve the name of the endpoint. */
  readonly env: Record<string, string>;
  readonly members: readonly Member[];
  /** The member to which the endpoint leads. */
  primary(): Member;
  /** Waits until another member is the primary, takes writes, and the endpoint leads to it. */
  untilPrimaryIsNot(former: Member): Promise<Member>;
  kill(member: Member): Promise<void>;
  freeze(member: Member): Promise<void>;
  /** Runs one statement as the administrator of a member. */
  query<Row extends mysql.RowDataPacket>(member: Member, sql: string): Promise<Row[]>;
  /** Undoes what was done to members, starts what was killed, and waits until all are members again. */
  heal(): Promise<void>;
  stop(): Promise<void>;
}

/** Servers of MySQL Group Replication; `heal` also makes room on the disks and restores the network. */
export interface DatabaseCluster extends Cluster {
  /** Cuts a member off from the others; clients still reach it. */
  cutOff(member: Member): Promise<void>;
  /** Has a member apply none of the writes that it receives until the function that it returns is called. */
  delay(member: Member): Promise<() => void>;
  /** Has the others prefer a member, or no longer, when the primary fails. */
  prefer(member: Member, isPreferred: boolean): Promise<void>;
  /** Makes a member the primary by command, as for maintenance. */
  switchTo(member: Member): Promise<void>;
  /** Leaves no space on the disk of a member. */
  fillDisk(member: Member): Promise<void>;
  /** Has each member present this certificate, of one of these authorities, to new connections; those that are open stay. */
  present(certificate: Certificate, authorities: string): Promise<void>;
  /** Ends the sessions of the service at a member, and returns how many there were. */
  endSessions(member: Member): Promise<number>;
}

interface MemberRow extends mysql.RowDataPacket {
  readonly name: string;
  readonly state: string;
  readonly role: string;
  readonly isOwn: number;
  readonly readOnly: number;
}

/** Runs one statement in a session of its own; `limit`, in milliseconds, is for the connection and for the statement. */
export async function queryOnce<Row extends mysql.RowDataPacket>(
  server: mysql.ConnectionOptions,
  sql: string,
  limit: number,
): Promise<Row[]> {
  const connection = await mysql.createConnection({ ...server, connectTimeout: limit });
  // The server dies in drills.
  connection.on('error', () => {});
  try {
    const [rows] = await connection.query<Row[]>({ sql, timeout: limit });
    return rows;
  } finally {
    connection.destroy();
  }
}

/**
 * Starts the cluster, which takes about a minute; it ends with this process at the latest. Rejects with the error of Docker
 * if the image of MySQL is not available.
 */
export async function startDatabaseCluster(): Promise<DatabaseCluster> {
  const id = `plusone-cluster-${process.pid}-${randomBytes(4).toString('hex')}`;
  const names = Array.from({ length: SIZE }, (_, at) => `${id}-${at + 1}`);
  const directory = mkdtempSync(join(tmpdir(), `${id}-`));
  const [rootPassword, password] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
  const docker = (...words: string[]) =>
    // The arguments have the names only and the environment the values: no password in the process list.
    output('docker', words, {
      env: {
        ...process.env,
        MYSQL_ROOT_PASSWORD: rootPassword,
        MYSQL_DATABASE: DATABASE,
        MYSQL_USER: USER,
        MYSQL_PASSWORD: password,
      },
    });
  startCleanupWatchdog(
    `docker rm -f -v ${names.join(' ')}; docker network rm "$1"; umount "$2"/disk-*; rm -rf "$2"`,
    id,
    directory,
  );

  const query = <Row extends mysql.RowDataPacket>({ address }: Member, sql: string, limit = 60_000) =>
    queryOnce<Row>({ host: address, user: 'root', password: rootPassword }, sql, limit);

  async function create(name: string, at: number): Promise<Member> {
    // Not a volume of Docker, which empties one in memory when its container ends.
    const disk = await mountSmallDisk(join(directory, `disk-${at + 1}`), DISK_MEBIBYTES);
    disks.set(name, disk);
    const variables = ['MYSQL_ROOT_PASSWORD', 'MYSQL_DATABASE', 'MYSQL_USER', 'MYSQL_PASSWORD'];
    await docker(
      ...['run', '--detach', '--name', name, '--hostname', name, '--network', id],
      ...variables.flatMap((variable) => ['--env', variable]),
      ...['--volume', `${disk.directory}:/var/lib/mysql`],
      IMAGE,
      ...[`--server-id=${at + 1}`, `--report-host=${name}`, '--gtid-mode=ON', '--enforce-gtid-consistency=ON'],
      ...['--plugin-load-add=group_replication.so', '--mysqlx=OFF', '--innodb-flush-log-at-trx-commit=1'],
      ...Object.entries({
        'group-name': group,
        'start-on-boot': 'OFF',
        'local-address': `${name}:${GROUP_PORT}`,
        'group-seeds': names.map((one) => `${one}:${GROUP_PORT}`).join(','),
        'recovery-get-public-key': 'ON',
        // A member that does not answer for five seconds is out at once.
        'member-expel-timeout': '0',
        // A primary without a majority must not answer reads for ever with what is no longer true.
        'unreachable-majority-timeout': '2',
        'exit-state-action': 'OFFLINE_MODE',
      }).map(([option, value]) => `--loose-group-replication-${option}=${value}`),
    );
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
    return { name, address: (await docker('inspect', '--format', format, name)).trim() };
  }

  async function untilAnswers(member: Member): Promise<void> {
    for (const deadline = Date.now() + START_SECONDS * 1000; ; await sleep(250)) {
      try {
        // The server that initializes the data does not listen on the network.
        await query(member, `USE ${DATABASE}`, 2_000);
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
      }
    }
  }

  async function run(member: Member, ...statements: string[]): Promise<void> {
    for (const statement of statements) await query(member, statement);
  }

  /** What a member says about the group; undefined if it does not answer. */
  async function view(member: Member): Promise<MemberRow[] | undefined> {
    const sql =
      'SELECT MEMBER_HOST AS name, MEMBER_STATE AS state, MEMBER_ROLE AS role, MEMBER_ID = @@server_uuid AS isOwn, ' +
      '@@super_read_only AS readOnly FROM performance_schema.replication_group_members';
    return await query<MemberRow>(member, sql, ANSWER_MILLISECONDS).catch(() => undefined);
  }

  /** A member that says that it is the primary of a majority, and takes writes. */
  async function isPrimary(member: Member): Promise<boolean> {
    const rows = await view(member);
    if (rows === undefined) return false;
    const online = rows.filter(({ state }) => state === 'ONLINE');
    return online.length > SIZE / 2 && online.some((row) => row.isOwn && row.role === 'PRIMARY' && !row.readOnly);
  }

  const disks = new Map<string, SmallDisk>();
  const group = randomUUID();

  async function findPrimary(): Promise<Member | undefined> {
    const claims = await Promise.all(members.map(isPrimary));
    return members.find((_, at) => claims[at]);
  }

  async function enter(member: Member): Promise<void> {
    await query(member, 'START GROUP_REPLICATION', START_SECONDS * 1000);
  }

  /** Waits until the others no longer count a member as one of theirs: one that returns before waits half a minute. */
  async function untilExpelled(member: Member): Promise<void> {
    for (const deadline = Date.now() + EXPEL_SECONDS * 1000; Date.now() < deadline; await sleep(WATCH_MILLISECONDS)) {
      const views = await Promise.all(others(member).map(view));
      if (!views.some((rows) => rows?.some(({ name }) => name === member.name))) return;
    }
  }

  await docker('network', 'create', id);
  const members = await Promise.all(names.map(create));
  const [first] = members;
  if (first === undefined) throw new Error('a cluster has members');
  for (const member of members) {
    await untilAnswers(member);
    await run(
      member,
      // What the image created on each member is not to be replicated.
      'SET GLOBAL super_read_only = OFF',
      `CREATE USER IF NOT EXISTS 'replication'@'%' IDENTIFIED BY '${password}'`,
      `GRANT REPLICATION SLAVE, CONNECTION_ADMIN, BACKUP_ADMIN, GROUP_REPLICATION_STREAM ON *.* TO 'replication'@'%'`,
      'RESET BINARY LOGS AND GTIDS',
      `CHANGE REPLICATION SOURCE TO SOURCE_USER = 'replication', SOURCE_PASSWORD = '${password}' FOR CHANNEL 'group_replication_recovery'`,
    );
  }
  await run(first, 'SET GLOBAL group_replication_bootstrap_group = ON');
  await enter(first);
  await run(first, 'SET GLOBAL group_replication_bootstrap_group = OFF');
  for (const member of members.slice(1)) await enter(member);

  async function untilWhole(): Promise<void> {
    for (const deadline = Date.now() + START_SECONDS * 1000; ; await sleep(500)) {
      const views = await Promise.all(members.map(view));
      if (views.every((rows) => rows?.filter(({ state }) => state === 'ONLINE').length === SIZE)) return;
      if (Date.now() > deadline) throw new Error(`the cluster is not whole: ${JSON.stringify(views)}`);
    }
  }
  await untilWhole();
  const endpoint = new MovingEndpoint(directory, first, findPrimary);
  const others = (member: Member) => members.filter((one) => one !== member);

  return {
    description: `${SIZE} × ${IMAGE} with Group Replication, in containers`,
    members,
    env: {
      ...endpoint.env,
      DATABASE_PORT: '3306',
      DATABASE_NAME: DATABASE,
      DATABASE_USERNAME: USER,
      DATABASE_PASSWORD: password,
      DATABASE_TLS: 'off',
    },
    primary: () => endpoint.current,
    untilPrimaryIsNot: (former) => endpoint.untilNot(former, START_SECONDS),
    async kill({ name }) {
      await docker('kill', name);
    },
    async freeze({ name }) {
      await docker('pause', name);
    },
    async cutOff(member) {
      for (const { address } of others(member)) {
        await drop('--append', member, address);
      }
    },
    async delay({ address }) {
      const admin = { host: address, user: 'root', password: rootPassword, database: DATABASE };
      const session = await mysql.createConnection(admin);
      session.on('error', () => {});
      await session.query('LOCK TABLES users READ');
      return () => session.destroy();
    },
    async prefer(member, isPreferred) {
      await run(member, `SET GLOBAL group_replication_member_weight = ${isPreferred ? 100 : 'DEFAULT'}`);
    },
    async switchTo(member) {
      const rows = await query<mysql.RowDataPacket>(member, 'SELECT @@server_uuid AS id');
      await run(member, `SELECT group_replication_set_as_primary('${rows[0]?.id}')`);
    },
    async fillDisk({ name }) {
      await disks.get(name)?.fill();
    },
    async present({ certificate, key }, authorities) {
      // The server runs as another user.
      chmodSync(key, 0o644);
      for (const member of members) {
        await docker('cp', authorities, `${member.name}:${TLS_FILES.ca}`);
        await docker('cp', certificate, `${member.name}:${TLS_FILES.cert}`);
        await docker('cp', key, `${member.name}:${TLS_FILES.key}`);
        const settings = Object.entries(TLS_FILES).map(([kind, file]) => `SET GLOBAL ssl_${kind} = '${file}'`);
        await run(member, ...settings, 'ALTER INSTANCE RELOAD TLS');
      }
    },
    async endSessions(member) {
      const sql = `SELECT id AS session FROM performance_schema.processlist WHERE user = '${USER}'`;
      const rows = await query<mysql.RowDataPacket>(member, sql);
      await run(member, ...rows.map(({ session }) => `KILL ${session}`));
      return rows.length;
    },
    query,
    async heal() {
      for (const disk of disks.values()) await disk.makeRoom();
      for (const member of members) {
        const state = (await docker('inspect', '--format', '{{.State.Status}}', member.name)).trim();
        if (state === 'paused') await docker('unpause', member.name);
        if (state === 'exited') await docker('start', member.name);
        for (const { address } of others(member)) await drop('--delete', member, address).catch(() => undefined);
        await untilAnswers(member);
      }
      for (const member of members) {
        const own = (await view(member))?.find(({ isOwn }) => isOwn);
        if (own?.state === 'ONLINE' || own?.state === 'RECOVERING') continue;
        await run(member, 'STOP GROUP_REPLICATION', 'SET GLOBAL offline_mode = OFF');
        await untilExpelled(member);
        await enter(member);
      }
      await untilWhole();
    },
    async stop() {
      await endpoint.stop();
      await docker('rm', '--force', '--volumes', ...names);
      await docker('network', 'rm', id);
      for (const disk of disks.values()) await disk.remove();
      rmSync(directory, { recursive: true, force: true });
    },
  };

  /** Drops, or no longer drops, what a member sends to an address; the image has no tool for it, this machine has. */
  async function drop(change: '--append' | '--delete', { name }: Member, address: string): Promise<void> {
    const pid = (await docker('inspect', '--format', '{{.State.Pid}}', name)).trim();
    const rule = ['OUTPUT', '--destination', address, '--jump', 'DROP'];
    await output('nsenter', ['--target', pid, '--net', 'iptables', change, ...rule]);
  }
}
