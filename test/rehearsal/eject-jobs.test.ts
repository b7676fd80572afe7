import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setGlobalProxyFromEnv } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteStackCommand } from '@aws-sdk/client-cloudformation';
import { expect } from 'chai';
import { clients, describeStack, readInventory } from '../../eject/aws.ts';
import { isEmulator } from '../../tools/aws/endpoint.ts';
import { cleanEnvironment } from '../../tools/process/clean-environment.ts';
import { type Edit, expectSameAsCopilot } from '../eject/differential.ts';
import { skip, skipWithout } from '../skip.ts';

// A second workspace of all types: two Load Balanced Web Services, of which one has two rules and the other EFS, a Backend
// Service, a Worker Service with a queue and an addon that scales by queue delay, and a Scheduled Job.

// What is retained stays in the emulator: another run needs another name.
const application = `mail${randomBytes(2).toString('hex')}`;
const environment = 'test';
const services = ['web', 'admin', 'api', 'mail'] as const;
const steps = ['retain', 'pin', 'detach', 'drop', 'environment'] as const;
const [entry, killer] = [resolve('tools/cli.ts'), resolve('test/eject/kill-after.ts')];

async function missing(): Promise<string | undefined> {
  const tools = ['copilot', 'aws', 'docker', 'git'].filter(
    (tool) => spawnSync(tool, [tool === 'docker' ? 'info' : '--version'], { stdio: 'ignore' }).status !== 0,
  );
  if (tools.length > 0) return `it needs ${tools.join(', ')}`;
  return (await isEmulator()) ? undefined : 'it needs an AWS-compatible emulator';
}

describe('a workspace with a worker and a job, out of Copilot', function () {
  this.timeout('30m');
  let folder: string;
  let isBroken = false;

  before(async function () {
    const reason = await missing();
    if (reason) return skipWithout(this, 'aws', reason);
    setGlobalProxyFromEnv();
    folder = mkdtempSync(join(tmpdir(), 'plusone-eject-'));
    cpSync('test/eject/sample-jobs', folder, { recursive: true });
    writeFileSync(join(folder, 'copilot/.workspace'), `application: ${application}\n`);
    execFileSync('git', ['init', '--quiet'], { cwd: folder });
    const app = ['--app', application];
    copilot('app', 'init', application);
    copilot('env', 'init', '--name', environment, '--profile', 'default', '--default-config', ...app);
    copilot('env', 'deploy', '--name', environment);
    for (const name of services) copilot('svc', 'init', '--name', name, ...app);
    copilot('job', 'init', '--name', 'report', ...app);
    release();
  });

  // Each step stands on the one before.
  beforeEach(function () {
    if (isBroken) skip(this, 'a previous step failed');
  });
  afterEach(function () {
    if (this.currentTest?.state === 'failed') isBroken = true;
  });

  after(async () => {
    if (!folder) return;
    const { cloudFormation } = clients();
    const left = await readInventory(clients(), application, environment).catch(() => undefined);
    const order = ['workload', 'environment', 'nested'];
    for (const { name } of left?.stacks.toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind)) ?? []) {
      await cloudFormation.send(new DeleteStackCommand({ StackName: name })).catch(() => {});
      const isBusy = async () => (await describeStack(cloudFormation, name))?.StackStatus?.endsWith('_IN_PROGRESS');
      for (let i = 0; i < 60 && (await isBusy()); i += 1) await sleep(500);
    }
    spawnSync('copilot', ['app', 'delete', '--name', application, '--yes'], { cwd: folder, timeout: 60_000 });
    rmSync(folder, { recursive: true });
  });

  function copilot(...words: string[]): void {
    const { status, stdout, stderr } = spawnSync('copilot', words, { cwd: folder, encoding: 'utf8' });
    expect(status, `copilot ${words.join(' ')}\n${stdout}\n${stderr}`).to.equal(0);
  }

  function release(): void {
    for (const name of services) copilot('svc', 'deploy', '--name', name, '--env', environment, '--tag', 'v1');
    copilot('job', 'deploy', '--name', 'report', '--env', environment, '--tag', 'v1');
  }

  function eject(words: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const node = env.KILL_AFTER ? ['--import', killer, entry] : [entry];
    const { status, signal, stdout, stderr } = spawnSync(
      process.execPath,
      [...node, 'eject', ...words, '--environment', environment],
      { cwd: folder, encoding: 'utf8', env: { ...cleanEnvironment(), ...env } },
    );
    return { status, signal, output: `${stdout}${stderr}` };
  }

  function ejects(...words: string[]): void {
    const { status, output } = eject(words);
    expect(status, output).to.equal(0);
  }

  async function physicalIds(): Promise<Map<string, string>> {
    const { stacks } = await readInventory(clients(), application, environment);
    return new Map(
      stacks.flatMap(({ name, resources }) =>
        Object.entries(resources).map(([id, { physicalId }]) => [`${name} ${id}`, physicalId] as const),
      ),
    );
  }

  let planned: Map<string, string>;

  it('is planned, and written', async () => {
    ejects('plan');
    ejects('write', '--to', 'cdk');
    planned = await physicalIds();
  });

  // Before the steps: without the parameters of the environment Copilot doesn't package.
  it('maps edits of a worker and of a job to what Copilot itself makes of them', () => {
    const workspace = { folder, application, environment, copilot };
    const manifest = (name: string) => readFileSync(join(folder, 'copilot', name, 'manifest.yml'), 'utf8');
    expectSameAsCopilot(workspace, 'job', 'report', manifest('report'), jobEdits);
    expectSameAsCopilot(workspace, 'svc', 'mail', manifest('mail'), workerEdits);
    const own = manifest('mail').replace('service: web\n', 'service: web\n      queue:\n        timeout: 30s\n');
    expectSameAsCopilot(workspace, 'svc', 'mail', own, [
      { 'subscribe.topics.0.queue': { timeout: '1m', retention: '2h' }, 'count.queue_delay.msg_processing_time': '2s' },
    ]);
  });

  it('takes all steps, killed after every call where custom resources are removed from the worker', async () => {
    let kills = 0;
    for (const step of steps) {
      const words = ['apply', step, '--service', 'mail', '--yes'];
      if (step === 'drop')
        for (let answers = 1; eject(words, { KILL_AFTER: String(answers) }).signal === 'SIGKILL'; answers += 1)
          kills += 1;
      ejects('apply', step, '--yes');
    }
    process.stdout.write(`      killed ${kills} times\n`);
    expect(kills).to.be.greaterThan(10);
    const now = await physicalIds();
    for (const [id, physical] of now) expect(physical, id).to.equal(planned.get(id));
    const removed = [...planned.keys()].filter((id) => !now.has(id));
    for (const id of removed)
      expect(id).to.match(/(EnvController|RulePriority|DynamicDesiredCount)(Action|Function|Role|FunctionRole)$/);
    expect(removed).to.include(`${application}-${environment}-report EnvControllerAction`);
  });

  it('releases the job without Copilot, and refuses an edit of an addon', async () => {
    writeFileSync(join(folder, 'copilot/mail/addons/topic.yml'), 'Resources:\n  news: { Type: AWS::SNS::Topic }\n');
    const refused = eject(['deploy', '--service', 'mail', '--tag', 'v2', '--yes']);
    rmSync(join(folder, 'copilot/mail/addons/topic.yml'));
    expect(refused.status, refused.output).to.equal(1);
    expect(refused.output).to.contain('copilot/mail/addons/topic.yml: Resources.news is new');
    const earlier = await physicalIds();
    ejects('deploy', '--service', 'report', '--tag', 'v2', '--yes');
    const later = await physicalIds();
    const changed = [...later].filter(([id, physical]) => earlier.get(id) !== physical).map(([id]) => id);
    expect(changed).to.deep.equal([`${application}-${environment}-report TaskDefinition`]);
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
