import type { Answer, Audit } from './load.ts';

/** All that was seen while a drill ran; times are milliseconds since its load began. */
export interface Course {
  readonly answers: readonly Answer[];
  /** When the fault began, and when what had failed was back. */
  readonly began: number;
  readonly returned: number;
  readonly ended: number;
  readonly audit: Audit;
  /** The service's resident memory in MiB, one sample a second; empty where it cannot be seen. */
  readonly memory: readonly { readonly at: number; readonly mebibytes: number }[];
  /** Processes of the service that ended and were not meant to. */
  readonly restarts: number;
  /** What the fault itself found out, by name. */
  readonly notes: Readonly<Record<string, number | string>>;
}

/** What a course comes to. Durations are seconds, save for those that say otherwise. */
export interface Figures {
  readonly requests: number;
  readonly right: number;
  readonly refused: number;
  readonly cut: number;
  readonly wrong: number;
  /** Refused or cut, by method. */
  readonly failedReads: number;
  readonly failedWrites: number;
  /** From the fault to the first answer that was refused; undefined when none was. */
  readonly firstRefusal: number | undefined;
  /** From the return to the first right answer; undefined when none came. */
  readonly firstSuccess: number | undefined;
  /** From the return to the moment at which the last request was sent that failed; 0 when none did. */
  readonly lastFailure: number;
  /** The longest time without a right answer in which a request failed. */
  readonly longestOutage: number;
  readonly slowest: number;
  /** Of the right answers between the fault and the return, in milliseconds. */
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  /** Right answers and requests a second between the fault and the return. */
  readonly answered: number;
  readonly offered: number;
  readonly checked: number;
  readonly lost: number;
  /** In MiB: before the fault, and the most there was; undefined where it cannot be seen. */
  readonly memoryBefore: number | undefined;
  readonly memoryPeak: number | undefined;
  readonly restarts: number;
  readonly notes: Readonly<Record<string, number | string>>;
}

/** The figures of a course. */
export function figuresOf({ answers, began, returned, audit, memory, restarts, notes }: Course): Figures {
  const count = (holds: (answer: Answer) => boolean) => answers.filter(holds).length;
  const right = answers.filter(({ verdict }) => verdict === 'right');
  const failed = answers.filter(({ verdict }) => verdict !== 'right');
  const refusals = failed.filter(({ verdict, ended }) => verdict === 'refused' && ended >= began);
  const during = answers.filter(({ sent }) => sent >= began && sent < returned);
  const latencies = during
    .filter(({ verdict }) => verdict === 'right')
    .map(({ sent, ended }) => ended - sent)
    .sort((one, other) => one - other);
  const samples = memory.map(({ mebibytes }) => mebibytes);
  const before = memory.filter(({ at }) => at <= began).map(({ mebibytes }) => mebibytes);
  const seconds = (milliseconds: number) => milliseconds / 1000;
  const lowest = (times: number[]) => (times.length === 0 ? undefined : seconds(Math.max(0, Math.min(...times))));
  return {
    requests: answers.length,
    right: right.length,
    refused: count(({ verdict }) => verdict === 'refused'),
    cut: count(({ verdict }) => verdict === 'cut'),
    wrong: count(({ verdict }) => verdict === 'wrong'),
    failedReads: failed.filter(({ method }) => method === 'GET').length,
    failedWrites: failed.filter(({ method }) => method === 'PUT').length,
    firstRefusal: lowest(refusals.map(({ ended }) => ended - began)),
    firstSuccess: lowest(right.filter(({ ended }) => ended >= returned).map(({ ended }) => ended - returned)),
    lastFailure: seconds(Math.max(0, ...failed.map(({ sent }) => sent - returned))),
    longestOutage: seconds(longestOutage(answers)),
    slowest: seconds(Math.max(0, ...answers.map(({ sent, ended }) => ended - sent))),
    p50Milliseconds: quantile(latencies, 0.5),
    p99Milliseconds: quantile(latencies, 0.99),
    answered: latencies.length / seconds(returned - began),
    offered: during.length / seconds(returned - began),
    checked: audit.checked,
    lost: audit.lost.length,
    memoryBefore: before.length === 0 ? undefined : Math.max(...before),
    memoryPeak: samples.length === 0 ? undefined : Math.max(...samples),
    restarts,
    notes,
  };
}

function longestOutage(answers: readonly Answer[]): number {
  const inOrder = answers.toSorted((one, other) => one.ended - other.ended);
  let lastRight = 0;
  let failing = false;
  let longest = 0;
  for (const { ended, verdict } of inOrder) {
    if (verdict !== 'right') {
      failing = true;
      continue;
    }
    if (failing) longest = Math.max(longest, ended - lastRight);
    lastRight = ended;
    failing = false;
  }
  return failing ? Math.max(longest, (inOrder.at(-1)?.ended ?? 0) - lastRight) : longest;
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}
