import { type Answer, find, letters, save } from './requests.ts';

/** Steady traffic on a service, and what came of it. */
export interface Load {
  readonly answers: readonly Answer[];
  /** What could not be answered at all: connections refused or cut. */
  readonly failures: readonly unknown[];
  /** The date of birth of each name whose saving was acknowledged. */
  readonly acknowledged: ReadonlyMap<string, string>;
  stop(): Promise<void>;
}

/**
 * Saves a new name, reads the last one whose saving was acknowledged, and so on, in as many lines as `lines` says, each with a short pause between its
 * requests: a machine with little to spare shall be busy with the service, not with this.
 */
export function startLoad(url: string, lines = 8): Load {
  const answers: Answer[] = [];
  const failures: unknown[] = [];
  const acknowledged = new Map<string, string>();
  let count = 0;
  let stopped = false;

  async function line(): Promise<void> {
    let known: string | undefined;
    while (!stopped) {
      count += 1;
      const name = `load${letters(count)}`;
      const date = `19${String(count % 100).padStart(2, '0')}-02-03`;
      try {
        const saved = await save(url, name, date);
        answers.push(saved);
        if (saved.status === 204) {
          acknowledged.set(name, date);
          known = name;
        }
        if (known !== undefined) answers.push(await find(url, known));
      } catch (error) {
        failures.push(error);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  const running = Array.from({ length: lines }, line);
  return {
    answers,
    failures,
    acknowledged,
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}
