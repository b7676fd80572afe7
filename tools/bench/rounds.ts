/** The rounds of a comparison: each server gets each load, and each round starts with another server. */
import { type Load, measure, type Outcome } from '../load/wrk.ts';
import { step } from '../terminal/progress.ts';
import type { Contestant, Running } from './contestants.ts';
import { LOADS, type ServerResults } from './results.ts';

/** How much is measured: rounds, seconds of each load (and before, to warm up), and starts of each server. */
export interface Extent {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly starts: number;
}

/** Warms the servers up, measures each load in each round, and stops the servers. */
export async function measureRounds(
  running: readonly Running[],
  users: number,
  { rounds, seconds, warmUpSeconds }: Extent,
  startTimes: ReadonlyMap<Contestant, readonly number[]>,
): Promise<ServerResults[]> {
  await step('warming up', async () => {
    for (const load of LOADS) await eachInTurn(running, load, users, warmUpSeconds, 0);
  });
  const outcomes = new Map(
    running.map((server) => [server, new Map(LOADS.map((load): [Load, Outcome[]] => [load, []]))]),
  );
  for (let round = 1; round <= rounds; round += 1) {
    await step(`round ${round} of ${rounds}`, async () => {
      for (const load of LOADS) {
        for (const [server, outcome] of await eachInTurn(running, load, users, seconds, round)) {
          outcomes.get(server)?.get(load)?.push(outcome);
        }
      }
    });
  }
  const results: ServerResults[] = [];
  for (const server of running) {
    results.push({
      name: server.contestant.name,
      rounds: outcomes.get(server) ?? new Map(),
      starts: startTimes.get(server.contestant) ?? [],
      memory: await server.memory(),
    });
    await server.stop();
  }
  return results;
}

/** Runs one load on each server, one after the other; each round starts with another server. */
async function eachInTurn(
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
