import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setGlobalProxyFromEnv } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { readTarget } from '../../tools/aws/command.ts';
import { Workspace } from '../../tools/aws/workspace-copy.ts';
import { type Edit, expectSameAsCopilot } from '../eject/differential.ts';
import { skipWithout } from '../skip.ts';
import { Ejection, missing } from './ejection.ts';
import { giveCredentials, trustDatabases } from './emulated.ts';
import { stepByStep } from './step-by-step.ts';

// Plusone itself, with its database, its addons and its overrides, is taken out of Copilot under load, released without
// it, and put back. Only an emulator will do: this destroys a load balancer on purpose.

// What is retained stays in the emulator: another run needs another name.
const application = `plus${randomBytes(2).toString('hex')}`;
const stack = `${application}-test`;

describe('Plusone, out of Copilot', function () {
  this.timeout('60m');
  let workspace: Workspace;
  let plusone: Ejection;

  before(async function () {
    const reason = await missing();
    if (reason) return skipWithout(this, 'aws', reason);
    const { RDS_CA } = process.env;
    if (!RDS_CA) throw new Error('RDS_CA is missing: name the file (PEM) of the CA of the databases');
    process.env.AWS_REGION = process.env.AWS_DEFAULT_REGION = readTarget({}).region;
    setGlobalProxyFromEnv();
    workspace = new Workspace();
    workspace.edit('copilot/.workspace', () => `application: ${application}\n`);
    trustDatabases(workspace, RDS_CA);
    giveCredentials(workspace);
    workspace.commit();
    plusone = new Ejection(workspace.folder, application, { services: ['plusone'] });
    const { code, output } = await workspace.run('tools/aws/infra-create.ts', [], { YES: '1' });
    expect(code, output).to.equal(0);
    plusone.release();
  });

  stepByStep();

  after(() => plusone?.remove());

  it('needs the steps: taking the controller out of a template by hand deletes the load balancer', async () => {
    plusone.ejects('plan');
    plusone.removeController('plusone');
    expect((await plusone.physicalIds()).get(`${stack} PublicLoadBalancer`)).to.equal(undefined);
    // With the load balancer, the parameters of the addons change, and the emulator can't update this nested stack.
    await plusone.deleteStack(`${stack}-plusone`);
    plusone.release();
  });

  it('is planned, with what the overrides did and what a removal by hand would destroy', () => {
    plusone.ejects('plan');
    plusone.ejects('write');
    const report = readFileSync(join(workspace.folder, 'ejected/test/REPORT.md'), 'utf8');
    expect(report).to.match(/\*\*EnvControllerAction\*\*: its function would delete .*PublicLoadBalancer/);
    expect(report).to.contain('copilot/plusone/overrides: its changes are already in the deployed template');
  });

  it('has edits of its manifest mapped to what Copilot and the overrides make of them', () => {
    const manifest = readFileSync(join(workspace.folder, 'copilot/plusone/manifest.yml'), 'utf8');
    expectSameAsCopilot(plusone, 'svc', 'plusone', manifest, edits);
  });

  it('takes all steps under load, killed after every call where custom resources are removed', async () => {
    const before = await plusone.physicalIds();
    const running = await plusone.running();
    const called = plusone.calls(before);
    const stop = await plusone.load('/livez');
    plusone.ejects('check', 'retain');
    expect(plusone.takes('plusone')).to.be.greaterThan(10);
    expect(await stop()).to.be.greaterThan(500);
    expect(await plusone.running()).to.deep.equal(running);
    expect(plusone.calls(before)).to.equal(called);
    const after = await plusone.physicalIds();
    for (const [id, physical] of after) expect(physical, id).to.equal(before.get(id));
    const removed = [...before.keys()].filter((id) => !after.has(id));
    for (const id of removed)
      expect(id).to.match(/(EnvController|RulePriority|DynamicDesiredCount)(Action|Function|Role|FunctionRole)$/);
    await plusone.expectOpenPolicies();
  });

  it('is undone step by step, after which Copilot deploys again, and all steps are taken again', async () => {
    const before = await plusone.physicalIds();
    const stop = await plusone.load('/livez');
    plusone.undoes();
    plusone.release();
    plusone.undoesAfterEach();
    plusone.ejects('plan');
    plusone.ejects('write');
    plusone.takes(undefined);
    await stop();
    const after = await plusone.physicalIds();
    for (const id of ['PublicLoadBalancer', 'HTTPListener', 'Cluster', 'Database'])
      expect(after.get(`${stack} ${id}`), id).to.equal(before.get(`${stack} ${id}`));
  });

  it('has a CDK app that synthesizes what is deployed', () => plusone.expectSameAsCdk());

  describe('without Copilot', () => {
    after(() => expect(plusone?.wasCopilotCalled()).to.not.equal(true));

    async function version(): Promise<unknown> {
      const answer = await fetch(await plusone.address(), { headers: { accept: 'application/json' } });
      return Object(await answer.json()).version;
    }

    function releases(to: string) {
      workspace.edit('package.json', (text) => text.replace(/"version": ".*"/, `"version": "${to}"`));
      const { status, output } = plusone.deploys('plusone', to);
      expect(status, output).to.equal(0);
    }

    it('releases an edited manifest and a new image without a failed request', async () => {
      const before = await plusone.physicalIds();
      const stop = await plusone.load('/livez');
      workspace.declare({ 'variables.LOG_LEVEL': 'debug', 'count.range': '2-4' });
      releases('99.0.0');
      await stop();
      expect(await version()).to.equal('99.0.0');
      const after = await plusone.physicalIds();
      const changed = [...after].filter(([id, physical]) => before.get(id) !== physical).map(([id]) => id);
      expect(changed).to.deep.equal([`${stack}-plusone TaskDefinition`]);
    });

    it('rolls a release that cannot start back, under load', async () => {
      const stop = await plusone.load('/livez');
      workspace.declare({ 'variables.DATABASE_TLS': 'nowhere.pem' });
      const { status, output } = plusone.deploys('plusone', '100.0.0');
      expect(status, output).to.equal(1);
      expect(output).to.contain(`${stack}-plusone is UPDATE_ROLLBACK_COMPLETE`);
      await stop();
      expect(await version()).to.equal('99.0.0');
      workspace.declare({ 'variables.DATABASE_TLS': 'src/rds-ca.pem' });
    });

    it('changes the scale, and goes back to an earlier version, by the buildspec of a pipeline', async () => {
      workspace.declare({ 'count.range': '1-2' });
      workspace.edit('package.json', (text) => text.replace(/"version": ".*"/, '"version": "98.0.0"'));
      const { status, output } = plusone.builds('0123456789abcdef0123456789abcdef01234567');
      expect(status, output).to.equal(0);
      expect(output).to.contain(`${stack}-plusone: released`);
      expect(await version()).to.equal('98.0.0');
    });

    it('shows what runs and its log, and runs a command in a task', () => {
      const of = ['--service', 'plusone'];
      expect(plusone.eject(['status', ...of], plusone.hidden()).output).to.match(/^[12] of [12] tasks run\nPRIMARY/);
      expect(plusone.eject(['logs', ...of], plusone.hidden()).output).to.match(/^copilot\/plusone\/\S+ \{"level":/m);
      const ran = plusone.eject(['exec', ...of, '--command', 'node -p process.version'], plusone.hidden());
      expect(ran.output).to.match(/v24\./);
    });
  });
});

/** What is edited in the manifest, by paths. */
const edits: readonly Edit[] = [
  { 'variables.LOG_LEVEL': 'debug', 'environments.test.cpu': 512, 'environments.test.memory': 1024 },
  { 'count.range': '1-5', 'count.cpu_percentage': 50, 'count.requests': 1000, 'count.cooldown.in': '5m' },
  { 'http.healthcheck.interval': '10s', 'http.deregistration_delay': '20s', 'image.healthcheck.retries': 5 },
  { secrets: { KEY: '/copilot/x/KEY' }, 'sidecars.migrate.secrets': { KEY: '/copilot/x/KEY' } },
  { exec: false, 'logging.retention': 7, 'sidecars.telemetry': { image: 'otel:1', essential: false } },
];
