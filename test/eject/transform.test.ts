import { expect } from 'chai';
import { contextOf } from '../../eject/steps.ts';
import { Template } from '../../eject/template.ts';
import { clean, detach, drop, pin, removable, retain } from '../../eject/transform.ts';
import { environmentTemplate, inventory, serviceTemplate } from './stacks.ts';

const environment = () => new Template(environmentTemplate, 'shop-test');
const service = () => new Template(serviceTemplate, 'shop-test-web');
const facts = {
  application: 'shop',
  environment: 'test',
  environmentExports: {
    HTTPListenerArn: 'shop-test-HTTPListenerArn',
    PublicLoadBalancerDNSName: 'shop-test-PublicLoadBalancerDNS',
  },
  priorities: { HTTPListenerRule: '50000' },
  physicalIds: {},
};

function context() {
  const deployed = inventory('web');
  const [stack] = deployed.stacks;
  if (!stack) throw new Error('no stack');
  return contextOf(deployed, stack);
}

describe('retain', () => {
  it('retains resources with data or an address and every custom resource, and nothing else', () => {
    const kept = [...retain(service()).resources()].filter(([, definition]) => definition.deletionPolicy === 'Retain');
    expect(kept.map(([id]) => id)).to.deep.equal([
      'LogGroup',
      'DynamicDesiredCountAction',
      'EnvControllerAction',
      'HTTPRulePriorityAction',
      'AddonsStack',
    ]);
    for (const [, definition] of kept) expect(definition.updateReplacePolicy).to.equal('Retain');
  });

  it('replaces another policy', () => {
    const template = new Template('Resources:\n  A:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: Delete\n', 't');
    expect(retain(template).resources().get('A')).to.include({
      deletionPolicy: 'Retain',
      updateReplacePolicy: 'Retain',
    });
  });

  it('changes no property', () => {
    const before = [...service().resources()].map(([id, { properties }]) => [id, properties]);
    expect([...retain(service()).resources()].map(([id, { properties }]) => [id, properties])).to.deep.equal(before);
  });
});

describe('pin', () => {
  it('makes constants of the conditions as they are, and keeps the parameters', () => {
    const pinned = pin(environment(), context());
    expect(pinned.section('Conditions')).to.deep.equal({
      CreateALB: { 'Fn::Equals': [true, true] },
      CreateEFS: { 'Fn::Equals': [true, false] },
      DelegateDNS: { 'Fn::Equals': [true, false] },
      ExportHTTPSListener: { 'Fn::Equals': [true, false] },
    });
    expect(pinned.section('Parameters')).to.deep.equal(environment().section('Parameters'));
    expect(pinned.section('Outputs')).to.deep.equal(environment().section('Outputs'));
  });

  it('changes the metadata, because CloudFormation refuses an update without a change', () => {
    expect(pin(environment(), context()).node(['Resources', 'VPC', 'Metadata'])).to.not.equal(undefined);
  });

  it('refuses a condition that depends on something unknown', () => {
    const text = environmentTemplate.replace('!Ref EFSWorkloads', '!Select [0, !GetAZs ""]');
    expect(() => pin(new Template(text, 'shop-test'), context())).to.throw('shop-test: the condition CreateEFS');
  });
});

describe('detach', () => {
  const detached = detach(service(), facts);
  const properties = (id: string) => detached.resources().get(id)?.properties;
  const listener = { 'Fn::ImportValue': { 'Fn::Sub': `\${AppName}-\${EnvName}-HTTPListenerArn` } };

  it('imports what the environment exports under its own name there', () => {
    expect(properties('HTTPListenerRule')?.ListenerArn).to.deep.equal(listener);
    expect(JSON.stringify(properties('TaskDefinition'))).to.contain(`\${AppName}-\${EnvName}-PublicLoadBalancerDNS`);
  });

  it('writes the priority as deployed', () => {
    expect(properties('HTTPListenerRule')?.Priority).to.equal(50000);
  });

  it('has no DesiredCount, so the running count stays', () => {
    expect(properties('Service')).to.have.keys('TaskDefinition', 'LaunchType');
  });

  it('removes custom resources from DependsOn and keeps the others', () => {
    expect(detached.resources().get('Service')?.dependsOn).to.deep.equal(['HTTPListenerRule']);
    expect(detached.resources().get('AddonsStack')?.dependsOn).to.deep.equal([]);
  });

  it('leaves the custom resources exactly as they are, so that their functions are not called', () => {
    const before = service().resources();
    for (const id of ['EnvControllerAction', 'HTTPRulePriorityAction', 'DynamicDesiredCountAction'])
      expect(detached.resources().get(id)).to.deep.equal(before.get(id));
  });

  it('keeps a fixed count', () => {
    const text = serviceTemplate.replace('!GetAtt DynamicDesiredCountAction.DesiredCount', '!Ref TaskCount');
    const count = detach(new Template(text, 't'), facts).resources().get('Service')?.properties.DesiredCount;
    expect(count).to.deep.equal({ Ref: 'TaskCount' });
  });

  it('refuses an attribute that has no export, a priority that is not known, and other custom resources', () => {
    expect(() => detach(service(), { ...facts, environmentExports: {} })).to.throw(
      'shop-test-web: EnvControllerAction.PublicLoadBalancerDNSName: the environment has no export for this',
    );
    expect(() => detach(service(), { ...facts, priorities: {} })).to.throw(
      'HTTPListenerRule uses HTTPRulePriorityAction.Priority',
    );
    const text = serviceTemplate.replace('Custom::RulePriorityFunction', 'Custom::TriggerStateMachine');
    expect(() => detach(new Template(text, 't'), facts)).to.throw(
      't: HTTPRulePriorityAction: Custom::TriggerStateMachine',
    );
  });

  describe('of a network load balancer with a domain', () => {
    const text = serviceTemplate.replace(
      '  AddonsStack:',
      `  NLBListener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      Certificates: [{CertificateArn: !Ref NLBCertValidatorAction}]
  NLBCertValidatorAction:
    Type: Custom::NLBCertValidatorFunction
    Properties: {ServiceToken: !GetAtt NLBCertValidatorFunction.Arn}
  NLBCertValidatorFunction:
    Type: AWS::Lambda::Function
    Properties: {Role: !GetAtt NLBCertValidatorRole.Arn}
  NLBCertValidatorRole:
    Type: AWS::IAM::Role
  AddonsStack:`,
    );
    const listener = (physicalId: string) => {
      const template = detach(new Template(text, 't'), {
        ...facts,
        physicalIds: { NLBCertValidatorAction: physicalId },
      });
      return { template, properties: template.resources().get('NLBListener')?.properties };
    };

    it('keeps the certificate by its ARN, and drops what requested it', () => {
      const arn = 'arn:aws:acm:us-west-2:123456789012:certificate/1';
      const { template, properties } = listener(arn);
      expect(properties?.Certificates).to.deep.equal([{ CertificateArn: arn }]);
      const left = [...drop(template).resources().keys()].filter((id) => id.startsWith('NLB'));
      expect(left).to.deep.equal(['NLBListener']);
    });

    it('refuses a physical id that is no certificate', () => {
      expect(() => listener('log-stream')).to.throw('t: NLBCertValidatorAction is log-stream, not a certificate');
    });
  });
});

describe('a template that an override changed', () => {
  const overridden = (more: string) => detach(new Template(serviceTemplate.replace('  TaskRole:', more), 'web'), facts);

  it('is refused where it uses a custom resource in another way than Copilot, with what to do', () => {
    const more =
      '  Topic:\n    Type: AWS::SNS::Topic\n    Properties: {TopicName: !Ref EnvControllerAction}\n  TaskRole:';
    expect(() => overridden(more)).to.throw(
      'web: Topic uses EnvControllerAction in a way that Copilot does not: take it out of the overrides',
    );
    expect(() => overridden(more.replace('!Ref EnvControllerAction', '!GetAtt EnvControllerAction.Mine'))).to.throw(
      'web: EnvControllerAction.Mine: the environment has no export for this: take it out of the overrides',
    );
  });

  it('keeps what the override added, and what it made of a property', () => {
    const more = '  Topic:\n    Type: AWS::SNS::Topic\n    Properties: {TopicName: mine}\n  TaskRole:';
    const left = drop(overridden(more)).resources();
    expect(left.get('Topic')?.properties).to.deep.equal({ TopicName: 'mine' });
  });
});

describe('drop', () => {
  const removed = [
    'DynamicDesiredCountAction',
    'DynamicDesiredCountFunction',
    'DynamicDesiredCountFunctionRole',
    'EnvControllerAction',
    'EnvControllerFunction',
    'EnvControllerRole',
    'RulePriorityFunction',
    'RulePriorityFunctionRole',
    'HTTPRulePriorityAction',
  ];

  it('removes the custom resources with their functions and roles, and nothing else', () => {
    const detached = detach(service(), facts);
    expect(removable(detached)).to.deep.equal(removed);
    const left = [...drop(detached).resources().keys()];
    expect(left).to.deep.equal([
      'LogGroup',
      'TaskDefinition',
      'TaskRole',
      'Service',
      'HTTPListenerRule',
      'AddonsStack',
    ]);
  });

  it('keeps a function that something else uses', () => {
    const text = serviceTemplate.replace(
      '  AddonsStack:',
      '  Permission:\n    Type: AWS::Lambda::Permission\n    Properties: {FunctionName: !Ref EnvControllerFunction}\n  AddonsStack:',
    );
    const left = drop(detach(new Template(text, 't'), facts)).resources();
    expect(left.has('EnvControllerFunction')).to.equal(true);
    expect(left.has('EnvControllerRole')).to.equal(true);
    expect(left.has('EnvControllerAction')).to.equal(false);
  });

  it('refuses a template that still uses a custom resource', () => {
    expect(() => drop(service())).to.throw('shop-test-web: something still uses');
  });
});

describe('clean', () => {
  const cleaned = clean(pin(environment(), context()), context());

  it('removes conditions, resources that they never created, and the parameters of the controller', () => {
    expect([...cleaned.resources().keys()]).to.deep.equal(['VPC', 'HttpGroup', 'PublicLoadBalancer', 'HTTPListener']);
    expect(cleaned.section('Conditions')).to.deep.equal({});
    expect(Object.keys(cleaned.section('Parameters'))).to.deep.equal(['AppName', 'EnvironmentName', 'AppDNSName']);
    expect(Object.keys(cleaned.section('Outputs'))).to.deep.equal([
      'HTTPListenerArn',
      'PublicLoadBalancerDNSName',
      'LastForceDeployID',
    ]);
  });

  it('replaces Fn::If by the branch that applies', () => {
    expect(cleaned.resources().get('PublicLoadBalancer')?.properties.SecurityGroups).to.deep.equal([
      { 'Fn::GetAtt': ['HttpGroup', 'GroupId'] },
    ]);
  });

  it('refuses a custom resource that exists and that nothing replaces', () => {
    const text = environmentTemplate
      .replace('Condition: DelegateDNS\n    DependsOn', 'DependsOn')
      .replace('Custom::CertificateValidationFunction', 'Custom::UniqueJSONValuesFunction');
    expect(() => clean(pin(new Template(text, 'e'), context()), context())).to.throw(
      'e: HTTPSCert: Custom::UniqueJSONValuesFunction',
    );
  });
});
