import { Failed, stopAll } from './programs.ts';
import { isVerbose, remark } from './progress.ts';
import { Refusal } from './refusal.ts';

/**
 * Does the work of a make target such as "make up". When that fails it says why and what to try next, ends what is
 * still running, and ends this process with 1.
 */
export async function makeTarget(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    stopAll();
    remark(`\n${name}: ${reason(error)}`);
    if (!(error instanceof Refusal)) {
      remark(`\nPut it right and type ${name} again: it goes on from what is there.`);
      if (!isVerbose) remark(`VERBOSE=1 ${name} shows all that its tools say.`);
    }
    process.exit(1);
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isExpected = error instanceof Refusal || error instanceof Failed;
  return !isExpected && isVerbose ? (error.stack ?? error.message) : error.message;
}
