import { expect } from 'chai';
import { z } from 'zod';
import type { Cluster } from '../../local-kind/cluster.ts';
import { type KubernetesObject, kubernetesObject } from '../../local-kind/objects.ts';
import { lastRelease, type Release, release, releaseSecret } from '../../local-kind/release.ts';

const TARGET = { namespace: 'orders', name: 'web', isBuilt: false };

const applied = z.union([
  z.object({ items: z.array(kubernetesObject) }).transform(({ items }) => items),
  kubernetesObject.transform((object) => [object]),
]);

/** A cluster that has ConfigMaps, takes what is applied, and rolls out an image unless its name has "bad". */
class FakeCluster implements Cluster {
  readonly name = 'orders';
  readonly port = 5000;
  readonly nodePort = 30500;
  readonly nodes = [];
  readonly connection = [];
  /** The words of each call. */
  readonly calls: string[] = [];
  readonly objects: KubernetesObject[] = [];

  readonly kubectl = async (words: string[], input = ''): Promise<string> => {
    this.calls.push(words.join(' '));
    const [verb, kind, name] = words;
    if (verb === 'apply') {
      this.objects.push(...applied.parse(JSON.parse(input)));
      return 'deployment.apps/web configured';
    }
    if (verb === 'get' && kind === 'configmap') {
      const found = this.objects.findLast((object) => object.kind === 'ConfigMap' && object.metadata.name === name);
      return found ? z.object({ data: z.object({ release: z.string() }) }).parse(found).data.release : '';
    }
    if (verb === 'get' && kind === 'secrets') return 'secret/web-secrets-old\nsecret/web-secrets-present';
    if (verb === 'get') return JSON.stringify({ items: [pod()] });
    if (verb === 'rollout' && this.image().includes('bad')) throw new Error('timed out');
    if (verb === 'logs') return 'no way to start';
    return '';
  };

  /** Of the Deployment as it was applied last. */
  image(): string {
    const deployment = this.objects.findLast(({ kind }) => kind === 'Deployment');
    return deployment?.spec?.template?.spec.containers[0]?.image ?? '';
  }
}

function pod() {
  const waiting = { reason: 'CrashLoopBackOff' };
  return {
    kind: 'Pod',
    metadata: { name: 'web-1', labels: {} },
    status: { phase: 'Running', containerStatuses: [{ name: 'web', ready: false, state: { waiting } }] },
  };
}

function releaseOf(image: string, secret = 'web-secrets-present'): Release {
  const env = [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: secret, key: 'TOKEN' } } }];
  const containers = [{ name: 'web', image, env, readinessProbe: { tcpSocket: { port: 80 } } }];
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: { template: { spec: { containers, initContainers: [] } } },
  };
  return { image, manifests: [kubernetesObject.parse(deployment)] };
}

async function failureOf(work: Promise<void>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof Error ? error.message : 'no failure';
}

describe('The release of a workload', () => {
  it('is recorded once it has rolled out', async () => {
    const cluster = new FakeCluster();
    await release(cluster, TARGET, releaseOf('web:one'));
    expect(await lastRelease(cluster, TARGET)).to.deep.equal(releaseOf('web:one'));
    expect(await lastRelease(cluster, { ...TARGET, name: 'api' })).to.equal(undefined);
  });

  it('gives way to the previous one when it does not start, and says why', async () => {
    const cluster = new FakeCluster();
    await release(cluster, TARGET, releaseOf('web:one'));
    const message = await failureOf(release(cluster, TARGET, releaseOf('web:bad')));
    expect(message)
      .to.contain('no way to start')
      .and.contain('It was rolled back; the previous release (web:one) serves again.');
    expect(cluster.image()).to.equal('web:one');
    expect(await lastRelease(cluster, TARGET)).to.deep.equal(releaseOf('web:one'));
  });

  it('says why it does not start even if the previous one cannot be restored', async () => {
    const cluster = new FakeCluster();
    await release(cluster, TARGET, releaseOf('web:one'));
    const unreachable = async (words: string[], input?: string): Promise<string> => {
      if (words.includes('--prune')) throw new Error('connection refused');
      return await cluster.kubectl(words, input);
    };
    const broken: Cluster = { ...cluster, kubectl: unreachable };
    const message = await failureOf(release(broken, TARGET, releaseOf('web:bad')));
    expect(message).to.contain('no way to start').and.contain('could not be restored: connection refused');
  });

  it('stays for inspection when the first one does not start', async () => {
    const cluster = new FakeCluster();
    const message = await failureOf(release(cluster, TARGET, releaseOf('web:bad')));
    expect(message).to.contain('There is no previous release to restore');
    expect(cluster.image()).to.equal('web:bad');
  });

  it('gives way too when it runs but does not answer', async () => {
    const cluster = new FakeCluster();
    await release(cluster, TARGET, releaseOf('web:one'));
    const answers = () => Promise.reject(new Error('/readyz says nothing'));
    const message = await failureOf(release(cluster, { ...TARGET, answers }, releaseOf('web:two')));
    expect(message).to.match(/^\/readyz says nothing\n\nIt was rolled back/);
  });

  it('removes only objects of its own workload that the manifest no longer has', async () => {
    const cluster = new FakeCluster();
    await release(cluster, TARGET, releaseOf('web:one'));
    const [prune = ''] = cluster.calls.filter((call) => call.includes('--prune '));
    expect(prune).to.contain('-l app.kubernetes.io/name=web,app.kubernetes.io/managed-by=cdk8s');
    expect(prune).not.to.match(/PersistentVolumeClaim|Namespace/);
  });

  it('leaves the Secret of the previous release, and removes older ones', async () => {
    const cluster = new FakeCluster();
    await release(cluster, TARGET, releaseOf('web:one'));
    await release(cluster, TARGET, releaseOf('web:two', 'web-secrets-new'));
    const deleted = cluster.calls.filter((call) => call.startsWith('delete'));
    expect(deleted).to.deep.equal([
      'delete -n orders secret/web-secrets-old',
      'delete -n orders secret/web-secrets-old',
    ]);
  });

  it('is not repeated when nothing changed', async () => {
    const cluster = new FakeCluster();
    await release(cluster, TARGET, releaseOf('web:one'));
    const before = cluster.calls.length;
    await release(cluster, TARGET, releaseOf('web:one'));
    expect(cluster.calls.slice(before).map((call) => call.split(' ')[0])).to.deep.equal(['get', 'apply', 'rollout']);
  });

  it('has its secret values in a Secret whose name changes with them, and in nothing else', async () => {
    const cluster = new FakeCluster();
    const { manifests } = releaseOf('web:one', 'web-secrets');
    const nameWith = async (value: string) => {
      const [object] = await releaseSecret(cluster, TARGET, 'web-secrets', { TOKEN: value }, manifests);
      return object?.spec?.template?.spec.containers[0]?.env[0]?.valueFrom?.secretKeyRef?.name;
    };
    const [first, second, again] = [await nameWith('one'), await nameWith('two'), await nameWith('one')];
    expect(first)
      .to.match(/^web-secrets-[0-9a-f]{10}$/)
      .and.equal(again);
    expect(second).not.to.equal(first);
    expect(cluster.calls).to.satisfy((calls: string[]) => calls.every((call) => call.includes('--server-side')));
  });
});
