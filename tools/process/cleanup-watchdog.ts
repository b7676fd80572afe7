import { spawn } from 'node:child_process';

/**
 * Runs a shell script as soon as this process has ended, even by a crash or `kill -9`: a shell in its own session waits at
 * the other end of a pipe, which the kernel closes then. Returns a function that cancels it.
 */
export function onProcessEnd(script: string, ...args: string[]): () => void {
  const watchdog = spawn('/bin/sh', ['-c', `cat >/dev/null; ${script}`, 'plusone-cleanup', ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  // EPIPE if the shell was killed: nothing remains to cancel.
  watchdog.stdin.on('error', () => {});
  if ('unref' in watchdog.stdin && typeof watchdog.stdin.unref === 'function') watchdog.stdin.unref();
  watchdog.unref();
  return () => {
    watchdog.kill('SIGKILL');
  };
}
