/** The variable with the names of what is not available in CI, separated by spaces; `.ci/run` sets it. */
const UNAVAILABLE = 'CI_WITHOUT';

/** Skips the test or suite because it does not apply here, and prints why. */
export function skip(context: Mocha.Context, reason: string): never {
  console.log(`      skipped: ${reason}`);
  return context.skip();
}

/**
 * Skips the test or suite because something is missing on this machine, and prints why. Throws instead where `CI=true`
 * and the variable CI_WITHOUT does not have `name`: CI must notice when a test no longer runs.
 */
export function skipWithout(context: Mocha.Context, name: string, reason: string): never {
  const unavailable = process.env[UNAVAILABLE]?.split(/\s+/) ?? [];
  if (process.env.CI === 'true' && !unavailable.includes(name))
    throw new Error(`${reason}. In CI no test is skipped: install it, or add ${name} to ${UNAVAILABLE} in .ci/run`);
  return skip(context, reason);
}
