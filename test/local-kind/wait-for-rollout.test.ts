import { expect } from 'chai';
import { NotReady, rolledOut } from '../../local-kind/wait-for-rollout.ts';

const dateNow = Date.now;

/** A kubectl whose `rollout status` gives up `rounds` times, while `pods` are as given. */
function kubectlOf(rounds: number, pods: readonly object[] = [], onRound = () => {}) {
  let round = 0;
  return ([verb]: string[]) => {
    if (verb === 'get') return Promise.resolve(JSON.stringify({ items: pods }));
    if (verb === 'logs') return Promise.resolve('no such table: users');
    onRound();
    round += 1;
    return round > rounds ? Promise.resolve('') : Promise.reject(new Error('timed out waiting for the condition'));
  };
}

function podOf(state: object) {
  return {
    metadata: { name: 'web-1', creationTimestamp: '2026-01-01T00:00:00Z', labels: { 'pod-template-hash': 'one' } },
    status: { phase: 'Running', containerStatuses: [{ name: 'web', ready: false, state }] },
  };
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
    await rolledOut(kubectlOf(2, [podOf({})], jump), 'shop', 'deployment/web');
  });

  it('says at once why a container cannot start, with the end of its log', async () => {
    const crashed = podOf({ waiting: { reason: 'CrashLoopBackOff' } });
    const error = await failureOf(rolledOut(kubectlOf(1, [crashed]), 'shop', 'deployment/web'));
    expect(error).to.be.instanceOf(NotReady);
    expect(String(error)).to.contain('container web of web-1: CrashLoopBackOff\nno such table: users');
  });

  it('gives up at its deadline, and names the container that is not ready', async () => {
    const error = await failureOf(rolledOut(kubectlOf(1, [podOf({})]), 'shop', 'deployment/web', -1));
    expect(String(error)).to.contain('container web of web-1: not ready after');
  });
});
