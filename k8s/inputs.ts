import type { Manifest } from '../manifest/manifest.ts';

/** The values that a workload needs from a file: the source of each on AWS, by its key in the file. */
export type Inputs = ReadonlyMap<string, string>;

/** The sources by their keys. */
export function inputs(entries: readonly { key: string; source: string }[]): Inputs {
  return new Map(entries.map(({ key, source }) => [key, source]));
}

/** The values of these keys, and the keys that have none. */
export interface InputValues {
  values: Record<string, string>;
  missing: string[];
}

/** A key of one workload, by that workload's name. */
export function qualified({ name }: Manifest, key: string): string {
  return `${name}.${key}`;
}

/**
 * The values of a workload from `NAME=value` lines: for the workload `web`, `web.TOKEN` takes precedence over `TOKEN`.
 */
export function inputValues(manifest: Manifest, wanted: Inputs, given: ReadonlyMap<string, string>): InputValues {
  const all = [...wanted.keys()].map(
    (key) => [key, given.get(qualified(manifest, key)) || given.get(key) || undefined] as const,
  );
  return {
    values: Object.fromEntries(all.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))),
    missing: all.flatMap(([key, value]) => (value === undefined ? [key] : [])),
  };
}

/** A file to fill in: each key below its source, without a value; undefined for no keys. */
export function skeleton(
  workloads: readonly { manifest: Manifest; wanted: Inputs }[],
  instruction: string,
): string | undefined {
  const all = workloads.flatMap(({ manifest, wanted }) =>
    [...wanted].map(([key, source]) => ({ manifest, key, source })),
  );
  if (all.length === 0) return undefined;
  const lines = all.flatMap(({ manifest, key, source }) => {
    const shared = all.some((other) => other.key === key && other.source !== source);
    return [`# ${manifest.name}: ${source}`, `${shared ? qualified(manifest, key) : key}=`];
  });
  const unique = lines.filter((line, i) => line.startsWith('#') || lines.indexOf(line) === i);
  return `${[`# ${instruction}`, ...unique].join('\n')}\n`;
}
