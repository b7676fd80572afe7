import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MILLISECONDS = 20;

/**
 * Repeats `condition` until it holds, and returns the milliseconds that this took.
 * @throws when it does not hold within `seconds`
 */
export async function eventually(condition: () => Promise<boolean>, seconds = 10): Promise<number> {
  const from = performance.now();
  while (!(await condition())) {
    if (performance.now() - from > seconds * 1000) throw new Error(`not within ${seconds} s: ${condition}`);
    await sleep(PAUSE_MILLISECONDS);
  }
  return performance.now() - from;
}
