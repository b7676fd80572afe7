/**
 * The Lambda runtimes that AWS has deprecated, and since when. A date, from the page or by what it follows from:
 * https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
 */
interface Deprecation {
  /** The date of its deprecation. */
  deprecated: string;
  /** When AWS stops creating and updating functions with it; undefined if it already has, or the date is not known. */
  blocked?: { create: string; update: string };
}

const deprecations: Readonly<Record<string, Deprecation>> = {
  'nodejs20.x': { deprecated: '2026-04-30', blocked: { create: '2027-02-01', update: '2027-03-03' } },
  'nodejs18.x': { deprecated: '2025-09-01' },
  'nodejs16.x': { deprecated: '2024-06-12' },
  'nodejs14.x': { deprecated: '2023-12-04' },
  'nodejs12.x': { deprecated: '2023-03-31' },
  'nodejs10.x': { deprecated: '2021-07-30' },
  'python3.9': { deprecated: '2025-12-15' },
  'python3.8': { deprecated: '2024-10-14' },
  'python3.7': { deprecated: '2023-12-04' },
  'python3.6': { deprecated: '2022-07-18' },
  'python2.7': { deprecated: '2021-07-15' },
  'ruby3.2': { deprecated: '2026-03-31' },
  'ruby2.7': { deprecated: '2023-12-07' },
  dotnet6: { deprecated: '2024-12-20' },
  'dotnetcore3.1': { deprecated: '2023-04-03' },
  java8: { deprecated: '2024-01-08' },
  'go1.x': { deprecated: '2024-01-08' },
  provided: { deprecated: '2024-01-08' },
};

/** A message about a Lambda runtime that AWS has deprecated; undefined for other runtimes. */
export function runtimeProblem(runtime: string): string | undefined {
  const found = deprecations[runtime];
  if (!found) return undefined;
  const { deprecated, blocked } = found;
  const refusal = blocked
    ? `AWS Lambda creates no function with it from ${blocked.create}, and updates none from ${blocked.update}`
    : 'AWS Lambda no longer supports it, and refuses new functions or will soon';
  return `runtime ${runtime} is deprecated since ${deprecated}: ${refusal}`;
}
