import { CreateChangeSetCommand } from '@aws-sdk/client-cloudformation';
import { expect } from 'chai';
import type { Session } from '../../eject/apply.ts';
import { applyStep, checkStep, undoStep } from '../../eject/run-steps.ts';
import { type Change, changes, type StepName } from '../../eject/steps.ts';
import { type Entry, FakeCloudFormation, memoryJournal } from './cloudformation.ts';
import { inventory } from './stacks.ts';

describe('a step that is applied', function () {
  // Each update is asked about every two seconds.
  this.timeout('60s');
  let cloud: FakeCloudFormation;
  let session: Session;
  let all: Change[];
  let said: string[];
  let entries: Entry[];
  let answer: () => void;

  beforeEach(() => {
    const planned = inventory('web');
    cloud = new FakeCloudFormation(planned.stacks);
    said = [];
    entries = [];
    answer = () => {};
    const journal = memoryJournal(entries);
    const say = (line: string) => void said.push(line);
    const confirm = async () => answer();
    session = { clients: cloud.clients(), inventory: planned, journal, say, confirm };
    all = changes(planned);
  });

  const of = (step: StepName) => all.filter((change) => change.step === step);
  const apply = (step: StepName) => applyStep(session, all, of(step));

  async function refusal(work: Promise<void>): Promise<string> {
    return await work.then(
      () => expect.fail('it was not refused'),
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
  }

  it('sets a policy that denies before the change set is executed, and allows everything afterwards', async () => {
    await apply('pin').catch(() => {});
    cloud.calls.length = 0;
    await apply('retain');
    expect(cloud.calls.filter((call) => call.endsWith('shop-test'))).to.deep.equal([
      'DeleteChangeSet shop-test',
      'CreateChangeSet shop-test',
      'SetStackPolicy shop-test',
      'ExecuteChangeSet shop-test',
      'SetStackPolicy shop-test',
    ]);
    expect(cloud.policies.get('shop-test')).to.not.contain('Deny');
  });

  it('restores an earlier stack policy', async () => {
    const policy = '{"Statement":[{"Effect":"Deny","Action":"Update:Delete","Principal":"*","Resource":"*"}]}';
    const [environment] = of('retain');
    if (environment) environment.stack.policy = policy;
    await apply('retain');
    expect(cloud.policies.get('shop-test')).to.equal(policy);
  });

  it('changes nothing when the answer is no', async () => {
    answer = () => {
      throw new Error('no');
    };
    await refusal(apply('retain'));
    expect(cloud.calls.filter((call) => /^(Execute|Set)/.test(call))).to.deep.equal([]);
  });

  it('leaves no denying policy without permission to execute, and continues once there is permission', async () => {
    cloud.failing = 'ExecuteChangeSetCommand';
    expect(await refusal(apply('retain'))).to.contain('AccessDenied');
    expect(cloud.policies.get('shop-test')).to.not.contain('Deny');
    cloud.failing = undefined;
    await apply('retain');
    expect(said.filter((line) => line.endsWith('the physical resources are the same'))).to.have.length(2);
  });

  it('waits for an update that does not show at once, and allows everything only after it', async () => {
    cloud.unnoticed = 3;
    cloud.polls = 1;
    const statuses: (string | undefined)[] = [];
    cloud.onCall = () => {
      if (cloud.policies.get('shop-test')?.includes('Deny')) statuses.push(cloud.stacks.get('shop-test')?.status);
    };
    await apply('retain');
    expect(statuses).to.include('UPDATE_IN_PROGRESS');
    expect(statuses.at(-1)).to.equal('UPDATE_COMPLETE');
    expect(said).to.include('retain of shop-test: done; the physical resources are the same');
  });

  it('says so when CloudFormation rolls the update back', async () => {
    cloud.outcome = 'UPDATE_ROLLBACK_COMPLETE';
    expect(await refusal(apply('retain'))).to.match(/^shop-test is UPDATE_ROLLBACK_COMPLETE/);
    expect(cloud.policies.get('shop-test')).to.not.contain('Deny');
  });

  it('restores the policy of a run that was killed after it had executed', async () => {
    const [first] = of('retain');
    const stack = cloud.stacks.get('shop-test');
    if (!first || !stack) return expect.fail('no stack');
    cloud.stacks.set('shop-test', { ...stack, template: first.to.text() });
    cloud.policies.set('shop-test', '{"Statement":[{"Effect":"Deny"}]}');
    entries.push({ event: 'execute', stack: 'shop-test' });
    await apply('retain');
    expect(said).to.include('retain of shop-test: done already');
    expect(cloud.policies.get('shop-test')).to.not.contain('Deny');
  });

  it('refuses a stack in which another deployment is in progress', async () => {
    const stack = cloud.stacks.get('shop-test');
    if (stack) cloud.stacks.set('shop-test', { ...stack, status: 'UPDATE_IN_PROGRESS' });
    expect(await refusal(apply('retain'))).to.equal(
      'shop-test is UPDATE_IN_PROGRESS: a deployment is in progress; wait for it',
    );
  });

  it('refuses a stack in a failed state', async () => {
    const stack = cloud.stacks.get('shop-test');
    if (stack) cloud.stacks.set('shop-test', { ...stack, status: 'UPDATE_ROLLBACK_FAILED' });
    expect(await refusal(apply('retain'))).to.equal(
      'shop-test is UPDATE_ROLLBACK_FAILED: bring it to a complete state first',
    );
  });

  it('leaves no denying policy when another deployment begins after the check', async () => {
    answer = () => {
      const stack = cloud.stacks.get('shop-test');
      if (stack) cloud.stacks.set('shop-test', { ...stack, status: 'UPDATE_IN_PROGRESS' });
    };
    expect(await refusal(apply('retain'))).to.contain('shop-test is in UPDATE_IN_PROGRESS state');
    expect(cloud.policies.get('shop-test')).to.not.contain('Deny');
  });

  it('never executes the change set of another run', async () => {
    const { cloudFormation } = cloud.clients();
    const calls: Promise<unknown>[] = [];
    answer = () => {
      const other = { StackName: 'shop-test', ChangeSetName: 'plusone-eject-retain', TemplateBody: 'Resources: {}' };
      calls.push(cloudFormation.send(new CreateChangeSetCommand(other)));
    };
    const before = cloud.stacks.get('shop-test')?.template;
    expect(await refusal(apply('retain'))).to.contain('ChangeSetNotFound');
    expect(calls).to.have.length(1);
    expect(cloud.stacks.get('shop-test')?.template).to.equal(before);
    expect(cloud.policies.get('shop-test')).to.not.contain('Deny');
  });

  it('refuses to take the parameters from the environment while a service that came since needs them', async () => {
    for (const step of ['retain', 'pin', 'detach', 'drop'] as const) await apply(step);
    const [, late] = inventory('late').stacks;
    if (late) cloud.stacks.set(late.name, late);
    expect(await refusal(apply('environment'))).to.match(/^shop-test-late: deployed since 2026-.*run plan again/);
  });

  describe('with a template of more than 51,200 bytes', () => {
    const padding = `# ${'x'.repeat(51_200)}\n`;

    function withPadding(template: (original: string) => string): void {
      const planned = inventory('web');
      const stacks = planned.stacks.map((stack) => ({ ...stack, template: template(stack.template) }));
      cloud = new FakeCloudFormation(stacks);
      session = { ...session, clients: cloud.clients(), inventory: { ...planned, stacks } };
      all = changes(session.inventory);
    }

    it("goes by way of Copilot's bucket", async () => {
      withPadding((template) => `${template}${padding}`);
      expect(await refusal(apply('retain'))).to.contain('its bucket is not known');
      withPadding((template) =>
        template.replace(
          'Resources:\n',
          `Resources:\n  Code:\n    Type: X::Y::Z\n    Properties:\n      S3Bucket: stackset-bucket\n  ${padding}`,
        ),
      );
      await apply('retain');
      expect([...cloud.uploads.keys()][0]).to.match(
        /^https:\/\/stackset-bucket\.s3\.us-west-2\.amazonaws\.com\/plusone-eject\/shop-test\/\d+\.yml$/,
      );
      expect(cloud.stacks.get('shop-test')?.template).to.contain('plusone:eject: retain');
    });
  });

  it('refuses a stack that was deployed by another tool, has lost its tags, or was created again', async () => {
    const stack = cloud.stacks.get('shop-test');
    if (!stack) return expect.fail('no stack');
    cloud.stacks.set('shop-test', { ...stack, template: stack.template.replace('10.0.0.0', '10.1.0.0') });
    expect(await refusal(apply('retain'))).to.contain('something else deployed it since');
    cloud.stacks.set('shop-test', { ...stack, tags: {} });
    expect(await refusal(apply('retain'))).to.contain('the tags of the stack are not those of the inventory');
    cloud.stacks.set('shop-test', { ...stack, id: 'arn:another' });
    expect(await refusal(apply('retain'))).to.contain('is a different stack from the one in the inventory');
  });

  it('says which other stack was released since, when a step depends on it', async () => {
    for (const step of ['retain', 'pin', 'detach', 'drop'] as const) await apply(step);
    const stack = cloud.stacks.get('shop-test-web');
    if (stack) cloud.stacks.set('shop-test-web', { ...stack, template: stack.template.replace('a service', 'v2') });
    expect(await refusal(apply('environment'))).to.match(
      /^shop-test-web: .*something else deployed it since.*run plan/,
    );
  });

  it('refuses when a service has taken itself out of the environment since the plan', async () => {
    await apply('retain');
    const stack = cloud.stacks.get('shop-test');
    if (stack) cloud.stacks.set('shop-test', { ...stack, parameters: { ...stack.parameters, ALBWorkloads: '' } });
    expect(await refusal(apply('pin'))).to.contain('PublicLoadBalancer would be created');
  });

  it('refuses steps out of order, in both directions', async () => {
    await apply('retain');
    expect(await refusal(apply('detach'))).to.equal('detach of shop-test-web needs pin of shop-test first');
    expect(await refusal(apply('drop'))).to.contain('the stack is after retain');
    await apply('pin');
    await apply('detach');
    expect(await refusal(undoStep(session, all, of('pin')))).to.equal(
      'undo detach of shop-test-web before pin of shop-test',
    );
    expect(await refusal(undoStep(session, all, of('retain')))).to.match(
      /before retain of shop-test|the stack is after/,
    );
  });

  it('is checked without being applied', async () => {
    await checkStep(session, all, of('retain'));
    expect(cloud.calls.some((call) => /^(Execute|Set)/.test(call))).to.equal(false);
    expect(cloud.calls.at(-1)).to.equal('DeleteChangeSet shop-test-web');
  });
});
