import { expect } from 'chai';
import { Application, needsCluster } from './application.ts';

describe('plusone up with a web server, an API and a worker with a queue', function () {
  this.timeout(480_000);
  let application: Application;

  before(async function () {
    await needsCluster(this);
    application = new Application('queue');
    const { code, stdout, stderr } = await application.up();
    expect(code, `${stdout}${stderr}`).to.equal(0);
  });
  after(() => application?.end());

  it('routes requests to the web server, and from there to the API by its .local name', async () => {
    expect(await application.ask('/')).to.equal('orders');
  });

  it('resolves the names of service discovery, also those that a program composes', async () => {
    const lookUp = "require('dns').lookup('api.local.orders.local', (error) => process.exit(error ? 1 : 0))";
    const { code, stderr } = await application.plusone(['exec', 'worker', '--', 'node', '-e', lookUp]);
    expect(code, stderr).to.equal(0);
  });

  it('carries a message through the topic and the queue to the worker', async () => {
    expect(await application.ask('/orders/o1', 'POST')).to.equal('placed');
    await application.answers('/orders/o1', 'packed');
  });

  it('says how each workload is', async () => {
    const { code, stdout } = await application.plusone(['status', '--json'], 'api');
    expect(code).to.equal(0);
    const ready = JSON.parse(stdout).map(({ workload, pods }: { workload: string; pods: { ready: boolean }[] }) => [
      workload,
      pods.map((pod) => pod.ready),
    ]);
    expect(ready).to.deep.equal([
      ['api', [true]],
      ['web', [true]],
      ['worker', [true]],
    ]);
  });

  it('takes a change live, and leaves alone what is the same', async () => {
    const pods = async () => {
      const { stdout } = await application.plusone(['status', '--json']);
      const all: { workload: string; pods: { name: string }[] }[] = JSON.parse(stdout);
      return all.find(({ workload }) => workload === 'web')?.pods.map(({ name }) => name);
    };
    const before = await pods();
    application.edit('api/server.ts', (text) => text.replace("'orders'", "'changed'"));
    const { code, stderr } = await application.up();
    expect(code, stderr).to.equal(0);
    await application.answers('/', 'changed');
    expect(await pods()).to.deep.equal(before);
  });

  it('brings up the others when one of them cannot be read, and its exit code says so', async () => {
    application.edit('copilot/worker/manifest.yml', (text) => text.replace('cpu: 256', 'cpu: lots'));
    const { code, stdout } = await application.up();
    expect(code).to.equal(1);
    expect(stdout).to.contain('✗ worker').and.contain('cpu: expected a whole number, found "lots"');
    expect(await application.ask('/')).to.equal('changed');
  });
});
