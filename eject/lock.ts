import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning } from '../tools/terminal/programs.ts';
import { Refusal } from '../tools/terminal/refusal.ts';

/**
 * Runs `work` while no other process of this machine does in the same folder. The lock of a process that was killed is
 * taken over. Throws Refusal with the process that has it.
 */
export async function exclusively<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const path = join(folder, 'lock');
  mkdirSync(folder, { recursive: true });
  if (!tryLock(path)) {
    const holder = Number(readFileSync(path, 'utf8'));
    if (isRunning(holder))
      throw new Refusal(`plusone eject is running in ${folder} (process ${holder}): wait for its end`);
    rmSync(path);
    if (!tryLock(path)) throw new Refusal(`plusone eject is running in ${folder}: wait for its end`);
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

/** The file appears with its content, so that one without a process cannot stay behind. */
function tryLock(path: string): boolean {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(own);
  }
}
