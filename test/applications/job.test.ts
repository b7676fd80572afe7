import { expect } from 'chai';
import { Application, needsCluster } from './application.ts';

describe('plusone up with a scheduled job that shares a file system with a service', function () {
  this.timeout(480_000);
  let application: Application;

  before(async function () {
    await needsCluster(this);
    application = new Application('job');
    const { code, stdout, stderr } = await application.up();
    expect(code, `${stdout}${stderr}`).to.equal(0);
    expect(stdout).to.contain('plusone job run report');
  });
  after(() => application?.end());

  it('runs the job when asked, with its log, and repeats it as often as the manifest allows', async () => {
    const { code, stdout, stderr } = await application.plusone(['job', 'run', 'report']);
    expect(code, stderr).to.equal(0);
    expect(stdout).to.contain('the first attempt fails');
    await application.answers('/', 'all books are in order');
  });

  it('names the jobs when another workload is asked to run', async () => {
    const { code, stderr } = await application.plusone(['job', 'run', 'reader']);
    expect([code, stderr.split('\n')[0]]).to.deep.equal([
      64,
      'there is no Scheduled Job "reader" in the cluster; found: report',
    ]);
  });

  it('runs a command in a container, and ends with its exit code', async () => {
    const { code, stdout, stderr } = await application.plusone([
      'exec',
      'reader',
      '--',
      'sh',
      '-c',
      'echo here; exit 7',
    ]);
    expect([code, stdout]).to.deep.equal([7, 'here\n'], stderr);
  });

  it('deletes the cluster, and then says that there is none', async () => {
    expect((await application.plusone(['down'])).code).to.equal(0);
    const { code, stderr } = await application.plusone(['status']);
    expect([code, stderr]).to.deep.equal([69, `there is no cluster ${application.cluster}: plusone up creates it\n`]);
  });
});
