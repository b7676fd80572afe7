/**
 * `make up`: runs Plusone in a local kind cluster, from the same manifest and image as on AWS. Every step is idempotent,
 * so it can be run again after a change or a failure.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { readOptions } from '../k8s/options.ts';
import { readWorkloads, warningsOf } from '../k8s/read.ts';
import { secretName } from '../manifest/names.ts';
import { openWorkspace } from '../manifest/workspace.ts';
import { makeTarget } from '../tools/terminal/make-target.ts';
import { Failed, output } from '../tools/terminal/programs.ts';
import { duration, remark, say, step } from '../tools/terminal/progress.ts';
import { Refusal } from '../tools/terminal/refusal.ts';
import { requireTools } from '../tools/terminal/requirements.ts';
import { type Cluster, ensureCluster, type Image, loadImage, loadImages } from './cluster.ts';
import { makeImage, type WantedImage, wantedImages } from './images.ts';
import { withLikelyCause } from './likely-cause.ts';
import { startMetricsServer } from './metrics-server.ts';
import { chooseDatabase, DATABASES, type Database, databaseObjects } from './mysql.ts';
import { allContainers, imagesOf, type KubernetesObject, list, parseObjects, withImage } from './objects.ts';
import { release, releaseSecret } from './release.ts';
import { readSecretValues, type SecretVariable } from './secrets.ts';
import { NotReady, rolledOut } from './wait-for-rollout.ts';

const NAMESPACE = 'plusone';
const SERVICE = 'plusone';
const SECRET = secretName(SERVICE);
const DEFAULT_CLUSTER = 'plusone';
const MANIFESTS = `k8s/dist/${SERVICE}.k8s.yaml`;
const ANSWER_SECONDS = 30;
const TARGET = { namespace: NAMESPACE, name: SERVICE, isBuilt: true } as const;

/** The contents of the image: a commit that changes none of them is no new revision. */
const SOURCES = ['src', 'package.json', 'package-lock.json', 'Dockerfile', '.dockerignore'];

async function up(): Promise<void> {
  const started = performance.now();
  const settings = readSettings(process.env);
  const name = `${SERVICE}:${settings.TAG}`;
  await step('tools', () => requireTools(['docker', 'docker buildx', 'kind', 'kubectl']));
  const manifests = await step('manifests', () => synthesize(name));
  const workspace = openWorkspace();
  const workloads = readWorkloads(workspace, readOptions({ service: SERVICE, image: name }));
  for (const warning of warningsOf(workloads)) remark(`warning: ${warning}`);

  const cluster = step('cluster', (tell) => ensureCluster(settings.CLUSTER, settings, tell));
  const built = step('image', (tell) => buildImage(name, tell));
  const loaded = Promise.all([cluster, built]).then(([cluster, image]) =>
    step('image load', (tell) => loadImage(cluster, image, tell)),
  );
  const standIns = cluster.then((cluster) =>
    step('stand-ins', (tell) => startStandIns(cluster, settings.DATABASE, manifests, tell)),
  );
  const [image] = await Promise.all([loaded, standIns]);
  const wanted = workloads.flatMap((workload) => wantedImages(workload, workspace.root));
  const sidecars = wanted.filter((one) => one.name !== name && one.build !== undefined);
  const ours = await loadSidecars(await cluster, withImage(manifests, name, image), sidecars);
  const variables = secretVariables(ours);
  const objects = variables.length === 0 ? ours : await step('secrets', withValues);
  const { port } = await cluster;
  await step('release', async (tell) => {
    await release(await cluster, { ...TARGET, answers: () => answers(port) }, { image, manifests: objects });
    tell(await readyPods(await cluster));
  });
  const others = settings.CLUSTER === DEFAULT_CLUSTER ? '' : ` CLUSTER=${settings.CLUSTER}`;
  say(`
Plusone answers at http://localhost:${port}/ (${duration(started)} in total)

  make up${others}      update it after a change in the code or in copilot/plusone/manifest.yml
  make shell${others}   open a shell in the MySQL pod: mysql -h mysql -u root -ppassword
  make logs${others}    follow the log of the service
  make status${others}  show what runs
  make down${others}    delete the cluster`);

  async function withValues(tell: (what: string) => void) {
    const values = await readSecretValues(await cluster, NAMESPACE, variables);
    tell(variables.map(({ variable }) => variable).join(', '));
    return await releaseSecret(await cluster, TARGET, SECRET, values, ours);
  }
}

function readSettings(env: NodeJS.ProcessEnv) {
  const aPort = 'expected a port from 1 to 65535';
  const someWorkers = 'expected the number of worker nodes, 0 to 9';
  const settings = z
    .object({
      CLUSTER: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/, 'expected lower-case letters, digits, "." and "-"'),
      PORT: z.coerce.number(aPort).int(aPort).min(1, aPort).max(65535, aPort).optional(),
      WORKERS: z.coerce.number(someWorkers).int(someWorkers).min(0, someWorkers).max(9, someWorkers).optional(),
      DATABASE: z.enum(DATABASES, 'expected single (one MySQL server) or cluster (three)').optional(),
      // 128 characters are allowed, and some are added: https://docs.docker.com/reference/cli/docker/image/tag/
      TAG: z.string().regex(/^\w[\w.-]{0,99}$/, 'expected at most 100 letters, digits, "_", "." and "-"'),
    })
    .safeParse({
      CLUSTER: env.CLUSTER || DEFAULT_CLUSTER,
      PORT: env.PORT || undefined,
      WORKERS: env.WORKERS || undefined,
      DATABASE: env.DATABASE || undefined,
      TAG: env.TAG || 'dev',
    });
  if (settings.success) return settings.data;
  const [issue] = settings.error.issues;
  const variable = String(issue?.path[0]);
  throw new Refusal(`${variable}=${env[variable]}: ${issue?.message}`);
}

async function synthesize(image: string): Promise<KubernetesObject[]> {
  try {
    await output(process.execPath, [
      'tools/cli.ts',
      'synth',
      '--image',
      image,
      '--platform-env',
      'local-kind/platform.env',
    ]);
  } catch (error) {
    // Its stderr has the file, the line and what is valid; the command line does not help.
    throw error instanceof Failed ? new Refusal(error.stderr) : error;
  }
  return parseObjects(readFileSync(MANIFESTS, 'utf8'));
}

async function buildImage(name: string, tell: (what: string) => void): Promise<Image> {
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync('package.json', 'utf8')));
  const build = ['--build-arg', `VERSION=${version}`, '--build-arg', `REVISION=${await revision()}`];
  const image = await makeImage({ name, build: [...build, '.'] });
  const size = await output('docker', ['inspect', '--format', '{{.Size}}', name]);
  tell(`${name}, ${Math.round(Number(size) / 1e6)} MB`);
  return image;
}

/** Builds and loads these images of sidecars; gives back the objects with what they are called there. */
async function loadSidecars(
  cluster: Cluster,
  manifests: KubernetesObject[],
  sidecars: readonly WantedImage[],
): Promise<KubernetesObject[]> {
  let objects = manifests;
  for (const wanted of sidecars) {
    const loaded = await step(`image ${wanted.name}`, async (tell) =>
      loadImage(cluster, await makeImage(wanted), tell),
    );
    objects = withImage(objects, wanted.name, loaded);
  }
  return objects;
}

async function revision(): Promise<string> {
  try {
    const commit = await output('git', ['log', '-1', '--format=%H', '--', ...SOURCES]);
    return (await output('git', ['status', '--porcelain', '--', ...SOURCES])) ? `${commit}-changed` : commit;
  } catch {
    // Not a clone, for example an archive of the sources.
    return 'unknown';
  }
}

/** Starts the stand-ins for AWS, with their data. Throws a Refusal if the cluster has another database than wanted. */
async function startStandIns(
  cluster: Cluster,
  wanted: Database | undefined,
  manifests: KubernetesObject[],
  tell: (what: string) => void,
) {
  const { kubectl } = cluster;
  const database = await chooseDatabase(cluster, NAMESPACE, wanted);
  const others = parseObjects(await output('kubectl', ['kustomize', 'local-kind']));
  // Last: its pods need a Secret of the others.
  const standIns = [...others, ...databaseObjects(database)];
  await loadImages(cluster, imagesOf(standIns));
  // A Job runs once; this one must check at every `make up` that all parameters exist.
  await kubectl(['delete', 'job', 'seed', '-n', NAMESPACE, '--ignore-not-found']);
  await kubectl(['apply', '-f', '-'], list([...manifests.filter(({ kind }) => kind === 'Namespace'), ...standIns]));
  await Promise.all([
    rolledOut(kubectl, NAMESPACE, 'statefulset/mysql'),
    rolledOut(kubectl, NAMESPACE, 'deployment/ssm'),
    rolledOut(kubectl, NAMESPACE, 'job/seed'),
    startMetricsServer(cluster),
  ]);
  tell(`${database === 'cluster' ? 'three MySQL servers' : 'MySQL'}, SSM, metrics-server`);
}

/** The variables of the service's containers that the manifest lists as `secrets`. */
function secretVariables(manifests: KubernetesObject[]): SecretVariable[] {
  return allContainers(manifests).flatMap(({ name: container, env }) =>
    env.flatMap(({ name: variable, valueFrom }) => {
      const source = valueFrom?.secretKeyRef;
      return source?.name === SECRET ? [{ container, variable, key: source.key }] : [];
    }),
  );
}

async function answers(port: number): Promise<void> {
  const url = `http://localhost:${port}/readyz`;
  for (const deadline = performance.now() + ANSWER_SECONDS * 1000; ; await sleep(100)) {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
    if (response?.ok) return;
    if (performance.now() > deadline)
      throw new NotReady(
        `the pods are ready, but ${url} says ${response?.status ?? 'nothing'}: make status, make logs`,
      );
  }
}

async function readyPods({ kubectl }: Cluster): Promise<string> {
  const ready = 'jsonpath={.status.readyReplicas} pods';
  return await kubectl(['get', 'deployment', SERVICE, '-n', NAMESPACE, '-o', ready]);
}

await makeTarget('make up', up, withLikelyCause);
