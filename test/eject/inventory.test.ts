import { expect } from 'chai';
import { type DeployedStack, parseInventory, refusals } from '../../eject/inventory.ts';
import { report } from '../../eject/report.ts';
import { changes } from '../../eject/steps.ts';
import { inventory, manifest, serviceTemplate } from './stacks.ts';

const manifests = new Map([['web', manifest]]);

function refused(change: Partial<DeployedStack>, of = 'shop-test-web'): string[] {
  const { stacks, ...rest } = inventory('web');
  const changed = stacks.map((stack) => (stack.name === of ? { ...stack, ...change } : stack));
  return refusals({ ...rest, stacks: changed }, manifests);
}

describe('the inventory', () => {
  it('is the same when it comes out of its file', () => {
    const deployed = inventory('web', 'api');
    expect(parseInventory(JSON.stringify(deployed))).to.deep.equal(deployed);
  });

  it('refuses nothing of what is known', () => {
    expect(refused({})).to.deep.equal([]);
  });

  it('refuses stacks in a failed state and other deployments', () => {
    expect(refused({ status: 'UPDATE_IN_PROGRESS' })).to.deep.equal([
      'shop-test-web is UPDATE_IN_PROGRESS: a deployment is in progress; wait for it',
    ]);
    expect(refused({ status: 'UPDATE_ROLLBACK_FAILED' })[0]).to.match(/^shop-test-web is UPDATE_ROLLBACK_FAILED/);
  });

  it('refuses services that were changed beside their stack, and resources that were deleted, but no other count', () => {
    const resources = { Service: { type: 'AWS::ECS::Service', physicalId: 'arn' } };
    expect(refused({ resources, drift: { Service: ['/DesiredCount', '/TaskDefinition'] } })).to.deep.equal([
      'shop-test-web: Service was changed outside the stack (/TaskDefinition): deploy with Copilot to correct it',
    ]);
    expect(refused({ resources, drift: { Service: ['/DesiredCount'], LogGroup: ['/Tags'] } })).to.deep.equal([]);
    expect(refused({ drift: { LogGroup: 'deleted' } })[0]).to.match(
      /^shop-test-web: LogGroup was deleted outside the stack/,
    );
  });

  it('refuses templates of other versions and with macros', () => {
    expect(refused({ template: serviceTemplate.replace('v1.34.1', 'v1.30.0') })[0]).to.match(
      /^shop-test-web: its template is of Copilot v1.30.0/,
    );
    expect(refused({ template: `${serviceTemplate}Transform: AWS::LanguageExtensions\n` })).to.deep.equal([
      'shop-test-web: the template has a Transform, which is not supported',
    ]);
  });

  it('refuses custom resources that it does not know, with stack and resource', () => {
    const template = serviceTemplate.replace('Custom::RulePriorityFunction', 'Custom::Mine');
    expect(refused({ template })).to.deep.equal([
      'shop-test-web: HTTPRulePriorityAction: Custom::Mine is not a custom resource of Copilot v1.34.1',
    ]);
  });

  it('refuses custom resources that exist and that nothing replaces yet', () => {
    const resources = { HTTPSCert: { type: 'Custom::CertificateValidationFunction', physicalId: 'arn:certificate' } };
    expect(refused({ resources }, 'shop-test')[0]).to.match(
      /^shop-test: HTTPSCert: Custom::CertificateValidationFunction can't be replaced/,
    );
  });

  it('refuses other types of workloads', () => {
    const template = serviceTemplate.replace('Load Balanced Web Service', 'Static Site');
    expect(refused({ template }).join('\n')).to.contain('shop-test-web: the type Static Site is not supported');
  });

  it('refuses stacks whose tags are gone', () => {
    expect(refused({ tags: {} })).to.have.length(3);
    expect(refused({ tags: {} })[0]).to.match(/^shop-test-web: the tag copilot-application is missing, expected shop/);
  });

  it('refuses a workspace that is not the one that was deployed', () => {
    expect(refusals(inventory('web'), new Map())).to.deep.equal([
      'shop-test-web: the workspace has no manifest for web: use the workspace that was deployed',
    ]);
    expect(refusals(inventory('web'), new Map([['web', `${manifest}cpu: 512\n`]]))[0]).to.match(
      /^shop-test-web: the manifest of web/,
    );
    expect(refusals(inventory('web'), new Map([['web', `${manifest.replaceAll('\n', '  \n')}\n`]]))).to.deep.equal([]);
  });

  it('refuses a domain', () => {
    const [environment] = inventory('web').stacks;
    const parameters = { ...environment?.parameters, AppDNSName: 'example.com' };
    expect(refused({ parameters }, 'shop-test')).to.deep.equal([
      'shop-test: the application has the domain example.com: domains are not supported by this version',
    ]);
  });
});

describe('the report', () => {
  it('names what the removal of the last user of the load balancer would destroy', () => {
    const one = inventory('web');
    expect(report(one, changes(one), [])).to.contain(
      'shop-test-web, **EnvControllerAction**: its function would delete HttpGroup, PublicLoadBalancer, HTTPListener of shop-test.',
    );
    const two = inventory('web', 'api');
    const text = report(two, changes(two), []);
    expect(text).to.contain('shop-test-web, EnvControllerAction: nothing while other services use the same parts');
    expect(text).to.contain('After the last service these would be gone: HttpGroup, PublicLoadBalancer, HTTPListener.');
  });
});
