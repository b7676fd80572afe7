import { expect } from 'chai';
import { type Drill, type Environment, type Fixture, runDrill } from '../../../tools/drills/drill.ts';

describe('runDrill', () => {
  it('restores what the drill changed if it is interrupted', async () => {
    let isClosed = false;
    const fixture: Fixture = {
      urls: [],
      lateWritesEnd: true,
      memory: async () => undefined,
      restarts: async () => 0,
      async close() {
        isClosed = true;
      },
    };
    const environment: Environment<Fixture> = {
      target: 'process',
      description: 'none',
      open: async () => fixture,
      async close() {},
    };
    const controller = new AbortController();
    const endless: Drill<Fixture> = {
      name: 'endless',
      fault: 'it never begins',
      assertions: [],
      duration: { full: 0 },
      prepare() {
        setImmediate(() => controller.abort(new Error('interrupted')));
        return new Promise(() => {});
      },
    };
    const error = await runDrill(endless, environment, { quick: true, signal: controller.signal }).catch(String);
    expect(error).to.equal('Error: interrupted');
    expect(isClosed).to.equal(true);
  });
});
