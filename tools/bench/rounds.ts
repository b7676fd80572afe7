/** The rounds of a comparison: each server gets each load, and each round starts with another server. */
import { type Load, measure, type Outcome } from '../load/wrk.ts';
import type { Running } from './contestants.ts';

/** How much is measured: rounds, seconds of each load (and before, to warm up), and starts of each server. */
export interface Extent {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly starts: number;
}

/** Runs one load on each server, one after the other; each round starts with another server. */
export async function eachInTurn(
  servers: readonly Running[],
  load: Load,
  users: number,
  seconds: number,
  round: number,
): Promise<Map<Running, Outcome>> {
  const outcomes = new Map<Running, Outcome>();
  for (const server of rotated(servers, round)) {
    outcomes.set(server, await measure(load, server.url, users, seconds, round, server.contestant.path));
  }
  return outcomes;
}

/** The list, beginning with another element. */
export function rotated<Element>(list: readonly Element[], by: number): Element[] {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}
