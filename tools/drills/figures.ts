import type { Answer, Audit } from '../load/load.ts';
import { quantile } from '../load/quantile.ts';

/** The recording of a drill; times are milliseconds since its load began. */
export interface Recording {
  readonly answers: readonly Answer[];
  /** When the fault began, and when the failed part was back. */
  readonly began: number;
  readonly returned: number;
  readonly ended: number;
  readonly audit: Audit;
  /** The service's resident memory in MiB, one sample per second; empty where it can't be read. */
  readonly memory: readonly { readonly at: number; readonly mebibytes: number }[];
  /** Processes of the service that ended unexpectedly. */
  readonly restarts: number;
  /** The observations of the fault, by name. */
  readonly observations: Readonly<Record<string, number | string>>;
  /** The longest time, in milliseconds, in which the process that measures did not run; see {@link Load}. */
  readonly longestPause: number;
}

/** The figures of a recording. Durations are seconds, unless their name says otherwise. */
export interface Figures {
  readonly requests: number;
  readonly ok: number;
  readonly refused: number;
  readonly aborted: number;
  readonly wrong: number;
  /** Refused or aborted, by method. */
  readonly failedReads: number;
  readonly failedWrites: number;
  /** From the fault to the first refusal; undefined without one. */
  readonly firstRefusal: number | undefined;
  /** From the recovery to the first successful answer; undefined without one. */
  readonly firstSuccess: number | undefined;
  /** From the recovery to the moment at which the last failed request was sent; 0 without one. */
  readonly lastFailure: number;
  /** The longest time without a successful answer in which a request failed. */
  readonly longestOutage: number;
  readonly slowest: number;
  /** Of the successful answers between the fault and the recovery, in milliseconds. */
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  /** Successful answers and requests per second between the fault and the recovery. */
  readonly answered: number;
  readonly offered: number;
  readonly checked: number;
  readonly lost: number;
  /** In MiB: before the fault, and the peak; undefined where it can't be read. */
  readonly memoryBefore: number | undefined;
  readonly memoryPeak: number | undefined;
  readonly restarts: number;
  readonly observations: Readonly<Record<string, number | string>>;
}

/** Computes the figures of a recording. */
export function figuresOf({ answers, began, returned, audit, memory, restarts, observations }: Recording): Figures {
  const count = (holds: (answer: Answer) => boolean) => answers.filter(holds).length;
  const ok = answers.filter(({ verdict }) => verdict === 'ok');
  const failed = answers.filter(({ verdict }) => verdict !== 'ok');
  const refusals = failed.filter(({ verdict, ended }) => verdict === 'refused' && ended >= began);
  const during = answers.filter(({ sent }) => sent >= began && sent < returned);
  const latencies = during
    .filter(({ verdict }) => verdict === 'ok')
    .map(({ sent, ended }) => ended - sent)
    .sort((one, other) => one - other);
  const samples = memory.map(({ mebibytes }) => mebibytes);
  const before = memory.filter(({ at }) => at <= began).map(({ mebibytes }) => mebibytes);
  const seconds = (milliseconds: number) => milliseconds / 1000;
  const lowest = (times: number[]) => (times.length === 0 ? undefined : seconds(Math.max(0, Math.min(...times))));
  return {
    requests: answers.length,
    ok: ok.length,
    refused: count(({ verdict }) => verdict === 'refused'),
    aborted: count(({ verdict }) => verdict === 'aborted'),
    wrong: count(({ verdict }) => verdict === 'wrong'),
    failedReads: failed.filter(({ method }) => method === 'GET').length,
    failedWrites: failed.filter(({ method }) => method === 'PUT').length,
    firstRefusal: lowest(refusals.map(({ ended }) => ended - began)),
    firstSuccess: lowest(ok.filter(({ ended }) => ended >= returned).map(({ ended }) => ended - returned)),
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
    observations,
  };
}

function longestOutage(answers: readonly Answer[]): number {
  const inOrder = answers.toSorted((one, other) => one.ended - other.ended);
  let lastOk = 0;
  let failing = false;
  let longest = 0;
  for (const { ended, verdict } of inOrder) {
    if (verdict !== 'ok') {
      failing = true;
      continue;
    }
    if (failing) longest = Math.max(longest, ended - lastOk);
    lastOk = ended;
    failing = false;
  }
  return failing ? Math.max(longest, (inOrder.at(-1)?.ended ?? 0) - lastOk) : longest;
}
