import { expect } from 'chai';
import { customResources } from '../../eject/copilot-resources.ts';
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

  it('refuses custom resources that exist and that nothing replaces, and says what to do', () => {
    const text = inventory('web').stacks[0]?.template ?? '';
    const template = text.replace('Custom::CertificateValidationFunction', 'Custom::UniqueJSONValuesFunction');
    const resources = { HTTPSCert: { type: 'Custom::UniqueJSONValuesFunction', physicalId: 'aliases' } };
    expect(refused({ template, resources }, 'shop-test')[0]).to.match(
      /^shop-test: HTTPSCert: Custom::UniqueJSONValuesFunction can't be replaced by this version: CloudFront .*leave/,
    );
    expect(refused({ template }, 'shop-test')).to.deep.equal([]);
  });

  it('says for each custom resource of Copilot what replaces it, or what to do instead', () => {
    for (const [type, { replacedBy, instead }] of Object.entries(customResources))
      expect(replacedBy ?? instead, type).to.be.a('string');
  });

  it('refuses other types of workloads, and says what to do', () => {
    for (const type of ['Static Site', 'Request-Driven Web Service']) {
      const template = serviceTemplate.replace('Load Balanced Web Service', type);
      expect(refused({ template }).join('\n')).to.match(
        new RegExp(`shop-test-web: the type ${type} is not supported .*: leave it with Copilot in another environment`),
      );
    }
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
});

describe('the manifest of the environment', () => {
  const [environment, ...rest] = inventory('web').stacks;
  const template = environment?.template.replace('Version:', "Manifest: 'name: test'\n  Version:") ?? '';
  const deployed = { ...inventory('web'), stacks: environment ? [{ ...environment, template }, ...rest] : [] };

  it('is the one that was deployed, or there is none', () => {
    expect(refusals(deployed, manifests, 'name: test # as deployed\n')).to.deep.equal([]);
    expect(refusals(deployed, manifests)).to.deep.equal([]);
    expect(refusals(deployed, manifests, 'name: test\ncdn: true\n')[0]).to.match(
      /^shop-test: the manifest of test in the workspace is not the one that was deployed: deploy it with Copilot/,
    );
  });
});

describe('the report', () => {
  it('names the certificates and records that no stack manages afterwards', () => {
    const [environment, ...rest] = inventory('web').stacks;
    if (!environment) return expect.fail('no environment');
    const resources = {
      HTTPSCert: { type: 'Custom::CertificateValidationFunction', physicalId: 'arn:certificate' },
      DelegateDNSAction: { type: 'Custom::DNSDelegationFunction', physicalId: 'test.shop.example.com' },
      CustomDomainAction: { type: 'Custom::CustomDomainFunction', physicalId: 'CustomDomainAction' },
    };
    const parameters = { ...environment.parameters, AppDNSName: 'example.com', Aliases: '{"web":["www.example.com"]}' };
    const text = report({ ...inventory('web'), stacks: [{ ...environment, resources, parameters }, ...rest] }, [], []);
    expect(text).to.contain('shop-test, HTTPSCert: deletes the validation records and the certificate.');
    expect(text).to.contain('HTTPSCert: the certificate arn:certificate with its validation records');
    expect(text).to.contain('the NS records of this environment in the hosted zone of example.com');
    expect(text).to.contain('the A records of its aliases ({"web":["www.example.com"]})');
  });

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
