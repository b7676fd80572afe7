import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { setGlobalProxyFromEnv } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { z } from 'zod';
import * as cloud from '../../tools/aws/cloud.ts';
import { readTarget } from '../../tools/aws/command.ts';
import { isEmulator } from '../../tools/aws/endpoint.ts';
import { Workspace } from '../../tools/aws/workspace-copy.ts';
import { output } from '../../tools/terminal/programs.ts';
import { commandsTypedBy, programOf } from '../readme/readme.ts';
import { skip, skipWithout } from '../skip.ts';
import { giveCredentials, trustDatabases } from './emulated.ts';
import { stepByStep } from './step-by-step.ts';
import { describeParity, describeTemplates } from './templates.ts';

// The way from nothing to AWS and back, with the real copilot, in the order in which an operator goes it. What stands in
// for AWS is whatever the environment says (proxy, CA bundle, credentials); see docs/operations.md for what such a
// rehearsal can't prove.

const target = readTarget({});
const environments = ['test', 'prod'] as const;

/**
 * Why there is nothing to rehearse against, or undefined. AWS itself counts only when `make rehearse` asked for it.
 */
async function missing(): Promise<string | undefined> {
  const tools = ['copilot', 'aws', 'docker', 'git'].filter(
    (tool) => spawnSync(tool, [tool === 'docker' ? 'info' : '--version'], { stdio: 'ignore' }).status !== 0,
  );
  if (tools.length > 0) return `it needs ${tools.join(', ')}`;
  if (process.env.REHEARSE_IN_ACCOUNT || (await isEmulator())) return undefined;
  return 'no AWS-compatible endpoint answers here (make rehearse has the way to use AWS itself)';
}

describe('the rehearsal', function () {
  this.timeout('10m');
  let workspace: Workspace;
  let account: string;
  let isEmulated: boolean;
  const isBroken = stepByStep();

  before(async function () {
    const reason = await missing();
    if (reason) return skipWithout(this, 'aws', reason);
    process.env.AWS_REGION = process.env.AWS_DEFAULT_REGION = target.region;
    isEmulated = await isEmulator();
    account = (await output('aws', ['sts', 'get-caller-identity', '--query', 'Account', '--output', 'text'])).trim();
    setGlobalProxyFromEnv();
    if (isEmulated && !process.env.RDS_CA)
      throw new Error('RDS_CA is missing: an emulator has no certificates of Amazon; name the file (PEM) of its CA');
    workspace = new Workspace();
    // One environment has the database of RDS, the other one that of Aurora.
    workspace.edit('copilot/environments/addons/addons.parameters.yml', (text) =>
      text.replace('AuroraIn: none', 'AuroraIn: prod'),
    );
  });

  after(async () => {
    if (!workspace) return;
    for (const environment of environments)
      await workspace.run('tools/aws/infra-destroy.ts', [], {
        ENV: environment,
        YES: environment === 'prod' ? 'prod' : '1',
      });
    workspace.remove();
    const images = ['image', 'ls', '--quiet', `${account}.dkr.ecr.${target.region}.amazonaws.com/plusone/plusone`];
    const made = spawnSync('docker', images, { encoding: 'utf8' }).stdout.split('\n').filter(Boolean);
    if (isEmulated && made.length > 0) spawnSync('docker', ['image', 'rm', '--force', ...made]);
  });

  async function succeeds(program: string, variables: NodeJS.ProcessEnv = {}, words: string[] = []): Promise<string> {
    const result = await workspace.run(program, words, variables);
    expect(result.code, result.output).to.equal(0);
    return result.output;
  }

  async function refuses(program: string, variables: NodeJS.ProcessEnv = {}): Promise<string> {
    const result = await workspace.run(program, [], variables);
    expect(result.code, result.output).to.equal(1);
    return result.output;
  }

  async function url(environment = target.environment): Promise<string> {
    return (await cloud.loadBalancer({ ...target, environment })) ?? expect.fail('there is no load balancer');
  }

  /** The version that whoever answers at the load balancer says it is. */
  async function version(environment = target.environment): Promise<unknown> {
    const answer = await fetch(await url(environment), { headers: { accept: 'application/json' } });
    return Object(await answer.json()).version;
  }

  describe('without resources', () => {
    it('infra-plan lists what would be created', async () => {
      const text = await succeeds('tools/aws/infra-plan.ts');
      expect(text).to.match(/AWS::RDS::DBInstance +Database\n/);
      expect(text).to.match(/AWS::IAM::ManagedPolicy +SecretsPolicy\n/);
    });

    it('infra-create changes nothing without confirmation', async () => {
      expect(await refuses('tools/aws/infra-create.ts')).to.contain('Not a terminal: set YES=1');
      expect(await cloud.applicationTags(target)).to.equal(undefined);
    });

    it('publish says that the environment is missing', async () => {
      expect(await refuses('tools/aws/publish.ts', { AWS_ACCOUNT: account })).to.contain('ENV=test make infra-create');
    });

    it('infra-create refuses a size that Fargate does not have', async () => {
      workspace.declare({ 'environments.test.cpu': 513 });
      expect(await refuses('tools/aws/infra-create.ts', { YES: '1' })).to.contain('test: cpu is 513; Fargate has 256');
      workspace.declare({ 'environments.test.cpu': 256 });
    });
  });

  describe('infra-create', () => {
    let text: string;

    it('creates the application, the environment with its database, and the service', async () => {
      text = await succeeds('tools/aws/infra-create.ts', { YES: '1' });
      expect((await cloud.stack('plusone-test'))?.status).to.match(/_COMPLETE$/);
      expect(await cloud.hasService(target)).to.equal(true);
    });

    it('says what to do next', () => {
      expect(text).to.contain('Next: AWS_ACCOUNT=… ENV=test make publish');
    });

    it('stores the password as a tagged SecureString, and does not print it', async () => {
      const name = cloud.passwordParameter(target);
      const parameter = z.object({ Parameter: z.object({ Type: z.string(), Value: z.string() }) });
      const { Parameter } = await cloud.aws(parameter, 'ssm', 'get-parameter', '--with-decryption', '--name', name);
      expect(Parameter.Type).to.equal('SecureString');
      expect(Parameter.Value).to.match(/^[\w-]{32}$/);
      expect(text).not.to.contain(Parameter.Value);
      const tags = z.object({ TagList: z.array(z.object({ Key: z.string(), Value: z.string() })) });
      const { TagList } = await cloud.aws(
        tags,
        'ssm',
        'list-tags-for-resource',
        '--resource-type',
        'Parameter',
        '--resource-id',
        name,
      );
      expect(TagList).to.have.deep.members([
        { Key: 'copilot-application', Value: 'plusone' },
        { Key: 'copilot-environment', Value: 'test' },
      ]);
    });

    it('can be run again, and keeps the password', async () => {
      const version = z.object({ Parameter: z.object({ Version: z.number() }) });
      expect(await succeeds('tools/aws/infra-create.ts', { YES: '1' })).not.to.contain('password');
      expect(await cloud.aws(version, 'ssm', 'get-parameter', '--name', cloud.passwordParameter(target))).to.deep.equal(
        { Parameter: { Version: 1 } },
      );
    });

    it('refuses an application of another repository', async () => {
      const other = new Workspace();
      try {
        const { code, output: said } = await other.run('tools/aws/infra-create.ts', [], { YES: '1' });
        expect(code).to.equal(1);
        expect(said).to.contain('the application plusone in this account');
      } finally {
        other.remove();
      }
    });

    it('creates prod too', async () => {
      await succeeds('tools/aws/infra-create.ts', { YES: '1', ENV: 'prod' });
    });

    it('creates the database of RDS or of Aurora, as the environment asks', async () => {
      const kinds = environments.map((environment) => cloud.environmentDatabase({ ...target, environment }));
      expect((await Promise.all(kinds)).map((database) => database?.kind)).to.deep.equal(['instance', 'cluster']);
    });
  });

  describe('the templates of Copilot', () => {
    let folder = '';

    before(async function () {
      if (isBroken()) return skip(this, 'a step before it failed');
      folder = mkdtempSync(join(tmpdir(), 'plusone-templates-'));
      for (const environment of environments) {
        const into = ['--output-dir', folder];
        await succeeds('copilot', {}, ['env', 'package', '--name', environment, ...into]);
        const which = ['--name', 'plusone', '--env', environment, '--tag', 'parity', '--upload-assets'];
        await succeeds('copilot', {}, ['svc', 'package', ...which, ...into]);
        const { Parameters } = packaged.parse(readJson(join(folder, `plusone-${environment}.params.json`)));
        const synth = ['tools/cli.ts', 'synth', '--environment', environment, '--output', join(folder, environment)];
        await succeeds(process.execPath, {}, [...synth, '--image', Parameters.ContainerImage]);
      }
    });
    after(() => rmSync(folder, { recursive: true, force: true }));

    describeTemplates(() => folder, environments);
    describe('and the manifests of cdk8s', () => describeParity(() => folder, environments));
  });

  describe('publish', () => {
    it('refuses if AWS_ACCOUNT is missing', async () => {
      expect(await refuses('tools/aws/publish.ts')).to.contain(
        `AWS_ACCOUNT is missing: AWS_ACCOUNT=${account} make publish`,
      );
    });

    it('refuses if the credentials belong to another account', async () => {
      const said = await refuses('tools/aws/publish.ts', { AWS_ACCOUNT: '000000000000' });
      expect(said).to.contain(`AWS_ACCOUNT is 000000000000, but the credentials belong to ${account}`);
    });

    it('deploys the service behind the load balancer, tagged with the commit', async () => {
      if (process.env.RDS_CA) trustDatabases(workspace, process.env.RDS_CA);
      if (isEmulated) {
        giveCredentials(workspace);
        followClock();
      }
      const commit = workspace.commit();
      expect(await succeeds('tools/aws/publish.ts', { AWS_ACCOUNT: account })).to.contain(
        `${commit} is live at http://`,
      );
      const address = await url();
      await until(async () => expect((await fetch(`${address}/readyz`)).status).to.equal(200));
      const image = ['--repository-name', 'plusone/plusone', '--image-ids', `imageTag=${commit}`];
      await output('aws', ['ecr', 'batch-get-image', ...image, '--query', 'images[0].imageId.imageDigest']).then(
        (digest) => expect(digest).to.contain('sha256:'),
      );
    });

    it('ends with healthy tasks', async () => {
      const healthy = [
        { lastStatus: 'RUNNING', healthStatus: 'HEALTHY' },
        { lastStatus: 'RUNNING', healthStatus: 'HEALTHY' },
      ];
      await until(async () => expect(await tasks()).to.deep.equal(healthy));
    });
  });

  describe('the deployed service', () => {
    it('passes the integration tests through the load balancer', async () => {
      await succeeds('tools/aws/remote-validation.ts');
    });

    it('has a log that logs-aws follows', async () => {
      await follows(workspace.start('tools/aws/logs.ts'), await url(), 'rehearsal-follows');
    });

    it('allows an operator to open a shell', async () => {
      const words = [
        'svc',
        'exec',
        '--name',
        'plusone',
        '--env',
        'test',
        '--container',
        'plusone',
        '--command',
        'node -p process.version',
      ];
      expect(await succeeds('copilot', {}, words)).to.match(/v24\./);
    });

    it('keeps the password out of the task definition and of the log', async () => {
      const value = z.object({ Parameter: z.object({ Value: z.string() }) });
      const name = cloud.passwordParameter(target);
      const { Parameter } = await cloud.aws(value, 'ssm', 'get-parameter', '--with-decryption', '--name', name);
      const definition = await output('aws', [
        'ecs',
        'describe-task-definition',
        '--task-definition',
        'plusone-test-plusone',
      ]);
      const log = await output('aws', [
        'logs',
        'filter-log-events',
        '--log-group-name',
        '/copilot/plusone-test-plusone',
      ]);
      expect(log).to.contain('rehearsal-follows');
      expect(definition + log).not.to.contain(Parameter.Value);
    });
  });

  describe('a second release', () => {
    it('is shown by infra-plan before', async () => {
      workspace.declare({ 'variables.LOG_LEVEL': 'debug' });
      const plan = await succeeds('tools/aws/infra-plan.ts');
      expect(plan).to.contain('"info" -> "debug"');
      expect(plan).to.contain('addons: no changes');
    });

    it('fails no request, and has the change', async () => {
      workspace.edit('package.json', (text) => text.replace(/"version": ".*"/, '"version": "99.0.0"'));
      process.stdout.write(
        await succeeds('tools/drills/main.ts', { YES: '1' }, ['rolling-release', '--target', 'aws']),
      );
      expect(await version()).to.equal('99.0.0');
    });
  });

  describe('a release that cannot start', () => {
    it('is rolled back with the reason, while the previous one continues to serve', async () => {
      process.stdout.write(await succeeds('tools/drills/main.ts', { YES: '1' }, ['bad-release', '--target', 'aws']));
      expect(await version()).to.equal('99.0.0');
    });
  });

  describe('rotate-password', () => {
    const parameter = z.object({ Parameter: z.object({ Value: z.string(), Version: z.number() }) });
    const password = () =>
      cloud.aws(parameter, ...['ssm', 'get-parameter', '--with-decryption', '--name', cloud.passwordParameter(target)]);

    it('changes the database password and prints neither', async () => {
      const before = await password();
      const said = await succeeds('tools/aws/rotate-password.ts', { YES: '1' });
      const after = await password();
      expect(after.Parameter.Version).to.equal(2);
      expect(after.Parameter.Value).not.to.equal(before.Parameter.Value);
      expect(said).not.to.contain(before.Parameter.Value).and.not.to.contain(after.Parameter.Value);
    });

    it('changes the password of an Aurora cluster, too', async () => {
      await succeeds('tools/aws/rotate-password.ts', { YES: '1', ENV: 'prod' });
    });

    it('does not replace running tasks', async () => {
      const address = await url();
      for (let i = 0; i < 20; i++) expect((await fetch(`${address}/hello/nobody`)).status).to.equal(404);
    });
  });

  describe('Copilot itself, as in the README', () => {
    const deploy = 'copilot deploy --env test';
    const status = 'copilot svc status --env test';
    const logs = 'copilot svc logs --env test --follow';
    const releases = [
      { name: 'a first release', environment: 'prod', is: '100.0.0' },
      { name: 'a further release, whose tasks log in with the new password', environment: 'test', is: '101.0.0' },
    ] as const;

    for (const { name, environment, is } of releases) {
      const inIt = (line: string) => line.replace('test', environment);

      it(`deploys ${name}, tagged with the commit`, async () => {
        workspace.edit('package.json', (text) => text.replace(/"version": ".*"/, `"version": "${is}"`));
        const commit = workspace.commit();
        await types(inIt(deploy));
        // An image has several tags, of which `list-images` of an emulator may give one.
        const described = z.object({ imageDetails: z.array(z.object({ imageTags: z.array(z.string()).default([]) })) });
        const repository = ['--repository-name', 'plusone/plusone'];
        const { imageDetails } = await cloud.aws(described, 'ecr', 'describe-images', ...repository);
        const tags = imageDetails.flatMap(({ imageTags }) => imageTags);
        expect(tags).to.satisfy(() => tags.some((tag) => tag.length < commit.length && commit.startsWith(tag)));
        await until(async () => expect(await version(environment)).to.equal(is));
      });

      it(`shows the status of ${name}`, async () => {
        await until(async () => expect(await types(inIt(status))).to.match(/\bRUNNING\b.*\bHEALTHY\b/));
      });

      it(`follows the log of ${name}`, async () => {
        const [program = '', ...words] = inIt(logs).split(' ');
        await follows(workspace.start(program, words), await url(environment), `copilot-follows-${environment}`);
      });
    }
  });

  describe('paging and scaling', () => {
    before(async function () {
      if (isBroken()) skip(this, 'a step before it failed');
      if (!isEmulated) skip(this, 'these drills need an emulator');
      // From one task, and without the schedule, which a fast clock could reach at any moment.
      workspace.declare({ 'environments.test.count.range': '1-3' });
      workspace.edit(
        'copilot/plusone/overrides/cfn.patches.yml',
        (text) => text.split('# Three tasks before')[0] ?? '',
      );
      await succeeds('tools/aws/publish.ts', { AWS_ACCOUNT: account });
    });

    for (const drill of ['nobody-answers', 'queue-grows', 'slow-database', 'scaler-broken']) {
      it(`passes the drill ${drill}`, async function () {
        this.timeout('20m');
        process.stdout.write(
          await succeeds('tools/drills/main.ts', { YES: '1' }, [drill, '--target', 'aws', '--quick']),
        );
      });
    }

    it('is shown by scale-status, with the reasons', async () => {
      const said = await succeeds('tools/aws/scale-status.ts');
      expect(said).to.match(/^desired 1, running 1, from 1 to 3$/m);
      expect(said).to.match(/waiting [\d.]+, executing [\d.]+, .*\n +.*waiting per executing/);
    });
  });

  describe('infra-destroy', () => {
    before(async () => {
      if (isBroken() || !isEmulated) return;
      // This emulator cannot delete the log of a function that writes to it at that moment, as the scaler may.
      const rules = z.object({ Rules: z.array(z.object({ Name: z.string() })) });
      const { Rules } = await cloud.aws(rules, 'events', 'list-rules');
      for (const { Name } of Rules) await output('aws', ['events', 'disable-rule', '--name', Name]);
      await sleep(5_000);
    });

    it('changes nothing without confirmation', async () => {
      expect(await refuses('tools/aws/infra-destroy.ts')).to.contain('Are you sure? Not a terminal');
    });

    it('requires more than YES=1 for prod', async () => {
      expect(await refuses('tools/aws/infra-destroy.ts', { ENV: 'prod', YES: '1' })).to.contain('set YES=prod');
    });

    it('leaves a snapshot of the database of prod', async () => {
      const said = await succeeds('tools/aws/infra-destroy.ts', { ENV: 'prod', YES: 'prod' });
      const [, command = ''] = /snapshot plusone-prod-\S+ \(available\): aws (.+)/.exec(said) ?? [];
      expect(command, said).to.contain('delete-db-cluster-snapshot');
      if (isEmulated) await output('aws', command.split(' '));
    });

    it('deletes everything with the last environment', async () => {
      await succeeds('tools/aws/infra-destroy.ts', { YES: '1' });
      for (const name of ['plusone-test', 'plusone-test-plusone', 'plusone-prod', 'plusone-infrastructure-roles']) {
        expect(await cloud.stack(name), name).to.equal(undefined);
      }
      // Others may have applications of their own in the account.
      const parameters = z.object({ Parameters: z.array(z.object({ Name: z.string() })) });
      const all = await cloud.aws(parameters, 'ssm', 'get-parameters-by-path', '--recursive', '--path', '/copilot');
      const names = all.Parameters.map(({ Name }) => Name);
      expect(names.filter((name) => name.split('/').includes(target.application))).to.deep.equal([]);
    });

    it('does nothing if nothing exists', async () => {
      expect(await succeeds('tools/aws/infra-destroy.ts', { YES: '1' })).to.contain('nothing to do');
    });

    it('does not change the workspace', () => {
      expect(existsSync(join(workspace.folder, 'copilot/.workspace'))).to.equal(true);
    });
  });

  describe('the rehearsal as a whole', () => {
    it('ran every command of the README for AWS', () => {
      const programs = commandsTypedBy('test/rehearsal/rehearsal.test.ts').map(programOf);
      expect(programs).to.not.be.empty;
      expect(programs.filter((program) => !workspace.started.includes(program))).to.deep.equal([]);
    });
  });

  /**
   * Has the service and the scaler go by the emulator's clock: a minute of CloudWatch lasts CLOUDWATCH_MINUTE seconds there.
   * Also names the target group as its metrics do; the emulator's template function leaves out the beginning.
   */
  function followClock(): void {
    const seconds = process.env.CLOUDWATCH_MINUTE || '60';
    workspace.declare({ 'variables.PULSE_SECONDS': Math.ceil(Number(seconds) / 3) });
    workspace.edit('copilot/plusone/addons/scaler.yml', (text) =>
      text.replace(/^( +)SCALER_THRESHOLDS: .*$/m, `$&\n$1SCALER_MINUTE_SECONDS: '${seconds}'`),
    );
    workspace.edit('copilot/plusone/addons/addons.parameters.yml', (text) =>
      text.replace(
        '!GetAtt TargetGroup.TargetGroupFullName',
        () => `!Sub targetgroup/\${TargetGroup.TargetGroupFullName}`,
      ),
    );
  }

  /** Types a command as README shows it; gives back what it said. */
  async function types(line: string): Promise<string> {
    const [program = '', ...words] = line.split(' ');
    return await succeeds(program, {}, words);
  }

  /** Requests something until a follower of the log shows it, for 20 seconds; ends the follower. */
  async function follows(follower: ReturnType<Workspace['start']>, address: string, id: string): Promise<void> {
    try {
      await sleep(3_000);
      for (let i = 0; i < 20 && !follower.output().includes(id); i++) {
        await fetch(`${address}/hello/nobody`, { headers: { 'x-request-id': id } });
        await sleep(1_000);
      }
      expect(follower.output()).to.contain(id);
    } finally {
      follower.stop();
    }
  }

  async function tasks() {
    const { outputs } = (await cloud.stack('plusone-test')) ?? expect.fail('there is no environment');
    const cluster = ['--cluster', outputs.ClusterId ?? ''];
    const { taskArns } = await cloud.aws(z.object({ taskArns: z.array(z.string()) }), 'ecs', 'list-tasks', ...cluster);
    const health = z.object({ tasks: z.array(z.object({ lastStatus: z.string(), healthStatus: z.string() })) });
    return (await cloud.aws(health, 'ecs', 'describe-tasks', ...cluster, '--tasks', ...taskArns)).tasks;
  }

  /** Tries until it holds, for a minute. */
  async function until(holds: () => Promise<unknown>): Promise<void> {
    for (const end = Date.now() + 60_000; ; await sleep(1_000)) {
      try {
        await holds();
        return;
      } catch (error) {
        if (Date.now() > end) throw error;
      }
    }
  }
});

const packaged = z.object({ Parameters: z.object({ ContainerImage: z.string() }) });

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}
