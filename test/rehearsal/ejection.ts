import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { DeleteStackCommand } from '@aws-sdk/client-cloudformation';
import { DescribeServicesCommand, ECSClient } from '@aws-sdk/client-ecs';
import { expect } from 'chai';
import { parse, parseDocument } from 'yaml';
import { z } from 'zod';
import { clients, deployedTemplate, describeStack, handler, readInventory } from '../../eject/aws.ts';
import { type Inventory, parseInventory } from '../../eject/inventory.ts';
import { contextOf, type StepName, stepNames } from '../../eject/steps.ts';
import { isSame, Template } from '../../eject/template.ts';
import { detach, drop } from '../../eject/transform.ts';
import { aws } from '../../tools/aws/cloud.ts';
import { isEmulator } from '../../tools/aws/endpoint.ts';
import { cleanEnvironment } from '../../tools/process/clean-environment.ts';
import { findProgram } from '../../tools/process/server-program.ts';
import { exportsOf } from '../eject/differential.ts';

const entry = resolve('tools/cli.ts');
const killer = resolve('test/eject/kill-after.ts');

/** Whether each step of each stack is killed after every answer of AWS, and undone after each step: see CONTRIBUTING.md. */
export const isEveryStepKilled = process.env.EJECT_KILL === 'all';

/** Why no environment can be deployed and taken out of Copilot here, or undefined. */
export async function missing(): Promise<string | undefined> {
  const tools = ['copilot', 'aws', 'docker', 'git'].filter(
    (tool) => spawnSync(tool, [tool === 'docker' ? 'info' : '--version'], { stdio: 'ignore' }).status !== 0,
  );
  if (tools.length > 0) return `it needs ${tools.join(', ')}`;
  return (await isEmulator()) ? undefined : 'it needs an AWS-compatible emulator';
}

/** A script between the AWS CLI and what stands in for the plugin, which knows the session only as Copilot writes it. */
function pluginFor(plugin: string): string {
  return `#!/bin/bash
[ $# -gt 0 ] || exit 0 # The AWS CLI asks whether it is there.
session=$(sed 's/"sessionId"/"SessionId"/; s/"streamUrl"/"StreamUrl"/; s/"tokenValue"/"TokenValue"/' <<< "$1")
exec ${plugin} "$session" "\${@:2}"
`;
}

/** A workspace whose environment `test` is taken out of Copilot, with the real copilot. */
export class Ejection {
  readonly environment = 'test';
  readonly folder: string;
  readonly application: string;
  /** The services, of which the first one has a load balancer, and the jobs. */
  readonly services: readonly string[];
  readonly jobs: readonly string[];
  /** The domain of the application, for which the account has a hosted zone. */
  readonly domain: string | undefined;

  constructor(
    folder: string,
    application: string,
    { services, jobs = [], domain }: { services: readonly string[]; jobs?: readonly string[]; domain?: string },
  ) {
    this.domain = domain;
    this.folder = folder;
    this.application = application;
    this.services = services;
    this.jobs = jobs;
  }

  get main(): string {
    return `${this.application}-${this.environment}`;
  }

  /** The stacks of the environment, the services and the jobs. */
  get stacks(): string[] {
    return [this.main, ...[...this.services, ...this.jobs].map((name) => `${this.main}-${name}`)];
  }

  /** Runs copilot in the workspace, which must succeed; gives back what it writes. */
  readonly copilot = (...words: string[]): string => {
    const { status, stdout, stderr } = spawnSync('copilot', words, { cwd: this.folder, encoding: 'utf8' });
    expect(status, `copilot ${words.join(' ')}\n${stdout}\n${stderr}`).to.equal(0);
    return stdout;
  };

  /** Makes the application and the environment, and deploys everything. */
  create(): void {
    const app = ['--app', this.application];
    this.copilot('app', 'init', this.application, ...(this.domain ? ['--domain', this.domain] : []));
    this.copilot('env', 'init', '--name', this.environment, '--profile', 'default', '--default-config', ...app);
    this.copilot('env', 'deploy', '--name', this.environment);
    for (const name of this.services) this.copilot('svc', 'init', '--name', name, ...app);
    for (const name of this.jobs) this.copilot('job', 'init', '--name', name, ...app);
    this.release();
  }

  /** Deploys these services and jobs with Copilot: by default all. */
  release(...chosen: string[]): void {
    for (const [kind, names] of [['svc', this.services] as const, ['job', this.jobs] as const])
      for (const name of names.filter((name) => chosen.length === 0 || chosen.includes(name)))
        this.copilot(kind, 'deploy', '--name', name, '--env', this.environment, '--tag', 'v1');
  }

  eject(words: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const node = env.KILL_AFTER ? ['--import', killer, entry] : [entry];
    const { status, signal, stdout, stderr } = spawnSync(
      process.execPath,
      [...node, 'eject', ...words, '--environment', this.environment],
      { cwd: this.folder, encoding: 'utf8', env: { ...cleanEnvironment(), ...env }, timeout: 5 * 60_000 },
    );
    return { status, signal, output: `${stdout}${stderr}` };
  }

  /** Starts a command without waiting for its end; gives back its exit code and what it writes. */
  async ejecting(...words: string[]): Promise<{ status: number; output: string }> {
    const line = [entry, 'eject', ...words, '--environment', this.environment];
    const child = spawn(process.execPath, line, { cwd: this.folder, env: cleanEnvironment() });
    const [out, error, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { status: Number(status), output: `${out}${error}` };
  }

  ejects(...words: string[]): string {
    const { status, output } = this.eject(words);
    expect(status, `eject ${words.join(' ')}\n${output}`).to.equal(0);
    return output;
  }

  /** Kills the command after its first answer of AWS, after its second one and so on, until it ends; gives back how often. */
  kills(...words: string[]): number {
    for (let answers = 1; ; answers += 1) {
      const { status, signal, output } = this.eject([...words, '--yes'], { KILL_AFTER: String(answers) });
      if (signal === 'SIGKILL') continue;
      expect(status, output).to.equal(0);
      return answers - 1;
    }
  }

  /** Takes these steps; `killed` says of which service each call of `drop` is killed. Gives back how often it was. */
  takes(killed: string | undefined, taken: readonly StepName[] = stepNames): number {
    let kills = 0;
    for (const step of taken) {
      const isOfServices = step === 'retain' || step === 'detach' || step === 'drop';
      if (isEveryStepKilled && killed !== undefined) {
        for (const name of isOfServices ? [...this.services, ...this.jobs] : [])
          kills += this.kills('apply', step, '--service', name);
        kills += this.kills('apply', step);
      } else if (step === 'drop' && killed !== undefined) kills += this.kills('apply', step, '--service', killed);
      this.ejects('apply', step, '--yes');
    }
    if (kills > 0) process.stdout.write(`      killed ${kills} times\n`);
    return kills;
  }

  /** Takes these steps back. */
  undoes(taken: readonly StepName[] = stepNames): void {
    for (const step of taken.toReversed()) this.ejects('undo', step, '--yes');
  }

  /** Only with EJECT_KILL=all: takes the steps up to each one, and takes them back, after which Copilot deploys. */
  undoesAfterEach(): void {
    for (const i of isEveryStepKilled ? stepNames.keys() : []) {
      const taken = stepNames.slice(0, i + 1);
      this.ejects('plan');
      this.ejects('write');
      this.takes(undefined, taken);
      this.undoes(taken);
      this.release();
    }
  }

  inventory(): Inventory {
    return parseInventory(readFileSync(join(this.folder, 'ejected', this.environment, 'inventory.json'), 'utf8'));
  }

  /** The physical ids of all resources, by stack and logical id; nested stacks are those of the stack that has them. */
  async physicalIds(): Promise<Map<string, string>> {
    const deployed = await readInventory(clients(), this.application, this.environment);
    return new Map(
      deployed.stacks.flatMap(({ name, resources }) => {
        const own = this.stacks.toReversed().find((stack) => name === stack || name.startsWith(`${stack}-`)) ?? name;
        return Object.entries(resources).map(([id, { physicalId }]) => [`${own} ${id}`, physicalId] as const);
      }),
    );
  }

  /** Desired and running tasks, the task definition and the number of deployments of each service. */
  async running(): Promise<unknown[]> {
    const ids = await this.physicalIds();
    const ecs = new ECSClient({ requestHandler: handler(process.env) });
    const arns = this.services.map((name) => ids.get(`${this.main}-${name} Service`) ?? '');
    const cluster = ids.get(`${this.main} Cluster`);
    const { services: found = [] } = await ecs.send(new DescribeServicesCommand({ cluster, services: arns }));
    return found
      .toSorted((one, other) => arns.indexOf(one.serviceArn ?? '') - arns.indexOf(other.serviceArn ?? ''))
      .map(({ desiredCount, runningCount, taskDefinition, deployments = [] }) => {
        return [desiredCount, runningCount, taskDefinition, deployments.length];
      });
  }

  /** How often the functions of the custom resources were called. */
  calls(ids: ReadonlyMap<string, string>): number {
    const functions = [...ids].filter(([id]) =>
      /(EnvController|RulePriority|DynamicDesiredCount|CertificateValidation|CustomDomain|DNSDelegation)Function$/.test(
        id,
      ),
    );
    const counts = functions.map(([, name]) => {
      const words = ['logs', 'filter-log-events', '--log-group-name', `/aws/lambda/${name}`];
      const query = ['--query', 'length(events)', '--output', 'json'];
      const { status, stdout } = spawnSync('aws', [...words, ...query], { encoding: 'utf8' });
      return status === 0 ? Number(stdout) : 0;
    });
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async address(): Promise<string> {
    const query = "Stacks[0].Outputs[?OutputKey=='PublicLoadBalancerDNSName'].OutputValue";
    const words = ['cloudformation', 'describe-stacks', '--stack-name', this.main, '--query', query];
    const [name = ''] = await aws(z.array(z.string()), ...words);
    return `http://${name}`;
  }

  /** Requests without a pause until it is stopped, none of which may fail; gives back how many there were. */
  async load(path = '/'): Promise<() => Promise<number>> {
    // A thread of its own: the commands are run synchronously here.
    const url = new URL('../eject/load.ts', import.meta.url);
    const worker = new Worker(url, { workerData: `${await this.address()}${path}` });
    // A test that fails before it stops the load must not keep Mocha from ending.
    worker.unref();
    return async () => {
      worker.ref();
      worker.postMessage('stop');
      const [result] = await once(worker, 'message');
      const { requests, failures } = z.object({ requests: z.number(), failures: z.array(z.string()) }).parse(result);
      process.stdout.write(`      ${requests} requests, ${failures.length} failed\n`);
      expect(failures).to.deep.equal([]);
      return requests;
    };
  }

  /** Updates the stack of a service to one without the controller, as one would write it by hand, and waits for the end. */
  removeController(service: string): void {
    const inventory = this.inventory();
    const stack =
      inventory.stacks.find(({ workload }) => workload === service) ?? expect.fail(`no stack of ${service}`);
    const naive = drop(
      detach(new Template(stack.template, stack.name), {
        application: this.application,
        environment: this.environment,
        priorities: stack.priorities,
        physicalIds: {},
        environmentExports: exportsOf(inventory),
      }),
    );
    // Literals in the place of imports, which would keep the load balancer.
    const { exports } = contextOf(inventory, stack);
    const literals = naive
      .text()
      .replaceAll(/\n\s*Fn::ImportValue: !Sub '\$\{AppName\}-\$\{EnvName\}-(\w+)'/g, (match, name: string) => {
        const value = exports[`${this.main}-${name}`];
        return /^(HTTPListenerArn|PublicLoadBalancer\w+|FilesystemID)$/.test(name) && value ? ` ${value}` : match;
      });
    const file = join(this.folder, 'naive.yml');
    writeFileSync(file, literals);
    const parameters = Object.keys(stack.parameters).map((name) => `ParameterKey=${name},UsePreviousValue=true`);
    execFileSync('aws', [
      ...['cloudformation', 'update-stack', '--stack-name', stack.name, '--template-body', `file://${file}`],
      ...['--capabilities', 'CAPABILITY_NAMED_IAM', 'CAPABILITY_AUTO_EXPAND', '--parameters', ...parameters],
    ]);
    rmSync(file);
    for (const name of [stack.name, this.main])
      spawnSync('aws', ['cloudformation', 'wait', 'stack-update-complete', '--stack-name', name]);
  }

  /** Expects that no stack policy denies anything. */
  async expectOpenPolicies(): Promise<void> {
    for (const stack of this.stacks) {
      const words = ['cloudformation', 'get-stack-policy', '--stack-name', stack, '--query', 'StackPolicyBody'];
      expect((await aws(z.string().nullable(), ...words)) ?? '', stack).to.not.contain('Deny');
    }
  }

  /** Expects of the CDK app that it synthesizes the deployed templates, and that `cdk diff` finds no difference. */
  async expectSameAsCdk(): Promise<void> {
    this.ejects('write', '--to', 'cdk');
    const app = join(this.folder, 'ejected', this.environment, 'cdk');
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--silent'], { cwd: app });
    execFileSync(process.execPath, ['app.ts'], { cwd: app, stdio: 'pipe' });
    for (const stack of this.stacks) {
      const deployed = new Template(await deployedTemplate(clients().cloudFormation, stack), stack);
      const synthesized = readFileSync(join(app, 'cdk.out', `${stack}.template.json`), 'utf8');
      expect(isSame(new Template(synthesized, stack).value(), deployed.value()), stack).to.equal(true);
    }
    const words = ['diff', '--method=template', '--fail', '--no-notices'];
    const { status, stdout, stderr } = spawnSync('node_modules/.bin/cdk', words, { cwd: app, encoding: 'utf8' });
    expect(status, `cdk diff\n${stdout}\n${stderr}`).to.equal(0);
    expect(`${stdout}${stderr}`).to.contain('Number of stacks with differences: 0');
  }

  /** Sets values in a manifest, by their paths. */
  edit(name: string, values: Readonly<Record<string, unknown>>): void {
    const file = join(this.folder, 'copilot', name, 'manifest.yml');
    const document = parseDocument(readFileSync(file, 'utf8'));
    for (const [path, value] of Object.entries(values)) document.setIn(path.split('.'), value);
    writeFileSync(file, document.toString());
  }

  /** The variables with which the program copilot is hidden: a call of it leaves a mark and fails. */
  hidden(): NodeJS.ProcessEnv {
    const shims = join(this.folder, 'shims');
    mkdirSync(shims, { recursive: true });
    const plugin = findProgram('session-manager-plugin');
    if (plugin !== undefined) writeFileSync(join(shims, 'session-manager-plugin'), pluginFor(plugin), { mode: 0o755 });
    writeFileSync(join(shims, 'copilot'), `#!/bin/sh\ntouch ${shims}/called\nexit 1\n`, { mode: 0o755 });
    return { PATH: `${shims}:${process.env.PATH}` };
  }

  /** Whether something called the hidden copilot. */
  wasCopilotCalled(): boolean {
    return existsSync(join(this.folder, 'shims/called'));
  }

  /** Releases a service or job while copilot is hidden. */
  deploys(name: string, tag: string): { status: number | null; output: string } {
    return this.eject(['deploy', '--service', name, '--tag', tag, '--yes'], this.hidden());
  }

  /** Runs the build phase of the written buildspec as CodeBuild would for this commit, while copilot is hidden. */
  builds(commit: string): { status: number | null; output: string } {
    const hidden = this.hidden();
    writeFileSync(join(this.folder, 'shims/plusone'), `#!/bin/sh\nexec ${process.execPath} ${entry} "$@"\n`, {
      mode: 0o755,
    });
    const spec = z.object({ phases: z.object({ build: z.object({ commands: z.array(z.string()) }) }) });
    const file = join(this.folder, 'ejected', this.environment, 'buildspec.yml');
    const { commands } = spec.parse(parse(readFileSync(file, 'utf8'))).phases.build;
    const { status, stdout, stderr } = spawnSync('bash', ['-e', '-c', commands.join('\n')], {
      cwd: this.folder,
      encoding: 'utf8',
      env: { ...cleanEnvironment(), ...hidden, CODEBUILD_RESOLVED_SOURCE_VERSION: commit },
    });
    return { status, output: `${stdout}${stderr}` };
  }

  /** Deletes a stack, and waits two minutes at most. */
  async deleteStack(name: string): Promise<void> {
    const { cloudFormation } = clients();
    await cloudFormation.send(new DeleteStackCommand({ StackName: name })).catch(() => {});
    const isBusy = async () => (await describeStack(cloudFormation, name))?.StackStatus?.endsWith('_IN_PROGRESS');
    for (let i = 0; i < 240 && (await isBusy()); i += 1) await sleep(500);
  }

  /** Deletes all stacks. Of what is retained nothing costs anything in an emulator; tasks and databases are containers. */
  async remove(): Promise<void> {
    const left = await readInventory(clients(), this.application, this.environment).catch(() => undefined);
    const order = ['workload', 'environment', 'nested'];
    for (const { name } of left?.stacks.toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind)) ?? [])
      await this.deleteStack(name);
    spawnSync('copilot', ['app', 'delete', '--name', this.application, '--yes'], { cwd: this.folder, timeout: 60_000 });
    rmSync(this.folder, { recursive: true });
  }
}
