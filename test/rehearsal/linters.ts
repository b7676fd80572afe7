import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const versions = { 'cfn-lint': '1.51.0', checkov: '3.3.30' } as const;
const folder = resolve('.local/linters');

/**
 * The linters of CloudFormation, installed into .local/ from PyPI the first time (a minute), or undefined without
 * Python 3.
 */
export function linters():
  | { run: (name: keyof typeof versions, words: string[]) => { code: number; output: string } }
  | undefined {
  const stamp = join(folder, Object.values(versions).join('-'));
  if (!existsSync(stamp)) {
    const packages = Object.entries(versions).map(([name, version]) => `${name}==${version}`);
    const steps: [string, string[]][] = [
      ['python3', ['-m', 'venv', '--clear', folder]],
      [join(folder, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', ...packages]],
      ['touch', [stamp]],
    ];
    if (
      !steps.every(
        ([program, words]) => spawnSync(program, words, { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0,
      )
    )
      return undefined;
  }
  return {
    run(name, words) {
      const { status, stdout, stderr, error } = spawnSync(join(folder, 'bin', name), words, { encoding: 'utf8' });
      if (error) throw error;
      return { code: status ?? 1, output: stdout + stderr };
    },
  };
}
