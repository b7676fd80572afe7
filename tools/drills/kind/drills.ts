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
    noted('way back', 'The release before them, which does not know it, comes up again', (value) => value === 'it did'),
    nothingLost,
    noRestart,
  ],
  lasts: { full: 0, quick: 0 },
  async prepare(scene) {
    const first = await scene.imageWith('drill-first', {
      'src/users/user.ts': `${source('src/users/user.ts')}\n// drill\n`,
    });
    const second = await scene.imageWith('drill-migration', {
      'src/database/migrations/index.ts': source('src/database/migrations/index.ts').replace(
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
        await scene.beginRelease(first);
        await sleep(3_000);
        await scene.release(second);
        await scene.gone(before);
        notes.migration = await scene.sql(`SELECT COUNT(*) FROM knex_migrations WHERE name = '20991231235959_drill'`);
      },
      async end({ notes }) {
        notes['way back'] = await scene.restore().then(
          () => 'it did',
          (error: Error) => error.message,
        );
      },
    };
  },
};

const badRelease: KindDrill = {
  name: 'bad-release',
  fault: 'A release comes, by the way of `make up`, whose process ends as soon as it is started',
  promises: [
    nothingFails,
    noted('bad pods ready', 'It never takes traffic', (value) => value === 0),
    noted('taken back', 'It is taken back by itself, within 60 s', (value) => Number.parseFloat(String(value)) <= 60),
    noted('reason', 'What its process said last is told', (value) => value === 'told'),
    noted('good pods', 'Every pod of the release before stays', (value) => value === 'all there'),
    nothingLost,
    noRestart,
  ],
  lasts: { full: 5, quick: 0 },
  async prepare(scene) {
    const words = 'a release that cannot start';
    const broken = await scene.imageWith('drill-broken', {
      'src/server.ts': `throw new Error('${words}');\n${source('src/server.ts')}`,
    });
    const before = await scene.pods();
    return {
      async begin({ notes }) {
        const from = performance.now();
        let isOver = false;
        const watch = async () => {
          let most = 0;
          for (; !isOver; await sleep(500)) most = Math.max(most, (await scene.readyImages()).get(broken) ?? 0);
          return most;
        };
        const watching = watch();
        const said = await scene.release(broken).then(
          () => 'it succeeded',
          (error: Error) => error.message,
        );
        isOver = true;
        const seconds = ((performance.now() - from) / 1000).toFixed(1);
        notes['bad pods ready'] = await watching;
        notes['taken back'] = said.includes('It was rolled back') ? `${seconds} s` : said;
        notes.reason = said.includes(words) ? 'told' : said;
      },
      async end({ notes }) {
        const after = await scene.pods();
        notes['good pods'] = before.every((pod) => after.includes(pod)) ? 'all there' : after.join(', ');
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
  fault: 'Each node is drained (`kubectl drain`) and given back, one after the other, as when nodes are upgraded',
  promises: [
    nothingFails,
    noted('spread', 'Before it, no two pods were on one node', (value) => /^1( \+ 1)+$/.test(String(value))),
    noted('drained', 'Every node was drained', (value) => Number(value) >= 2),
    nothingLost,
    noRestart,
  ],
  lasts: { full: 0, quick: 0 },
  async prepare(scene) {
    if (scene.nodes.length < 2) return 'it needs two nodes at least: make down, then WORKERS=2 make up';
    // Whatever was drained before, all pods then find a place anew.
    await scene.restart();
    return {
      async begin({ notes }) {
        notes.spread = (await scene.podsByNode()).join(' + ');
        let drained = 0;
        for (const node of scene.nodes) {
          await scene.drain(node);
          drained += 1;
          await scene.rolledOut();
          await scene.uncordon(node);
        }
        notes.drained = drained;
      },
      end: () => scene.rolledOut(),
    };
  },
};

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
