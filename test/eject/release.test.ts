import { expect } from 'chai';
import { escaped, isSameManifest, manifestToKeep } from '../../eject/deployed-manifest.ts';
import { buildWords, repositoryOf } from '../../eject/images.ts';
import { changedPaths, describeUnmapped, imagesOf, mapRelease, setImage, withManifest } from '../../eject/release.ts';
import { Template } from '../../eject/template.ts';
import { readManifest } from '../../manifest/manifest.ts';

const base = `name: web
type: Load Balanced Web Service
http:
  path: /
image:
  build: Dockerfile
  port: 3000
cpu: 256
memory: 512
count:
  range: 1-2
  cpu_percentage: 70
variables:
  B: two
  A: one
secrets:
  KEY: /copilot/shop/test/secrets/KEY
sidecars:
  proxy:
    image: proxy:1
    variables:
      LEVEL: info
`;
const template = new Template(
  `Metadata:
  Version: v1.34.1
  Manifest: old
Resources:
  TaskDefinition:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions:
        - Name: !Ref WorkloadName
          Image: !Ref ContainerImage
          Secrets:
            - {Name: KEY, ValueFrom: /copilot/shop/test/secrets/KEY}
            - {Name: FROM_ADDON, ValueFrom: !GetAtt AddonsStack.Outputs.Secret}
          Environment:
            - {Name: COPILOT_APPLICATION_NAME, Value: !Sub '\${AppName}'}
            - {Name: A, Value: "one"}
            - {Name: B, Value: "two"}
            - {Name: COPILOT_MOUNT_POINTS, Value: '{}'}
        - Name: proxy
          Image: proxy:1
          Environment:
            - {Name: LEVEL, Value: "info"}
  TargetGroup:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties: {HealthCheckPath: /}
  AutoScalingTarget:
    Type: AWS::ApplicationAutoScaling::ScalableTarget
    Properties: {MinCapacity: 1, MaxCapacity: 2}
  AutoScalingPolicyECSServiceAverageCPUUtilization:
    Type: AWS::ApplicationAutoScaling::ScalingPolicy
    Properties:
      TargetTrackingScalingPolicyConfiguration: {TargetValue: 70}
  Service:
    Type: AWS::ECS::Service
    Properties: {DeploymentConfiguration: {MinimumHealthyPercent: 100, MaximumPercent: 200}}
`,
  'shop-test-web',
);

const surroundings = { application: 'shop', environment: 'test', shell: {} };
const read = (text: string) => readManifest(text, 'manifest.yml', surroundings).fields;

function mapped(text: string) {
  const { release, unmapped } = mapRelease(template, read(base), read(text));
  const lines = describeUnmapped(unmapped, text, 'manifest.yml', 'test');
  const resources = release.template.resources();
  const containers = resources.get('TaskDefinition')?.properties.ContainerDefinitions;
  return { ...release, lines, resources, containers: JSON.parse(JSON.stringify(containers)) };
}

describe('a release', () => {
  it('of the same manifest changes nothing', () => {
    const { lines, parameters, touched, template: same } = mapped(base);
    expect({ lines, parameters, touched }).to.deep.equal({ lines: [], parameters: {}, touched: [] });
    expect(same.text()).to.equal(template.text());
  });

  it('sets parameters for size and count', () => {
    const { parameters, resources } = mapped(base.replace('256', '1024').replace('1-2', '2-5'));
    expect(parameters).to.deep.equal({ TaskCPU: '1024', TaskCount: '2' });
    expect(resources.get('AutoScalingTarget')?.properties).to.deep.equal({ MinCapacity: 2, MaxCapacity: 5 });
  });

  it("takes Copilot's defaults for what is no longer stated", () => {
    const stated = `${base.replace('cpu: 256\nmemory: 512', 'cpu: 512\nmemory: 1024')}logging: { retention: 7 }\n`
      .replace('  path: /\n', '  path: /\n  deregistration_delay: 5s\n  healthcheck: { path: /, grace_period: 5s }\n')
      .replace('cpu_percentage: 70', 'cpu_percentage: 70\n  cooldown: { in: 1s, out: 1s }');
    const { release } = mapRelease(template, read(stated), read(base));
    expect(release.parameters).to.include({ TaskCPU: '256', TaskMemory: '512', LogRetention: '30' });
    const of = (id: string) => release.template.resources().get(id)?.properties;
    expect(of('Service')).to.include({ HealthCheckGracePeriodSeconds: 60 });
    expect(of('TargetGroup')?.TargetGroupAttributes).to.deep.include({
      Key: 'deregistration_delay.timeout_seconds',
      Value: 60,
    });
    const { TargetTrackingScalingPolicyConfiguration: tracking } =
      of('AutoScalingPolicyECSServiceAverageCPUUtilization') ?? {};
    expect(tracking).to.deep.include({ ScaleInCooldown: 120, ScaleOutCooldown: 60 });
  });

  it('replaces the variables of the manifest, in order, between those of Copilot', () => {
    const { containers } = mapped(base.replace('  B: two\n  A: one', '  Z: "1"\n  B: changed'));
    expect(containers[0].Environment.map(({ Name }: { Name: string }) => Name)).to.deep.equal([
      'COPILOT_APPLICATION_NAME',
      'B',
      'Z',
      'COPILOT_MOUNT_POINTS',
    ]);
    expect(containers[0].Environment[2].Value).to.equal('1');
  });

  it('replaces the secrets of the manifest before those of addons', () => {
    const { containers } = mapped(
      base.replace('  KEY: /copilot/shop/test/secrets/KEY', '  NEW:\n    secretsmanager: name'),
    );
    expect(containers[0].Secrets).to.deep.equal([
      {
        Name: 'NEW',
        ValueFrom: {
          'Fn::Sub': `arn:\${AWS::Partition}:secretsmanager:\${AWS::Region}:\${AWS::AccountId}:secret:name`,
        },
      },
      { Name: 'FROM_ADDON', ValueFrom: { 'Fn::GetAtt': ['AddonsStack', 'Outputs.Secret'] } },
    ]);
  });

  it('changes a sidecar by its name', () => {
    const { containers, touched } = mapped(base.replace('LEVEL: info', 'LEVEL: debug').replace('proxy:1', 'proxy:2'));
    expect(containers[1]).to.deep.equal({
      Name: 'proxy',
      Image: 'proxy:2',
      Environment: [{ Name: 'LEVEL', Value: 'debug' }],
    });
    expect(touched).to.deep.equal(['TaskDefinition']);
  });

  it('quotes texts that YAML 1.1 would take for something else', () => {
    expect(mapped(base.replace('B: two', 'B: "yes"')).template.text()).to.contain('Value: "yes"');
  });

  it('refuses edits that it does not map, with file and line', () => {
    expect(mapped(base.replace('path: /', 'path: /\n  version: grpc')).lines).to.deep.equal([
      'manifest.yml:5: http.version: this edit is not mapped onto the template',
    ]);
    expect(mapped(base.replace('port: 3000', 'port: 3001')).lines[0]).to.match(/^manifest.yml:7: image.port: /);
    expect(
      mapped(base.replace('  range: 1-2\n  cpu_percentage: 70', '  range: 1-2\n  cpu_percentage: 70\n  requests: 5'))
        .lines[0],
    ).to.match(/^manifest.yml:13: count.*requests/);
    expect(mapped(base.replace(/count:\n.*\n.*\n/, 'count: 2\n')).lines[0]).to.match(/a fixed count and a range/);
    expect(mapped(base.replace('path: /', 'path: a')).lines[0]).to.contain('the root path has a priority');
  });

  it('refuses to replace variables that are not those of the deployed manifest', () => {
    const patched = new Template(template.text().replace('Name: B', 'Name: PATCHED'), 't');
    const { unmapped } = mapRelease(patched, read(base), read(base.replace('B: two', 'B: three')));
    expect(unmapped[0]?.reason).to.contain('Environment of the deployed template is not that of the deployed manifest');
  });

  it('adds a sidecar beside the others, with what Copilot gives to every one', () => {
    const sidecar =
      '  adot:\n    image: adot:1\n    port: 4318\n    essential: false\n    variables: { LEVEL: debug }\n';
    const { containers, lines, template: next } = mapped(base + sidecar);
    expect(lines).to.deep.equal([]);
    expect(containers.map(({ Name }: { Name: unknown }) => Name)).to.deep.equal([
      { Ref: 'WorkloadName' },
      'adot',
      'proxy',
    ]);
    expect(containers[1]).to.deep.include({
      Image: 'adot:1',
      Essential: false,
      PortMappings: [{ ContainerPort: 4318, Protocol: 'tcp' }],
      Environment: [
        { Name: 'COPILOT_APPLICATION_NAME', Value: { 'Fn::Sub': `\${AppName}` } },
        { Name: 'LEVEL', Value: 'debug' },
      ],
    });
    expect(next.section('Parameters')).to.have.property('EnvFileARNForadot');
    expect(next.section('Conditions')).to.have.property('HasEnvFileForadot');
  });

  it('removes a sidecar with its parameter and condition', () => {
    const added = mapRelease(template, read(base), read(`${base}  adot:\n    image: adot:1\n`)).release.template;
    const { release, unmapped } = mapRelease(added, read(`${base}  adot:\n    image: adot:1\n`), read(base));
    expect(unmapped).to.deep.equal([]);
    expect(Object.keys(release.template.section('Parameters'))).to.deep.equal([]);
    const { ContainerDefinitions } = release.template.resources().get('TaskDefinition')?.properties ?? {};
    expect(ContainerDefinitions).to.have.length(2);
  });

  it('refuses another port of a sidecar that the load balancer sends requests to', () => {
    const targeted = base
      .replace('path: /', 'path: /\n  target_container: proxy')
      .replace('image: proxy:1', 'image: proxy:1\n    port: 80');
    const { unmapped } = mapRelease(template, read(targeted), read(targeted.replace('port: 80', 'port: 81')));
    expect(unmapped).to.have.length(1);
    expect(unmapped[0]?.reason).to.contain('another port replaces the target group');
  });

  it('mounts volumes of the task, and refuses those on EFS', () => {
    const volume =
      'storage:\n  ephemeral: 30\n  volumes:\n    scratch:\n      path: /scratch\n      read_only: false\n';
    const { containers, resources } = mapped(base + volume);
    expect(containers[0].MountPoints).to.deep.equal([
      { ContainerPath: '/scratch', ReadOnly: false, SourceVolume: 'scratch' },
    ]);
    expect(containers[0].Environment.at(-1)).to.deep.equal({
      Name: 'COPILOT_MOUNT_POINTS',
      Value: '{"scratch":"/scratch"}',
    });
    expect(resources.get('TaskDefinition')?.properties).to.deep.include({
      Volumes: [{ Name: 'scratch' }],
      EphemeralStorage: { SizeInGiB: 30 },
    });
    expect(mapped(`${base}${volume}      efs: true\n`).lines[0]).to.match(
      /storage.volumes.*the volume scratch is on EFS/,
    );
  });

  it('moves the path of the listener rule, but not from or to the root', () => {
    const rule = `  HTTPListenerRule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      Priority: 7
      Conditions:
        - Field: path-pattern
          PathPatternConfig: {Values: [/shop, /shop/*]}
`;
    const routed = new Template(template.text() + rule, 't');
    const at = (path: string) => read(base.replace('path: /', `path: ${path}`));
    const { release, unmapped } = mapRelease(routed, at('shop'), at('cart'));
    expect(unmapped).to.deep.equal([]);
    expect(release.template.resources().get('HTTPListenerRule')?.properties).to.deep.equal({
      Priority: 7,
      Conditions: [{ Field: 'path-pattern', PathPatternConfig: { Values: ['/cart', '/cart/*'] } }],
    });
    expect(release.parameters).to.deep.equal({ RulePath: 'cart' });
    expect(mapRelease(routed, at('shop'), at('/')).unmapped[0]?.reason).to.contain('the root path');
  });

  it('finds edits where they are, down to single fields', () => {
    expect(changedPaths({ a: { b: 1, c: [1] } }, { a: { b: 1, c: [2] }, d: 3 })).to.deep.equal([['a', 'c'], ['d']]);
    expect(changedPaths({ a: undefined }, { a: { b: 1 } })).to.deep.equal([['a', 'b']]);
    expect(changedPaths({ a: { b: { c: 1 } } }, {})).to.deep.equal([['a', 'b', 'c']]);
  });

  it('knows the images, and sets that of a sidecar', () => {
    const copy = template.copy();
    setImage(copy, 'proxy', 'proxy:3');
    expect([...imagesOf(copy)]).to.deep.equal([
      [undefined, { Ref: 'ContainerImage' }],
      ['proxy', 'proxy:3'],
    ]);
  });
});

describe('the manifest in the metadata', () => {
  const variables = { application: 'shop', environment: 'test', shell: { TAG: '5' } };

  it('is stored with its variables replaced, so that another value is an edit later', () => {
    const kept = manifestToKeep(`a: \${COPILOT_APPLICATION_NAME}-\${TAG} # why\nb: \${TAG}\n`, 'm', variables);
    expect(kept).to.equal('a: "shop-5" # why\nb: "5"\n');
    expect(() => manifestToKeep(`a: \${UNSET}\n`, 'm', variables)).to.throw('UNSET');
  });

  it('is read back from a template unchanged', () => {
    for (const text of [base, 'a: "x: y"\nb: |\n  one\n   two\n'])
      expect(withManifest(template, text).metadata('Manifest')).to.equal(text);
  });

  it('is not replaced again when it is read', () => {
    expect(escaped(`a: \${B} \\\${C}\n`)).to.equal(`a: \\\${B} \\\${C}\n`);
  });

  it('is compared by what it says, not how', () => {
    expect(isSameManifest(`b: 1\na: \${TAG} # x\n`, 'm', "a: '5'\nb:   1\n", variables)).to.equal(true);
    expect(isSameManifest(`a: \${TAG}\n`, 'm', 'a: 6\n', variables)).to.equal(false);
  });
});

describe('images', () => {
  it('are built as Copilot builds them', () => {
    expect(buildWords({}, undefined, 'r:1', '/w')).to.deep.equal([
      'build',
      '--tag',
      'r:1',
      '--file',
      '/w/Dockerfile',
      '/w',
    ]);
    expect(buildWords({ dockerfile: 'web/Dockerfile' }, 'linux/arm64', 'r:1', '/w').slice(-4)).to.deep.equal([
      '/w/web/Dockerfile',
      '--platform',
      'linux/arm64',
      '/w/web',
    ]);
    expect(
      buildWords({ context: '.', dockerfile: 'web/Dockerfile', target: 't', args: { A: '1' } }, undefined, 'r:1', '/w'),
    ).to.include.members(['--target', 't', '--build-arg', 'A=1']);
  });

  it('are pushed to the repository of the deployed one', () => {
    const registry = '123456789012.dkr.ecr.us-west-2.amazonaws.com';
    for (const image of [`${registry}/shop/web:v1`, `${registry}/shop/web@sha256:abc`])
      expect(repositoryOf(image)).to.deep.equal({ registry, repository: `${registry}/shop/web` });
    expect(() => repositoryOf('docker.io/web')).to.throw('the deployed image docker.io/web is not in ECR');
  });
});
