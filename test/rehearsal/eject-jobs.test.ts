import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setGlobalProxyFromEnv } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Edit, expectSameAsCopilot } from '../eject/differential.ts';
import { skipWithout } from '../skip.ts';
import { Ejection, missing } from './ejection.ts';
import { stepByStep } from './step-by-step.ts';

// A second workspace of all types: two Load Balanced Web Services, of which one has two rules and the other EFS, a Backend
// Service, a Worker Service with a queue and an addon that scales by queue delay, and a Scheduled Job.

// What is retained stays in the emulator: another run needs another name.
const application = `mail${randomBytes(2).toString('hex')}`;

describe('a workspace with a worker and a job, out of Copilot', function () {
  this.timeout('120m');
  let folder: string;
  let mail: Ejection;

  before(async function () {
    const reason = await missing();
    if (reason) return skipWithout(this, 'aws', reason);
    setGlobalProxyFromEnv();
    folder = mkdtempSync(join(tmpdir(), 'plusone-eject-'));
    cpSync('test/eject/sample-jobs', folder, { recursive: true });
    writeFileSync(join(folder, 'copilot/.workspace'), `application: ${application}\n`);
    execFileSync('git', ['init', '--quiet'], { cwd: folder });
    mail = new Ejection(folder, application, { services: ['web', 'admin', 'api', 'mail'], jobs: ['report'] });
    mail.create();
  });

  stepByStep();

  after(() => mail?.remove());

  let planned: Map<string, string>;
  const main = `${application}-test`;

  it('is needed: taking the controller out of the only service with files by hand deletes the file system', async () => {
    mail.ejects('plan');
    mail.removeController('admin');
    const ids = await mail.physicalIds();
    expect(ids.get(`${main} FileSystem`)).to.equal(undefined);
    // Another service needs it.
    expect(ids.get(`${main} PublicLoadBalancer`)).to.be.a('string');
    mail.release('admin');
  });

  it('is planned, and written', async () => {
    mail.ejects('plan');
    mail.ejects('write');
    planned = await mail.physicalIds();
  });

  // Before the steps: without the parameters of the environment Copilot doesn't package.
  it('maps edits of a worker and of a job to what Copilot itself makes of them', () => {
    const manifest = (name: string) => readFileSync(join(folder, 'copilot', name, 'manifest.yml'), 'utf8');
    expectSameAsCopilot(mail, 'job', 'report', manifest('report'), jobEdits);
    expectSameAsCopilot(mail, 'svc', 'mail', manifest('mail'), workerEdits);
    const own = manifest('mail').replace('service: web\n', 'service: web\n      queue:\n        timeout: 30s\n');
    expectSameAsCopilot(mail, 'svc', 'mail', own, [
      { 'subscribe.topics.0.queue': { timeout: '1m', retention: '2h' }, 'count.queue_delay.msg_processing_time': '2s' },
    ]);
  });

  it('takes all steps under load, killed after every call where custom resources are removed from the worker', async () => {
    const running = await mail.running();
    const called = mail.calls(planned);
    const stop = await mail.load();
    expect(mail.takes('mail')).to.be.greaterThan(10);
    await stop();
    expect(await mail.running()).to.deep.equal(running);
    expect(mail.calls(planned)).to.equal(called);
    const now = await mail.physicalIds();
    for (const [id, physical] of now) expect(physical, id).to.equal(planned.get(id));
    const removed = [...planned.keys()].filter((id) => !now.has(id));
    for (const id of removed)
      expect(id).to.match(/(EnvController|RulePriority|DynamicDesiredCount)(Action|Function|Role|FunctionRole)$/);
    expect(removed).to.include(`${application}-test-report EnvControllerAction`);
    await mail.expectOpenPolicies();
  });

  it('is undone after the last step, and with EJECT_KILL=all after each, after which Copilot deploys again', async () => {
    const before = await mail.physicalIds();
    const stop = await mail.load();
    mail.undoes();
    mail.release();
    mail.undoesAfterEach();
    await stop();
    const after = await mail.physicalIds();
    for (const id of ['PublicLoadBalancer', 'HTTPListener', 'FileSystem', 'Cluster'])
      expect(after.get(`${application}-test ${id}`), id).to.equal(before.get(`${application}-test ${id}`));
    mail.ejects('plan');
    mail.ejects('write');
    mail.takes(undefined);
  });

  it('writes a CDK app that synthesizes what is deployed', () => mail.expectSameAsCdk());

  it('releases the job with another schedule without Copilot, and refuses an edit of an addon', async () => {
    writeFileSync(join(folder, 'copilot/mail/addons/topic.yml'), 'Resources:\n  news: { Type: AWS::SNS::Topic }\n');
    const refused = mail.deploys('mail', 'v2');
    rmSync(join(folder, 'copilot/mail/addons/topic.yml'));
    expect(refused.status, refused.output).to.equal(1);
    expect(refused.output).to.contain('copilot/mail/addons/topic.yml: Resources.news is new');
    const earlier = await mail.physicalIds();
    mail.edit('report', { 'on.schedule': '0 9 * * 1-5', retries: 3, timeout: '1h' });
    const { status, output } = mail.deploys('report', 'v2');
    expect(status, output).to.equal(0);
    const later = await mail.physicalIds();
    const changed = [...later].filter(([id, physical]) => earlier.get(id) !== physical).map(([id]) => id);
    expect(changed).to.deep.equal([`${application}-test-report TaskDefinition`]);
    const rule = later.get(`${application}-test-report Rule`) ?? '';
    const words = ['events', 'describe-rule', '--name', rule, '--query', 'ScheduleExpression', '--output', 'text'];
    expect(execFileSync('aws', words, { encoding: 'utf8' }).trim()).to.equal('cron(0 9 ? * 2-6 *)');
  });

  it('releases a service without Copilot under load, and rolls a bad release back', async () => {
    const version = async () => Object(await (await fetch(await mail.address())).json()).version;
    const releases = (to: string) => {
      writeFileSync(join(folder, 'VERSION'), `${to}\n`);
      return mail.deploys('web', to);
    };
    const stop = await mail.load();
    mail.edit('web', { 'variables.GREETING': 'welcome' });
    const good = releases('v3');
    expect(good.status, good.output).to.equal(0);
    expect(await version()).to.equal('v3');
    const bad = releases('broken');
    expect(bad.status, bad.output).to.equal(1);
    expect(bad.output).to.contain(`${main}-web is UPDATE_ROLLBACK_COMPLETE`);
    await stop();
    expect(await version()).to.equal('v3');
  });

  it('changes the count of a service without Copilot, and goes back to it after a bad release', async () => {
    mail.edit('api', { count: 2 });
    const { status, output } = mail.deploys('api', 'v3');
    writeFileSync(join(folder, 'VERSION'), 'v3\n');
    expect(status, output).to.equal(1);
    expect(output).to.contain(`${main}-api is UPDATE_ROLLBACK_COMPLETE`);
    const again = mail.deploys('api', 'v4');
    expect(again.status, again.output).to.equal(0);
    expect(await mail.running()).to.have.nested.property('[2][0]', 2);
  });

  it('releases the worker with other settings of its queue without Copilot', async () => {
    mail.edit('mail', { 'subscribe.queue.timeout': '45s', 'count.queue_delay.acceptable_latency': '5m' });
    const { status, output } = mail.deploys('mail', 'v2');
    expect(status, output).to.equal(0);
    const url = (await mail.physicalIds()).get(`${application}-test-mail EventsQueue`) ?? '';
    const words = ['sqs', 'get-queue-attributes', '--queue-url', url, '--attribute-names', 'VisibilityTimeout'];
    expect(execFileSync('aws', words, { encoding: 'utf8' })).to.contain('"45"');
    expect(mail.wasCopilotCalled()).to.equal(false);
  });
});

/** What is edited in the manifest of the job, by paths. */
const jobEdits: readonly Edit[] = [
  { retries: 3, timeout: '1h30m' },
  { retries: undefined, timeout: undefined },
  { retries: 0 },
  ...['rate(10 minutes)', 'cron(0 9 ? * MON-FRI *)', '@every 1h30m', '@every 1m', '@weekly', 'none'].map(scheduled),
  ...['0 9 * * 1-5', '*/5 * 1,15 * *', '0 0 * * sun', '30 6 */2 * ?', '0 9 ? jan *'].map(scheduled),
  { cpu: 512, memory: 1024, variables: { READERS: 'some' }, secrets: { KEY: '/copilot/x/KEY' }, exec: true },
  { platform: 'linux/arm64', 'storage.ephemeral': 30, 'logging.retention': 7, command: 'report.js --all' },
  { 'sidecars.adot': { image: 'adot:1', essential: false, variables: { LEVEL: 'debug' } } },
];

function scheduled(schedule: string): Edit {
  return { 'on.schedule': schedule };
}

/** What is edited in the manifest of the worker, by paths. */
const workerEdits: readonly Edit[] = [
  { 'subscribe.queue': { retention: '4h', delay: '10s', timeout: '45s', dead_letter: { tries: 5 } } },
  { 'subscribe.topics.0.filter_policy': { store: ['example_corp'], event: [{ 'anything-but': 'cancelled' }] } },
  { 'count.queue_delay': { acceptable_latency: '5m', msg_processing_time: '250ms', cooldown: { in: '30s' } } },
  { 'count.range': '2-6', 'count.cooldown': { out: '15s' }, 'count.cpu_percentage': 70 },
  { exec: true, variables: { GREETING: 'hello' } },
];
