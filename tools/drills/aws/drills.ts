import { setTimeout as sleep } from 'node:timers/promises';
import { nothingFails, nothingLost, observed } from '../assertions.ts';
import type { Drill } from '../drill.ts';
import type { AwsFixture } from './fixture.ts';
import { nobodyAnswers } from './paging.ts';
import { scalingDrills } from './scaling.ts';

type AwsDrill = Drill<AwsFixture>;

/** Requests per second: enough to cover a whole release; the emulator's load balancer can't handle much more. */
const RATE = 20;

const rollingRelease: AwsDrill = {
  name: 'rolling-release',
  fault: 'The same tree is released again, so that every task is replaced (`make publish`)',
  assertions: [nothingFails, observed('release', 'The release succeeds', (value) => value === 'is live'), nothingLost],
  duration: { full: 5, quick: 0 },
  rate: RATE,
  async prepare(fixture) {
    return {
      async begin({ observations }) {
        const { code, output } = await fixture.publish();
        observations.release = code === 0 && output.includes('is live at') ? 'is live' : output;
      },
      end() {},
    };
  },
};

const badRelease: AwsDrill = {
  name: 'bad-release',
  fault: 'A release by `make publish` whose process ends as soon as it is started',
  assertions: [
    nothingFails,
    observed('seen', 'It never takes traffic', (value) => value === 0),
    observed(
      'reason',
      '`make publish` ends with 1 and reports the error of its process',
      (value) => value === 'reported',
    ),
    observed(
      'version',
      'It is rolled back automatically: the previous release serves',
      (value) => value === 'as before',
    ),
    nothingLost,
  ],
  duration: { full: 5, quick: 0 },
  rate: RATE,
  async prepare(fixture) {
    const { workspace } = fixture;
    const message = 'a release that cannot start';
    const bad = '0.0.0-drill';
    const before = await fixture.version();
    workspace.edit('package.json', (text) => text.replace(/"version": ".*"/, `"version": "${bad}"`));
    workspace.edit('src/server.ts', (text) => `throw new Error('${message}');\n${text}`);
    return {
      async begin({ observations }) {
        let isOver = false;
        const watch = async () => {
          let seen = 0;
          for (; !isOver; await sleep(1_000)) if ((await fixture.version().catch(String)) === bad) seen += 1;
          return seen;
        };
        const watching = watch();
        const { code, output } = await fixture.publish();
        isOver = true;
        observations.seen = await watching;
        observations.reason = code === 1 && output.includes(message) ? 'reported' : `ended with ${code}: ${output}`;
      },
      async end({ observations }) {
        const after = await fixture.version();
        observations.version = after === before ? 'as before' : after;
      },
    };
  },
};

/** The drills of `--target aws`, in the order in which they run. */
export const awsDrills: readonly AwsDrill[] = [rollingRelease, badRelease, nobodyAnswers, ...scalingDrills];
