import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { setGlobalProxyFromEnv } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteStackCommand } from '@aws-sdk/client-cloudformation';
import { expect } from 'chai';
import { clients, describeStack, readInventory } from '../../eject/aws.ts';
import { isEmulator } from '../../tools/aws/endpoint.ts';
import { cleanEnvironment } from '../../tools/process/clean-environment.ts';
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
