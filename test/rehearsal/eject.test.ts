import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setGlobalProxyFromEnv } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { DeleteStackCommand } from '@aws-sdk/client-cloudformation';
import { DescribeServicesCommand, ECSClient } from '@aws-sdk/client-ecs';
import { expect } from 'chai';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { clients, describeStack, handler, readInventory } from '../../eject/aws.ts';
import { parseInventory } from '../../eject/inventory.ts';
import { contextOf } from '../../eject/steps.ts';
import { isSame, Template } from '../../eject/template.ts';
import { detach, drop } from '../../eject/transform.ts';
import { aws } from '../../tools/aws/cloud.ts';
import { isEmulator } from '../../tools/aws/endpoint.ts';
import { cleanEnvironment } from '../../tools/process/clean-environment.ts';
import { type Edit, expectSameAsCopilot, exportsOf } from '../eject/differential.ts';
import { skip, skipWithout } from '../skip.ts';

// Two services of one environment, deployed by the real copilot, are taken out of it while they are under load. Only an
// emulator will do: this destroys a load balancer on purpose.

// What is retained stays in the emulator: another run needs another name.
const application = `shop${randomBytes(2).toString('hex')}`;
const environment = 'test';
const names = ['web', 'api'] as const;
const environmentStack = `${application}-${environment}`;
const stacks = [environmentStack, ...names.map((name) => `${environmentStack}-${name}`)];
const entry = resolve('tools/cli.ts');
const killer = resolve('test/eject/kill-after.ts');
const steps = ['retain', 'pin', 'detach', 'drop', 'environment'] as const;

async function missing(): Promise<string | undefined> {
  const tools = ['copilot', 'aws', 'docker', 'git'].filter(
    (tool) => spawnSync(tool, [tool === 'docker' ? 'info' : '--version'], { stdio: 'ignore' }).status !== 0,
  );
  if (tools.length > 0) return `it needs ${tools.join(', ')}`;
  return (await isEmulator()) ? undefined : 'it needs an AWS-compatible emulator';
}

describe('the way out of Copilot', function () {
  // Most of it is waiting for processes that start.
  this.timeout('30m');
  let folder: string;
  let address: string;
  let isBroken = false;

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
    copilot('app', 'init', application);
    copilot('env', 'init', '--name', environment, '--profile', 'default', '--default-config', '--app', application);
    copilot('env', 'deploy', '--name', environment);
    for (const name of names) copilot('svc', 'init', '--name', name, '--app', application);
    for (const name of names) release(name);
    address = await loadBalancer();
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
    // Of what is retained nothing costs anything here; tasks and databases are containers, and have to go.
    const { cloudFormation } = clients();
    const left = await readInventory(clients(), application, environment).catch(() => undefined);
    const order = ['workload', 'environment', 'nested'];
    for (const { name } of left?.stacks.toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind)) ?? []) {
      await cloudFormation.send(new DeleteStackCommand({ StackName: name })).catch(() => {});
      for (
        let i = 0;
        i < 60 && (await describeStack(cloudFormation, name))?.StackStatus?.endsWith('_IN_PROGRESS');
        i += 1
      )
        await sleep(500);
    }
    spawnSync('copilot', ['app', 'delete', '--name', application, '--yes'], { cwd: folder, timeout: 60_000 });
    rmSync(folder, { recursive: true });
  });

  function copilot(...words: string[]): string {
    const { status, stdout, stderr } = spawnSync('copilot', words, { cwd: folder, encoding: 'utf8' });
    expect(status, `copilot ${words.join(' ')}\n${stdout}\n${stderr}`).to.equal(0);
    return stdout;
  }

  function release(name: string): void {
    copilot('svc', 'deploy', '--name', name, '--env', environment, '--tag', 'v1');
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

  function ejects(...words: string[]): string {
    const { status, output } = eject(words);
    expect(status, output).to.equal(0);
    return output;
  }

  async function loadBalancer(): Promise<string> {
    const query = "Stacks[0].Outputs[?OutputKey=='PublicLoadBalancerDNSName'].OutputValue";
    const words = ['cloudformation', 'describe-stacks', '--stack-name', environmentStack, '--query', query];
    const [name = ''] = await aws(z.array(z.string()), ...words);
    return `http://${name}`;
  }

  /** The physical ids of all resources, by stack and logical id; nested stacks are those of the stack that has them. */
  async function physicalIds(): Promise<Map<string, string>> {
    const deployed = await readInventory(clients(), application, environment);
    return new Map(
      deployed.stacks.flatMap(({ name, resources }) => {
        const own = stacks.toReversed().find((stack) => name === stack || name.startsWith(`${stack}-`)) ?? name;
        return Object.entries(resources).map(([id, { physicalId }]) => [`${own} ${id}`, physicalId] as const);
      }),
    );
  }

  /** Desired and running tasks, the task definition and the number of deployments of each service. */
  async function services(): Promise<unknown[]> {
    const ids = await physicalIds();
    const ecs = new ECSClient({ requestHandler: handler(process.env) });
    const arns = names.map((name) => ids.get(`${environmentStack}-${name} Service`) ?? '');
    const cluster = ids.get(`${environmentStack} Cluster`);
    const { services: found = [] } = await ecs.send(new DescribeServicesCommand({ cluster, services: arns }));
    return found
      .toSorted((one, other) => arns.indexOf(one.serviceArn ?? '') - arns.indexOf(other.serviceArn ?? ''))
      .map(({ desiredCount, runningCount, taskDefinition, deployments = [] }) => {
        return [desiredCount, runningCount, taskDefinition, deployments.length];
      });
  }

  /** How often the functions of the custom resources were called. */
  async function calls(ids: ReadonlyMap<string, string>): Promise<number> {
    const functions = [...ids].filter(([id]) => /(EnvController|RulePriority|DynamicDesiredCount)Function$/.test(id));
    const counts = functions.map(([, name]) => {
      const words = [
        'logs',
        'filter-log-events',
        '--log-group-name',
        `/aws/lambda/${name}`,
        '--query',
        'length(events)',
        '--output',
        'json',
      ];
      const { status, stdout } = spawnSync('aws', words, { encoding: 'utf8' });
      return status === 0 ? Number(stdout) : 0;
    });
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Requests without a pause until it is stopped; gives back how many there were, and those that failed. */
  function load(): () => Promise<{ requests: number; failures: string[] }> {
    // A thread of its own: the commands are run synchronously here.
    const worker = new Worker(new URL('../eject/load.ts', import.meta.url), { workerData: address });
    // A test that fails before it stops the load must not keep Mocha from ending.
    worker.unref();
    return async () => {
      worker.ref();
      worker.postMessage('stop');
      const [result] = await once(worker, 'message');
      const { requests, failures } = z.object({ requests: z.number(), failures: z.array(z.string()) }).parse(result);
      process.stdout.write(`      ${requests} requests, ${failures.length} failed\n`);
      expect(failures).to.deep.equal([]);
      return { requests, failures };
    };
  }

  it('is needed: taking the controller out of a template by hand deletes the load balancer', async () => {
    ejects('plan');
    const inventory = parseInventory(readFileSync(join(folder, 'ejected/test/inventory.json'), 'utf8'));
    const stack = inventory.stacks.find(({ workload }) => workload === 'web') ?? expect.fail('no stack of web');
    const naive = drop(
      detach(new Template(stack.template, stack.name), {
        application,
        environment,
        priorities: stack.priorities,
        physicalIds: {},
        environmentExports: exportsOf(inventory),
      }),
    );
    // Without imports, which would keep the load balancer: literals, as one would write them.
    const { exports } = contextOf(inventory, stack);
    const text = naive
      .text()
      .replaceAll(/\n\s*Fn::ImportValue: !Sub '\$\{AppName\}-\$\{EnvName\}-(\w+)'/g, (match, name: string) => {
        const value = exports[`${environmentStack}-${name}`];
        return ['HTTPListenerArn', 'PublicLoadBalancerDNS', 'FilesystemID'].includes(name) && value
          ? ` ${value}`
          : match;
      });
    const file = join(folder, 'naive.yml');
    writeFileSync(file, text);
    const parameters = Object.keys(stack.parameters).map((name) => `ParameterKey=${name},UsePreviousValue=true`);
    execFileSync('aws', [
      'cloudformation',
      'update-stack',
      '--stack-name',
      stack.name,
      '--template-body',
      `file://${file}`,
      '--capabilities',
      'CAPABILITY_NAMED_IAM',
      'CAPABILITY_AUTO_EXPAND',
      '--parameters',
      ...parameters,
    ]);
    spawnSync('aws', ['cloudformation', 'wait', 'stack-update-complete', '--stack-name', stack.name]);
    spawnSync('aws', ['cloudformation', 'wait', 'stack-update-complete', '--stack-name', environmentStack]);
    const ids = await physicalIds();
    expect(ids.get(`${environmentStack} PublicLoadBalancer`)).to.equal(undefined);
    expect(ids.get(`${environmentStack} FileSystem`)).to.equal(undefined);
    release('web');
    address = await loadBalancer();
  });

  it('refuses a workspace that is not the one that was deployed', () => {
    const file = join(folder, 'copilot/web/manifest.yml');
    const manifest = readFileSync(file, 'utf8');
    writeFileSync(file, `${manifest}exec: true\n`);
    const { status, output } = eject(['plan']);
    writeFileSync(file, manifest);
    expect(status, output).to.equal(1);
    expect(output).to.contain(
      `${environmentStack}-web: the manifest of web in the workspace is not the one that was deployed`,
    );
  });

  it('plans with what a removal by hand would destroy', () => {
    ejects('plan');
    ejects('write');
    expect(readFileSync(join(folder, 'ejected/test/REPORT.md'), 'utf8')).to.match(
      /\*\*EnvControllerAction\*\*: its function would delete .*PublicLoadBalancer.*FileSystem/,
    );
    expect(existsSync(join(folder, `ejected/test/steps/3-detach/${environmentStack}-web/template.yml`))).to.equal(true);
  });

  // Before the steps: without the parameters of the environment Copilot doesn't package.
  it('maps edits of the manifest to what Copilot itself makes of them', () => {
    // The root has a priority of its own.
    const base = readFileSync(join(folder, 'copilot/web/manifest.yml'), 'utf8').replace('path: /\n', 'path: shop\n');
    const workspace = { folder, application, environment, copilot };
    expectSameAsCopilot(workspace, 'svc', 'web', base, edits);
    const fixed = base.replace(/count:\n.*\n.*\n/, 'count: 2\n');
    const ranges = { range: '1-4', cpu_percentage: 60, memory_percentage: 70, requests: 100, response_time: '1.5s' };
    expectSameAsCopilot(workspace, 'svc', 'web', fixed, [{ count: ranges }, { count: 3 }]);
  });

  it('asks before it changes anything, and keeps the order of the steps', () => {
    expect(eject(['apply', 'retain']).output).to.contain('Not a terminal: use --yes');
    expect(eject(['apply', 'detach', '--yes']).output).to.contain(
      `detach of ${environmentStack}-api needs pin of ${environmentStack} first`,
    );
    expect(eject(['apply', 'drop', '--yes']).output).to.contain('the stack is before the first step');
  });

  it('takes all steps under load, killed after every call of the riskiest one, without a failed request', async () => {
    const before = await physicalIds();
    const running = await services();
    const called = await calls(before);
    const stop = load();
    let kills = 0;
    for (const step of steps) {
      const words = ['apply', step, '--service', 'web', '--yes'];
      if (step === 'drop')
        for (let answers = 1; eject(words, { KILL_AFTER: String(answers) }).signal === 'SIGKILL'; answers += 1)
          kills += 1;
      ejects('apply', step, '--yes');
    }
    expect(ejects('apply', 'retain', '--yes')).to.match(/retain of shop.{4}-test-web: done already/);
    const { requests } = await stop();
    expect(requests).to.be.greaterThan(500);
    process.stdout.write(`      killed ${kills} times\n`);
    expect(kills).to.be.greaterThan(10);
    expect(await services()).to.deep.equal(running);
    const after = await physicalIds();
    const removed = [...before.keys()].filter((id) => !after.has(id));
    expect(removed.map((id) => id.split(' ')[1])).to.have.members([
      ...['EnvControllerAction', 'EnvControllerFunction', 'EnvControllerRole'],
      ...['EnvControllerAction', 'EnvControllerFunction', 'EnvControllerRole'],
      ...['RulePriorityFunction', 'RulePriorityFunctionRole', 'HTTPRulePriorityAction'],
      ...['DynamicDesiredCountAction', 'DynamicDesiredCountFunction', 'DynamicDesiredCountFunctionRole'],
    ]);
    for (const [id, physical] of after) expect(physical, id).to.equal(before.get(id));
    expect(await calls(before)).to.equal(called);
  });

  it('leaves no stack policy that denies anything', async () => {
    for (const stack of stacks) {
      const policy = await aws(
        z.string(),
        'cloudformation',
        'get-stack-policy',
        '--stack-name',
        stack,
        '--query',
        'StackPolicyBody',
      );
      expect(policy, stack).to.not.contain('Deny');
    }
  });

  it('is undone step by step, after which Copilot deploys again', async () => {
    const before = await physicalIds();
    const stop = load();
    for (const step of steps.toReversed()) ejects('undo', step, '--yes');
    for (const name of names) release(name);
    await stop();
    const after = await physicalIds();
    for (const id of ['PublicLoadBalancer', 'HTTPListener', 'FileSystem', 'Cluster', 'database'])
      expect(after.get(`${environmentStack} ${id}`), id).to.equal(before.get(`${environmentStack} ${id}`));
  });

  it('refuses to go on by an old inventory after another deployment, and goes by a new one', () => {
    const file = join(folder, 'copilot/api/manifest.yml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('hello from the api', 'hello again'));
    release('api');
    const { output } = eject(['apply', 'retain', '--service', 'api', '--yes']);
    expect(output).to.contain('something else deployed it since');
    ejects('plan');
    ejects('write');
    for (const step of steps) ejects('apply', step, '--yes');
  });

  it('writes a CDK app that synthesizes what is deployed', async () => {
    ejects('write', '--to', 'cdk');
    const app = join(folder, 'ejected/test/cdk');
    execFileSync('npm', ['install', '--omit=dev', '--no-audit', '--no-fund', '--silent'], { cwd: app });
    execFileSync(process.execPath, ['app.ts'], { cwd: app, stdio: 'pipe' });
    for (const stack of stacks) {
      const words = ['get-template', '--template-stage', 'Original', '--query', 'TemplateBody', '--stack-name', stack];
      const deployed = new Template(await aws(z.string(), 'cloudformation', ...words), stack);
      const text = readFileSync(join(app, 'cdk.out', `${stack}.template.json`), 'utf8');
      expect(isSame(new Template(text, stack).value(), deployed.value()), stack).to.equal(true);
    }
  });

  describe('releases without Copilot', () => {
    const manifest = (name: string) => join(folder, 'copilot', name, 'manifest.yml');
    /** Where the program is hidden: a call of it leaves a mark and fails. */
    let hidden: NodeJS.ProcessEnv;
    let mark: string;

    before(() => {
      const shims = join(folder, 'shims');
      mark = join(shims, 'called');
      mkdirSync(shims, { recursive: true });
      writeFileSync(join(shims, 'copilot'), `#!/bin/sh\ntouch ${mark}\nexit 1\n`, { mode: 0o755 });
      hidden = { PATH: `${shims}:${process.env.PATH}` };
    });
    after(() => expect(existsSync(mark)).to.equal(false));

    function edit(name: string, values: Readonly<Record<string, unknown>>): void {
      const document = parseDocument(readFileSync(manifest(name), 'utf8'));
      for (const [path, value] of Object.entries(values)) document.setIn(path.split('.'), value);
      writeFileSync(manifest(name), document.toString());
    }

    function deploys(name: string, tag: string): { status: number | null; output: string } {
      return eject(['deploy', '--service', name, '--tag', tag, '--yes'], hidden);
    }

    async function answer(): Promise<Record<string, unknown>> {
      return z.record(z.string(), z.unknown()).parse(await (await fetch(address)).json());
    }

    it('rolls out an edited manifest and a new image without a failed request', async () => {
      const before = await physicalIds();
      writeFileSync(join(folder, 'VERSION'), 'v2\n');
      edit('web', {
        'variables.GREETING': 'welcome',
        'count.range': '2-3',
        cpu: 512,
        'http.healthcheck.path': '/healthz?v2',
      });
      const stop = load();
      const { status, output } = deploys('web', 'v2');
      expect(status, output).to.equal(0);
      await stop();
      expect(await answer()).to.include({ version: 'v2', greeting: 'welcome', stage: 'test' });
      const after = await physicalIds();
      const changed = [...after].filter(([id, physical]) => before.get(id) !== physical).map(([id]) => id);
      expect(changed).to.deep.equal([`${environmentStack}-web TaskDefinition`]);
      const query = 'ScalableTargets[].MaxCapacity';
      const service = `${after.get(`${environmentStack}-web Service`)}`.split('/').slice(-2).join('/');
      const targets = [
        'application-autoscaling',
        'describe-scalable-targets',
        '--service-namespace',
        'ecs',
        '--resource-ids',
      ];
      expect(await aws(z.array(z.number()), ...targets, `service/${service}`, '--query', query)).to.deep.equal([3]);
    });

    it('refuses an edit that it cannot map, with file and line, and changes nothing', () => {
      const text = readFileSync(manifest('web'), 'utf8');
      edit('web', { 'http.version': 'grpc' });
      const { status, output } = deploys('web', 'v3');
      writeFileSync(manifest('web'), text);
      expect(status, output).to.equal(1);
      expect(output).to.match(
        /copilot\/web\/manifest.yml:\d+: http.version: this edit is not mapped onto the template/,
      );
    });

    it('rolls a bad release back, and says why', async () => {
      writeFileSync(join(folder, 'VERSION'), 'broken\n');
      const stop = load();
      const { status, output } = deploys('web', 'v4');
      writeFileSync(join(folder, 'VERSION'), 'v2\n');
      expect(status, output).to.equal(1);
      expect(output).to.contain(`${environmentStack}-web is UPDATE_ROLLBACK_COMPLETE`);
      await stop();
      expect(await answer()).to.include({ version: 'v2' });
    });

    it('changes the count of a service', async () => {
      edit('api', { count: 2 });
      const { status, output } = deploys('api', 'v2');
      expect(status, output).to.equal(0);
      expect(await services()).to.have.nested.property('[1][0]', 2);
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
