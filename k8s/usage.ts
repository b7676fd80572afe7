import { UsageError } from './errors.ts';

/** Checks that an option or operand has one of these values. Throws a UsageError that names them. */
export function oneOf<const T extends string>(what: string, given: string, allowed: readonly T[]): T {
  const found = allowed.find((item) => item === given);
  if (found) return found;
  throw new UsageError(`${what} ${given}: expected ${allowed.join(', ').replace(/, ([^,]*)$/, ' or $1')}`);
}

/** Parses a whole number within these bounds. Throws a UsageError. */
export function wholeNumber(what: string, given: string, least: number, most: number): number {
  const number = /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new UsageError(`${what} ${given}: expected a whole number from ${least} to ${most}`);
}
