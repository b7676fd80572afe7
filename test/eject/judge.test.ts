import type { Change } from '@aws-sdk/client-cloudformation';
import { expect } from 'chai';
import { type DeployedStack, type Inventory, refusals } from '../../eject/inventory.ts';
import { difference, judge } from '../../eject/judge.ts';
import { changes, contextOf, nothing, reversed, type Change as StepChange } from '../../eject/steps.ts';
import { Template } from '../../eject/template.ts';
import { inventory, manifest } from './stacks.ts';

const deployed = inventory('api', 'web');
const all = changes(deployed);
const find = (step: string, stack: string) => {
  const found = all.find((change) => change.step === step && change.stack.name === stack);
  if (!found) throw new Error(`no ${step} of ${stack}`);
  return found;
};
const reported = (
  Action: 'Add' | 'Modify' | 'Remove',
  LogicalResourceId: string,
  rest: Change['ResourceChange'] = {},
): Change => ({
  ResourceChange: { Action, LogicalResourceId, ResourceType: 'AWS::ECS::TaskDefinition', ...rest },
});
const template = (properties: string, type = 'AWS::ElasticLoadBalancingV2::TargetGroup') =>
  new Template(`Resources:\n  A:\n    Type: ${type}\n    Properties: ${properties}\n`, 't');

const certificate = 'arn:aws:acm:us-west-2:123456789012:certificate/1';

/** What makes the certificate of an application with a domain. */
const requested = {
  HTTPSCert: { type: 'Custom::CertificateValidationFunction', physicalId: certificate },
  CertificateFunction: { type: 'AWS::Lambda::Function', physicalId: 'certificates' },
};

/** A service behind HTTPS; `of` is the listener's certificate as the template has it. */
function behindHttps(
  of: string,
  parameters: Readonly<Record<string, string>> = {},
  resources: DeployedStack['resources'] = {},
): Inventory {
  const https = inventory('web');
  const arn = 'arn:aws:elasticloadbalancing:us-west-2:123456789012:listener/app/balancer/1/3';
  const name = 'shop-test-HTTPSListenerArn';
  const stacks = https.stacks.map((stack) => {
    if (stack.kind === 'environment')
      return {
        ...stack,
        template: stack.template
          .replace(
            / {2}FileSystem:/,
            `  HTTPSListener:\n    Type: AWS::ElasticLoadBalancingV2::Listener\n    Condition: ExportHTTPSListener\n    Properties:\n      LoadBalancerArn: !Ref PublicLoadBalancer\n      Certificates: [{CertificateArn: ${of}}]\n  CertificateFunction:\n    Type: AWS::Lambda::Function\n    Condition: DelegateDNS\n  FileSystem:`,
          )
          .replace('arn:aws:lambda:us-west-2:123456789012:function:certificates', '!GetAtt CertificateFunction.Arn')
          .replace(
            /Outputs:\n/,
            `Outputs:\n  HTTPSListenerArn:\n    Condition: ExportHTTPSListener\n    Value: !Ref HTTPSListener\n    Export: { Name: !Sub '\${AWS::StackName}-HTTPSListenerArn' }\n`,
          ),
        parameters: { ...stack.parameters, CreateHTTPSListener: 'true', ...parameters },
        outputs: { ...stack.outputs, HTTPSListenerArn: { value: arn, exportName: name } },
        resources: {
          ...stack.resources,
          HTTPSListener: { type: 'AWS::ElasticLoadBalancingV2::Listener', physicalId: arn },
          ...resources,
        },
      };
    const template = stack.template
      .replaceAll('HTTPRulePriorityAction', 'HTTPSRulePriorityAction')
      .replaceAll('HTTPListener', 'HTTPSListener');
    return { ...stack, template, priorities: { HTTPSListenerRule: '100' } };
  });
  return { ...https, stacks, exports: { ...https.exports, [name]: arn } };
}

/** Expects that nothing is refused, neither by the plan nor in any step; gives back the steps. */
function allowedSteps(deployed: Inventory): StepChange[] {
  expect(refusals(deployed, new Map([['web', manifest]]))).to.deep.equal([]);
  const steps = changes(deployed);
  for (const change of steps)
    expect(judge(change, { before: contextOf(deployed, change.stack) }, undefined).problems, change.step).to.be.empty;
  return steps;
}

describe('the judge', () => {
  it('allows every step of two services', () => {
    for (const change of all) {
      const { problems } = judge(change, { before: contextOf(deployed, change.stack) }, undefined);
      expect(problems, `${change.step} of ${change.stack.name}`).to.deep.equal([]);
    }
  });

  it('allows every step of a service behind HTTPS with an imported certificate', () => {
    const steps = allowedSteps(behindHttps(certificate));
    const last = steps.at(-1)?.to.resources().get('HTTPSListener');
    expect(last).to.include({ condition: undefined, deletionPolicy: 'Retain' });
  });

  it('allows every step of an application with a domain, whose certificate stays with its ARN', () => {
    const behind = behindHttps('!Ref HTTPSCert', { AppDNSName: 'example.com' }, requested);
    const steps = allowedSteps(behind);
    const [last] = steps.slice(-1);
    expect(last?.expected.removed).to.have.members(['HTTPSCert', 'CertificateFunction']);
    const left = last?.to.resources();
    expect([left?.has('HTTPSCert'), left?.has('CertificateFunction')]).to.deep.equal([false, false]);
    expect(left?.get('HTTPSListener')?.properties.Certificates).to.deep.equal([{ CertificateArn: certificate }]);
  });

  it('allows another certificate only where the step that removed its custom resource is undone', () => {
    const behind = behindHttps('!Ref HTTPSCert', { AppDNSName: 'example.com' }, requested);
    const [last] = changes(behind).slice(-1);
    if (!last) return expect.fail('no step');
    const left = Object.fromEntries(Object.entries(last.stack.resources).filter(([id]) => !(id in requested)));
    const before = contextOf(behind, { ...last.stack, resources: left });
    const back = reversed(last, 'another');
    expect(back.expected.modified).to.deep.equal({ HTTPSListener: ['Certificates'] });
    expect(judge(back, { before }, undefined).problems).to.deep.equal([]);
  });

  it('knows that an import has the value that the attribute had', () => {
    const change = find('detach', 'shop-test-web');
    const { modified } = difference(change.from, change.to, contextOf(deployed, change.stack));
    expect([...modified]).to.deep.equal([['Service', ['DesiredCount']]]);
  });

  it('refuses an import with another value than the attribute had', () => {
    const change = find('detach', 'shop-test-web');
    const exports = { ...deployed.exports, 'shop-test-PublicLoadBalancerDNS': 'another' };
    const before = contextOf({ ...deployed, exports }, change.stack);
    expect(judge(change, { before }, undefined).problems).to.deep.equal([
      'TaskDefinition would be changed: ContainerDefinitions',
      'TaskDefinition would be replaced: ContainerDefinitions',
    ]);
  });

  it('ignores a replacement in a change set when no value changes', () => {
    const change = find('detach', 'shop-test-web');
    const verdict = judge(change, { before: contextOf(deployed, change.stack) }, [
      reported('Modify', 'TaskDefinition', { Replacement: 'True' }),
    ]);
    expect(verdict.problems).to.deep.equal([]);
    expect(verdict.notes).to.have.length(1);
  });

  it('refuses what a change set adds or removes unexpectedly', () => {
    const change = find('drop', 'shop-test-web');
    const before = contextOf(deployed, change.stack);
    const { problems } = judge(change, { before }, [
      reported('Add', 'New'),
      reported('Remove', 'Service', { PhysicalResourceId: 'arn' }),
      reported('Remove', 'EnvControllerAction', { PhysicalResourceId: 'envcontroller' }),
    ]);
    expect(problems).to.deep.equal([
      "New (AWS::ECS::TaskDefinition): CloudFormation's change set says Add",
      "Service (AWS::ECS::TaskDefinition): CloudFormation's change set says Remove",
    ]);
  });

  it('allows a change set to remove a resource whose condition was false', () => {
    const change = find('environment', 'shop-test');
    const before = contextOf(deployed, change.stack);
    expect(judge(change, { before }, [reported('Remove', 'FileSystem')]).problems).to.deep.equal([]);
  });

  it('allows a change set to add only resources with a constant condition that is false', () => {
    const change = reversed(find('environment', 'shop-test'), 'another');
    const before = contextOf(deployed, change.stack);
    expect(judge(change, { before }, [reported('Add', 'FileSystem')]).problems).to.deep.equal([]);
    const open = { ...change, to: new Template(find('retain', 'shop-test').to.text(), 't') };
    expect(judge(open, { before }, [reported('Add', 'FileSystem')]).problems).to.have.length(1);
  });

  it('refuses to remove a custom resource that is not retained', () => {
    const { stack, to } = find('drop', 'shop-test-web');
    const detachedOnly = new Template(
      find('drop', 'shop-test-web').from.text().replaceAll('DeletionPolicy: Retain', 'DeletionPolicy: Delete'),
      't',
    );
    const expected = find('drop', 'shop-test-web').expected;
    const { problems } = judge({ from: detachedOnly, to, expected }, { before: contextOf(deployed, stack) }, undefined);
    expect(problems).to.include(
      'EnvControllerAction would be deleted without DeletionPolicy: Retain, and its function called',
    );
  });

  it('refuses to drop or change an export', () => {
    const { stack, from } = find('pin', 'shop-test');
    const before = contextOf(deployed, stack);
    const gone = from.copy();
    gone.delete(['Outputs', 'HTTPListenerArn']);
    expect(judge({ from, to: gone, expected: nothing }, { before }, undefined).problems).to.deep.equal([
      'the export shop-test-HTTPListenerArn would be removed',
    ]);
    const other = from.copy();
    other.set(['Outputs', 'HTTPListenerArn', 'Value'], 'x');
    expect(judge({ from, to: other, expected: nothing }, { before }, undefined).problems).to.deep.equal([
      'the export shop-test-HTTPListenerArn would change',
    ]);
  });

  it('knows which properties replace a resource, and assumes a replacement for unknown types', () => {
    const { stack } = find('pin', 'shop-test');
    const before = contextOf(deployed, stack);
    const replaced = (from: Template, to: Template) => [...difference(from, to, before).replaced];
    expect(replaced(template('{Port: 80}'), template('{Port: 81}'))).to.deep.equal(['A']);
    expect(replaced(template('{HealthCheckPath: /a}'), template('{HealthCheckPath: /b}'))).to.deep.equal([]);
    const [queue, topic] = ['AWS::SQS::Queue', 'AWS::SNS::Subscription'];
    expect(replaced(template('{VisibilityTimeout: 1}', queue), template('{VisibilityTimeout: 2}', queue))).to.be.empty;
    expect(replaced(template('{QueueName: a}', queue), template('{QueueName: b}', queue))).to.deep.equal(['A']);
    expect(replaced(template('{FilterPolicy: a}', topic), template('{FilterPolicy: b}', topic))).to.be.empty;
    expect(replaced(template('{X: 1}', 'AWS::New::Thing'), template('{X: 2}', 'AWS::New::Thing'))).to.deep.equal(['A']);
  });

  it('refuses a step if a controller has removed the load balancer meanwhile', () => {
    const { from, to, stack, expected } = find('pin', 'shop-test');
    const before = contextOf(deployed, { ...stack, parameters: { ...stack.parameters, ALBWorkloads: '' } });
    expect(judge({ from, to, expected }, { before }, undefined).problems).to.include(
      'PublicLoadBalancer would be created',
    );
  });
});

describe('undoing', () => {
  it('restores each template and keeps the running count', () => {
    for (const change of all) {
      const back = reversed(change, 'another');
      const before = contextOf(deployed, change.stack);
      expect(
        judge(back, { before }, undefined).problems.filter((line) => !line.includes('would be created')),
      ).to.deep.equal([]);
    }
    const { to } = reversed(find('detach', 'shop-test-web'), 'another');
    expect(to.resources().get('DynamicDesiredCountAction')?.properties.UpdateID).to.equal('another');
  });
});
