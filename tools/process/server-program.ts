/** The MariaDB or MySQL server program of this machine: where it is, and how to install it. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { remedyHere, type Source } from '../terminal/finding.ts';
import { agreesToInstall } from '../terminal/install.ts';
import { type Failed, output, run } from '../terminal/programs.ts';
import { step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';

/** Runs if the machine has Docker and no such program. */
export const IMAGE = 'mysql:8.4';

export const server: Source = {
  debian: 'sudo apt-get install --no-install-recommends mariadb-server-core mariadb-client-core',
  macos: 'brew install mariadb',
};

/** The path of the server, or undefined. */
export function findServer(): string | undefined {
  return findProgram('mariadbd') ?? findProgram('mysqld');
}

/** The path of a program, or undefined. Servers are often in directories that only root's PATH has. */
export function findProgram(name: string): string | undefined {
  const directories = [
    ...(process.env.PATH ?? '').split(':'),
    ...['/usr/sbin', '/usr/local/sbin', '/usr/libexec', '/usr/local/mysql/bin'],
    ...['/opt/homebrew/bin', '/opt/homebrew/opt/mariadb/bin', '/usr/local/opt/mariadb/bin'],
  ];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

/** The commands that install MariaDB's server without a system service; undefined if they would ask for a password. */
export async function installation(): Promise<[program: string, ...args: string[]][] | undefined> {
  if (findProgram('apt-get') !== undefined) {
    const isRoot = process.getuid?.() === 0;
    if (!isRoot && !(await sudoAsksNothing())) return undefined;
    const environment = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq'] as const;
    const install = ['install', '-y', '--no-install-recommends', '--no-remove'];
    const packages = ['mariadb-server-core', 'mariadb-client-core'];
    const commands = [
      [...environment, 'update'],
      [...environment, ...install, ...packages],
    ] satisfies [string, ...string[]][];
    return isRoot ? commands : commands.map((command) => ['sudo', '-n', ...command]);
  }
  return findProgram('brew') === undefined ? undefined : [['brew', 'install', 'mariadb']];
}

/**
 * Installs MariaDB's server if the user agrees, and returns the path of the program.
 * @throws {Refusal} with what to do, if it cannot or may not
 */
export async function installServer(): Promise<string> {
  const commands = await installation();
  if (commands === undefined) throw new Refusal(ADVICE);
  if (!(await agreesToInstall('This machine has no MariaDB or MySQL server and no Docker.', commands)))
    throw new Refusal(`nothing was installed; INSTALL=1 agrees beforehand.\n${ADVICE}`);
  return await step('install MariaDB, without a system service', async () => {
    const failures: string[] = [];
    // An update may fail for one archive while the packages are in another.
    for (const [program, ...args] of commands)
      await run(program, args).catch((error: Failed) => failures.push(error.message));
    const installed = findServer();
    if (installed === undefined) throw new Refusal([...failures, ADVICE].join('\n\n'));
    return installed;
  });
}

const ADVICE = `The private database needs a MariaDB or MySQL server. Install one and try again:
  ${remedyHere(server)}
  other systems: Docker, which then runs ${IMAGE}
or set DATABASE_HOST, DATABASE_USERNAME and DATABASE_PASSWORD to use another database.`;

async function sudoAsksNothing(): Promise<boolean> {
  return await output('sudo', ['-n', 'true'], { limitMilliseconds: 5_000 }).then(
    () => true,
    () => false,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
