import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Drill } from '../drill.ts';
import {
  backWithin,
  neverWrong,
  noneSlowerThan,
  noRestart,
  noted,
  nothingFails,
  nothingLost,
  outageAtMost,
  rightOr503,
} from '../promises.ts';
import type { KindScene } from './scene.ts';

type KindDrill = Drill<KindScene>;

/** How the two-second promises look from outside, where a machine busy with Kubernetes itself has a share in it. */
const outage = [backWithin(2), noneSlowerThan(3), rightOr503, nothingLost, noRestart];

const rollingRelease: KindDrill = {
  name: 'rolling-release',
  fault: 'Every pod is replaced, by Kubernetes’ own rolling update',
  promises: [nothingFails, nothingLost, noRestart],
  lasts: { full: 0, quick: 0 },
  async prepare(scene) {
    return { begin: () => scene.restart(), end() {} };
  },
};

const twoReleases: KindDrill = {
  name: 'two-releases',
  fault: 'A release is under way when the next one comes, which has a migration; later both are taken back',
  promises: [
    nothingFails,
    noted('migration', 'The migration ran, once', (value) => value === '1'),
    nothingLost,
    noRestart,
  ],
  lasts: { full: 0, quick: 0 },
  async prepare(scene) {
    const first = await scene.imageWith('drill-first', {
      'src/users/user.ts': `${source('src/users/user.ts')}\n// drill\n`,
    });
    const second = await scene.imageWith('drill-migration', {
      'src/migrations/index.ts': source('src/migrations/index.ts').replace(
        /(MIGRATIONS[^=]*= \{\n)([^}]*)\}/,
        `$1$2  '20991231235959_drill': {
    up: async (knex) => await knex.raw('CREATE TABLE drill (id INT PRIMARY KEY)'),
    down: async (knex) => await knex.raw('DROP TABLE drill'),
  },
}`,
      ),
    });
    scene.atTheEnd(() =>
      scene.sql(`DROP TABLE IF EXISTS drill; DELETE FROM knex_migrations WHERE name = '20991231235959_drill'`),
    );
    const before = await scene.pods();
    return {
      async begin({ notes }) {
        await scene.release(first);
        await sleep(3_000);
        await scene.release(second);
        await scene.rolledOut();
        await scene.gone(before);
        notes.migration = await scene.sql(`SELECT COUNT(*) FROM knex_migrations WHERE name = '20991231235959_drill'`);
      },
      // To a release that doesn't know what was migrated.
      end: () => scene.restore(),
    };
  },
};

const badRelease: KindDrill = {
  name: 'bad-release',
  fault: 'A release comes whose process ends as soon as it is started; later it is undone',
  promises: [
    nothingFails,
    noted('bad pods ready', 'It never takes traffic', (value) => value === 0),
    noted('good pods ready', 'Every pod of the release before stays', (value) => Number(value) >= 2),
    nothingLost,
  ],
  lasts: { full: 30, quick: 10 },
  async prepare(scene) {
    const broken = await scene.imageWith('drill-broken', {
      'src/server.ts': `throw new Error('a release that cannot start');\n${source('src/server.ts')}`,
    });
    return {
      begin: () => scene.release(broken),
      async end({ notes }) {
        const images = await scene.readyImages();
        notes['bad pods ready'] = images.get(broken) ?? 0;
        images.delete(broken);
        notes['good pods ready'] = [...images.values()].reduce((sum, count) => sum + count, 0);
        await scene.restore();
      },
    };
  },
};

const podKilled: KindDrill = {
  name: 'pod-killed',
  fault: 'The process of one of the pods is killed (-9) under load',
  promises: [neverWrong, outageAtMost(2), nothingLost, noRestart],
  lasts: { full: 15, quick: 5 },
  async prepare(scene) {
    const [pod = ''] = await scene.pods();
    return { begin: () => scene.signal(pod, 'SIGKILL'), end: () => scene.rolledOut() };
  },
};

const nodeDrained: KindDrill = {
  name: 'node-drained',
  fault:
    'All pods of the service are evicted, as `kubectl drain` does it, as soon as the disruption budget lets them go',
  promises: [nothingFails, nothingLost, noRestart],
  lasts: { full: 0, quick: 0 },
  async prepare(scene) {
    const pods = await scene.pods();
    return {
      async begin() {
        for (const pod of pods) await evictWhenAllowed(scene, pod);
        await scene.gone(pods);
      },
      end: () => scene.rolledOut(),
    };
  },
};

/** As `kubectl drain` does: again every five seconds while the budget refuses. */
async function evictWhenAllowed(scene: KindScene, pod: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await scene.evict(pod);
    } catch (error) {
      if (attempt === 30 || !String(error).includes('disruption budget')) throw error;
      await sleep(5_000);
    }
  }
}

const databasePodDeleted: KindDrill = {
  name: 'database-pod-deleted',
  fault: 'The pod of MySQL is deleted, and Kubernetes starts another',
  promises: outage,
  lasts: { full: 0, quick: 0 },
  async prepare(scene) {
    return {
      async begin() {
        await scene.kubectl(['delete', 'pod', 'mysql-0', '--wait=true']);
        await scene.kubectl(['rollout', 'status', 'statefulset/mysql', '--timeout=180s']);
      },
      end() {},
    };
  },
};

const databaseFrozen: KindDrill = {
  name: 'database-frozen',
  fault: 'The process of MySQL is stopped (SIGSTOP) in its pod',
  promises: outage,
  lasts: { full: 20, quick: 5 },
  async prepare(scene) {
    scene.atTheEnd(() => scene.signal('mysql-0', 'SIGCONT'));
    return {
      begin: () => scene.signal('mysql-0', 'SIGSTOP'),
      async end() {
        await scene.signal('mysql-0', 'SIGCONT');
        // Its probe took it out of the Service meanwhile; that is part of the fault.
        await scene.kubectl(['wait', 'pod/mysql-0', '--for=condition=Ready', '--timeout=60s']);
      },
    };
  },
};

function source(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

/** What is run with `--target kind`, in this order. */
export const kindDrills: readonly KindDrill[] = [
  rollingRelease,
  twoReleases,
  badRelease,
  podKilled,
  nodeDrained,
  databasePodDeleted,
  databaseFrozen,
];
