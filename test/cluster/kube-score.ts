import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const VERSION = 'v1.20.0';
const folder = resolve('.local', `kube-score-${VERSION}`);

/**
 * kube-score, built into .local/ by Go the first time (a minute), or undefined without Go. It gives back the findings
 * that are not "OK", a line each.
 */
export function kubeScore(): ((files: string[]) => string[]) | undefined {
  const program = join(folder, 'kube-score');
  if (!existsSync(program)) {
    const install = ['install', `github.com/zegl/kube-score/cmd/kube-score@${VERSION}`];
    const { status } = spawnSync('go', install, {
      env: { ...process.env, GOBIN: folder },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    if (status !== 0) return undefined;
  }
  return (files) => {
    const { stdout, error } = spawnSync(program, ['score', '--output-format', 'ci', ...files], { encoding: 'utf8' });
    if (error) throw error;
    return stdout.split('\n').filter((line) => line !== '' && !/^\[(OK|SKIPPED)\]/.test(line));
  };
}
