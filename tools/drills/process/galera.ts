/** Drills with a MariaDB Galera cluster: three servers, each of which takes writes. */
import type { RowDataPacket } from 'mysql2/promise';
import type { GaleraCluster } from '../../process/galera.ts';
import { failsOver, noneSlowerThan, noRestart, nothingLost, observed, okOr503, refusesWithin } from '../assertions.ts';
import type { Drill } from '../drill.ts';
import { NOT_QUICK, primaryFails } from './cluster.ts';
import type { ProcessFixture } from './fixture.ts';

const failover = failsOver('The endpoint leads to another node');
const inGalera = (fixture: ProcessFixture) => fixture.galera();

const everyNodeWritten: Drill<ProcessFixture> = {
  name: 'galera-every-node',
  fault:
    'Three processes write the same ten names, each to a Galera node of its own, so that the nodes refuse conflicts',
  assertions: [
    okOr503,
    observed('answered', 'At least 99 % of the requests succeed', (value) => Number.parseFloat(String(value)) >= 99),
    observed('conflicts', 'There were conflicts', (value) => Number(value) > 0),
    noneSlowerThan(3),
    nothingLost,
    noRestart,
  ],
  duration: { full: 15, quick: 4 },
  names: 10,
  async prepare(fixture) {
    const cluster = await fixture.galera();
    if (typeof cluster === 'string') return cluster;
    for (const member of cluster.members) await fixture.serve(cluster.envOf(member));
    const before = await conflicts(cluster);
    return {
      begin({ load }) {
        load.rate = 500;
      },
      async end({ load, observations }) {
        load.rate = 100;
        const answered = load.answers.filter(({ verdict }) => verdict === 'ok').length;
        observations.answered = `${((100 * answered) / load.answers.length).toFixed(2)} %`;
        observations.conflicts = (await conflicts(cluster)) - before;
      },
    };
  },
};

/** How many statements the nodes have refused or ended because another node was first, since they started. */
async function conflicts(cluster: GaleraCluster): Promise<number> {
  const sql = `SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_local_cert_failures', 'wsrep_local_bf_aborts')`;
  const rows = await Promise.all(cluster.members.map((member) => cluster.query<RowDataPacket>(member, sql)));
  return rows.flat().reduce((sum, { Value }) => sum + Number(Value), 0);
}

/** The drills with Galera, in the order in which they run. */
export const galeraDrills: readonly Drill<ProcessFixture>[] = [
  {
    ...primaryFails(
      inGalera,
      'galera-node-killed',
      'The Galera node that the service uses is killed (-9); its endpoint moves to another one',
      [refusesWithin(2), ...failover],
      (cluster, node) => cluster.kill(node),
    ),
    duration: NOT_QUICK,
  },
  {
    ...primaryFails(
      inGalera,
      'galera-node-frozen',
      'The Galera node that the service uses is stopped (SIGSTOP): connections stay open and nothing answers',
      [refusesWithin(2), ...failover],
      (cluster, node) => cluster.freeze(node),
    ),
    duration: NOT_QUICK,
  },
  primaryFails(
    inGalera,
    'galera-node-cut-off',
    'The Galera node that the service uses loses the others, and refuses every statement (error 1047)',
    [refusesWithin(2), ...failover],
    (cluster, node) => cluster.cutOff(node),
  ),
  everyNodeWritten,
];
