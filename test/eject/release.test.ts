import { expect } from 'chai';
import { escaped, isSameManifest, manifestToKeep } from '../../eject/deployed-manifest.ts';
import { changedPaths } from '../../eject/edit.ts';
import { buildWords, repositoryOf } from '../../eject/images.ts';
import { describeUnmapped, imagesOf, mapRelease, setImage, withManifest } from '../../eject/release.ts';
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
    const spot = base.replace('range: 1-2', 'range:\n    min: 1\n    max: 2\n    spot_from: 2');
    expect(mapped(spot).lines[0]).to.match(/^manifest.yml:\d+: count.*Spot/);
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

  it('adds and removes what a service scales by, and goes between a range and a fixed count', () => {
    const more = mapped(base.replace('cpu_percentage: 70', 'requests: 100\n  memory_percentage: 60'));
    expect(more.lines).to.deep.equal([]);
    expect(more.added).to.deep.equal([
      'AutoScalingPolicyECSServiceAverageMemoryUtilization',
      'AutoScalingPolicyALBSumRequestCountPerTarget',
    ]);
    expect(more.removed).to.deep.equal(['AutoScalingPolicyECSServiceAverageCPUUtilization']);
    const fixed = mapped(base.replace(/count:\n.*\n.*\n/, 'count: 3\n'));
    expect(fixed.removed).to.include.members(['AutoScalingTarget']);
    expect(fixed.resources.get('Service')?.properties.DesiredCount).to.deep.equal({ Ref: 'TaskCount' });
    expect(fixed.parameters).to.deep.equal({ TaskCount: '3' });
    const { release } = mapRelease(fixed.template, read(base.replace(/count:\n.*\n.*\n/, 'count: 3\n')), read(base));
    expect(release.added).to.include.members(['AutoScalingRole', 'AutoScalingTarget']);
    expect(release.template.resources().get('Service')?.properties).to.not.have.property('DesiredCount');
  });

  it('lets commands into the containers, and builds for another platform', () => {
    const roles = new Template(
      `${template.text()}  TaskRole:\n    Type: AWS::IAM::Role\n    Properties: {Policies: [{PolicyName: DenyIAM}, {PolicyName: Last}]}\n`,
      't',
    );
    const allowed = read(`${base}exec: true\nplatform: linux/arm64\n`);
    const { release } = mapRelease(roles, read(base), allowed);
    const of = (from: Template, id: string) => from.resources().get(id)?.properties;
    const names = (from: Template) => JSON.stringify(of(from, 'TaskRole')?.Policies).match(/(?<="PolicyName":")\w+/g);
    expect(names(release.template)).to.deep.equal(['DenyIAM', 'ExecuteCommand', 'Last']);
    expect(of(release.template, 'Service')).to.include({ EnableExecuteCommand: true });
    expect(of(release.template, 'TaskDefinition')?.RuntimePlatform).to.deep.equal({
      OperatingSystemFamily: 'LINUX',
      CpuArchitecture: 'ARM64',
    });
    const { release: back } = mapRelease(release.template, allowed, read(base));
    expect(back.template.value()).to.deep.equal(roles.value());
    expect(mapped(`${base}platform: windows/amd64\n`).lines[0]).to.contain('Windows is not mapped');
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

describe('a release of a job', () => {
  const job = `name: report\ntype: Scheduled Job\nimage: { build: Dockerfile }\non: { schedule: '@daily' }\nretries: 1\n`;
  const definition = {
    StartAt: 'Run Fargate Task',
    States: { 'Run Fargate Task': { Type: 'Task', Retry: [1], End: true } },
  };
  const scheduled = new Template(
    `Resources:
  Rule: {Type: AWS::Events::Rule, Properties: {ScheduleExpression: !Ref Schedule, State: ENABLED}}
  StateMachine: {Type: AWS::StepFunctions::StateMachine, Properties: {DefinitionString: '${JSON.stringify(definition)}'}}
`,
    'shop-test-report',
  );
  const edited = (from: string, to: string) => mapRelease(scheduled, read(job), read(job.replace(from, to)));

  it('changes the rule, which is disabled without a schedule', () => {
    const { release } = edited("'@daily'", "'0 9 * * 1-5'");
    expect(release.parameters).to.deep.equal({ Schedule: 'cron(0 9 ? * 2-6 *)' });
    expect(release.template.value()).to.deep.equal(scheduled.value());
    const { release: off } = edited("'@daily'", 'none');
    const rule = off.template.resources().get('Rule')?.properties;
    expect(rule).to.deep.equal({ ScheduleExpression: 'rate(5 minutes)', State: 'DISABLED' });
  });

  it('changes retries and timeout in the state machine, and nothing else there', () => {
    const { release, unmapped } = edited('retries: 1', 'retries: 3\ntimeout: 1h');
    expect(unmapped).to.deep.equal([]);
    const text = release.template.resources().get('StateMachine')?.properties.DefinitionString;
    const retry = { ErrorEquals: ['States.ALL'], IntervalSeconds: 10, MaxAttempts: 3, BackoffRate: 1.5 };
    expect(JSON.parse(String(text))).to.deep.equal({
      StartAt: 'Run Fargate Task',
      TimeoutSeconds: 3600,
      States: { 'Run Fargate Task': { Type: 'Task', Retry: [retry], End: true } },
    });
    const { release: once } = edited('retries: 1', 'retries: 0');
    expect(once.template.text()).to.not.contain('Retry');
  });

  it('refuses a state machine that an override changed', () => {
    const other = new Template(scheduled.text().replaceAll('Run Fargate Task', 'Run'), 't');
    const { unmapped } = mapRelease(other, read(job), read(job.replace('retries: 1', 'retries: 2')));
    expect(unmapped[0]?.reason).to.contain('no StateMachine with the state "Run Fargate Task" (an override?)');
  });
});

describe('a release of a worker', () => {
  const worker = `name: mail
type: Worker Service
image: { build: Dockerfile }
count: { range: 1-3, queue_delay: { acceptable_latency: 10s, msg_processing_time: 1s } }
subscribe:
  topics:
    - { name: orders, service: web }
    - { name: returns, service: web, queue: { timeout: 1s } }
  queue: { delay: 1s, dead_letter: { tries: 3 } }
`;
  const resources = ['EventsQueue', 'webreturnsEventsQueue'].map(
    (id) => `  ${id}: {Type: AWS::SQS::Queue, Properties: {RedrivePolicy: {maxReceiveCount: 3}}}
  AutoScalingPolicy${id}: {Type: AWS::ApplicationAutoScaling::ScalingPolicy, Properties: {}}\n`,
  );
  const subscribed = new Template(
    `Resources:\n${resources.join('')}  AutoScalingTarget: {Type: AWS::ApplicationAutoScaling::ScalableTarget}
  webordersSNSTopicSubscription: {Type: AWS::SNS::Subscription, Properties: {Protocol: sqs}}\n`,
    'shop-test-mail',
  );
  const edited = (from: string, to: string) => mapRelease(subscribed, read(worker), read(worker.replace(from, to)));

  it('changes the settings of its queues and the filters of its topics', () => {
    const { release, unmapped } = edited(
      'delay: 1s, dead_letter: { tries: 3 }',
      'retention: 1h, dead_letter: { tries: 9 }',
    );
    expect(unmapped).to.deep.equal([]);
    expect(release.touched).to.deep.equal(['EventsQueue']);
    expect(release.template.resources().get('EventsQueue')?.properties).to.deep.equal({
      MessageRetentionPeriod: 3600,
      RedrivePolicy: { maxReceiveCount: 9 },
    });
    expect(edited('timeout: 1s', 'timeout: 2s').release.touched).to.deep.equal(['webreturnsEventsQueue']);
    const { release: filtered } = edited('service: web }', 'service: web, filter_policy: { store: [one] } }');
    const { properties } = filtered.template.resources().get('webordersSNSTopicSubscription') ?? {};
    expect(properties).to.deep.equal({ Protocol: 'sqs', FilterPolicy: { store: ['one'] } });
  });

  it('scales each queue by the messages that a task may have', () => {
    const { release, unmapped } = edited('msg_processing_time: 1s', 'msg_processing_time: 3s');
    expect(unmapped).to.deep.equal([]);
    for (const id of ['AutoScalingPolicyEventsQueue', 'AutoScalingPolicywebreturnsEventsQueue'])
      expect(release.template.resources().get(id)?.properties.TargetTrackingScalingPolicyConfiguration).to.deep.equal({
        TargetValue: 4,
        ScaleInCooldown: 120,
        ScaleOutCooldown: 60,
      });
  });

  it('refuses what makes other queues, and filters whose numbers it would write as texts', () => {
    const reason = (from: string, to: string) => edited(from, to).unmapped[0]?.reason;
    expect(reason('name: orders', 'name: sales')).to.contain('topics that come or go');
    expect(reason(', dead_letter: { tries: 3 }', '')).to.contain('a dead-letter queue that comes or goes');
    expect(reason('delay: 1s', 'delay: 1s, fifo: true')).to.contain('fifo');
    expect(reason('service: web }', 'service: web, filter_policy: { price: [5] } }')).to.contain('numbers');
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
