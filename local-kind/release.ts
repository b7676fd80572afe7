/** The release of one workload: what `make up`, `plusone up` and the drills do with its objects, image and Secret. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { messageOf } from '../tools/terminal/message.ts';
import { applyServerSide, type Cluster, keepImages } from './cluster.ts';
import { allContainers, type KubernetesObject, kubernetesObject, list, podTemplateOf, withSecret } from './objects.ts';
import { NotReady, rolledOut } from './wait-for-rollout.ts';

const SETTLE_SECONDS = 3;

/**
 * The kinds of objects in the chart; objects of these kinds are removed when the manifest no longer produces them. A volume
 * stays, as its file system does on AWS.
 */
const PRUNED = [
  'core/v1/Service',
  'core/v1/ServiceAccount',
  'apps/v1/Deployment',
  'batch/v1/CronJob',
  'autoscaling/v2/HorizontalPodAutoscaler',
  'policy/v1/PodDisruptionBudget',
  'networking.k8s.io/v1/NetworkPolicy',
  'networking.k8s.io/v1/Ingress',
  'rbac.authorization.k8s.io/v1/Role',
  'rbac.authorization.k8s.io/v1/RoleBinding',
];

/** The workload that is released. */
export interface Target {
  namespace: string;
  /** Its name: that of its Deployment or CronJob, and its label. */
  name: string;
  /** Whether its image is built here; other images of its name are then removed from the nodes. */
  isBuilt: boolean;
  /** Resolves when a rolled-out release answers from outside; throws when it does not. */
  answers?: () => Promise<void>;
}

/** The objects as applied. Their images and Secrets never change content under the same name. */
export interface Release {
  /** The image of the service. */
  image: string;
  manifests: KubernetesObject[];
}

/** The last successful release of a workload; undefined before the first. */
export async function lastRelease(
  { kubectl }: Cluster,
  { namespace, name }: Pick<Target, 'namespace' | 'name'>,
): Promise<Release | undefined> {
  const found = ['configmap', recordOf(name), '-n', namespace, '--ignore-not-found'];
  const json = await kubectl(['get', ...found, '-o', 'jsonpath={.data.release}']);
  if (json === '') return undefined;
  return z.object({ image: z.string(), manifests: z.array(kubernetesObject) }).parse(JSON.parse(json));
}

/**
 * Applies a release, waits until it is rolled out and answers, then removes obsolete objects. If that fails, the previous
 * release is restored, as CloudFormation and the circuit breaker of ECS do.
 * @throws {NotReady} with the reason and the result of the rollback
 */
export async function release(cluster: Cluster, target: Target, next: Release): Promise<void> {
  const before = await lastRelease(cluster, target);
  const isRepeated = before !== undefined && isSame(before, next);
  try {
    await start(cluster, target, next, isRepeated);
  } catch (error) {
    const undone = await rollBack(cluster, target, next, before).catch(
      (failure: unknown) => `The previous release could not be restored: ${messageOf(failure)}`,
    );
    throw new NotReady(`${messageOf(error)}\n\n${undone}`, { cause: error });
  }
  if (isRepeated) return;
  const kept = [next, ...(before ? [before] : [])];
  await Promise.all([
    apply(cluster, target, next, PRUNED),
    keep(cluster, target, next),
    target.isBuilt
      ? keepImages(
          cluster,
          repositoryOf(next.image),
          kept.map(({ image }) => image),
        )
      : undefined,
    keepSecrets(cluster, target, kept),
  ]);
}

/**
 * Creates the Secret of a workload, and gives back the objects that refer to it in place of `from`. Its name depends on its
 * content: pods are replaced when a value changes, and a restored release finds its own values.
 */
export async function releaseSecret(
  { kubectl }: Cluster,
  { namespace, name: workload }: Pick<Target, 'namespace' | 'name'>,
  from: string,
  values: Readonly<Record<string, string>>,
  manifests: readonly KubernetesObject[],
): Promise<KubernetesObject[]> {
  const data = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  );
  const name = `${from}-${createHash('sha256').update(JSON.stringify(data)).digest('hex').slice(0, 10)}`;
  const metadata = { name, namespace, labels: labelsOf(workload) };
  await applyServerSide(kubectl, [{ apiVersion: 'v1', kind: 'Secret', metadata, data }]);
  return withSecret(manifests, from, name);
}

async function start(cluster: Cluster, target: Target, next: Release, isRepeated: boolean): Promise<void> {
  const { namespace, name, answers } = target;
  const applied = await apply(cluster, target, next);
  const deployment = next.manifests.find((object) => object.kind === 'Deployment');
  if (deployment) {
    await rolledOut(cluster.kubectl, namespace, `deployment/${name}`);
    // Without a health check a pod is ready as it starts, and may end right after that.
    if (!isRepeated && !isProbed(deployment)) {
      await sleep(SETTLE_SECONDS * 1000);
      await rolledOut(cluster.kubectl, namespace, `deployment/${name}`, SETTLE_SECONDS * 10);
    }
    // kube-proxy may send connections to an old pod for another second; the next request must reach the new one.
    if (answers && applied.includes(`deployment.apps/${name} configured`)) await sleep(1000);
  }
  await answers?.();
}

function isProbed(object: KubernetesObject): boolean {
  return podTemplateOf(object)?.spec.containers.some((one) => 'readinessProbe' in one) ?? false;
}

/** Restores the previous release after a failed one; returns the result as text. */
async function rollBack(
  cluster: Cluster,
  target: Target,
  failed: Release,
  before: Release | undefined,
): Promise<string> {
  if (before === undefined)
    return 'There is no previous release to restore; the cluster stays as it is, for inspection.';
  if (isSame(before, failed))
    return 'It is the same as the previous release; nothing was changed, and there is nothing to restore.';
  await apply(cluster, target, before, PRUNED);
  if (before.manifests.some(({ kind }) => kind === 'Deployment'))
    await rolledOut(cluster.kubectl, target.namespace, `deployment/${target.name}`);
  return `It was rolled back; the previous release (${before.image}) serves again.`;
}

function isSame(one: Release, other: Release): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Applies a release and prunes objects of these kinds that it does not have. Returns kubectl's output. */
async function apply(
  { kubectl }: Cluster,
  { namespace, name }: Target,
  { manifests }: Release,
  pruned: readonly string[] = [],
): Promise<string> {
  // With a selector, only the objects that it selects are applied.
  const prune = pruned.length === 0 ? [] : ['--prune', '-l', selectorOf(name)];
  const allowed = pruned.map((kind) => `--prune-allowlist=${kind}`);
  return await kubectl(['apply', '-n', namespace, '-f', '-', ...prune, ...allowed], list(manifests));
}

async function keep({ kubectl }: Cluster, { namespace, name }: Target, release: Release): Promise<void> {
  const metadata = { name: recordOf(name), namespace, labels: labelsOf(name) };
  const record = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { release: JSON.stringify(release) } };
  await applyServerSide(kubectl, [record]);
}

/** Removes the Secrets of other releases. */
async function keepSecrets(
  { kubectl }: Cluster,
  { namespace, name }: Target,
  releases: readonly Release[],
): Promise<void> {
  const variables = releases.flatMap(({ manifests }) => allContainers(manifests)).flatMap(({ env }) => env);
  const kept = new Set(variables.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name));
  const present = await kubectl(['get', 'secrets', '-n', namespace, '-l', selectorOf(name), '-o', 'name']);
  const obsolete = present.split('\n').filter((one) => one !== '' && !kept.has(one.replace('secret/', '')));
  if (obsolete.length > 0) await kubectl(['delete', '-n', namespace, ...obsolete]);
}

/** The ConfigMap that records the last successful release of a workload. */
function recordOf(name: string): string {
  return `last-release-${name}`;
}

/** What the chart labels the objects of a workload with. */
function labelsOf(name: string) {
  return { 'app.kubernetes.io/name': name, 'app.kubernetes.io/managed-by': 'cdk8s' };
}

function selectorOf(name: string): string {
  return Object.entries(labelsOf(name))
    .map(([label, value]) => `${label}=${value}`)
    .join();
}

/** `plusone` of `plusone:dev-0123456789ab`. */
function repositoryOf(image: string): string {
  return image.replace(/:[^:/]*$/, '');
}
