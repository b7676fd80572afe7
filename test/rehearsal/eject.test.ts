import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setGlobalProxyFromEnv } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import { aws } from '../../tools/aws/cloud.ts';
import { type Edit, expectSameAsCopilot } from '../eject/differential.ts';
import { skip, skipWithout } from '../skip.ts';
import { Ejection, isEveryStepKilled, missing } from './ejection.ts';
import { stepByStep } from './step-by-step.ts';

// Two services of one environment, deployed by the real copilot, are taken out of it while they are under load. Only an
// emulator will do: this destroys a load balancer on purpose.

// What is retained stays in the emulator: another run needs another name.
const application = `shop${randomBytes(2).toString('hex')}`;
const environmentStack = `${application}-test`;

describe('the way out of Copilot', function () {
  // Most of it is waiting for processes that start.
  this.timeout('60m');
  let folder: string;
  let shop: Ejection;

  before(async function () {
    const reason = await missing();
    if (reason) return skipWithout(this, 'aws', reason);
    setGlobalProxyFromEnv();
    folder = mkdtempSync(join(tmpdir(), 'plusone-eject-'));
    cpSync('test/eject/sample', folder, { recursive: true });
    writeFileSync(join(folder, 'copilot/.workspace'), `application: ${application}\n`);
    execFileSync('git', ['init', '--quiet'], { cwd: folder });
    execFileSync('git', ['add', '--all'], { cwd: folder });
    const author = ['-c', 'user.name=rehearsal', '-c', 'user.email=rehearsal@localhost'];
    execFileSync('git', [...author, 'commit', '--quiet', '--message', 'rehearsal'], { cwd: folder });
    shop = new Ejection(folder, application, { services: ['web', 'api'] });
    shop.create();
  });

  stepByStep();

  after(() => shop?.remove());

  it('is needed: taking the controller out of a template by hand deletes the load balancer', async () => {
    shop.ejects('plan');
    shop.removeController('web');
    const ids = await shop.physicalIds();
    expect(ids.get(`${environmentStack} PublicLoadBalancer`)).to.equal(undefined);
    expect(ids.get(`${environmentStack} FileSystem`)).to.equal(undefined);
    shop.release('web');
  });

  it('refuses a workspace that is not the one that was deployed', () => {
    const file = join(folder, 'copilot/web/manifest.yml');
    const manifest = readFileSync(file, 'utf8');
    writeFileSync(file, `${manifest}exec: true\n`);
    const { status, output } = shop.eject(['plan']);
    writeFileSync(file, manifest);
    expect(status, output).to.equal(1);
    expect(output).to.contain(
      `${environmentStack}-web: the manifest of web in the workspace is not the one that was deployed`,
    );
  });

  it('plans with what a removal by hand would destroy', () => {
    shop.ejects('plan');
    shop.ejects('write');
    expect(readFileSync(join(folder, 'ejected/test/REPORT.md'), 'utf8')).to.match(
      /\*\*EnvControllerAction\*\*: its function would delete .*PublicLoadBalancer.*FileSystem/,
    );
    expect(existsSync(join(folder, `ejected/test/steps/3-detach/${environmentStack}-web/template.yml`))).to.equal(true);
  });

  // Before the steps: without the parameters of the environment Copilot doesn't package.
  it('maps edits of the manifest to what Copilot itself makes of them', () => {
    // The root has a priority of its own.
    const base = readFileSync(join(folder, 'copilot/web/manifest.yml'), 'utf8').replace('path: /\n', 'path: shop\n');
    expectSameAsCopilot(shop, 'svc', 'web', base, edits);
    const fixed = base.replace(/count:\n.*\n.*\n/, 'count: 2\n');
    const ranges = { range: '1-4', cpu_percentage: 60, memory_percentage: 70, requests: 100, response_time: '1.5s' };
    expectSameAsCopilot(shop, 'svc', 'web', fixed, [{ count: ranges }, { count: 3 }]);
  });

  it('asks before it changes anything, and keeps the order of the steps', () => {
    expect(shop.eject(['apply', 'retain']).output).to.contain('Not a terminal: use --yes');
    expect(shop.eject(['apply', 'detach', '--yes']).output).to.contain(
      `detach of ${environmentStack}-api needs pin of ${environmentStack} first`,
    );
    expect(shop.eject(['apply', 'drop', '--yes']).output).to.contain('the stack is before the first step');
  });

  it('refuses edited templates and an edited inventory, and changes nothing', async () => {
    const before = await shop.physicalIds();
    const refuses = (file: string, change: (content: string) => string, message: string) => {
      const path = join(folder, 'ejected/test', file);
      const content = readFileSync(path, 'utf8');
      writeFileSync(path, change(content));
      const { status, output } = shop.eject(['apply', 'retain', '--yes']);
      writeFileSync(path, content);
      expect(status, output).to.equal(1);
      expect(output).to.contain(message).and.not.contain('carry out');
    };
    const step = `steps/1-retain/${environmentStack}`;
    refuses(`${step}/template.yml`, (content) => content.replace('Resources:', 'Resources: #'), 'files were edited');
    refuses(`${step}/expected.json`, () => '{}', 'files were edited');
    const other = (content: string) => content.replaceAll(/stack\/([^/"]+)\/[0-9a-f-]+/g, 'stack/$1/0');
    refuses('inventory.json', other, 'is a different stack from the one in the inventory');
    const drifted = (content: string) => content.replaceAll('10.0.0.0/16', '10.1.0.0/16');
    refuses('inventory.json', drifted, 'files were edited');
    expect(await shop.physicalIds()).to.deep.equal(before);
    await shop.expectOpenPolicies();
  });

  it('is taken once by two runs at the same time, also with two copies of the plan', async () => {
    cpSync(join(folder, 'ejected/test'), join(folder, 'ejected/copy'), { recursive: true });
    const copy = ['--output', 'ejected/copy'];
    const runs = ['apply', 'retain', '--yes'];
    const [one, again, other] = await Promise.all([
      shop.ejecting(...runs),
      shop.ejecting(...runs),
      shop.ejecting(...runs, ...copy),
    ]);
    expect(one.output + again.output).to.match(/plusone eject is running in \S+ \(process \d+\)/);
    // CloudFormation lets one of the two others through at a time; what it refuses has changed nothing.
    const outputs = [one, again, other].map(({ output }) => output).join('\n');
    expect([one.status, again.status, other.status], outputs).to.include(0).and.to.include(1);
    expect(shop.ejects(...runs)).to.match(/retain of shop.{4}-test: done already/);
    rmSync(join(folder, 'ejected/copy'), { recursive: true });
    await shop.expectOpenPolicies();
    shop.undoes(['retain']);
  });

  it('refuses to go on by an old inventory after another deployment, and goes by a new one', () => {
    const file = join(folder, 'copilot/api/manifest.yml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('hello from the api', 'hello again'));
    shop.release('api');
    const { output } = shop.eject(['apply', 'retain', '--service', 'api', '--yes']);
    expect(output).to.contain('something else deployed it since');
    shop.ejects('plan');
    shop.ejects('write');
  });

  // Kills and undoing take minutes: the other rehearsals of an ejection have them in each run.
  it('takes all steps under load, and with EJECT_KILL=all killed after every call, without a failed request', async () => {
    const before = await shop.physicalIds();
    const running = await shop.running();
    const called = shop.calls(before);
    const stop = await shop.load();
    shop.takes(isEveryStepKilled ? 'web' : undefined);
    expect(shop.ejects('apply', 'retain', '--yes')).to.match(/retain of shop.{4}-test-web: done already/);
    expect(await stop()).to.be.greaterThan(500);
    expect(await shop.running()).to.deep.equal(running);
    const after = await shop.physicalIds();
    const removed = [...before.keys()].filter((id) => !after.has(id));
    expect(removed.map((id) => id.split(' ')[1])).to.have.members([
      ...['EnvControllerAction', 'EnvControllerFunction', 'EnvControllerRole'],
      ...['EnvControllerAction', 'EnvControllerFunction', 'EnvControllerRole'],
      ...['RulePriorityFunction', 'RulePriorityFunctionRole', 'HTTPRulePriorityAction'],
      ...['DynamicDesiredCountAction', 'DynamicDesiredCountFunction', 'DynamicDesiredCountFunctionRole'],
    ]);
    for (const [id, physical] of after) expect(physical, id).to.equal(before.get(id));
    expect(shop.calls(before)).to.equal(called);
  });

  it('leaves no stack policy that denies anything', () => shop.expectOpenPolicies());

  it('is undone with EJECT_KILL=all after each step, after which Copilot deploys again', async function () {
    if (!isEveryStepKilled) skip(this, 'only with EJECT_KILL=all');
    const before = await shop.physicalIds();
    const stop = await shop.load();
    shop.undoes();
    shop.release();
    shop.undoesAfterEach();
    shop.ejects('plan');
    shop.ejects('write');
    shop.takes(undefined);
    await stop();
    const after = await shop.physicalIds();
    for (const id of ['PublicLoadBalancer', 'HTTPListener', 'FileSystem', 'Cluster', 'database'])
      expect(after.get(`${environmentStack} ${id}`), id).to.equal(before.get(`${environmentStack} ${id}`));
  });

  it('writes a CDK app that synthesizes what is deployed', () => shop.expectSameAsCdk());

  describe('releases without Copilot', () => {
    const manifest = (name: string) => join(folder, 'copilot', name, 'manifest.yml');
    after(() => expect(shop?.wasCopilotCalled()).to.not.equal(true));

    async function answer(): Promise<Record<string, unknown>> {
      return z.record(z.string(), z.unknown()).parse(await (await fetch(await shop.address())).json());
    }

    it('rolls out an edited manifest and a new image without a failed request', async () => {
      const before = await shop.physicalIds();
      writeFileSync(join(folder, 'VERSION'), 'v2\n');
      shop.edit('web', {
        'variables.GREETING': 'welcome',
        'count.range': '2-3',
        cpu: 512,
        'http.healthcheck.path': '/healthz?v2',
      });
      const stop = await shop.load();
      const { status, output } = shop.deploys('web', 'v2');
      expect(status, output).to.equal(0);
      await stop();
      expect(await answer()).to.include({ version: 'v2', greeting: 'welcome', stage: 'test' });
      const after = await shop.physicalIds();
      const changed = [...after].filter(([id, physical]) => before.get(id) !== physical).map(([id]) => id);
      expect(changed).to.deep.equal([`${environmentStack}-web TaskDefinition`]);
      const query = ['--query', 'ScalableTargets[].MaxCapacity'];
      const service = `${after.get(`${environmentStack}-web Service`)}`.split('/').slice(-2).join('/');
      const targets = ['application-autoscaling', 'describe-scalable-targets', '--service-namespace', 'ecs'];
      const ids = ['--resource-ids', `service/${service}`];
      expect(await aws(z.array(z.number()), ...targets, ...ids, ...query)).to.deep.equal([3]);
    });

    it('refuses an edit that it cannot map, with file and line, and changes nothing', () => {
      const text = readFileSync(manifest('web'), 'utf8');
      shop.edit('web', { 'http.version': 'grpc' });
      const { status, output } = shop.deploys('web', 'v3');
      writeFileSync(manifest('web'), text);
      expect(status, output).to.equal(1);
      expect(output).to.match(
        /copilot\/web\/manifest.yml:\d+: http.version: this edit is not mapped onto the template/,
      );
    });

    it('rolls a bad release back, and says why', async () => {
      writeFileSync(join(folder, 'VERSION'), 'broken\n');
      const stop = await shop.load();
      const { status, output } = shop.deploys('web', 'v4');
      writeFileSync(join(folder, 'VERSION'), 'v2\n');
      expect(status, output).to.equal(1);
      expect(output).to.contain(`${environmentStack}-web is UPDATE_ROLLBACK_COMPLETE`);
      await stop();
      expect(await answer()).to.include({ version: 'v2' });
    });

    it('changes the count of a service', async () => {
      shop.edit('api', { count: 2 });
      const { status, output } = shop.deploys('api', 'v2');
      expect(status, output).to.equal(0);
      expect(await shop.running()).to.have.nested.property('[1][0]', 2);
    });

    it('scales a service with a fixed count, and fixes the count again', async () => {
      shop.edit('api', { count: { range: '1-3', cpu_percentage: 70 } });
      const { status, output } = shop.deploys('api', 'v2');
      expect(status, output).to.equal(0);
      // Of a service that loses its DesiredCount, AWS keeps the count; the emulator begins with the smallest one.
      expect(await shop.running())
        .to.have.nested.property('[1][0]')
        .that.is.oneOf([1, 2]);
      expect((await shop.physicalIds()).has(`${environmentStack}-api AutoScalingTarget`)).to.equal(true);
      shop.edit('api', { count: 1 });
      const again = shop.deploys('api', 'v2');
      expect(again.status, again.output).to.equal(0);
      expect(await shop.running()).to.have.nested.property('[1][0]', 1);
      expect((await shop.physicalIds()).has(`${environmentStack}-api AutoScalingTarget`)).to.equal(false);
    });
  });

  describe('afterwards', () => {
    const works = (...words: string[]) => {
      const { status, output } = shop.eject([...words, '--service', 'web'], shop.hidden());
      expect(status, output).to.equal(0);
      return output;
    };

    it('says how many tasks of a service run, and what ECS did', () => {
      expect(works('status')).to.match(/^(\d) of \1 tasks run\nPRIMARY COMPLETED: \1 of \1, \S+-test-web:\d+, /);
    });
  });
});

/** What is edited in the manifest of web, by paths. */
const edits: readonly Edit[] = [
  { cpu: 1024, memory: 2048 },
  { count: { range: { min: 1, max: 3 }, cpu_percentage: { value: 50, cooldown: { in: '30s', out: '90s' } } } },
  { 'count.cooldown': { in: '3m' } },
  {
    variables: { GREETING: 'a "quoted": text', A: 'no', Z: { from_cfn: 'some-export' } },
    'environments.test.variables.NEW': 'yes',
  },
  {
    secrets: {
      KEY: '/copilot/x/KEY',
      B: { secretsmanager: 'name' },
      A: { from_cfn: `${environmentStack}-databaseSecret` },
    },
  },
  { command: 'node server.js --x "a b"', entrypoint: ['node'] },
  {
    'image.healthcheck': { command: ['CMD-SHELL', 'true'], interval: '15s' },
    'image.labels': { 'com.example.b': 'v', a: '2' },
  },
  { 'image.healthcheck': { retries: 5 } },
  {
    'http.healthcheck': {
      ...{ path: '/x', success_codes: '200,301', healthy_threshold: 3, unhealthy_threshold: 4, port: 3000 },
      ...{ interval: '11s', timeout: '10s', grace_period: '45s' },
    },
  },
  { 'http.healthcheck': '/y', 'http.deregistration_delay': '30s', 'http.stickiness': true },
  { deployment: { rolling: 'recreate' }, logging: { retention: 7 } },
  { 'http.path': 'cart' },
  { count: 2 },
  { count: { range: '2-4', memory_percentage: 80 } },
  { 'count.requests': 30, 'count.response_time': { value: '250ms', cooldown: { out: '5s' } } },
  { exec: true, platform: 'linux/arm64' },
  {
    'sidecars.adot': {
      ...{ image: 'adot:1', port: 4318, essential: false, command: ['--config', 'a b'], depends_on: { web: 'start' } },
      ...{ variables: { LEVEL: 'debug' }, secrets: { KEY: '/copilot/x/KEY' }, labels: { a: '2' } },
      ...{ healthcheck: { command: ['CMD', 'true'] }, credentialsParameter: 'name' },
      mount_points: [{ source_volume: 'files', path: '/var/files' }],
    },
    'sidecars.a-b': { image: 'ab:1' },
    variables: { A: '1' },
  },
  { 'storage.ephemeral': 40, 'storage.readonly_fs': true },
  { 'storage.volumes.scratch': { path: '/scratch' }, 'storage.volumes.a': { path: '/a', read_only: false } },
];
