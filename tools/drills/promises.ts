import type { Figures } from './figures.ts';

/** Something that holds while and after the fault: in words, and how it is told from the figures. */
export interface Pledge {
  readonly words: string;
  /** What was measured, for people, and whether that keeps the promise. */
  check(figures: Figures): { readonly measured: string; readonly kept: boolean };
}

const seconds = (value: number | undefined) => (value === undefined ? 'never' : `${value.toFixed(2)} s`);

/** No caller notices anything. */
export const nothingFails: Pledge = {
  words: 'No request fails',
  check: ({ requests, refused, cut, wrong }) => ({
    measured: `${refused + cut + wrong} of ${requests} failed`,
    kept: requests > 0 && refused + cut + wrong === 0,
  }),
};

/** Every request is answered: as it should be, or with 503 and `Retry-After`. */
export const rightOr503: Pledge = {
  words: 'Every answer is a right one, or 503 with Retry-After',
  check: ({ right, refused, cut, wrong }) => ({
    measured: `${right} right, ${refused} × 503, ${cut} cut, ${wrong} wrong`,
    kept: right > 0 && cut + wrong === 0,
  }),
};

/** Where the front door itself goes away: what is answered is right, but connections may break. */
export const neverWrong: Pledge = {
  words: 'No answer is wrong',
  check: ({ right, refused, cut, wrong }) => ({
    measured: `${right} right, ${refused} × 503, ${cut} cut, ${wrong} wrong`,
    kept: right > 0 && wrong === 0,
  }),
};

/**
 * Where more knock than a port takes in at once: TCP itself tries again after 1, 3 and 7 s, so a few can be too late.
 */
export function cutAtMost(percent: number): Pledge {
  return {
    words: `At most ${percent} % of the others get no answer in ten seconds; the rest is right, or 503`,
    check: ({ requests, right, refused, cut, wrong }) => ({
      measured: `${right} right, ${refused} × 503, ${cut} cut, ${wrong} wrong`,
      kept: right > 0 && wrong === 0 && cut <= (requests * percent) / 100,
    }),
  };
}

/** The audit finds every acknowledged write. */
export const nothingLost: Pledge = {
  words: 'No acknowledged write is lost or undone',
  check: ({ lost, checked }) => ({ measured: `${lost} of ${checked} names`, kept: checked > 0 && lost === 0 }),
};

/** The fault is told to the callers, soon. */
export function saysSoWithin(limit: number): Pledge {
  return {
    words: `The first 503 comes within ${limit} s`,
    check: ({ firstRefusal }) => ({
      measured: seconds(firstRefusal),
      kept: firstRefusal !== undefined && firstRefusal <= limit,
    }),
  };
}

/** It works again, soon, and goes on working. */
export function backWithin(limit: number): Pledge {
  return {
    words: `Within ${limit} s of the return, requests succeed, and none fails after that`,
    check: ({ firstSuccess, lastFailure }) => ({
      measured: `success after ${seconds(firstSuccess)}, last failure sent after ${seconds(lastFailure)}`,
      kept: firstSuccess !== undefined && firstSuccess <= limit && lastFailure <= limit,
    }),
  };
}

export function noneSlowerThan(limit: number): Pledge {
  return {
    words: `No request takes longer than ${limit} s`,
    check: ({ slowest }) => ({ measured: seconds(slowest), kept: slowest <= limit }),
  };
}

export function outageAtMost(limit: number): Pledge {
  return {
    words: `No outage is longer than ${limit} s`,
    check: ({ longestOutage }) => ({ measured: seconds(longestOutage), kept: longestOutage <= limit }),
  };
}

/** Right answers given while the fault lasts. */
export function p99AtMost(milliseconds: number): Pledge {
  return {
    words: `99 % of the right answers take at most ${milliseconds} ms`,
    check: ({ p99Milliseconds }) => ({
      measured: `${Math.round(p99Milliseconds)} ms`,
      kept: p99Milliseconds <= milliseconds,
    }),
  };
}

/** The processes that were there before are there after. */
export const noRestart: Pledge = {
  words: 'No process ends',
  check: ({ restarts }) => ({ measured: `${restarts} ended`, kept: restarts === 0 }),
};

/** Reads go on while writes can't. */
export const readsGoOn: Pledge = {
  words: 'No read fails',
  check: ({ failedReads, failedWrites }) => ({
    measured: `${failedReads} reads and ${failedWrites} writes failed`,
    kept: failedReads === 0,
  }),
};

export function memoryGrowsAtMost(mebibytes: number): Pledge {
  return {
    words: `Memory grows by at most ${mebibytes} MiB`,
    check: ({ memoryBefore, memoryPeak }) => ({
      measured:
        memoryBefore === undefined ? 'not seen' : `${Math.round(memoryBefore)} → ${Math.round(memoryPeak ?? 0)} MiB`,
      kept: memoryBefore !== undefined && memoryPeak !== undefined && memoryPeak - memoryBefore <= mebibytes,
    }),
  };
}

export function memoryAtMost(mebibytes: number): Pledge {
  return {
    words: `Memory stays below ${mebibytes} MiB`,
    check: ({ memoryPeak }) => ({
      measured: memoryPeak === undefined ? 'not seen' : `${Math.round(memoryPeak)} MiB`,
      kept: memoryPeak !== undefined && memoryPeak <= mebibytes,
    }),
  };
}

/** Something that the fault itself measured under that name. */
export function noted(name: string, words: string, holds: (value: number | string | undefined) => boolean): Pledge {
  return {
    words,
    check: ({ notes }) => ({ measured: String(notes[name] ?? 'not seen'), kept: holds(notes[name]) }),
  };
}
