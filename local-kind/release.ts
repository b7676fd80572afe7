import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type Cluster, keepImages } from './cluster.ts';
import { allContainers, type KubernetesObject, kubernetesObject, list } from './objects.ts';
import { rolledOut } from './wait-for-rollout.ts';

const NAMESPACE = 'plusone';
const SERVICE = 'plusone';
const PART_OF = `app.kubernetes.io/part-of=${NAMESPACE}`;
/** The ConfigMap that records the last successful release. */
const RECORD = 'last-release';
const ANSWER_SECONDS = 30;

/** The kinds of objects in the chart; objects of these kinds are removed when the manifest no longer produces them. */
const PRUNED = [
  'core/v1/Service',
  'core/v1/ServiceAccount',
  'core/v1/PersistentVolumeClaim',
  'apps/v1/Deployment',
  'batch/v1/CronJob',
  'autoscaling/v2/HorizontalPodAutoscaler',
  'policy/v1/PodDisruptionBudget',
  'networking.k8s.io/v1/NetworkPolicy',
  'networking.k8s.io/v1/Ingress',
  'rbac.authorization.k8s.io/v1/Role',
  'rbac.authorization.k8s.io/v1/RoleBinding',
];

/** The objects as applied. Their images and Secrets never change content under the same name. */
export interface Release {
  /** The image of the service. */
  image: string;
  manifests: KubernetesObject[];
}

/** The last successful release; undefined before the first. */
export async function lastRelease({ kubectl }: Cluster): Promise<Release | undefined> {
  const record = ['get', 'configmap', RECORD, '-n', NAMESPACE, '--ignore-not-found', '-o', 'jsonpath={.data.release}'];
  const json = await kubectl(record);
  if (json === '') return undefined;
  return z.object({ image: z.string(), manifests: z.array(kubernetesObject) }).parse(JSON.parse(json));
}

/**
 * Applies a release, waits until it is rolled out and answers, then removes obsolete objects. If that fails, the previous
 * release is restored, as CloudFormation and the circuit breaker of ECS do.
 * @throws with the reason and the result of the rollback
 */
export async function release(cluster: Cluster, next: Release): Promise<void> {
  const { kubectl, port } = cluster;
  const before = await lastRelease(cluster);
  try {
    const applied = await apply(cluster, next);
    await rolledOut(kubectl, NAMESPACE, `deployment/${SERVICE}`);
    // kube-proxy may send connections to an old pod for another second; the next request must reach the new one.
    if (applied.includes(`deployment.apps/${SERVICE} configured`)) await sleep(1000);
    await answers(port);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${reason}\n\n${await rollBack(cluster, next, before)}`, { cause: error });
  }
  if (before !== undefined && isSame(before, next)) return;
  await Promise.all([
    apply(cluster, next, PRUNED),
    keep(cluster, next),
    keepImages(cluster, SERVICE, [next.image, ...(before ? [before.image] : [])]),
    keepSecrets(cluster, [next, ...(before ? [before] : [])]),
  ]);
}

/** Restores the previous release after a failed one; returns the result as text. */
async function rollBack(cluster: Cluster, failed: Release, before: Release | undefined): Promise<string> {
  if (before === undefined)
    return 'There is no previous release to restore; the cluster stays as it is, for inspection.';
  if (isSame(before, failed))
    return 'It is the same as the previous release; nothing was changed, and there is nothing to restore.';
  await apply(cluster, before, PRUNED);
  await rolledOut(cluster.kubectl, NAMESPACE, `deployment/${SERVICE}`);
  return `It was rolled back; the previous release (${before.image}) serves again.`;
}

function isSame(one: Release, other: Release): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Applies a release and prunes objects of these kinds that it does not have. Returns kubectl's output. */
async function apply({ kubectl }: Cluster, { manifests }: Release, pruned: readonly string[] = []): Promise<string> {
  const prune = pruned.length === 0 ? [] : ['--prune', '-l', PART_OF];
  const allowed = pruned.map((kind) => `--prune-allowlist=${kind}`);
  return await kubectl(['apply', '-n', NAMESPACE, '-f', '-', ...prune, ...allowed], list(manifests));
}

async function keep({ kubectl }: Cluster, release: Release): Promise<void> {
  const metadata = { name: RECORD, namespace: NAMESPACE };
  const record = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { release: JSON.stringify(release) } };
  // Server-side, because the client-side `apply` would copy all of it into an annotation.
  await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(record));
}

/** Removes the Secrets of other releases. */
async function keepSecrets({ kubectl }: Cluster, releases: readonly Release[]): Promise<void> {
  const variables = releases.flatMap(({ manifests }) => allContainers(manifests)).flatMap(({ env }) => env);
  const kept = new Set(variables.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name));
  const present = await kubectl(['get', 'secrets', '-n', NAMESPACE, '-l', PART_OF, '-o', 'name']);
  const obsolete = present.split('\n').filter((name) => name !== '' && !kept.has(name.replace('secret/', '')));
  if (obsolete.length > 0) await kubectl(['delete', '-n', NAMESPACE, ...obsolete]);
}

async function answers(port: number): Promise<void> {
  const url = `http://localhost:${port}/readyz`;
  for (const deadline = Date.now() + ANSWER_SECONDS * 1000; ; await sleep(100)) {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
    if (response?.ok) return;
    if (Date.now() > deadline)
      throw new Error(`the pods are ready, but ${url} says ${response?.status ?? 'nothing'}: make status, make logs`);
  }
}
