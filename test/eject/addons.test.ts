import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { addonEdits } from '../../eject/addons.ts';
import { environmentFileKey } from '../../eject/environment-files.ts';

const queue = `Parameters: { App: { Type: String } }
Resources:
  jobs: { Type: AWS::SQS::Queue, Properties: { QueueName: !Sub '\${App}-jobs' } }
Outputs:
  jobsUrl: { Value: !Ref jobs }
`;
const deployed = queue.replace(/!Sub ('.*?')/, '{ Fn::Sub: $1 }');

const facts = {
  application: 'shop',
  environment: 'test',
  environmentExports: { PublicLoadBalancerDNSName: 'shop-test-PublicLoadBalancerDNS' },
};

describe('edits of addons', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'addons-'));
    writeFileSync(join(folder, 'queue.yml'), queue);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('are none when the files say what is deployed', () => {
    expect(addonEdits(folder, deployed, { App: 'shop' }, facts)).to.deep.equal([]);
    expect(addonEdits(join(folder, 'none'), undefined, {}, facts)).to.deep.equal([]);
  });

  it('are named with file and entry', () => {
    writeFileSync(join(folder, 'queue.yml'), queue.replace('-jobs', '-work'));
    writeFileSync(join(folder, 'topic.yml'), 'Resources:\n  news: { Type: AWS::SNS::Topic }\n');
    const lines = addonEdits(folder, deployed, {}, facts);
    expect(lines.map((line) => line.replace(/^.*\//, ''))).to.deep.equal([
      'queue.yml: Resources.jobs is edited',
      'topic.yml: Resources.news is new',
    ]);
  });

  it('are named when a file is gone, or when there were none', () => {
    rmSync(join(folder, 'queue.yml'));
    expect(addonEdits(folder, deployed, {}, facts)).to.have.length(3);
    writeFileSync(join(folder, 'queue.yml'), queue);
    expect(addonEdits(folder, undefined, {}, facts)[0]).to.match(/queue.yml: Parameters.App is new$/);
  });

  it('are found in the parameters, too', () => {
    writeFileSync(join(folder, 'addons.parameters.yml'), 'Parameters:\n  Size: 2\n');
    expect(addonEdits(folder, deployed, { App: 'shop', Size: 2 }, facts)).to.deep.equal([]);
    expect(addonEdits(folder, deployed, { App: 'shop', Size: 1 }, facts)[0]).to.match(/the parameter Size is edited$/);
  });

  it('are not found in a parameter of the controller that is imported since the service is detached', () => {
    const file = join(folder, 'addons.parameters.yml');
    const imports = (name: string) => ({ 'Fn::ImportValue': { 'Fn::Sub': `\${AppName}-\${EnvName}-${name}` } });
    writeFileSync(file, 'Parameters:\n  # why\n  Balancer: !GetAtt EnvControllerAction.PublicLoadBalancerDNSName\n');
    expect(addonEdits(folder, deployed, { Balancer: imports('PublicLoadBalancerDNS') }, facts)).to.deep.equal([]);
    expect(addonEdits(folder, deployed, { Balancer: imports('HTTPListenerArn') }, facts)[0]).to.match(
      /Balancer is edited$/,
    );
    const own = { 'Fn::GetAtt': ['EnvControllerAction', 'PublicLoadBalancerDNSName'] };
    expect(addonEdits(folder, deployed, { Balancer: own }, facts)).to.deep.equal([]);
  });

  it('are not found in what Copilot uploaded from local files', () => {
    const local = 'Resources:\n  job: { Type: AWS::Lambda::Function, Properties: { Code: ./job, Timeout: 3 } }\n';
    writeFileSync(join(folder, 'queue.yml'), local);
    const uploaded = local.replace('./job', '{ S3Bucket: b, S3Key: manual/k }');
    expect(addonEdits(folder, uploaded, {}, facts)).to.deep.equal([]);
    expect(addonEdits(folder, uploaded.replace('Timeout: 3', 'Timeout: 4'), {}, facts)).to.have.length(1);
  });
});

describe('an environment file', () => {
  it('has a key of its path and contents, as Copilot gives it', () => {
    const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
    expect(environmentFileKey('web/web.env', Buffer.from(''))).to.equal(`manual/env-files/web/web.env/${empty}.env`);
  });
});
