import { expect } from 'chai';
import { NotReady, rolledOut } from '../../local-kind/wait-for-rollout.ts';

const dateNow = Date.now;

/** A kubectl whose `rollout status` gives up `rounds` times, while `pods` are as given. */
function kubectlOf(rounds: number, pods: readonly object[] = [], onRound = () => {}) {
  let round = 0;
  return ([verb, ...words]: string[]) => {
    if (verb === 'get') return Promise.resolve(JSON.stringify({ items: pods }));
    if (verb === 'logs' && words.includes('--previous'))
      return Promise.resolve('unable to retrieve container logs for containerd://1');
    if (verb === 'logs') return Promise.resolve('no such table: users');
    onRound();
    round += 1;
    return round > rounds ? Promise.resolve('') : Promise.reject(new Error('timed out waiting for the condition'));
  };
}

function podOf(state: object, { name = 'web-1', template = 'one', ready = false, restartCount = 0 } = {}) {
  return {
    kind: 'Pod',
    metadata: { name, labels: { 'pod-template-hash': template } },
    status: { phase: 'Running', containerStatuses: [{ name: 'web', ready, state, restartCount }] },
  };
}

function replicaSetOf(template: string, revision: number) {
  const annotations = { 'deployment.kubernetes.io/revision': String(revision) };
  return { kind: 'ReplicaSet', metadata: { name: template, labels: { 'pod-template-hash': template }, annotations } };
}

async function failureOf(work: Promise<void>): Promise<unknown> {
  return await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
}

describe('rolledOut', () => {
  afterEach(() => {
    Date.now = dateNow;
  });

  it('goes on waiting after the clock has jumped, as when a laptop wakes up', async () => {
    const jump = () => {
      Date.now = () => dateNow() + 3_600_000;
    };
    await rolledOut(kubectlOf(2, [replicaSetOf('one', 1), podOf({})], jump), 'shop', 'deployment/web');
  });

  it('says at once why a container cannot start, with the end of its log', async () => {
    const crashed = podOf({ waiting: { reason: 'CrashLoopBackOff' } });
    const error = await failureOf(rolledOut(kubectlOf(1, [replicaSetOf('one', 1), crashed]), 'shop', 'deployment/web'));
    expect(error).to.be.instanceOf(NotReady);
    expect(String(error)).to.contain('container web of web-1: CrashLoopBackOff\nno such table: users');
  });

  it('gives up at its deadline, and names the container that is not ready', async () => {
    const error = await failureOf(
      rolledOut(kubectlOf(1, [replicaSetOf('one', 1), podOf({})]), 'shop', 'deployment/web', -1),
    );
    expect(String(error)).to.contain('container web of web-1: not ready after');
  });

  it('says how long it has waited, which is not always the default', async () => {
    const error = await failureOf(
      rolledOut(kubectlOf(1, [replicaSetOf('one', 1), podOf({})]), 'shop', 'deployment/web', 0),
    );
    expect(String(error)).to.contain('not ready after 0 s');
  });

  it('pauses before it asks again where kubectl gives up at once, as after a progress deadline', async () => {
    let rounds = 0;
    const kubectl = kubectlOf(Number.POSITIVE_INFINITY, [], () => {
      rounds += 1;
    });
    await failureOf(rolledOut(kubectl, 'shop', 'deployment/web', 1.2));
    expect(rounds).to.be.within(2, 4);
  });

  it('judges the pods of the newest template, though an autoscaler adds pods of the previous one', async () => {
    const added = podOf({}, { name: 'web-2', template: 'old', ready: true });
    const crashed = podOf({ waiting: { reason: 'CrashLoopBackOff' } }, { template: 'new' });
    const items = [added, crashed, replicaSetOf('old', 9), replicaSetOf('new', 10)];
    const error = await failureOf(rolledOut(kubectlOf(1, items), 'shop', 'deployment/web'));
    expect(String(error)).to.contain('container web of web-1: CrashLoopBackOff');
  });

  it('waits for the new template while pods of the previous one crash', async () => {
    const crashed = podOf({ waiting: { reason: 'CrashLoopBackOff' } }, { template: 'old' });
    const starting = podOf({}, { name: 'web-2', template: 'new' });
    const items = [crashed, starting, replicaSetOf('old', 1), replicaSetOf('new', 2)];
    await rolledOut(kubectlOf(2, items), 'shop', 'deployment/web');
  });

  it('waits for a container that was restarted before, as with its machine', async () => {
    const pod = podOf({ running: {} }, { restartCount: 7 });
    await rolledOut(kubectlOf(2, [replicaSetOf('one', 1), pod]), 'shop', 'deployment/web');
  });

  it('gives up on a container that is restarted again and again while it waits', async () => {
    const items: object[] = [replicaSetOf('one', 1)];
    let restartCount = 7;
    const kubectl = kubectlOf(Number.POSITIVE_INFINITY, items, () => {
      items.splice(1, 1, podOf({ running: {} }, { restartCount }));
      restartCount += 3;
    });
    const error = await failureOf(rolledOut(kubectl, 'shop', 'deployment/web'));
    expect(String(error)).to.contain('container web of web-1: not ready, and restarted 3 times');
  });

  it('judges the pods of a workload that has no templates, such as a Job', async () => {
    const { status } = podOf({ waiting: { reason: 'ImagePullBackOff' } });
    const pod = { kind: 'Pod', metadata: { name: 'sync-1', labels: {} }, status };
    const error = await failureOf(rolledOut(kubectlOf(1, [pod]), 'shop', 'job/sync'));
    expect(String(error)).to.contain('container web of sync-1: ImagePullBackOff');
  });
});
