import { spawn } from 'node:child_process';

/**
 * Runs a shell script as soon as this process has ended, even after a crash or `kill -9`. A small shell in a separate
 * session waits at the other end of a pipe, which the kernel closes when this process ends.
 * Returns a function that cancels it.
 */
export function startCleanupWatchdog(script: string, ...args: string[]): () => void {
  const executor = spawn('/bin/sh', ['-c', `cat >/dev/null; ${script}`, 'plusone-cleanup-watchdog', ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  // EPIPE if the shell was killed: there is nothing to cancel.
  executor.stdin.on('error', () => {});
  if ('unref' in executor.stdin && typeof executor.stdin.unref === 'function') executor.stdin.unref();
  executor.unref();
  return () => {
    executor.kill('SIGKILL');
  };
}
