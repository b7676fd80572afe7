import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readOverrides } from '../../manifest/overrides.ts';

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

  it('finds the stop time-out of each container', () => {
    const { stopTimeouts } = overridesOf(
      `- { op: add, path: ${container}/0/StopTimeout, value: 40 }\n- { op: add, path: ${container}/2/StopTimeout, value: 5 }`,
    );
    expect([...stopTimeouts]).to.deep.equal([
      [0, 40],
      [2, 5],
    ]);
  });

  it('finds the user of a container', () => {
    expect([...overridesOf(`- { op: add, path: ${container}/0/User, value: "1000" }`).users]).to.deep.equal([
      [0, 1000],
    ]);
  });

  it('finds that the root of a container is read-only', () => {
    const { readonlyRoots } = overridesOf(`- { op: add, path: ${container}/1/ReadonlyRootFilesystem, value: true }`);
    expect([...readonlyRoots]).to.deep.equal([[1, true]]);
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

  it('refuses a schedule that a CronJob can not keep', () => {
    const patch = '- op: add\n  path: /Resources/AutoScalingTarget/Properties/ScheduledActions\n  value:\n';
    expect(() => overridesOf(`${patch}    - { Schedule: at(2030-01-01T00:00:00), ScalableTargetAction: {} }`)).to.throw(
      'cfn.patches.yml:3: "at(2030-01-01T00:00:00)" is no schedule',
    );
  });

  it('names a patch of the task that has no twin in a cluster', () => {
    const { notCarried } = overridesOf(`\n- { op: add, path: ${container}/0/LinuxParameters, value: {} }`);
    expect(notCarried).to.deep.equal([
      { path: 'cfn.patches.yml:2', reason: `${container}/0/LinuxParameters has no twin here` },
    ]);
  });

  it('takes a user by name as a patch without a twin: Kubernetes wants a number', () => {
    const { users, notCarried } = overridesOf(`- { op: add, path: ${container}/0/User, value: node }`);
    expect([users.size, notCarried.length]).to.deep.equal([0, 1]);
  });

  it('counts the patches of other resources', () => {
    const { notCarried } = overridesOf(
      '- { op: replace, path: /Resources/F/Properties/Runtime, value: a }\n- { op: remove, path: /Resources/G }',
    );
    expect(notCarried).to.deep.equal([
      { path: 'cfn.patches.yml', reason: '2 more for resources that only CloudFormation has' },
    ]);
  });

  it('is empty when there is no file', () => {
    expect(readOverrides(join(folder, 'nothing.yml'), 'nothing.yml').notCarried).to.deep.equal([]);
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
