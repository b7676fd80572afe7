import { secretKeys } from './variables.ts';
import type { Workload } from './workload.ts';

/** The values of the Secret of a workload, and the keys that have none. */
export interface SecretValues {
  values: Record<string, string>;
  missing: string[];
}

/** A key of the Secret of a workload, by that workload's name. */
function qualified({ manifest }: Workload, key: string): string {
  return `${manifest.name}.${key}`;
}

/** What `NAME=value` lines give a workload: of `web.TOKEN` and `TOKEN` the first counts for the workload `web`. */
export function secretValues(workload: Workload, given: ReadonlyMap<string, string>): SecretValues {
  const all = [...secretKeys(workload.manifest.fields).keys()].map(
    (key) => [key, given.get(qualified(workload, key)) || given.get(key) || undefined] as const,
  );
  return {
    values: Object.fromEntries(all.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))),
    missing: all.flatMap(([key, value]) => (value === undefined ? [key] : [])),
  };
}

/** A file for `--secrets-from` without the values, each key below the place where AWS keeps it; undefined for no keys. */
export function secretSkeleton(workloads: readonly Workload[]): string | undefined {
  const wanted = workloads.flatMap((workload) =>
    [...secretKeys(workload.manifest.fields)].map(([key, source]) => ({ workload, key, source })),
  );
  if (wanted.length === 0) return undefined;
  const lines = wanted.flatMap(({ workload, key, source }) => {
    const shared = wanted.some((other) => other.key === key && other.source !== source);
    return [`# ${workload.manifest.name}: ${source}`, `${shared ? qualified(workload, key) : key}=`];
  });
  const unique = lines.filter((line, i) => line.startsWith('#') || lines.indexOf(line) === i);
  return `${['# Fill in the values, keep the file out of Git, and give it to --secrets-from.', ...unique].join('\n')}\n`;
}
