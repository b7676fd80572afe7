/**
 * `make up`: Plusone in a kind cluster of this machine, by the same declaration and the same image as on AWS. Every
 * step brings about what should be, whatever is there already, so that it can be run again after a change or a failure.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { secretName } from '../k8s/names.ts';
import { type Cluster, ensureCluster, type Image, loadImage, loadImages } from './cluster.ts';
import { rolledOut } from './rollout.ts';
import { readSecretValues, type SecretVariable } from './secrets.ts';
import { Failed, output, Refusal, say, seconds, step, stopAll } from './terminal.ts';
import { requireTools } from './tools.ts';

const NAMESPACE = 'plusone';
const SERVICE = 'plusone';
const SECRET = secretName(SERVICE);
const DEFAULT_CLUSTER = 'plusone';
const MANIFESTS = `k8s/dist/${SERVICE}.k8s.yaml`;
const ANSWER_SECONDS = 30;

/** What makes the image: a commit that touches none of it is no new revision. */
const SOURCES = ['src', 'package.json', 'package-lock.json', 'Dockerfile', '.dockerignore'];

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

const containers = z.array(
  z.looseObject({
    name: z.string(),
    image: z.string(),
    env: z
      .array(
        z.looseObject({
          name: z.string(),
          valueFrom: z.object({ secretKeyRef: z.object({ name: z.string(), key: z.string() }).optional() }).optional(),
        }),
      )
      .default([]),
  }),
);

/** A Kubernetes object, as far as this program looks into it. */
const object = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
  spec: z
    .looseObject({
      template: z
        .looseObject({
          metadata: z.looseObject({ annotations: z.record(z.string(), z.string()).optional() }),
          spec: z.looseObject({ containers, initContainers: containers.default([]) }),
        })
        .optional(),
    })
    .optional(),
});
type KubernetesObject = z.infer<typeof object>;

async function up(): Promise<void> {
  const started = performance.now();
  const settings = readSettings(process.env);
  const name = `${SERVICE}:${settings.TAG}`;
  await step('tools', requireTools);
  const manifests = await step('manifests', () => synthesize(name));

  const cluster = step('cluster', (tell) => ensureCluster(settings.CLUSTER, settings.PORT, tell));
  const image = step('image', (tell) => buildImage(name, tell));
  const loaded = Promise.all([cluster, image]).then(([cluster, image]) =>
    step('image load', () => loadImage(cluster, image)),
  );
  const standIns = cluster.then((cluster) => step('stand-ins', (tell) => startStandIns(cluster, manifests, tell)));
  await Promise.all([loaded, standIns]);
  const variables = secretVariables(manifests);
  const secret =
    variables.length === 0 ? '' : await step('secrets', async (tell) => fillSecret(await cluster, variables, tell));

  await step('release', async (tell) => release(await cluster, await image, manifests, secret, tell));
  const { port } = await cluster;
  await step('answer', () => answer(port));
  const others = settings.CLUSTER === DEFAULT_CLUSTER ? '' : ` CLUSTER=${settings.CLUSTER}`;
  say(`
Plusone answers at http://localhost:${port}/ (${seconds(started)} in all)

  make up${others}      again after a change of the code or of copilot/plusone/manifest.yml
  make shell${others}   a shell beside MySQL: mysql -h mysql -u root -ppassword
  make logs${others}    what the service logs
  make status${others}  what runs
  make down${others}    remove it all`);
}

function readSettings(env: NodeJS.ProcessEnv) {
  const aPort = 'expected a port from 1 to 65535';
  const settings = z
    .object({
      CLUSTER: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/, 'expected lower-case letters, digits, "." and "-"'),
      PORT: z.coerce.number(aPort).int(aPort).min(1, aPort).max(65535, aPort).optional(),
      // https://docs.docker.com/reference/cli/docker/image/tag/
      TAG: z.string().regex(/^\w[\w.-]{0,127}$/, 'expected letters, digits, "_", "." and "-"'),
    })
    .safeParse({ CLUSTER: env.CLUSTER || DEFAULT_CLUSTER, PORT: env.PORT || undefined, TAG: env.TAG || 'dev' });
  if (settings.success) return settings.data;
  const [issue] = settings.error.issues;
  const variable = String(issue?.path[0]);
  throw new Refusal(`${variable}=${env[variable]}: ${issue?.message}`);
}

async function synthesize(image: string): Promise<KubernetesObject[]> {
  try {
    await output(process.execPath, ['k8s/main.ts', '--image', image, '--platform-env', 'local-kind/platform.env']);
  } catch (error) {
    // It says the file, the line and what would be right: how we asked is of no interest.
    throw error instanceof Failed ? new Refusal(error.stderr) : error;
  }
  return objects(readFileSync(MANIFESTS, 'utf8'));
}

function objects(yaml: string): KubernetesObject[] {
  return parseAllDocuments(yaml).map((document) => object.parse(document.toJS()));
}

async function buildImage(name: string, tell: (what: string) => void): Promise<Image> {
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync('package.json', 'utf8')));
  const build = ['--build-arg', `VERSION=${version}`, '--build-arg', `REVISION=${await revision()}`];
  await output('docker', ['build', '--tag', name, '--provenance=false', ...build, '.']);
  const [id = '', size] = (await output('docker', ['inspect', '--format', '{{.Id}} {{.Size}}', name])).split(' ');
  tell(`${name}, ${Math.round(Number(size) / 1e6)} MB`);
  return { name, id };
}

async function revision(): Promise<string> {
  try {
    const commit = await output('git', ['log', '-1', '--format=%H', '--', ...SOURCES]);
    return (await output('git', ['status', '--porcelain', '--', ...SOURCES])) ? `${commit}-changed` : commit;
  } catch {
    // Not a clone: an archive of the sources, say.
    return 'unknown';
  }
}

/** Whatever stands in for AWS, started and filled. */
async function startStandIns(cluster: Cluster, manifests: KubernetesObject[], tell: (what: string) => void) {
  const { kubectl } = cluster;
  const standIns = objects(await output('kubectl', ['kustomize', 'local-kind']));
  await loadImages(cluster, await presentImages(standIns));
  // A Job runs once; this one has to look every time whether all parameters are there.
  await kubectl(['delete', 'job', 'seed', '-n', NAMESPACE, '--ignore-not-found']);
  await kubectl(['apply', '-f', '-'], list([...manifests.filter(({ kind }) => kind === 'Namespace'), ...standIns]));
  await Promise.all([
    rolledOut(kubectl, NAMESPACE, 'statefulset/mysql'),
    rolledOut(kubectl, NAMESPACE, 'deployment/ssm'),
    rolledOut(kubectl, NAMESPACE, 'job/seed'),
  ]);
  tell('MySQL, SSM, metrics-server');
}

/** Those images that this machine has; the node pulls the others itself. */
async function presentImages(objects: KubernetesObject[]): Promise<string[]> {
  const names = new Set(objects.flatMap(({ spec }) => spec?.template?.spec.containers ?? []).map(({ image }) => image));
  const present = await Promise.all(
    [...names].map((name) =>
      output('docker', ['image', 'inspect', '--format', '{{.Id}}', name]).then(
        () => [name],
        () => [],
      ),
    ),
  );
  return present.flat();
}

/** The variables of the service's containers that the manifest lists as `secrets`. */
function secretVariables(manifests: KubernetesObject[]): SecretVariable[] {
  const containers = manifests.flatMap(({ spec }) => {
    const pod = spec?.template?.spec;
    return pod ? [...pod.initContainers, ...pod.containers] : [];
  });
  return containers.flatMap(({ name: container, env }) =>
    env.flatMap(({ name: variable, valueFrom }) => {
      const source = valueFrom?.secretKeyRef;
      return source?.name === SECRET ? [{ container, variable, key: source.key }] : [];
    }),
  );
}

/** Fills the Secret of the service from SSM. Gives back its version, which changes with its content. */
async function fillSecret(cluster: Cluster, variables: SecretVariable[], tell: (what: string) => void) {
  const values = await readSecretValues(cluster, NAMESPACE, variables);
  const data = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  );
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: SECRET, namespace: NAMESPACE }, data };
  tell(variables.map(({ variable }) => variable).join(', '));
  // On the server's side: the usual `apply` would write the values into an annotation as well.
  const apply = ['apply', '--server-side', '-o', 'jsonpath={.metadata.resourceVersion}', '-f', '-'];
  return await cluster.kubectl(apply, JSON.stringify(secret));
}

/** The declaration in the cluster: applied, what it no longer has removed, rolled out. */
async function release(
  { kubectl }: Cluster,
  image: Image,
  manifests: KubernetesObject[],
  secret: string,
  tell: (what: string) => void,
): Promise<void> {
  for (const { spec } of manifests) {
    // The names stay and what they stand for changes: so Kubernetes sees that there is something to roll out.
    if (spec?.template?.spec.containers.some((container) => container.image === image.name))
      spec.template.metadata.annotations = {
        ...spec.template.metadata.annotations,
        'local-kind/image-id': image.id,
        ...(secret === '' ? {} : { 'local-kind/secret-version': secret }),
      };
  }
  const prune = ['--prune', '-l', `app.kubernetes.io/part-of=${NAMESPACE}`];
  const allowed = PRUNED.map((kind) => `--prune-allowlist=${kind}`);
  const applied = await kubectl(['apply', '-n', NAMESPACE, '-f', '-', ...prune, ...allowed], list(manifests));
  await rolledOut(kubectl, NAMESPACE, `deployment/${SERVICE}`);
  // kube-proxy may send a connection to an old pod for up to a second more: whoever asks now wants the new one.
  if (applied.includes(`deployment.apps/${SERVICE} configured`)) await sleep(1000);
  tell(await kubectl(['get', 'deployment', SERVICE, '-n', NAMESPACE, '-o', 'jsonpath={.status.readyReplicas} pods']));
}

function list(items: KubernetesObject[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

async function answer(port: number): Promise<void> {
  const url = `http://localhost:${port}/readyz`;
  for (const deadline = Date.now() + ANSWER_SECONDS * 1000; ; await sleep(100)) {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
    if (response?.ok) return;
    if (Date.now() > deadline)
      throw new Error(`the pods are ready, but ${url} says ${response?.status ?? 'nothing'}: make status, make logs`);
  }
}

try {
  await up();
} catch (error) {
  stopAll();
  console.error(`\nmake up: ${error instanceof Error ? error.message : error}`);
  if (!(error instanceof Refusal)) console.error('\nWhat is there stays there: put it right and type make up again.');
  process.exit(1);
}
