import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type Cluster, keepImages } from './cluster.ts';
import { allContainers, type KubernetesObject, kubernetesObject, list } from './objects.ts';
import { rolledOut } from './rollout.ts';

const NAMESPACE = 'plusone';
const SERVICE = 'plusone';
const PART_OF = `app.kubernetes.io/part-of=${NAMESPACE}`;
/** The ConfigMap that keeps the last release that succeeded. */
const RECORD = 'last-release';
const ANSWER_SECONDS = 30;

/** What the chart can consist of, and therefore what goes away when the declaration no longer has it. */
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

/** The declaration as it is applied. What it names, images and Secrets, is never given another content. */
export interface Release {
  /** Of the service. */
  image: string;
  manifests: KubernetesObject[];
}

/** The last release that succeeded; undefined before the first. */
export async function lastRelease({ kubectl }: Cluster): Promise<Release | undefined> {
  const record = ['get', 'configmap', RECORD, '-n', NAMESPACE, '--ignore-not-found', '-o', 'jsonpath={.data.release}'];
  const json = await kubectl(record);
  if (json === '') return undefined;
  return z.object({ image: z.string(), manifests: z.array(kubernetesObject) }).parse(JSON.parse(json));
}

/**
 * Brings a release into the cluster: applied, rolled out, answering; then what it no longer has is removed. If it does
 * not come to that, all of the release before is put back, as CloudFormation and the circuit breaker of ECS do it.
 * Throws with the reason and with what became of it.
 */
export async function release(cluster: Cluster, next: Release): Promise<void> {
  const { kubectl, port } = cluster;
  const before = await lastRelease(cluster);
  try {
    const applied = await apply(cluster, next);
    await rolledOut(kubectl, NAMESPACE, `deployment/${SERVICE}`);
    // kube-proxy may send a connection to an old pod for up to a second more: whoever asks now wants the new one.
    if (applied.includes(`deployment.apps/${SERVICE} configured`)) await sleep(1000);
    await answers(port);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${reason}\n\n${await takeBack(cluster, next, before)}`, { cause: error });
  }
  if (before !== undefined && isSame(before, next)) return;
  await Promise.all([
    apply(cluster, next, PRUNED),
    keep(cluster, next),
    keepImages(cluster, SERVICE, [next.image, ...(before ? [before.image] : [])]),
    keepSecrets(cluster, [next, ...(before ? [before] : [])]),
  ]);
}

/** Puts the release before into the place of one that failed; tells what came of it. */
async function takeBack(cluster: Cluster, failed: Release, before: Release | undefined): Promise<string> {
  if (before === undefined)
    return 'There is no release before this one that could be put back: the cluster is left as it is, to look at.';
  if (isSame(before, failed))
    return 'It is the release that has served here before: nothing was changed, and nothing can be put back.';
  await apply(cluster, before, PRUNED);
  await rolledOut(cluster.kubectl, NAMESPACE, `deployment/${SERVICE}`);
  return `It was taken back: the release before it serves (${before.image}), with all that belongs to it.`;
}

function isSame(one: Release, other: Release): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Applies a release, and removes of these kinds what it does not have. Gives back what kubectl says. */
async function apply({ kubectl }: Cluster, { manifests }: Release, pruned: readonly string[] = []): Promise<string> {
  const prune = pruned.length === 0 ? [] : ['--prune', '-l', PART_OF];
  const allowed = pruned.map((kind) => `--prune-allowlist=${kind}`);
  return await kubectl(['apply', '-n', NAMESPACE, '-f', '-', ...prune, ...allowed], list(manifests));
}

async function keep({ kubectl }: Cluster, release: Release): Promise<void> {
  const metadata = { name: RECORD, namespace: NAMESPACE };
  const record = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { release: JSON.stringify(release) } };
  // On the server's side: the usual `apply` would write all of it into an annotation once more.
  await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(record));
}

/** Removes the Secrets of releases other than these. */
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
