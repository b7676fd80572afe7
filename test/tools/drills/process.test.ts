import { availableParallelism, loadavg } from 'node:os';
import { expect } from 'chai';
import { type Environment, runDrill } from '../../../tools/drills/drill.ts';
import type { Recording } from '../../../tools/drills/figures.ts';
import { processDrills } from '../../../tools/drills/process/drills.ts';
import { openProcessEnvironment, type ProcessFixture } from '../../../tools/drills/process/fixture.ts';
import { describe as describeResult } from '../../../tools/drills/report.ts';
import { skipWithout } from '../../skip.ts';

const LONG_PAUSE_MILLISECONDS = 250;
const ATTEMPTS = 3;

/** Whether the machine was too busy for its measurements to say something of the service. */
function isOverloaded(recording: Recording | undefined): boolean {
  const [load = 0] = loadavg();
  return (recording?.longestPause ?? 0) > LONG_PAUSE_MILLISECONDS || load > 2 * availableParallelism();
}

/** Each drill once, with a short fault, and again only on an overloaded machine; `npm run drill -- all` runs the long ones and saves the figures. */
describe('the service, in a quick drill', function () {
  this.timeout(180_000);
  let environment: Environment<ProcessFixture>;

  before(async () => {
    environment = await openProcessEnvironment();
  });
  after(async () => {
    await environment?.close();
  });

  for (const drill of processDrills.filter(({ duration }) => duration.quick !== undefined)) {
    it(`passes ${drill.name}: ${drill.fault}`, async function () {
      for (let attempt = 1; ; attempt += 1) {
        const result = await runDrill(drill, environment, { quick: true });
        if (result.skipped !== undefined) skipWithout(this, drill.name, result.skipped);
        const failed = result.assertions.filter(({ passed }) => !passed);
        if (failed.length > 0 && attempt < ATTEMPTS && isOverloaded(result.recording)) continue;
        expect(failed, describeResult(result)).to.deep.equal([]);
        return;
      }
    });
  }
});
