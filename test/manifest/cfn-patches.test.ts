import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readOverrides } from '../../manifest/cfn-patches.ts';

describe('readOverrides', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'overrides-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  function overridesOf(text: string) {
    const file = join(folder, 'cfn.patches.yml');
    writeFileSync(file, text);
    return readOverrides(file, 'cfn.patches.yml');
  }

  const container = '/Resources/TaskDefinition/Properties/ContainerDefinitions';

  function containersOf(...patches: string[]) {
    return overridesOf(patches.map((patch) => `- { op: add, path: ${container}/${patch} }`).join('\n')).task.containers;
  }

  it('finds the stop time-out of each container', () => {
    const containers = containersOf('0/StopTimeout, value: 40', '2/StopTimeout, value: 5');
    expect([...containers].map(([place, { stopTimeout }]) => [place, stopTimeout])).to.deep.equal([
      [0, 40],
      [2, 5],
    ]);
  });

  for (const [patch, field, value] of [
    ['User, value: "1000"', 'user', { uid: 1000, gid: undefined }],
    ['User, value: 1000:2000', 'user', { uid: 1000, gid: 2000 }],
    ['ReadonlyRootFilesystem, value: true', 'readonlyRoot', true],
    ['EntryPoint, value: [/bin/sh, -c]', 'entryPoint', ['/bin/sh', '-c']],
    ['Command, value: [serve, "80"]', 'command', ['serve', '80']],
    ['Environment/-, value: { Name: A, Value: 5 }', 'environment', new Map([['A', '5']])],
    ['Environment/0, value: { Name: A, Value: b }', 'environment', new Map([['A', 'b']])],
    ['PortMappings/-, value: { ContainerPort: 53, Protocol: UDP }', 'ports', [{ port: 53, protocol: 'udp' }]],
    ['PortMappings, value: [{ ContainerPort: 81 }]', 'ports', [{ port: 81, protocol: 'tcp' }]],
    [
      'MountPoints/-, value: { ContainerPath: /m, SourceVolume: v, ReadOnly: true }',
      'mounts',
      [{ volume: 'v', path: '/m', readOnly: true }],
    ],
  ] as const) {
    it(`finds ${field} in ${patch}`, () => {
      expect(containersOf(`1/${patch}`).get(1)?.[field]).to.deep.equal(value);
    });
  }

  it('completes values that name a parameter of Copilot, and names the others and those without a value', () => {
    const file = join(folder, 'cfn.patches.yml');
    const items = [
      `{ Name: A, Value: !Sub "x-\${AppName}" }`,
      '{ Name: B, Value: !Ref EnvName }',
      '{ Name: C, Value: !GetAtt D.E }',
      '{ Name: D, value: text }',
    ];
    writeFileSync(
      file,
      items.map((item) => `- { op: add, path: ${container}/0/Environment/-, value: ${item} }`).join('\n'),
    );
    const { task } = readOverrides(file, 'cfn.patches.yml', { AppName: 'shop', EnvName: 'test' });
    expect([...(task.containers.get(0)?.environment ?? [])]).to.deep.equal([
      ['A', 'x-shop'],
      ['B', 'test'],
    ]);
    expect(task.unsupported.map(({ reason }) => reason)).to.deep.equal([
      `${container}/0/Environment/-: the value of C is known to CloudFormation only`,
      `${container}/0/Environment/-: D has no Value`,
    ]);
  });

  for (const [patch, message] of [
    ['op: move, path: /Resources, value: 1', 'op "move": expected add, remove or replace'],
    ['op: add, path: /Resources', 'add /Resources: value is missing'],
    ['op: replace, path: /Resources/A/-, value: 1', 'replace /Resources/A/-: expected the number of an item'],
  ] as const) {
    it(`refuses ${patch}, as Copilot does`, () => {
      expect(() => overridesOf(`- { ${patch} }`)).to.throw(`cfn.patches.yml:1: ${message}`);
    });
  }

  for (const list of ['Environment', 'Secrets', 'PortMappings', 'MountPoints']) {
    it(`says that on AWS a patch of ${list} as a whole replaces what the manifest says`, () => {
      const { unsupported } = overridesOf(`- { op: add, path: ${container}/0/${list}, value: [] }`);
      expect(unsupported.map(({ reason }) => reason)).to.deep.equal([
        `${container}/0/${list}: on AWS it replaces the list, with what the manifest and Copilot add; here it is added to the list`,
      ]);
    });
  }

  it('finds the volumes that are added', () => {
    const text = '- { op: add, path: /Resources/TaskDefinition/Properties/Volumes/-, value: { Name: scratch } }';
    expect(overridesOf(text).task.volumes.map(({ name }) => name)).to.deep.equal(['scratch']);
  });

  for (const patch of [
    'op: remove, path: /Resources/TaskDefinition/Properties/ContainerDefinitions/0/HealthCheck',
    'op: add, path: /Resources/TaskDefinition/Properties/Volumes/-, value: { Name: v, EFSVolumeConfiguration: {} }',
    `op: add, path: ${container}/0/LogConfiguration/Options/tag, value: x`,
    `op: add, path: ${container}/0/Environment/-, value: { Name: A, Value: !Sub "\${B}" }`,
    `op: replace, path: ${container}/0/Environment/0/Value, value: x`,
    `op: add, path: ${container}/0/Ulimits, value: []`,
    'op: add, path: /Resources/Service/Properties/PlacementStrategies, value: []',
  ]) {
    it(`names ${patch}`, () => {
      expect(overridesOf(`- { ${patch} }`).unsupported.map(({ path }) => path)).to.deep.equal(['cfn.patches.yml:1']);
    });
  }

  for (const [path, field] of [
    ['TargetGroup/Properties/Matcher', 'http.healthcheck'],
    ['TargetGroup/Properties/HealthCheckProtocol', 'http.healthcheck'],
    ['AutoScalingTarget/Properties/MinCapacity', 'count'],
  ] as const) {
    it(`names the field of the manifest that says what ${path} says`, () => {
      expect(overridesOf(`- { op: replace, path: /Resources/${path}, value: 0 }`).unsupported).to.deep.equal([
        { path: 'cfn.patches.yml:1', reason: `/Resources/${path}: write it into the manifest, as ${field}` },
      ]);
    });
  }

  it('says of a removal that there is nothing to remove', () => {
    const patches = ['0/User', '0/HealthCheck'].map((path) => `- { op: remove, path: ${container}/${path} }`);
    for (const { reason } of overridesOf(patches.join('\n')).unsupported)
      expect(reason).to.contain('what Copilot adds to a task definition does not exist here');
  });

  it('finds scheduled scaling', () => {
    const { scheduledActions } = overridesOf(
      [
        '- op: add',
        '  path: /Resources/AutoScalingTarget/Properties/ScheduledActions',
        '  value:',
        '    - { ScheduledActionName: out, Schedule: cron(45 23 * * ? *), ScalableTargetAction: { MinCapacity: 3, MaxCapacity: 3 } }',
      ].join('\n'),
    );
    expect(scheduledActions).to.deep.equal([
      { name: 'out', schedule: 'cron(45 23 * * ? *)', timezone: 'UTC', min: 3, max: 3 },
    ]);
  });

  const actions = (...items: string[]) =>
    `- { op: add, path: /Resources/AutoScalingTarget/Properties/ScheduledActions, value: [${items.join()}] }`;
  const action = (name: string) => `{ ${name} Schedule: rate(1 day), ScalableTargetAction: { MinCapacity: 1 } }`;

  it('finds the scheduled actions of the last patch, which replaces them', () => {
    const text = [actions(action('ScheduledActionName: a,')), actions(action('ScheduledActionName: b,'))].join('\n');
    expect(overridesOf(text).scheduledActions.map(({ name }) => name)).to.deep.equal(['b']);
  });

  it('refuses scheduled actions of one name', () => {
    expect(() => overridesOf(actions(action(''), action('')))).to.throw(
      'cfn.patches.yml:1: two scheduled actions are named "scheduled-action"',
    );
  });

  it('refuses a schedule that a CronJob can not keep', () => {
    const patch = '- op: add\n  path: /Resources/AutoScalingTarget/Properties/ScheduledActions\n  value:\n';
    expect(() => overridesOf(`${patch}    - { Schedule: at(2030-01-01T00:00:00), ScalableTargetAction: {} }`)).to.throw(
      'cfn.patches.yml:3: "at(2030-01-01T00:00:00)" is not a valid schedule',
    );
  });

  it('takes a user by name as one that is unsupported: Kubernetes needs a number', () => {
    const { task, unsupported } = overridesOf(`- { op: add, path: ${container}/0/User, value: node }`);
    expect([task.containers.size, unsupported.length]).to.deep.equal([0, 1]);
  });

  it('counts the patches of other resources', () => {
    const { unsupported } = overridesOf(
      '- { op: replace, path: /Resources/F/Properties/Runtime, value: a }\n- { op: remove, path: /Resources/G }',
    );
    expect(unsupported).to.deep.equal([
      { path: 'cfn.patches.yml', reason: '2 more for resources that only CloudFormation has' },
    ]);
  });

  it('is empty when there is no file', () => {
    expect(readOverrides(join(folder, 'nothing.yml'), 'nothing.yml').unsupported).to.deep.equal([]);
  });

  it('refuses what is no list of patches', () => {
    expect(() => overridesOf('op: add')).to.throw('cfn.patches.yml:1: expected a list of patches');
    expect(() => overridesOf('- { op: add }')).to.throw('cfn.patches.yml:1: expected a patch with op, path and value');
  });

  it('refuses a stop time-out that is no number', () => {
    expect(() => overridesOf(`- { op: add, path: ${container}/0/StopTimeout, value: soon }`)).to.throw(
      'cfn.patches.yml:1: expected a number of seconds',
    );
  });
});
