import { Failed, stopAll } from './programs.ts';
import { isVerbose, remark } from './progress.ts';
import { Refusal } from './refusal.ts';

/**
 * Runs a make target such as "make up". If it fails, prints the error, as `explain` extends its message, and what to try
 * next, ends the child processes and exits with 1.
 */
export async function makeTarget(
  name: string,
  work: () => Promise<void>,
  explain = (message: string) => message,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    stopAll();
    const isRefusal = error instanceof Refusal;
    remark(`\n${name}: ${isRefusal ? error.message : explain(reason(error))}`);
    if (!isRefusal) {
      remark(`\nFix the problem and run ${name} again; it continues where it stopped.`);
      if (!isVerbose) remark(`VERBOSE=1 ${name} shows the complete output.`);
    }
    process.exit(1);
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return !(error instanceof Failed) && isVerbose ? (error.stack ?? error.message) : error.message;
}
