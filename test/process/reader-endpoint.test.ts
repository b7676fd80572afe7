import { expect } from 'chai';
import { type PrivateDatabase, startPrivateDatabase } from '../../tools/process/database.ts';
import { migrate, startProcess, startServing } from '../../tools/process/service.ts';
import { find, save } from './requests.ts';

const REASON = 'the server is read-only; DATABASE_HOST may be a reader endpoint';

describe('a DATABASE_HOST that leads to a replica', function () {
  this.timeout(60_000);
  let replica: PrivateDatabase;

  beforeEach(async () => {
    replica = await startPrivateDatabase();
  });
  afterEach(async () => {
    await replica?.stop();
  });

  it('serves reads, answers writes with 503, and is named in the log', async () => {
    await migrate(replica.env);
    await replica.query('SET GLOBAL read_only = ON');
    const service = await startServing(replica.env);
    const refused = await save(service.url, 'ann', '2000-01-01');
    expect(refused.status).to.equal(503);
    expect(refused.headers.get('retry-after')).to.match(/^\d+$/);
    expect((await find(service.url, 'ann')).status).to.equal(404);
    await service.stop();
    const lines = service.stdout().split('\n');
    expect(lines.filter((line) => line.includes('"status":503') && line.includes(REASON))).to.have.length(1);
  });

  it('ends migrate with 1 and that reason', async () => {
    await replica.query('SET GLOBAL read_only = ON');
    const migrating = startProcess('migrate', replica.env);
    expect((await migrating.exited).code).to.equal(1);
    const [last = ''] = migrating.stdout().trimEnd().split('\n').slice(-1);
    expect(JSON.parse(last)).to.have.property('msg', 'migration failed');
    expect(last).to.contain(`database unavailable: ${REASON}`);
  });
});
