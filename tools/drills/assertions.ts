import type { Figures } from './figures.ts';

/** Something that must hold during and after the fault. */
export interface Assertion {
  readonly description: string;
  /** Returns the measured value as text, and whether it is good enough. */
  check(figures: Figures): { readonly measured: string; readonly passed: boolean };
}

const seconds = (value: number | undefined) => (value === undefined ? 'never' : `${value.toFixed(2)} s`);

const outcomes = ({ ok, refused, aborted, wrong }: Figures) =>
  `${ok} ok, ${refused} × 503, ${aborted} aborted, ${wrong} wrong`;

/** No request fails. */
export const nothingFails: Assertion = {
  description: 'No request fails',
  check: ({ requests, refused, aborted, wrong }) => ({
    measured: `${refused + aborted + wrong} of ${requests} failed`,
    passed: requests > 0 && refused + aborted + wrong === 0,
  }),
};

/** In seconds. A request waits for the statement that runs and for its own, together 1.8 s at most: see src/database/store.ts. */
const TWO_COMMITS = 1.5;

/**
 * No request fails; but a group of databases commits nothing while it agrees on its members, on a slow machine for longer than
 * a request may wait. The drill observes as `two commits` how long these take another client.
 */
export const failsOnlyWithTheGroup: Assertion = {
  description: `No request fails; only if the group takes ${TWO_COMMITS} s for two commits, writes do, with 503`,
  check({ requests, ok, refused, aborted, wrong, failedReads, observations }) {
    const commits = Number(observations['two commits']);
    const failed = refused + aborted + wrong;
    const isRefusedByGroup = commits >= TWO_COMMITS && failedReads + aborted + wrong === 0;
    return {
      measured: `${failed} of ${requests} failed; two commits took ${commits.toFixed(2)} s at most`,
      passed: ok > 0 && (failed === 0 || isRefusedByGroup),
    };
  },
};

/** Every request gets its answer, or 503 with `Retry-After`. */
export const okOr503: Assertion = {
  description: 'Every answer is correct, or 503 with Retry-After',
  check: (figures) => ({
    measured: outcomes(figures),
    passed: figures.ok > 0 && figures.aborted + figures.wrong === 0,
  }),
};

/** Where the address itself stops answering: connections may break, but no answer is wrong. */
export const neverWrong: Assertion = {
  description: 'No answer is wrong',
  check: (figures) => ({ measured: outcomes(figures), passed: figures.ok > 0 && figures.wrong === 0 }),
};

/**
 * For more connections than a port accepts at once: TCP retries after 1, 3 and 7 s, so a few may be too late.
 */
export function abortedAtMost(percent: number): Assertion {
  return {
    description: `At most ${percent} % of the other requests get no answer in ten seconds; the rest is correct, or 503`,
    check: (figures) => ({
      measured: outcomes(figures),
      passed: figures.ok > 0 && figures.wrong === 0 && figures.aborted <= (figures.requests * percent) / 100,
    }),
  };
}

/** The audit finds every acknowledged write. */
export const nothingLost: Assertion = {
  description: 'No acknowledged write is lost or undone',
  check: ({ lost, checked }) => ({ measured: `${lost} of ${checked} names`, passed: checked > 0 && lost === 0 }),
};

/** Clients get an answer soon after the fault begins. */
export function refusesWithin(limit: number): Assertion {
  return {
    description: `The first 503 comes within ${limit} s`,
    check: ({ firstRefusal }) => ({
      measured: seconds(firstRefusal),
      passed: firstRefusal !== undefined && firstRefusal <= limit,
    }),
  };
}

/** The service recovers soon, and stays well. */
export function recoversWithin(limit: number): Assertion {
  return {
    description: `Within ${limit} s of the recovery, requests succeed, and none fails after that`,
    check: ({ firstSuccess, lastFailure }) => ({
      measured: `success after ${seconds(firstSuccess)}, last failure sent after ${seconds(lastFailure)}`,
      passed: firstSuccess !== undefined && firstSuccess <= limit && lastFailure <= limit,
    }),
  };
}

export function noneSlowerThan(limit: number): Assertion {
  return {
    description: `No request takes longer than ${limit} s`,
    check: ({ slowest }) => ({ measured: seconds(slowest), passed: slowest <= limit }),
  };
}

export function outageAtMost(limit: number): Assertion {
  return {
    description: `No outage is longer than ${limit} s`,
    check: ({ longestOutage }) => ({ measured: seconds(longestOutage), passed: longestOutage <= limit }),
  };
}

/** Of the successful answers while the fault lasts. */
export function p99AtMost(milliseconds: number): Assertion {
  return {
    description: `p99 of the successful answers is at most ${milliseconds} ms`,
    check: ({ p99Milliseconds }) => ({
      measured: `${Math.round(p99Milliseconds)} ms`,
      passed: p99Milliseconds <= milliseconds,
    }),
  };
}

/** The processes from before the fault run after it. */
export const noRestart: Assertion = {
  description: 'No process ends',
  check: ({ restarts }) => ({ measured: `${restarts} ended`, passed: restarts === 0 }),
};

/** Reads succeed while writes fail. */
export const noReadFails: Assertion = {
  description: 'No read fails',
  check: ({ failedReads, failedWrites }) => ({
    measured: `${failedReads} reads and ${failedWrites} writes failed`,
    passed: failedReads === 0,
  }),
};

export function memoryGrowsAtMost(mebibytes: number): Assertion {
  return {
    description: `Memory grows by at most ${mebibytes} MiB`,
    check: ({ memoryBefore, memoryPeak }) => ({
      measured:
        memoryBefore === undefined
          ? 'not measured'
          : `${Math.round(memoryBefore)} → ${Math.round(memoryPeak ?? 0)} MiB`,
      passed: memoryBefore !== undefined && memoryPeak !== undefined && memoryPeak - memoryBefore <= mebibytes,
    }),
  };
}

export function memoryAtMost(mebibytes: number): Assertion {
  return {
    description: `Memory stays below ${mebibytes} MiB`,
    check: ({ memoryPeak }) => ({
      measured: memoryPeak === undefined ? 'not measured' : `${Math.round(memoryPeak)} MiB`,
      passed: memoryPeak !== undefined && memoryPeak <= mebibytes,
    }),
  };
}

/** Checks the observation of that name by the fault. */
export function observed(
  name: string,
  description: string,
  isExpected: (value: number | string | undefined) => boolean,
): Assertion {
  return {
    description,
    check: ({ observations }) => ({
      measured: String(observations[name] ?? 'not measured'),
      passed: isExpected(observations[name]),
    }),
  };
}

/** For the failover of a database cluster within 30 s, which a drill observes as `failover`, in seconds. */
export function failsOver(description: string): readonly Assertion[] {
  const inTime = (value: unknown) => Number.parseFloat(String(value)) <= 30;
  return [
    recoversWithin(2),
    noneSlowerThan(3),
    okOr503,
    nothingLost,
    noRestart,
    observed('failover', `${description} within 30 s`, inTime),
  ];
}
