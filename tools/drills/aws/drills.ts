import { setTimeout as sleep } from 'node:timers/promises';
import type { Drill } from '../drill.ts';
import { noted, nothingFails, nothingLost } from '../promises.ts';
import type { AwsScene } from './scene.ts';

type AwsDrill = Drill<AwsScene>;

/** Enough to meet every moment of a release; a load balancer that is emulated carries not much more. */
const RATE = 20;

const rollingRelease: AwsDrill = {
  name: 'rolling-release',
  fault: 'The same tree is released once more, so that every task is replaced (`make publish`)',
  promises: [nothingFails, noted('release', 'The release succeeds', (value) => value === 'is live'), nothingLost],
  lasts: { full: 5, quick: 0 },
  rate: RATE,
  async prepare(scene) {
    return {
      async begin({ notes }) {
        const { code, output } = await scene.publish();
        notes.release = code === 0 && output.includes('is live at') ? 'is live' : output;
      },
      end() {},
    };
  },
};

const badRelease: AwsDrill = {
  name: 'bad-release',
  fault: 'A release comes whose process ends as soon as it is started (`make publish`)',
  promises: [
    nothingFails,
    noted('seen', 'It never takes traffic', (value) => value === 0),
    noted('reason', '`make publish` ends with 1 and tells what its process said last', (value) => value === 'told'),
    noted('version', 'It is rolled back by itself: the release before serves', (value) => value === 'as before'),
    nothingLost,
  ],
  lasts: { full: 5, quick: 0 },
  rate: RATE,
  async prepare(scene) {
    const { workspace } = scene;
    const words = 'a release that cannot start';
    const bad = '0.0.0-drill';
    const before = await scene.version();
    workspace.edit('package.json', (text) => text.replace(/"version": ".*"/, `"version": "${bad}"`));
    workspace.edit('src/server.ts', (text) => `throw new Error('${words}');\n${text}`);
    return {
      async begin({ notes }) {
        let isOver = false;
        const watch = async () => {
          let seen = 0;
          for (; !isOver; await sleep(1_000)) if ((await scene.version().catch(String)) === bad) seen += 1;
          return seen;
        };
        const watching = watch();
        const { code, output } = await scene.publish();
        isOver = true;
        notes.seen = await watching;
        notes.reason = code === 1 && output.includes(words) ? 'told' : `ended with ${code}: ${output}`;
      },
      async end({ notes }) {
        const after = await scene.version();
        notes.version = after === before ? 'as before' : after;
      },
    };
  },
};

/** What is run with `--target aws`, in this order. */
export const awsDrills: readonly AwsDrill[] = [rollingRelease, badRelease];
