/**
 * A MySQL-family server for development and tests: private, with data of its own, gone afterwards. It never touches
 * the server that the machine may already run.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import mysql from 'mysql2/promise';
import { lastWill } from './last-will.ts';
import { freePort } from './port.ts';

const run = promisify(execFile);

const DATABASE = 'plusone';
const USER = 'plusone';
const IMAGE = 'mysql:8.4';
const NAME_PREFIX = 'plusone-database-';
const START_SECONDS = 60;
const CONNECT_MILLISECONDS = 10_000;
/** Within this time a server that runs has greeted whoever connects. */
const SILENCE_MILLISECONDS = 250;

/** Something that the person at the keyboard can put right; the message says how. */
export class SetupError extends Error {
  override name = 'SetupError';
}

/** A database to run the service on. */
export interface Database {
  /** Whether it was started for us and will be gone with us. */
  readonly isPrivate: boolean;
  /** What serves it, for people: "a private MariaDB 10.11.19". */
  readonly description: string;
  /** The DATABASE_* variables that lead the service to it, as they are now. */
  readonly env: Record<string, string>;
  /** Starts the server again, on its data, when it has ended; whether it had to. A given database is left to its owner. */
  revive(): Promise<boolean>;
  /** Ends the server and removes its data; does nothing to a database that was given by DATABASE_HOST. */
  stop(): Promise<void>;
}

/** A database that is ours alone, and so may be hurt. */
export interface PrivateDatabase extends Database {
  readonly port: number;
  /** A session of the server's administrator, for the caller to end. */
  connect(): Promise<mysql.Connection>;
  /** Runs one statement as the server's administrator. */
  query<Row extends mysql.RowDataPacket>(sql: string, values?: (string | number)[]): Promise<Row[]>;
  /** Gives the service's user a new password, in the server and in `env`. */
  changePassword(password: string): Promise<void>;
  /** Ends the server without a warning, as a power cut would. */
  kill(): Promise<void>;
  /** Starts the killed server again with the same data on the same port; done when it takes connections. */
  start(): Promise<void>;
  /** Stops the server without ending it: connections stay open and nothing answers. Done when it is silent. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

/** How one kind of server is run; what a PrivateDatabase does with it is the same for all. */
interface Server {
  readonly description: string;
  start(): Promise<void>;
  kill(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  remove(): Promise<void>;
  /** Why the server is not there any more, or undefined while it runs. */
  failure(): string | undefined;
}

interface Settings {
  readonly name: string;
  readonly port: number;
  readonly rootPassword: string;
  readonly password: string;
  readonly options: readonly string[];
}

/**
 * The database that `DATABASE_HOST` names, or else a private one. Throws a SetupError when neither can be had.
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
 * Starts a database of its own on a free port of 127.0.0.1: with the MariaDB or MySQL of this machine, else with
 * Docker, else with MariaDB after installing it. It ends with this process at the latest, however that ends.
 * `options` are more of the server's own, such as `--ssl-key=FILE`.
 * Throws a SetupError that says what to do when there is no way.
 */
export async function startPrivateDatabase(options: readonly string[] = []): Promise<PrivateDatabase> {
  removeAbandonedDirectories();
  const settings = {
    name: `${NAME_PREFIX}${process.pid}-${randomBytes(4).toString('hex')}`,
    port: await freePort(),
    rootPassword: randomBytes(16).toString('hex'),
    password: randomBytes(16).toString('hex'),
    options,
  };

  const binary = findProgram('mariadbd') ?? findProgram('mysqld');
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
        if (failure !== undefined) throw new SetupError(`${server.description} does not start: ${failure}`);
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
      // Its threads stop one after the other.
      let greeted: mysql.Connection | undefined;
      do {
        greeted = await connect(SILENCE_MILLISECONDS).catch(() => undefined);
        greeted?.destroy();
      } while (greeted !== undefined);
    },
    thaw: server.thaw,
    stop: server.remove,
  };
}

/** A server that is a child of this process, on a temporary directory. */
async function prepareLocalServer(binary: string, settings: Settings): Promise<Server> {
  const version = (await run(binary, ['--version'])).stdout;
  const isMariaDB = version.includes('MariaDB');
  const number = /(\d+\.\d+\.\d+)/.exec(version)?.[1] ?? '';
  const description = `a private ${isMariaDB ? 'MariaDB' : 'MySQL'} ${number}`;

  const directory = makeDirectory(settings.name);
  const data = join(directory, 'data');
  const log = join(directory, 'server.log');
  const initFile = join(directory, 'init.sql');
  const user = process.getuid?.() === 0 ? ['--user=root'] : [];
  // `--no-defaults` has to come first: the machine's my.cnf is for the machine's own server.
  const common = ['--no-defaults', ...user, `--datadir=${data}`];
  try {
    if (isMariaDB) {
      const install = findProgram('mariadb-install-db') ?? findProgram('mysql_install_db');
      if (install === undefined) throw new SetupError(`${binary} is there, but mariadb-install-db is not`);
      await run(install, [...common, '--auth-root-authentication-method=normal', '--skip-test-db']);
    } else {
      await run(binary, [...common, '--initialize-insecure']);
    }
    // Read by the server before it takes connections: no moment without a password, and none in the process list.
    writeFileSync(initFile, initialStatements(settings), { mode: 0o600 });
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw new SetupError(`${description} cannot make a data directory: ${tail(String(error))}`);
  }

  const pidFile = join(directory, 'server.pid');
  lastWill('[ -f "$1" ] && kill -KILL "$(cat "$1")"; rm -rf "$2"', pidFile, directory);

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
        // A session of its own, so that Ctrl-C lets the service finish with its database.
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
    failure() {
      return server === undefined || hasEnded(server) ? tail(readFileSync(log, 'utf8')) : undefined;
    },
  };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The database and its two users; MySQL and MariaDB want one statement a line in an init file. */
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
  const abandoned = (await run('docker', ['ps', '-a', '--filter', `label=${host}`, '--format', '{{.Names}}'])).stdout;
  for (const container of abandoned.split('\n').filter(isAbandoned)) await run('docker', ['rm', '-f', '-v', container]);

  async function docker(...args: string[]): Promise<void> {
    await run('docker', args, {
      // Named in the arguments and given in the environment: no password in the process list.
      env: {
        ...process.env,
        MYSQL_ROOT_PASSWORD: settings.rootPassword,
        MYSQL_DATABASE: DATABASE,
        MYSQL_USER: USER,
        MYSQL_PASSWORD: settings.password,
      },
    });
  }

  say(`Starting ${IMAGE} in Docker; the first time it is downloaded.`);
  lastWill('docker rm -f -v "$1"', name);
  let isCreated = false;
  return {
    description: `a private ${IMAGE} in Docker`,
    async start() {
      if (isCreated) return await docker('start', name);
      const variables = ['MYSQL_ROOT_PASSWORD', 'MYSQL_DATABASE', 'MYSQL_USER', 'MYSQL_PASSWORD'];
      const env = variables.flatMap((variable) => ['-e', variable]);
      await docker(
        'run',
        '-d',
        '--name',
        name,
        '--label',
        host,
        '-p',
        `127.0.0.1:${port}:3306`,
        ...env,
        IMAGE,
        ...settings.options,
      );
      isCreated = true;
    },
    kill: async () => await docker('kill', name),
    freeze: async () => await docker('pause', name),
    thaw: async () => await docker('unpause', name),
    remove: async () => await docker('rm', '-f', '-v', name),
    failure: () => undefined,
  };
}

async function dockerAnswers(): Promise<boolean> {
  return await run('docker', ['info'], { timeout: 10_000 }).then(
    () => true,
    () => false,
  );
}

/** Installs MariaDB's server without its system service where we may, after saying so; gives back the program. */
async function installServer(): Promise<string> {
  const isRoot = process.getuid?.() === 0;
  const advice =
    'The private database needs a MySQL-family server. Install one of these and try again:\n' +
    '  Debian, Ubuntu  sudo apt-get install --no-install-recommends mariadb-server-core mariadb-client-core\n' +
    '  macOS           brew install mariadb\n' +
    `  anything else   Docker (${IMAGE} is used then)\n` +
    'or give DATABASE_HOST, DATABASE_USERNAME and DATABASE_PASSWORD of a database that may be used.';

  if (findProgram('apt-get') !== undefined && (isRoot || (await sudoAsksNothing()))) {
    const sudo = isRoot ? [] : ['sudo', '-n'];
    say('No MySQL-family server and no Docker here: installing mariadb-server-core (programs only, no service).');
    await visibly([...sudo, 'apt-get', 'update', '-qq']);
    await visibly([
      ...[...sudo, 'apt-get', 'install', '-qq', '-y', '--no-install-recommends', '--no-remove'],
      ...['mariadb-server-core', 'mariadb-client-core'],
    ]);
  } else if (findProgram('brew') !== undefined) {
    say('No MySQL-family server and no Docker here: installing mariadb with Homebrew (its service is not started).');
    await visibly(['brew', 'install', 'mariadb']);
  }
  const installed = findProgram('mariadbd');
  if (installed === undefined) throw new SetupError(advice);
  return installed;
}

async function sudoAsksNothing(): Promise<boolean> {
  return await run('sudo', ['-n', 'true'], { timeout: 5_000 }).then(
    () => true,
    () => false,
  );
}

/** Runs a command whose output a person should see; whether it worked is seen by what it installed. */
async function visibly([command = '', ...args]: string[]): Promise<void> {
  const child = spawn(command, args, {
    stdio: ['ignore', process.stderr, process.stderr],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  await once(child, 'exit');
}

/** The program's path, or undefined. Servers are often installed where only root's PATH looks. */
function findProgram(name: string): string | undefined {
  const directories = [
    ...(process.env.PATH ?? '').split(':'),
    ...['/usr/sbin', '/usr/local/sbin', '/usr/libexec', '/usr/local/mysql/bin'],
    ...['/opt/homebrew/bin', '/opt/homebrew/opt/mariadb/bin', '/usr/local/opt/mariadb/bin'],
  ];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function makeDirectory(name: string): string {
  const directory = join(tmpdir(), name);
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SetupError(
      `The private database needs a temporary directory, and ${tmpdir()} does not take one (${reason}). ` +
        'Set TMPDIR to a directory that you may write to.',
    );
  }
  return directory;
}

/** Removes what runs that were cut off, with their last will, left in the temporary directory. */
function removeAbandonedDirectories(): void {
  for (const name of existsSync(tmpdir()) ? readdirSync(tmpdir()) : []) {
    if (isAbandoned(name)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** Whether the name is one of ours and the process that made it has ended. */
function isAbandoned(name: string): boolean {
  if (!name.startsWith(NAME_PREFIX)) return false;
  const owner = Number.parseInt(name.slice(NAME_PREFIX.length), 10);
  try {
    process.kill(owner, 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

function tail(text: string): string {
  return text.trimEnd().split('\n').slice(-8).join('\n');
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
