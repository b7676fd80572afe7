/**
 * A temporary, private MySQL or MariaDB server for development and tests. It never connects to a server that already
 * runs on the machine.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { messageOf } from '../terminal/message.ts';
import { isRunning, output, run } from '../terminal/programs.ts';
import { step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { startCleanupWatchdog } from './cleanup-watchdog.ts';
import { freePort } from './free-port.ts';
import { findProgram, findServer, IMAGE, installServer } from './server-program.ts';

const DATABASE = 'plusone';
const USER = 'plusone';
const NAME_PREFIX = 'plusone-database-';
const START_SECONDS = 60;
const CONNECT_MILLISECONDS = 10_000;
/** The time within which a running server sends its greeting to a new connection. */
const SILENCE_MILLISECONDS = 250;

/** A database to run the service on. */
export interface Database {
  /** Whether this process started it and removes it at the end. */
  readonly isPrivate: boolean;
  /** A description for users: "a private MariaDB 10.11.19". */
  readonly description: string;
  /** The current DATABASE_* variables for the service. */
  readonly env: Record<string, string>;
  /** Restarts the server with its data if it has ended; returns whether it did. Does nothing to a given database. */
  revive(): Promise<boolean>;
  /** Stops the server and removes its data; does nothing to the database at DATABASE_HOST. */
  stop(): Promise<void>;
}

/** A database that no one else uses, so faults may be injected. */
export interface PrivateDatabase extends Database {
  readonly port: number;
  /** Opens a connection as the server's administrator; the caller ends it. */
  connect(): Promise<mysql.Connection>;
  /** Runs one statement as the server's administrator. */
  query<Row extends mysql.RowDataPacket>(sql: string, values?: (string | number)[]): Promise<Row[]>;
  /** Changes the password of the service's user, in the server and in `env`. */
  changePassword(password: string): Promise<void>;
  /** Kills the server, as a power cut would. */
  kill(): Promise<void>;
  /** Restarts the killed server with the same data and port; resolves when it accepts connections. */
  start(): Promise<void>;
  /** Suspends the server: connections stay open and nothing answers. Resolves when it no longer answers. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** The id of the server's process on this machine; in a container only Linux has one. */
  processId(): Promise<number>;
}

/** The operations that differ between kinds of servers. */
interface Server {
  readonly description: string;
  start(): Promise<void>;
  kill(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  remove(): Promise<void>;
  processId(): Promise<number>;
  /** The reason why the server has ended; undefined while it runs. */
  failure(): string | undefined;
}

interface Settings {
  readonly name: string;
  readonly port: number;
  readonly rootPassword: string;
  readonly password: string;
  readonly options: readonly string[];
  readonly directory: string;
}

/**
 * The database at `DATABASE_HOST`, or else a private one. Throws a Refusal if neither is available.
 */
export async function startDatabase(): Promise<Database> {
  if (!process.env.DATABASE_HOST) return await startPrivateDatabase();
  const given = Object.entries(process.env).filter((entry): entry is [string, string] => {
    return entry[0].startsWith('DATABASE_') && entry[1] !== undefined;
  });
  return {
    isPrivate: false,
    description: `the database at DATABASE_HOST=${process.env.DATABASE_HOST}`,
    env: Object.fromEntries(given),
    revive: async () => false,
    stop: async () => {},
  };
}

/**
 * Starts a private database on a free port of 127.0.0.1: with the MariaDB or MySQL of this machine, else with Docker,
 * else with MariaDB after installing it. It ends with this process at the latest, even after a crash.
 * `options` are further options of the server, such as `--ssl-key=FILE`; a server of this machine has its data in
 * `directory`. Throws a Refusal that says what to do if none of them is possible.
 */
export async function startPrivateDatabase(
  options: readonly string[] = [],
  directory = tmpdir(),
): Promise<PrivateDatabase> {
  removeAbandonedDirectories();
  const settings = {
    name: `${NAME_PREFIX}${process.pid}-${randomBytes(4).toString('hex')}`,
    port: await freePort(),
    rootPassword: randomBytes(16).toString('hex'),
    password: randomBytes(16).toString('hex'),
    options,
    directory,
  };

  const binary = findServer();
  if (binary !== undefined) return await startWith(await prepareLocalServer(binary, settings), settings);
  if (await dockerAnswers()) return await startWith(await prepareContainer(settings), settings);
  const installed = await installServer();
  return await startWith(await prepareLocalServer(installed, settings), settings);
}

async function startWith(server: Server, settings: Settings): Promise<PrivateDatabase> {
  let { password } = settings;
  const { port, rootPassword } = settings;

  async function connect(connectTimeout = CONNECT_MILLISECONDS): Promise<mysql.Connection> {
    const admin = { host: '127.0.0.1', port, user: 'root', password: rootPassword };
    return await mysql.createConnection({ ...admin, connectTimeout, dateStrings: true });
  }
  async function untilItAnswers(): Promise<void> {
    const deadline = Date.now() + START_SECONDS * 1000;
    for (;;) {
      try {
        const connection = await connect();
        await connection.query(`USE ${DATABASE}`);
        return await connection.end();
      } catch (error) {
        const failure = server.failure() ?? (Date.now() > deadline ? String(error) : undefined);
        if (failure !== undefined) throw new Refusal(`${server.description} does not start: ${failure}`);
        await sleep(25);
      }
    }
  }

  async function start(): Promise<void> {
    await server.start();
    await untilItAnswers();
  }

  try {
    await start();
  } catch (error) {
    await server.remove();
    throw error;
  }

  async function query<Row extends mysql.RowDataPacket>(sql: string, values: (string | number)[] = []): Promise<Row[]> {
    const connection = await connect();
    try {
      const [rows] = await connection.query<Row[]>(sql, values);
      return rows;
    } finally {
      connection.destroy();
    }
  }

  return {
    isPrivate: true,
    description: server.description,
    port,
    get env() {
      return {
        DATABASE_HOST: '127.0.0.1',
        DATABASE_PORT: String(port),
        DATABASE_NAME: DATABASE,
        DATABASE_USERNAME: USER,
        DATABASE_PASSWORD: password,
        DATABASE_TLS: 'off',
      };
    },
    connect: () => connect(),
    query,
    async changePassword(changed) {
      await query(`ALTER USER '${USER}'@'%' IDENTIFIED BY ?`, [changed]);
      password = changed;
    },
    async revive() {
      if (server.failure() === undefined) return false;
      await start();
      return true;
    },
    start,
    kill: server.kill,
    async freeze() {
      await server.freeze();
      // Its threads stop one by one.
      let greeted: mysql.Connection | undefined;
      do {
        greeted = await connect(SILENCE_MILLISECONDS).catch(() => undefined);
        greeted?.destroy();
      } while (greeted !== undefined);
    },
    thaw: server.thaw,
    processId: server.processId,
    stop: server.remove,
  };
}

/** A server that is a child process, with its data in a temporary directory. */
async function prepareLocalServer(binary: string, settings: Settings): Promise<Server> {
  const version = await output(binary, ['--version']);
  const isMariaDB = version.includes('MariaDB');
  const number = /(\d+\.\d+\.\d+)/.exec(version)?.[1] ?? '';
  const description = `a private ${isMariaDB ? 'MariaDB' : 'MySQL'} ${number}`;

  const directory = makeDirectory(settings.directory, settings.name);
  const data = join(directory, 'data');
  const log = join(directory, 'server.log');
  const initFile = join(directory, 'init.sql');
  const user = process.getuid?.() === 0 ? ['--user=root'] : [];
  // `--no-defaults` must be the first option: the machine's my.cnf is for another server.
  const common = ['--no-defaults', ...user, `--datadir=${data}`];
  try {
    if (isMariaDB) {
      const install = findProgram('mariadb-install-db') ?? findProgram('mysql_install_db');
      if (install === undefined) throw new Refusal(`${binary} is installed, but mariadb-install-db is not`);
      await run(install, [...common, '--auth-root-authentication-method=normal', '--skip-test-db']);
    } else {
      await run(binary, [...common, '--initialize-insecure']);
    }
    // The server reads it before it accepts connections, so it always has a password, and no process list shows it.
    writeFileSync(initFile, initialStatements(settings), { mode: 0o600 });
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw new Refusal(`${description} cannot make a data directory: ${tail(String(error))}`);
  }

  const pidFile = join(directory, 'server.pid');
  startCleanupWatchdog('[ -f "$1" ] && kill -KILL "$(cat "$1")"; rm -rf "$2"', pidFile, directory);

  let server: ChildProcess | undefined;
  let isFirstStart = true;

  async function kill(): Promise<void> {
    if (server === undefined || hasEnded(server)) return;
    server.ref();
    const exit = once(server, 'exit');
    server.kill('SIGKILL');
    await exit;
  }

  return {
    description,
    async start() {
      const output = openSync(log, 'a');
      server = spawn(
        binary,
        [
          ...common,
          '--bind-address=127.0.0.1',
          `--port=${settings.port}`,
          `--socket=${join(directory, 'sock')}`,
          `--tmpdir=${directory}`,
          `--secure-file-priv=${directory}`,
          '--skip-name-resolve',
          '--skip-log-bin',
          '--performance-schema=OFF',
          '--innodb-flush-log-at-trx-commit=1',
          '--max-connections=300',
          '--loose-mysqlx=OFF',
          ...settings.options,
          ...(isFirstStart ? [`--init-file=${initFile}`] : []),
        ],
        // Its own session: on Ctrl-C the service stops first, with its database still running.
        { stdio: ['ignore', output, output], detached: true },
      );
      closeSync(output);
      await once(server, 'spawn');
      isFirstStart = false;
      writeFileSync(pidFile, String(server.pid));
      server.once('exit', () => rmSync(pidFile, { force: true }));
      server.unref();
    },
    kill,
    async freeze() {
      server?.kill('SIGSTOP');
    },
    async thaw() {
      server?.kill('SIGCONT');
    },
    async remove() {
      await kill();
      rmSync(directory, { recursive: true, force: true });
    },
    async processId() {
      return server?.pid ?? 0;
    },
    failure() {
      return server === undefined || hasEnded(server) ? tail(readFileSync(log, 'utf8')) : undefined;
    },
  };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The database and its two users; an init file of MySQL and MariaDB has one statement per line. */
function initialStatements({ rootPassword, password }: Settings): string {
  return [
    `CREATE DATABASE ${DATABASE} CHARACTER SET utf8mb4;`,
    `ALTER USER 'root'@'localhost' IDENTIFIED BY '${rootPassword}';`,
    `DROP USER IF EXISTS 'root'@'127.0.0.1';`,
    `CREATE USER 'root'@'127.0.0.1' IDENTIFIED BY '${rootPassword}';`,
    `GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;`,
    `CREATE USER '${USER}'@'%' IDENTIFIED BY '${password}';`,
    `GRANT ALL PRIVILEGES ON ${DATABASE}.* TO '${USER}'@'%';`,
    '',
  ].join('\n');
}

/** A server in a container; its data live in the container's own volume. */
async function prepareContainer(settings: Settings): Promise<Server> {
  const { name, port } = settings;
  const host = `plusone.host=${hostname()}`;
  const abandoned = await output('docker', ['ps', '-a', '--filter', `label=${host}`, '--format', '{{.Names}}']);
  for (const container of abandoned.split('\n').filter(isAbandoned)) await run('docker', ['rm', '-f', '-v', container]);

  async function docker(...args: string[]): Promise<void> {
    await run('docker', args, {
      // The arguments have the names only and the environment the values: no password in the process list.
      env: {
        ...process.env,
        MYSQL_ROOT_PASSWORD: settings.rootPassword,
        MYSQL_DATABASE: DATABASE,
        MYSQL_USER: USER,
        MYSQL_PASSWORD: settings.password,
      },
    });
  }

  startCleanupWatchdog('docker rm -f -v "$1"', name);
  let isCreated = false;
  return {
    description: `a private ${IMAGE} in Docker`,
    async start() {
      if (isCreated) return await docker('start', name);
      const variables = ['MYSQL_ROOT_PASSWORD', 'MYSQL_DATABASE', 'MYSQL_USER', 'MYSQL_PASSWORD'];
      const env = variables.flatMap((variable) => ['-e', variable]);
      const options = ['--name', name, '--label', host, '-p', `127.0.0.1:${port}:3306`, ...env];
      await step(`${IMAGE} in Docker, which is downloaded the first time`, () =>
        docker('run', '-d', ...options, IMAGE, ...settings.options),
      );
      isCreated = true;
    },
    kill: async () => await docker('kill', name),
    freeze: async () => await docker('pause', name),
    thaw: async () => await docker('unpause', name),
    remove: async () => await docker('rm', '-f', '-v', name),
    processId: async () => Number(await output('docker', ['inspect', '--format', '{{.State.Pid}}', name])),
    failure: () => undefined,
  };
}

/** Whether Docker runs on this machine. */
export async function dockerAnswers(): Promise<boolean> {
  return await output('docker', ['info'], { limitMilliseconds: 10_000 }).then(
    () => true,
    () => false,
  );
}

function makeDirectory(parent: string, name: string): string {
  const directory = join(parent, name);
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    const reason = messageOf(error);
    throw new Refusal(
      `The private database needs a temporary directory, which cannot be created in ${parent} (${reason}). ` +
        'Set TMPDIR to a directory that you may write to.',
    );
  }
  return directory;
}

/** Removes the temporary directories of runs that were killed together with their cleanup watchdog. */
function removeAbandonedDirectories(): void {
  for (const name of existsSync(tmpdir()) ? readdirSync(tmpdir()) : []) {
    if (isAbandoned(name)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** Whether the name has our prefix and the process that created it has ended. */
function isAbandoned(name: string): boolean {
  return name.startsWith(NAME_PREFIX) && !isRunning(Number.parseInt(name.slice(NAME_PREFIX.length), 10));
}

function tail(text: string): string {
  return text.trimEnd().split('\n').slice(-8).join('\n');
}
