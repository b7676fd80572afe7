import type { Release } from './release.ts';
import { secretKeys } from './variables.ts';

/** The values of the Secret of a workload, and the keys that have none. */
export interface SecretValues {
  values: Record<string, string>;
  missing: string[];
}

/** A key of the Secret of a workload, by that workload's name. */
function qualified({ manifest }: Release, key: string): string {
  return `${manifest.name}.${key}`;
}

/** What `NAME=value` lines give a workload: of `web.TOKEN` and `TOKEN` the first counts for the workload `web`. */
export function secretValues(release: Release, given: ReadonlyMap<string, string>): SecretValues {
  const all = [...secretKeys(release.manifest.fields).keys()].map(
    (key) => [key, given.get(qualified(release, key)) || given.get(key) || undefined] as const,
  );
  return {
    values: Object.fromEntries(all.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))),
    missing: all.flatMap(([key, value]) => (value === undefined ? [key] : [])),
  };
}

/** A file for `--secrets-from` without the values, each key below the place where AWS keeps it; undefined for no keys. */
export function secretSkeleton(releases: readonly Release[]): string | undefined {
  const wanted = releases.flatMap((release) =>
    [...secretKeys(release.manifest.fields)].map(([key, source]) => ({ release, key, source })),
  );
  if (wanted.length === 0) return undefined;
  const lines = wanted.flatMap(({ release, key, source }) => {
    const shared = wanted.some((other) => other.key === key && other.source !== source);
    return [`# ${release.manifest.name}: ${source}`, `${shared ? qualified(release, key) : key}=`];
  });
  const unique = lines.filter((line, i) => line.startsWith('#') || lines.indexOf(line) === i);
  return `${['# Fill in the values, keep the file out of Git, and give it to --secrets-from.', ...unique].join('\n')}\n`;
}
