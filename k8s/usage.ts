import { UsageError } from './errors.ts';

/** One of the values that an option or an operand may have. Throws a UsageError that names them. */
export function oneOf<const T extends string>(what: string, given: string, allowed: readonly T[]): T {
  const found = allowed.find((item) => item === given);
  if (found) return found;
  throw new UsageError(`${what} ${given}: expected ${allowed.join(', ').replace(/, ([^,]*)$/, ' or $1')}`);
}

/** A whole number in its bounds. Throws a UsageError. */
export function wholeNumber(what: string, given: string, least: number, most: number): number {
  const number = /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new UsageError(`${what} ${given}: expected a whole number from ${least} to ${most}`);
}
