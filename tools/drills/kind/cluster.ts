/** Drills with a database that is a cluster of three servers: `make up DATABASE=cluster`. */
import { failsOver } from '../assertions.ts';
import type { Drill } from '../drill.ts';
import type { KindFixture } from './fixture.ts';

type KindDrill = Drill<KindFixture>;

const failover = failsOver('The Service leads to another server');

/** A drill in which the primary fails, and the fault lasts until the Service leads to another server. */
function primaryFails(
  name: string,
  fault: string,
  fail: (fixture: KindFixture, primary: string) => Promise<unknown>,
  restore: (fixture: KindFixture, primary: string) => Promise<unknown> = async () => {},
): KindDrill {
  return {
    name,
    fault,
    assertions: failover,
    duration: { full: 0, quick: 0 },
    async prepare(fixture) {
      if (!(await fixture.hasDatabaseCluster()))
        return 'it needs three MySQL servers: make down, then make up DATABASE=cluster';
      await fixture.databaseRolledOut();
      const primary = await fixture.databasePod();
      let began = 0;
      return {
        async begin() {
          began = performance.now();
          await fail(fixture, primary);
        },
        async end({ observations }) {
          await fixture.databasePodIsNot(primary);
          observations.failover = `${((performance.now() - began) / 1000).toFixed(1)} s`;
        },
        // The audit must find what the former primary has not sent to the others, too.
        async settle() {
          await restore(fixture, primary);
          await fixture.databaseRolledOut();
        },
      };
    },
  };
}

/** The drills with a cluster of databases, in the order in which they run. */
export const clusterDrills: readonly KindDrill[] = [
  primaryFails('primary-deleted', 'The pod of the primary of three MySQL servers is deleted', (fixture, primary) =>
    fixture.kubectl(['delete', 'pod', primary, '--wait=false']),
  ),
  primaryFails(
    'primary-killed',
    'The process of the primary of three MySQL servers is killed (-9)',
    (fixture, primary) => fixture.signal(primary, 'SIGKILL'),
  ),
  primaryFails(
    'primary-frozen',
    'The process of the primary of three MySQL servers is stopped (SIGSTOP): connections stay open and nothing answers',
    async (fixture, primary) => {
      fixture.defer(() => fixture.signal(primary, 'SIGCONT'));
      await fixture.signal(primary, 'SIGSTOP');
    },
    (fixture, primary) => fixture.signal(primary, 'SIGCONT'),
  ),
  primaryFails(
    'primary-cut-off',
    'The network between the primary of three MySQL servers and the two others breaks; the service still reaches all three',
    async (fixture, primary) => {
      fixture.defer(() => fixture.cutOffFromGroup(primary, '--delete').catch(() => {}));
      await fixture.cutOffFromGroup(primary, '--append');
    },
    (fixture, primary) => fixture.cutOffFromGroup(primary, '--delete'),
  ),
];
