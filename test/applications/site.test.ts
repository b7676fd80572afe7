import { expect } from 'chai';
import { Application, needsCluster } from './application.ts';

describe('plusone up with a Static Site', function () {
  this.timeout(480_000);
  let application: Application;

  before(async function () {
    await needsCluster(this);
    application = new Application('static-site');
    const { code, stdout, stderr } = await application.up();
    expect(code, `${stdout}${stderr}`).to.equal(0);
  });
  after(() => application?.end());

  it('serves the files where the manifest puts them, and no others', async () => {
    expect(await application.ask('/')).to.contain('<h1>Museum</h1>');
    expect(await application.ask('/texts/notes.txt')).not.to.match(/^\d{3} /);
    expect(await application.ask('/notes.md')).to.match(/^404 /);
  });
});
