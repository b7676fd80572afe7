import { expect } from 'chai';
import { conduct, type Place } from '../../../tools/drills/drill.ts';
import { processDrills } from '../../../tools/drills/process/drills.ts';
import { openProcessPlace, type ProcessScene } from '../../../tools/drills/process/scene.ts';
import { describe as tell } from '../../../tools/drills/report.ts';
import { skipWithout } from '../../skip.ts';

/** One drill after the other, each with a short fault; `npm run drill -- all` has the long ones and the figures. */
describe('the promises of the service, in a quick drill', function () {
  this.timeout(120_000);
  // A machine that stands still for a second is no broken promise; a promise that is broken is broken twice.
  this.retries(1);
  let place: Place<ProcessScene>;

  before(async () => {
    place = await openProcessPlace();
  });
  after(async () => {
    await place?.close();
  });

  for (const drill of processDrills.filter(({ lasts }) => lasts.quick !== undefined)) {
    it(`are kept: ${drill.fault}`, async function () {
      const result = await conduct(drill, place, { quick: true });
      if (result.skipped !== undefined) skipWithout(this, drill.name, result.skipped);
      const broken = result.promises.filter(({ kept }) => !kept);
      expect(broken, tell(result)).to.deep.equal([]);
    });
  }
});
