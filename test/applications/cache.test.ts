import { expect } from 'chai';
import { eventually } from '../../tools/process/eventually.ts';
import { Application, needsCluster } from './application.ts';

describe('plusone up with Redis, EventBridge and an autoscaler', function () {
  this.timeout(480_000);
  let application: Application;

  before(async function () {
    await needsCluster(this);
    application = new Application('cache');
    const { code, stdout, stderr } = await application.up();
    expect(code, `${stdout}${stderr}`).to.equal(0);
  });
  after(() => application?.end());

  it('connects the service to Redis in place of ElastiCache', async () => {
    const [first, second] = [await application.ask('/count'), await application.ask('/count')];
    expect([first, second]).to.deep.equal([':1', ':2']);
  });

  it('carries an event through a rule of EventBridge to a queue', async () => {
    expect(await application.ask('/publish')).to.contain('"FailedEntryCount": 0');
    await eventually(async () => /\\"item\\": \\"apple\\"/.test(await application.ask('/receive')), 30);
  });

  it('gives the autoscaler the load of the service', async () => {
    const load = [
      'get',
      'horizontalpodautoscaler',
      'api',
      '-o',
      'jsonpath={.status.currentMetrics[0].resource.current}',
    ];
    await eventually(async () => (await application.kubectl(load)).includes('averageValue'), 150);
  });
});
