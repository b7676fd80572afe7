import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setGlobalProxyFromEnv } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import { type DeployedStack, type Inventory, refusals } from '../../eject/inventory.ts';
import { judge } from '../../eject/judge.ts';
import { changes, contextOf } from '../../eject/steps.ts';
import { Template } from '../../eject/template.ts';
import { aws } from '../../tools/aws/cloud.ts';
import { packagedInventory, packagedStack } from '../eject/packaged.ts';
import { skipWithout } from '../skip.ts';
import { Ejection, missing } from './ejection.ts';
import { stepByStep } from './step-by-step.ts';

// An application with a domain, whose environment the real copilot deploys: functions make its certificate and its DNS
// records. The emulator can't deploy what has an alias: that is judged by the templates that copilot writes.

// What is retained stays in the emulator: another run needs another name.
const application = `name${randomBytes(2).toString('hex')}`;
const environment = `${application}-test`;
const domain = `${application}.example.com`;

const web = `name: web
type: Load Balanced Web Service
http:
  path: /
  alias: shop.${domain}
  healthcheck: { path: /healthz, interval: 5s, timeout: 2s }
  deregistration_delay: 2s
image: { build: Dockerfile, port: 3000 }
cpu: 256
memory: 512
count: 1
`;

const api = `name: api
type: Backend Service
image: { build: Dockerfile, port: 3000 }
cpu: 256
memory: 512
count: 1
`;

describe('an application with a domain, out of Copilot', function () {
  this.timeout('30m');
  let folder: string;
  let named: Ejection;

  before(async function () {
    const reason = await missing();
    if (reason) return skipWithout(this, 'aws', reason);
    setGlobalProxyFromEnv();
    folder = mkdtempSync(join(tmpdir(), 'plusone-eject-'));
    for (const name of ['Dockerfile', 'VERSION', 'server.js']) cpSync(`test/eject/sample/${name}`, join(folder, name));
    mkdirSync(join(folder, 'public'));
    writeFileSync(join(folder, 'public/index.html'), 'hello\n');
    write('copilot/.workspace', `application: ${application}\n`);
    write('copilot/api/manifest.yml', api);
    write('copilot/environments/test/manifest.yml', 'name: test\ntype: Environment\n');
    execFileSync('git', ['init', '--quiet'], { cwd: folder });
    const reference = ['--caller-reference', application];
    execFileSync('aws', ['route53', 'create-hosted-zone', '--name', 'example.com', ...reference], { stdio: 'ignore' });
    named = new Ejection(folder, application, { services: ['api'], domain: 'example.com' });
    named.create();
  });

  stepByStep();

  after(() => named?.remove());

  function write(file: string, text: string): void {
    mkdirSync(join(folder, file, '..'), { recursive: true });
    writeFileSync(join(folder, file), text);
  }

  /** The stacks that copilot would deploy with this manifest of the environment and of this service. */
  function packaged(environmentFields: string, name: string, manifest: string): Inventory {
    const file = 'copilot/environments/test/manifest.yml';
    const kept = readFileSync(join(folder, file), 'utf8');
    const output = mkdtempSync(join(folder, 'package-'));
    try {
      write(file, `name: test\ntype: Environment\n${environmentFields}`);
      write(`copilot/${name}/manifest.yml`, manifest);
      named.copilot('svc', 'init', '--name', name, '--app', application);
      named.copilot('env', 'package', '--name', 'test', '--output-dir', output);
      named.copilot('svc', 'package', '--name', name, '--env', 'test', '--tag', 'v1', '--output-dir', output);
    } finally {
      write(file, kept);
      rmSync(join(folder, 'copilot', name), { recursive: true });
    }
    const users = { ALBWorkloads: 'web', Aliases: JSON.stringify({ web: [`shop.${domain}`] }) };
    return packagedInventory(application, [
      packagedStack(join(output, 'test'), environment, undefined, users),
      packagedStack(join(output, `${name}-test`), `${environment}-${name}`, name),
    ]);
  }

  const refused = (inventory: Inventory) => refusals(inventory, new Map(inventory.stacks.flatMap(manifestOf)));

  /** Expects that all steps are allowed; gives back what each stack loses. */
  function removed(inventory: Inventory): string[] {
    expect(refused(inventory)).to.deep.equal([]);
    return changes(inventory).flatMap((change) => {
      const { problems } = judge(change, { before: contextOf(inventory, change.stack) }, undefined);
      expect(problems, `${change.step} of ${change.stack.name}`).to.deep.equal([]);
      return change.expected.removed;
    });
  }

  it('allows all steps of a network load balancer, whose certificate stays', () => {
    const inventory = packaged('', 'web', `${web}nlb:\n  port: 8443/tls\n  alias: nlb.${domain}\n`);
    expect(removed(inventory)).to.include.members(['NLBCertValidatorAction', 'NLBCustomDomainAction', 'HTTPSCert']);
    const last = changes(inventory).findLast(({ stack }) => stack.workload === 'web')?.to;
    expect(last?.resources().get('NLBListener')?.properties.Certificates).to.deep.equal([
      { CertificateArn: 'arn:aws:acm:us-west-2::certificate/NLBCertValidatorAction' },
    ]);
  });

  it('allows all steps of access logs, whose bucket is not emptied', () => {
    const inventory = packaged('http:\n  public:\n    access_logs: true\n', 'web', web);
    expect(removed(inventory)).to.include.members(['ELBAccessLogsBucketCleanerAction', 'BucketCleanerFunction']);
    const [bucket] = changes(inventory).slice(-1);
    expect(bucket?.to.resources().get('ELBAccessLogsBucket')?.deletionPolicy).to.equal('Retain');
  });

  it('refuses CloudFront with aliases, with stack, resource and what to do', () => {
    expect(refused(packaged('cdn: true\n', 'web', web))).to.deep.equal([
      `${environment}: UniqueAliasesAction: Custom::UniqueJSONValuesFunction can't be replaced by this version: CloudFront takes its aliases from it; leave the environment with Copilot, or deploy it without \`cdn\`, which moves the traffic to the load balancer`,
    ]);
  });

  it('refuses a Static Site and a Request-Driven Web Service, with what to do', () => {
    const site = `name: site\ntype: Static Site\nfiles:\n  - source: public\n    recursive: true\n`;
    expect(refused(packaged('', 'site', site)).at(-1)).to.match(
      /-test-site: the type Static Site is not supported .*leave/,
    );
    const runner = `name: runner\ntype: Request-Driven Web Service\nimage: { build: Dockerfile, port: 3000 }\n`;
    expect(refused(packaged('', 'runner', runner)).at(-1)).to.match(
      /-test-runner: the type Request-Driven Web Service is not supported .*leave/,
    );
  });

  it('takes all steps, after which certificate and records are those from before', async () => {
    named.ejects('plan');
    named.ejects('write');
    const before = await named.physicalIds();
    const certificate = before.get(`${environment} HTTPSCert`) ?? '';
    expect(certificate).to.match(/^arn:aws:acm:/);
    const [records, called] = [await dns(), named.calls(before)];
    expect(records.join()).to.contain(`test.${domain}`);
    expect(called).to.be.greaterThan(0);
    named.takes(undefined);
    const after = await named.physicalIds();
    for (const [id, physical] of after) expect(physical, id).to.equal(before.get(id));
    const gone = [...before.keys()].filter((id) => !after.has(id)).map((id) => id.split(' ')[1]);
    expect(gone).to.include.members(['HTTPSCert', 'DelegateDNSAction', 'CustomResourceRole']);
    expect(named.calls(before)).to.equal(called);
    expect(await dns()).to.deep.equal(records);
    const described = ['acm', 'describe-certificate', '--certificate-arn', certificate];
    expect(await aws(z.string(), ...described, '--query', 'Certificate.DomainName')).to.contain(domain);
  });

  it('writes a CDK app that synthesizes what is deployed', () => named.expectSameAsCdk());

  it('is undone, with another certificate, after which Copilot deploys again', async () => {
    const before = await named.physicalIds();
    named.undoes();
    named.release();
    const after = await named.physicalIds();
    expect(after.get(`${environment} HTTPSCert`)).to.match(/^arn:aws:acm:/);
    for (const id of ['Cluster', 'EnvironmentHostedZone'])
      expect(after.get(`${environment} ${id}`), id).to.equal(before.get(`${environment} ${id}`));
  });

  /** The records of all hosted zones of the application, as `zone name type`. */
  async function dns(): Promise<string[]> {
    const zones = await aws(z.array(z.string()), 'route53', 'list-hosted-zones', '--query', 'HostedZones[].Id');
    const found: string[] = [];
    for (const zone of zones) {
      const query = ['--query', 'ResourceRecordSets[].[Name, Type]'];
      const words = ['route53', 'list-resource-record-sets', '--hosted-zone-id', zone, ...query];
      const records = await aws(z.array(z.array(z.string())), ...words);
      found.push(
        ...records.map((record) => `${zone} ${record.join(' ')}`).filter((line) => line.includes(application)),
      );
    }
    return found.toSorted();
  }
});

function manifestOf({ workload, template, name }: DeployedStack): [string, string][] {
  return workload === undefined ? [] : [[workload, new Template(template, name).metadata('Manifest') ?? '']];
}
