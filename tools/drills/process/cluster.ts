/** Drills with a database that is a cluster of three servers, behind a name that leads to the primary. */
import type { DatabaseCluster, Member } from '../../process/database-cluster.ts';
import {
  type Assertion,
  noneSlowerThan,
  noRestart,
  nothingFails,
  nothingLost,
  observed,
  okOr503,
  recoversWithin,
  refusesWithin,
} from '../assertions.ts';
import type { Drill } from '../drill.ts';
import type { ProcessFixture } from './fixture.ts';

type ProcessDrill = Drill<ProcessFixture>;

const failover: readonly Assertion[] = [
  recoversWithin(2),
  noneSlowerThan(3),
  okOr503,
  nothingLost,
  noRestart,
  observed(
    'failover',
    'Another server becomes the primary within 30 s',
    (value) => Number.parseFloat(String(value)) <= 30,
  ),
];

/** A drill in which the primary fails, and the fault lasts until another server has taken its place. */
function primaryFails(
  name: string,
  fault: string,
  assertions: readonly Assertion[],
  fail: (cluster: DatabaseCluster, primary: Member) => Promise<void>,
): ProcessDrill {
  return {
    name,
    fault,
    assertions,
    duration: { full: 0, quick: 0 },
    async prepare(fixture) {
      const cluster = await fixture.databaseCluster();
      if (typeof cluster === 'string') return cluster;
      fixture.defer(() => cluster.heal());
      await fixture.serve(cluster.env);
      const primary = cluster.primary();
      return {
        begin: () => fail(cluster, primary),
        async end({ observations }) {
          const began = performance.now();
          await cluster.untilPrimaryIsNot(primary);
          observations.failover = `${((performance.now() - began) / 1000).toFixed(1)} s`;
        },
        // The audit must find what the former primary had not sent to the others, too.
        settle: () => cluster.heal(),
      };
    },
  };
}

const replicaAdded: ProcessDrill = {
  name: 'replica-added',
  fault: 'A replica is killed; it comes back and gets what it has missed',
  assertions: [nothingFails, nothingLost, noRestart],
  duration: { full: 10, quick: 2 },
  async prepare(fixture) {
    const cluster = await fixture.databaseCluster();
    if (typeof cluster === 'string') return cluster;
    fixture.defer(() => cluster.heal());
    await fixture.serve(cluster.env);
    return {
      async begin() {
        const replica = cluster.members.find((member) => member !== cluster.primary());
        if (replica !== undefined) await cluster.kill(replica);
      },
      end: () => cluster.heal(),
    };
  },
};

/** The drills with a cluster, which need Docker, in the order in which they run. */
export const clusterDrills: readonly ProcessDrill[] = [
  primaryFails(
    'primary-killed',
    'The primary of three servers is killed (-9)',
    [refusesWithin(2), ...failover],
    (cluster, primary) => cluster.kill(primary),
  ),
  primaryFails(
    'primary-frozen',
    'The primary of three servers is stopped (SIGSTOP): connections stay open and nothing answers',
    [refusesWithin(2), ...failover],
    (cluster, primary) => cluster.freeze(primary),
  ),
  primaryFails(
    'primary-cut-off',
    'The network between the primary and the two others breaks; the service still reaches all three',
    failover,
    (cluster, primary) => cluster.cutOff(primary),
  ),
  primaryFails(
    'switch-over',
    'Another of three servers is made the primary by command',
    failover,
    async (cluster, primary) => {
      const next = cluster.members.find((member) => member !== primary);
      if (next !== undefined) await cluster.switchTo(next);
    },
  ),
  replicaAdded,
];
