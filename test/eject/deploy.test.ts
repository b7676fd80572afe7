import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { deploy } from '../../eject/deploy.ts';
import type { DeployedStack } from '../../eject/inventory.ts';
import { changes } from '../../eject/steps.ts';
import { openWorkspace } from '../../manifest/workspace.ts';
import { FakeCloudFormation, memoryJournal } from './cloudformation.ts';
import { inventory, manifest } from './stacks.ts';

describe('a release that is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'deploy-'));
  before(() => {
    mkdirSync(join(folder, 'copilot/web'), { recursive: true });
    writeFileSync(join(folder, 'copilot/.workspace'), 'application: shop\n');
    writeFileSync(join(folder, 'copilot/web/manifest.yml'), manifest);
  });
  after(() => rmSync(folder, { recursive: true }));

  const planned = inventory('web');
  const last = changes(planned).findLast(({ stack }) => stack.workload === 'web');

  /** The message of the refusal of a stack that is as it is after all steps but for this; checks that nothing changed. */
  async function refusal(change: Partial<DeployedStack>): Promise<string> {
    const stacks = planned.stacks.map((stack) =>
      stack.workload === 'web' ? { ...stack, template: last?.to.text() ?? '', ...change } : stack,
    );
    const cloud = new FakeCloudFormation(stacks);
    const session = {
      clients: cloud.clients(),
      journal: memoryJournal([]),
      say: () => {},
      confirm: async () => expect.fail('it asks'),
    };
    const wanted = {
      environment: 'test',
      service: 'web',
      tag: 'v1',
      image: 'web:2',
      output: join(folder, 'ejected'),
      planned,
    };
    const [result] = await Promise.allSettled([
      deploy(session, { ...wanted, workspace: openWorkspace(join(folder, 'copilot')) }),
    ]);
    expect(cloud.calls).to.deep.equal([]);
    return result.status === 'rejected' ? String(result.reason.message) : 'not refused';
  }

  it('says that the steps come first', async () => {
    expect(await refusal({ template: planned.stacks[1]?.template ?? '' })).to.match(
      /^shop-test-web still has custom resources of Copilot .*: apply the steps first$/,
    );
  });

  it('says that another deployment is in progress, or that the stack failed', async () => {
    expect(await refusal({ status: 'UPDATE_IN_PROGRESS' })).to.contain('a deployment is in progress; wait for it');
    expect(await refusal({ status: 'UPDATE_ROLLBACK_FAILED' })).to.contain('bring it to a complete state first');
  });

  it('says that the stack is in another account than the one that was ejected', async () => {
    const id = 'arn:aws:cloudformation:us-west-2:210987654321:stack/shop-test-web/0';
    expect(await refusal({ id })).to.match(/^shop-test-web is \S+:210987654321:.*: use its account and region/);
  });

  it('names the tags that somebody has taken from the stack', async () => {
    const tags = { 'copilot-application': 'shop', 'copilot-environment': 'test', 'copilot-service': 'other' };
    expect(await refusal({ tags })).to.match(/^shop-test-web: the tag copilot-service is other, expected web/);
    expect(await refusal({ tags: {} })).to.contain('the tag copilot-application is missing');
  });
});
