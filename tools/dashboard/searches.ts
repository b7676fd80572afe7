/** The saved searches of panels.ts by name, and the variables that select one. */
import { Refusal } from '../terminal/refusal.ts';
import { PANELS, type Search } from './panels.ts';

export const LINES = 100;
/** The limits of functions/log-search.ts. */
const MOST_LETTERS = 1_000;
const MOST_MINUTES = 525_600;
const UNITS = { m: 1, h: 60, d: 1_440 } as const;

/** The saved searches, by their names. */
export const SEARCHES: ReadonlyMap<string, Search> = new Map(
  PANELS.flatMap(({ search }) => (search === undefined ? [] : [[search.name, search]])),
);

/**
 * The search of a command: QUERY in OpenSearch's query string syntax, or SEARCH, the name of a saved search, by default
 * everything; and its time range, SINCE such as 30m, 1h or 7d.
 * @throws {Refusal} if one of them is invalid, or both QUERY and SEARCH are set
 */
export function readSearch({ QUERY, SEARCH, SINCE }: NodeJS.ProcessEnv): { query: string; minutes: number } {
  return { query: readQuery(QUERY, SEARCH), minutes: readMinutes(SINCE || '1h') };
}

function readQuery(query: string | undefined, name: string | undefined): string {
  if (query && query.length > MOST_LETTERS)
    throw new Refusal(`QUERY has ${query.length} characters; it must have at most ${MOST_LETTERS}`);
  if (!name) return query || '*';
  if (query) throw new Refusal('QUERY and SEARCH are both set; set one of them');
  const found = SEARCHES.get(name);
  if (found === undefined) {
    const lines = [...SEARCHES.values()].map((one) => `  ${one.name.padEnd(16)} ${one.query}`);
    throw new Refusal(`SEARCH is ${name}; it must be one of\n${lines.join('\n')}`);
  }
  return found.query;
}

function readMinutes(since: string): number {
  const { value, unit } = /^(?<value>\d{1,4})(?<unit>[mhd])$/.exec(since)?.groups ?? {};
  const isTime = value !== undefined && (unit === 'm' || unit === 'h' || unit === 'd');
  const minutes = isTime ? Number(value) * UNITS[unit] : 0;
  if (minutes < 1 || minutes > MOST_MINUTES) {
    throw new Refusal(`SINCE is ${since}; it must be a time such as 30m, 1h or 7d, at most 365d`);
  }
  return minutes;
}
