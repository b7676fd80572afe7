import { spawn } from 'node:child_process';

/**
 * Has a shell script run as soon as this process is gone, however it went: a crash and `kill -9` included. A small
 * shell of its own session waits at the other end of a pipe, which the kernel closes when we die.
 * Gives back a function that calls it off.
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
