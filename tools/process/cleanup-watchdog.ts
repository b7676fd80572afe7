import { spawn } from 'node:child_process';

/**
 * Runs a shell script as soon as this process has ended, even after a crash or `kill -9`. A small shell in a separate
 * session waits at the other end of a pipe, which the kernel closes when this process ends.
 * Returns a function that cancels it.
 */
export function startCleanupWatchdog(script: string, ...args: string[]): () => void {
  const executor = spawn('/bin/sh', ['-c', `cat >/dev/null; ${script}`, 'plusone-last-will', ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  // The error is EPIPE when someone killed the shell: nothing is left to call off then.
  executor.stdin.on('error', () => {});
  if ('unref' in executor.stdin && typeof executor.stdin.unref === 'function') executor.stdin.unref();
  executor.unref();
  return () => {
    executor.kill('SIGKILL');
  };
}
