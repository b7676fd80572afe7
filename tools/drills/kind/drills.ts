import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  neverWrong,
  noneSlowerThan,
  noRestart,
  nothingFails,
  nothingLost,
  observed,
  okOr503,
  outageAtMost,
  recoversWithin,
} from '../assertions.ts';
import type { Drill } from '../drill.ts';
import { clusterDrills } from './cluster.ts';
import type { KindFixture } from './fixture.ts';
import { monitoringDrills } from './monitoring.ts';
import { scalingDrills } from './scaling.ts';

type KindDrill = Drill<KindFixture>;

/** The limits of an outage as seen from outside, where Kubernetes competes for the CPUs of the machine. */
const outage = [recoversWithin(2), noneSlowerThan(3), okOr503, nothingLost, noRestart];

const rollingRelease: KindDrill = {
  name: 'rolling-release',
  fault: 'Every pod is replaced, by a rolling update of Kubernetes',
  assertions: [nothingFails, nothingLost, noRestart],
  duration: { full: 0, quick: 0 },
  async prepare(fixture) {
    return { begin: () => fixture.restart(), end() {} };
  },
};

const twoReleases: KindDrill = {
  name: 'two-releases',
  fault: 'A release is in progress when the next one starts, which has a migration; later both are rolled back',
  assertions: [
    nothingFails,
    observed('migration', 'The migration ran, once', (value) => value === '1'),
    observed(
      'rollback',
      'The previous release, which does not have the migration, starts again',
      (value) => value === 'started',
    ),
    nothingLost,
    noRestart,
  ],
  duration: { full: 0, quick: 0 },
  async prepare(fixture) {
    const first = await fixture.imageWith('drill-first', {
      'src/users/user.ts': `${source('src/users/user.ts')}\n// drill\n`,
    });
    const second = await fixture.imageWith('drill-migration', {
      'src/database/migrations/index.ts': source('src/database/migrations/index.ts').replace(
        /(MIGRATIONS[^=]*= \{\n)([^}]*)\}/,
        `$1$2  '20991231235959_drill': {
    up: async (knex) => await knex.raw('CREATE TABLE drill (id INT PRIMARY KEY)'),
    down: async (knex) => await knex.raw('DROP TABLE drill'),
  },
}`,
      ),
    });
    fixture.defer(() =>
      fixture.sql(`DROP TABLE IF EXISTS drill; DELETE FROM knex_migrations WHERE name = '20991231235959_drill'`),
    );
    const before = await fixture.pods();
    return {
      async begin({ observations }) {
        await fixture.beginRelease(first);
        await sleep(3_000);
        await fixture.release(second);
        await fixture.gone(before);
        observations.migration = await fixture.sql(
          `SELECT COUNT(*) FROM knex_migrations WHERE name = '20991231235959_drill'`,
        );
      },
      async end({ observations }) {
        observations.rollback = await fixture.restore().then(
          () => 'started',
          (error: Error) => error.message,
        );
      },
    };
  },
};

const badRelease: KindDrill = {
  name: 'bad-release',
  fault: 'A release by `make up` whose process ends as soon as it is started',
  assertions: [
    nothingFails,
    observed('bad pods ready', 'It never takes traffic', (value) => value === 0),
    observed(
      'rolled back',
      'It is rolled back automatically, within 60 s',
      (value) => Number.parseFloat(String(value)) <= 60,
    ),
    observed('reason', 'The error of its process is reported', (value) => value === 'reported'),
    observed('good pods', 'Every pod of the previous release stays', (value) => value === 'all running'),
    nothingLost,
    noRestart,
  ],
  duration: { full: 5, quick: 0 },
  async prepare(fixture) {
    const message = 'a release that cannot start';
    const broken = await fixture.imageWith('drill-broken', {
      'src/server.ts': `throw new Error('${message}');\n${source('src/server.ts')}`,
    });
    const before = await fixture.pods();
    return {
      async begin({ observations }) {
        const from = performance.now();
        let isOver = false;
        const watch = async () => {
          let most = 0;
          for (; !isOver; await sleep(500)) most = Math.max(most, (await fixture.readyImages()).get(broken) ?? 0);
          return most;
        };
        const watching = watch();
        const output = await fixture.release(broken).then(
          () => 'it succeeded',
          (error: Error) => error.message,
        );
        isOver = true;
        const seconds = ((performance.now() - from) / 1000).toFixed(1);
        observations['bad pods ready'] = await watching;
        observations['rolled back'] = output.includes('It was rolled back') ? `${seconds} s` : output;
        observations.reason = output.includes(message) ? 'reported' : output;
      },
      async end({ observations }) {
        const after = await fixture.pods();
        observations['good pods'] = before.every((pod) => after.includes(pod)) ? 'all running' : after.join(', ');
      },
    };
  },
};

const podKilled: KindDrill = {
  name: 'pod-killed',
  fault: 'The process of one of the pods is killed (-9) under load',
  assertions: [neverWrong, outageAtMost(2), nothingLost, noRestart],
  duration: { full: 15, quick: 5 },
  async prepare(fixture) {
    const [pod = ''] = await fixture.pods();
    return { begin: () => fixture.signal(pod, 'SIGKILL'), end: () => fixture.rolledOut() };
  },
};

const nodeDrained: KindDrill = {
  name: 'node-drained',
  fault: 'Each node is drained (`kubectl drain`) and uncordoned, one after the other, as in an upgrade of the nodes',
  assertions: [
    nothingFails,
    observed('spread', 'Before the fault, no two pods were on one node', (value) => /^1( \+ 1)+$/.test(String(value))),
    observed('drained', 'Every node was drained', (value) => Number(value) >= 2),
    nothingLost,
    noRestart,
  ],
  duration: { full: 0, quick: 0 },
  async prepare(fixture) {
    if (fixture.nodes.length < 2) return 'it needs two nodes at least: make down, then WORKERS=2 make up';
    // Schedules all pods again, after earlier drains.
    await fixture.restart();
    return {
      async begin({ observations }) {
        observations.spread = (await fixture.podsByNode()).join(' + ');
        let drained = 0;
        for (const node of fixture.nodes) {
          await fixture.drain(node);
          drained += 1;
          await fixture.rolledOut();
          await fixture.uncordon(node);
        }
        observations.drained = drained;
      },
      end: () => fixture.rolledOut(),
    };
  },
};

const databasePodDeleted: KindDrill = {
  name: 'database-pod-deleted',
  fault: 'The pod of MySQL is deleted, and Kubernetes starts another',
  assertions: outage,
  duration: { full: 0, quick: 0 },
  async prepare(fixture) {
    const pod = await fixture.databasePod();
    return {
      async begin() {
        await fixture.kubectl(['delete', 'pod', pod, '--wait=true']);
        await fixture.databaseRolledOut();
      },
      end() {},
    };
  },
};

const databaseFrozen: KindDrill = {
  name: 'database-frozen',
  fault: 'The process of MySQL is stopped (SIGSTOP) in its pod',
  assertions: outage,
  duration: { full: 20, quick: 5 },
  async prepare(fixture) {
    const pod = await fixture.databasePod();
    fixture.defer(() => fixture.signal(pod, 'SIGCONT'));
    return {
      begin: () => fixture.signal(pod, 'SIGSTOP'),
      async end() {
        await fixture.signal(pod, 'SIGCONT');
        // Meanwhile its probe took it out of the Service; that is part of the fault.
        await fixture.kubectl(['wait', `pod/${pod}`, '--for=condition=Ready', '--timeout=60s']);
      },
    };
  },
};

function source(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

/** The drills of `--target kind`, in the order in which they run. */
export const kindDrills: readonly KindDrill[] = [
  rollingRelease,
  twoReleases,
  badRelease,
  podKilled,
  nodeDrained,
  databasePodDeleted,
  databaseFrozen,
  ...clusterDrills,
  ...monitoringDrills,
  ...scalingDrills,
];
