/**
 * A whole workspace in a kind cluster of this machine: `plusone up`. Every step can be repeated after a
 * change, a failure or Ctrl-C: it does only what is missing.
 */
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { synthesize } from '../k8s/chart.ts';
import { UsageError } from '../k8s/errors.ts';
import { inputs, inputValues, qualified } from '../k8s/inputs.ts';
import { readOptions } from '../k8s/options.ts';
import { type BrokenWorkload, readWhatCanBe, warningsOf } from '../k8s/read.ts';
import { type Route, routesOf } from '../k8s/routes.ts';
import { securityLevel } from '../k8s/security.ts';
import { type SecretInput, secretInputs, valueInputs } from '../k8s/variables.ts';
import type { Workload } from '../k8s/workload.ts';
import { variableName } from '../manifest/addons.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { objectName, secretName } from '../manifest/names.ts';
import { MissingInput, type Workspace } from '../manifest/workspace.ts';
import { messageOf } from '../tools/terminal/message.ts';
import { output } from '../tools/terminal/programs.ts';
import { remark, step } from '../tools/terminal/progress.ts';
import { Refusal } from '../tools/terminal/refusal.ts';
import { propertyOf, readAccountSecrets } from './account-secrets.ts';
import { type Addons, readAddons, stackName } from './addons.ts';
import {
  applyServerSide,
  type Cluster,
  deleteCluster,
  dnsAddress,
  ensureCluster,
  kubectlOf,
  loadImage,
  nodesOf,
  rewriteNames,
  type Typed,
} from './cluster.ts';
import { databaseObjects } from './databases.ts';
import { bucketNames, EMULATOR_IMAGE, emulatorObjects, emulatorVariables, Stacks } from './emulator.ts';
import { type Events, eventsOf } from './events.ts';
import { makeImage, type WantedImage, wantedImages } from './images.ts';
import { likelyCause } from './likely-cause.ts';
import { startMetricsServer } from './metrics-server.ts';
import { allContainers, type KubernetesObject, kubernetesObject, parseObjects, withImage } from './objects.ts';
import { portForward } from './port-forward.ts';
import { release, releaseSecret } from './release.ts';
import { localRoutes, podsService, ROUTER_IMAGE, routerObjects, untilReached } from './router.ts';
import { readSecretFile, SECRET_FILE } from './secret-file.ts';
import { rolledOut } from './wait-for-rollout.ts';

/** Where the router, the emulator and the databases run. */
export const AWS_NAMESPACE = 'local-aws';
const NODE_PORT = 30500;
/** Of what a tool or a pod said before it failed. */
const FAILURE_LINES = 30;
/** The router looks up the pods of a service every second, and CoreDNS learns of a change a moment later. */
const DRAIN_SECONDS = 5;
/** The default environment, which no manifest needs a section for. */
const LOCAL = 'local';
/** How long a cluster may take to say whose it is. */
const ANSWER_SECONDS = 10;

/** What `up` is asked for. */
export interface Wanted {
  environment: string;
  /** The name of the cluster; by default that of the application. */
  cluster: string | undefined;
  /** The port of this machine; by default 5000. */
  port: number | undefined;
  /** Whether secrets that plusone.env does not have are read from the AWS account of the shell. */
  secretsFromAws: boolean;
}

export interface Outcome {
  url: string;
  cluster: string;
  routes: Route[];
  workloads: WorkloadOutcome[];
  /** What is not available locally. */
  unavailable: Addons['unavailable'];
}

export interface WorkloadOutcome {
  name: string;
  type: string;
  /** Undefined where it runs, or is scheduled. */
  failure: string | undefined;
}

/**
 * The name of the cluster of an application.
 * @throws {UsageError} if kind would refuse it, or warns that the names of its nodes may be too long
 */
function clusterName({ application }: Pick<Workspace, 'application'>, stated: string | undefined): string {
  const name = stated ?? objectName(application);
  if (!/^[a-z0-9][a-z0-9.-]{0,49}$/.test(name))
    throw new UsageError(`--cluster ${name}: expected at most 50 lower-case letters, digits, "-" and "."`);
  return name;
}

/** How kubectl reaches the cluster; the person's own kubeconfig stays as it is. */
export function kubeconfigOf(cluster: string): string {
  const state = join(process.env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'plusone');
  mkdirSync(state, { recursive: true });
  return join(state, `${cluster}.kubeconfig`);
}

/** The cluster of a workspace that is up. Throws a Refusal when there is none. */
export async function connect(workspace: Workspace, stated: string | undefined) {
  const name = clusterName(workspace, stated);
  if ((await nodesOf(name)).length === 0) throw new Refusal(`there is no cluster ${name}: plusone up creates it`);
  return { name, ...connectionOf(name), namespace: objectName(workspace.application) };
}

function connectionOf(cluster: string) {
  const connection = ['--kubeconfig', kubeconfigOf(cluster), '--context', `kind-${cluster}`];
  return { connection, kubectl: kubectlOf(connection) };
}

/**
 * Brings up all workloads of a workspace, and what they need of AWS. A workload that fails leaves the others alone. Throws
 * a Refusal when the machine lacks something, and MissingInput or a UsageError when the workspace does.
 */
export async function up(workspace: Workspace, wanted: Wanted): Promise<Outcome> {
  const name = clusterName(workspace, wanted.cluster);
  const options = readOptions({
    environment: wanted.environment,
    namespace: objectName(workspace.application),
    // The storage class of kind has no other.
    'access-mode': 'ReadWriteOnce',
  });
  const { workloads, broken } = readWhatCanBe(workspace, options);
  // Two applications may have a service of one name, and this machine has one set of images.
  const read = workloads.map((workload) => ({
    ...workload,
    image: `${objectName(workspace.application)}-${workload.image}`,
    manifest: withShortDrain(workload.manifest),
  }));
  if (read.length + broken.length === 0)
    throw new MissingInput(`no workload in ${workspace.folder}: none of its folders has a manifest.yml`);
  for (const warning of warningsOf(read)) remark(`warning: ${warning}`);
  if (wanted.environment !== LOCAL && !read.some(({ manifest }) => manifest.namesEnvironment))
    remark(`warning: no manifest has a section for "${wanted.environment}": only the common fields apply`);
  const plan = planOf(workspace, wanted.environment, read);
  for (const { what, remedy } of plan.unavailable) remark(`not available locally: ${what}: ${remedy}`);
  const created = new Set(
    read.flatMap((workload) =>
      [...createdSecrets(workload, plan).keys()].map((key) => qualified(workload.manifest, key)),
    ),
  );
  const secretValues = await readSecretFile(
    workspace.root,
    read,
    created,
    wanted.secretsFromAws ? fromAccount : undefined,
  );

  for (const workload of read) {
    const { missing } = secretsOf(workload, plan, secretValues);
    if (missing.length > 0) remark(`${workload.manifest.name} is not started: ${new MissingSecrets(missing).message}`);
  }

  /** Their values are never printed, and no file has them. */
  async function fromAccount(given: Given): Promise<Given> {
    const { values, missing } = await step('secrets from AWS', () => readAccountSecrets(read, given, created));
    for (const message of missing) remark(`${message} (environment "${wanted.environment}")`);
    return values;
  }

  // All that is slow at once: the cluster, each image, and then what each of them is for.
  const cluster = step('cluster', async (tell) => {
    const ready = await ensureCluster(name, { PORT: wanted.port }, tell, undefined, kubeconfigOf(name), typedFor(name));
    await claimCluster(ready, workspace, wanted.environment);
    return ready;
  });
  const prepared = cluster.then((ready) =>
    step('AWS', (tell) => startAws(ready, workspace, wanted.environment, plan, tell)),
  );
  const images = new Map<string, Promise<string>>();
  let metricsServer: Promise<void> | undefined;
  const outcomes = read.map((workload) =>
    attempt(workload, async () => {
      const { name: service } = workload.manifest;
      const given = await Promise.all(
        wantedImages(workload, workspace.root).map(async (image) => {
          // Workloads and sidecars may share a build.
          const key = JSON.stringify(image.build ?? image.name);
          const loading = images.get(key) ?? giveImage(image, service, cluster);
          images.set(key, loading);
          return {
            from: image.name,
            to: await loading,
            isBuilt: image.build !== undefined || image.site !== undefined,
          };
        }),
      );
      const aws = await prepared;
      const scales = await step(`${service}: start`, async () =>
        start(await cluster, given, withValues(workload, plan, aws, secretValues), read),
      );
      // Others may still start when it fails.
      if (scales)
        metricsServer ??= step('metrics-server', async () => startMetricsServer(await cluster)).catch(
          (error: unknown) => remark(`nothing scales by load: ${messageOf(error)}`),
        );
    }),
  );
  const results = await Promise.all([prepared.then(() => undefined), ...outcomes]).then(([, ...all]) => all);
  const ready = await cluster;
  await metricsServer;
  await prune(ready, objectName(workspace.application), [
    ...read.map(({ manifest }) => manifest.name),
    ...broken.map((one) => objectName(one.name)),
  ]);
  return {
    url: `http://localhost:${ready.port}`,
    cluster: name,
    routes: plan.routes,
    workloads: [...results.filter((result) => result !== undefined), ...broken.map(brokenOutcome)],
    unavailable: plan.unavailable,
  };
}

/** A release need not wait here until a load balancer has noticed it. */
function withShortDrain(manifest: Manifest): Manifest {
  const { http } = manifest.fields;
  if (typeof http !== 'object') return manifest;
  const delay = Math.min(DRAIN_SECONDS, http.deregistration_delay ?? DRAIN_SECONDS);
  return { ...manifest, fields: { ...manifest.fields, http: { ...http, deregistration_delay: delay } } };
}

async function giveImage(image: WantedImage, service: string, cluster: Promise<Cluster>): Promise<string> {
  const made = await step(`${service}: ${image.build || image.site ? 'build' : 'pull'} ${image.name}`, () =>
    makeImage(image),
  );
  const ready = await cluster;
  return await step(`${service}: load ${image.name}`, () => loadImage(ready, unpinned(made)));
}

/** An image by the name that the objects have, and by the one that the nodes have. */
interface LoadedImage {
  from: string;
  to: string;
  isBuilt: boolean;
}

/** The values of plusone.env, by their keys. */
type Given = ReadonlyMap<string, string>;

interface Plan {
  environmentAddons: Addons | undefined;
  addons: Map<string, Addons>;
  events: Events | undefined;
  routes: Route[];
  unavailable: Addons['unavailable'];
}

function planOf(workspace: Workspace, environment: string, workloads: readonly Workload[]): Plan {
  const { application, folder } = workspace;
  const owner = { application, environment, namespace: AWS_NAMESPACE };
  const environmentAddons = readAddons(join(folder, 'environments', 'addons'), {
    ...owner,
    workload: undefined,
    exports: new Map(),
    stackExports: new Set(),
  });
  const exports = environmentAddons?.exports ?? new Map<string, string>();
  const stackExports = new Set(environmentAddons?.stackExports.keys());
  const addons = new Map(
    workloads.flatMap(({ manifest }) => {
      const name = manifest.fields.name ?? manifest.name;
      const found = readAddons(join(folder, name, 'addons'), { ...owner, workload: name, exports, stackExports });
      return found ? [[manifest.name, found] as const] : [];
    }),
  );
  const all = [...(environmentAddons ? [environmentAddons] : []), ...addons.values()];
  return {
    environmentAddons,
    addons,
    events: eventsOf(workloads),
    routes: localRoutes(workloads),
    unavailable: all.flatMap(({ unavailable }) => unavailable),
  };
}

function typedFor(cluster: string): Typed {
  return {
    again: `plusone up --cluster ${cluster}`,
    port: '--port',
    otherPort: (port) => `plusone up --port ${port}`,
    otherCluster: 'plusone up --cluster another',
    down: `plusone down --cluster ${cluster}`,
  };
}

/** The folder of the workspace that a cluster runs; empty if it runs none yet. */
async function ownerOf(cluster: Pick<Cluster, 'kubectl'>): Promise<string> {
  return await recordOf(cluster, 'root');
}

/** What claimCluster recorded; empty without a record. */
async function recordOf({ kubectl }: Pick<Cluster, 'kubectl'>, key: 'root' | 'environment'): Promise<string> {
  const record = ['get', 'configmap', 'workspace', '-n', AWS_NAMESPACE, '--ignore-not-found'];
  return await kubectl([...record, '-o', `jsonpath={.data.${key}}`, `--request-timeout=${ANSWER_SECONDS}s`]);
}

/**
 * Deletes the cluster of a workspace with its data, if it exists. Returns its name, and whether it existed.
 * @throws {Refusal} if another program or workspace has it, or if it can't be asked whose it is and `stated` is no name
 */
export async function down(
  { root, application }: Workspace,
  stated: string | undefined,
): Promise<{ name: string; existed: boolean }> {
  const name = clusterName({ application }, stated);
  const kubeconfig = kubeconfigOf(name);
  const existed = (await nodesOf(name)).length > 0;
  if (existed) {
    const { kubectl } = connectionOf(name);
    const owner = await output('kind', ['export', 'kubeconfig', '--name', name, '--kubeconfig', kubeconfig])
      .then(() => ownerOf({ kubectl }))
      .catch(() => '');
    if (owner !== '' && owner !== root)
      throw new Refusal(
        `the cluster ${name} runs the workspace ${owner}, and this one is ${root}: plusone down in that folder deletes it`,
      );
    if (owner === '' && stated === undefined)
      throw new Refusal(
        `the cluster ${name} does not say which workspace it runs: ${typedFor(name).down} deletes it with its data`,
      );
  }
  await deleteCluster(name, kubeconfig);
  return { name, existed };
}

/**
 * Two workspaces of one application name must not replace each other's workloads. Nor must two environments: the passwords
 * in the data of the first one's databases are not those of the second.
 */
async function claimCluster(
  { name, kubectl }: Cluster,
  { root, application }: Workspace,
  environment: string,
): Promise<void> {
  const owner = await ownerOf({ kubectl });
  if (owner !== '' && owner !== root)
    throw new Refusal(
      `the cluster ${name} runs the workspace ${owner}, and this one is ${root}\n` +
        `plusone up --cluster ${objectName(application)}-2 --port 5001 takes another cluster; plusone down in that folder deletes the other one`,
    );
  const known = owner === '' ? environment : (await recordOf({ kubectl }, 'environment')) || environment;
  if (known !== environment)
    throw new Refusal(
      `the cluster ${name} runs the environment "${known}", not "${environment}": plusone up -e ${known} updates it, ` +
        `plusone down deletes it, and plusone up -e ${environment} --cluster ${name}-${environment} --port 5001 runs both`,
    );
  const metadata = { name: 'workspace', namespace: AWS_NAMESPACE };
  const objects = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: AWS_NAMESPACE } },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { root, environment } },
  ];
  if (owner === '')
    await applyServerSide(
      kubectl,
      objects.map((object) => kubernetesObject.parse(object)),
    );
}

/** What the stacks bring out. */
interface StackValues {
  /** The outputs for each workload, by its name. */
  workloads: Map<string, Map<string, string>>;
  /** What the environment's addons export. */
  exports: Map<string, string>;
}

/** Starts the router, and what of AWS the workspace needs; gives back the values that the stacks bring out. */
async function startAws(
  cluster: Cluster,
  { application }: Workspace,
  environment: string,
  { environmentAddons, addons, events, routes }: Plan,
  tell: (what: string) => void,
): Promise<StackValues> {
  const { kubectl } = cluster;
  const all = [...(environmentAddons ? [environmentAddons] : []), ...addons.values()];
  const databases = all.flatMap((one) => one.databases);
  const needsEmulator = all.length > 0 || events !== undefined;
  await rewriteNames(kubectl, [
    discoveryNames(application, environment),
    ...(needsEmulator ? [bucketNames(AWS_NAMESPACE)] : []),
  ]);
  const images = [
    ...(routes.length > 0 ? [ROUTER_IMAGE] : []),
    ...(needsEmulator ? [EMULATOR_IMAGE] : []),
    ...databases.map(({ image }) => image),
  ];
  const names = new Map(
    await Promise.all(
      [...new Set(images)].map(async (image) => {
        const made = await makeImage({ name: image, build: undefined });
        return [image, await loadImage(cluster, made)] as const;
      }),
    ),
  );
  const dns = await dnsAddress(kubectl);
  const objects = [
    ...(routes.length > 0 ? routerObjects(AWS_NAMESPACE, NODE_PORT, routes, objectName(application), dns) : []),
    ...(needsEmulator ? emulatorObjects(AWS_NAMESPACE) : []),
    ...databases.flatMap((database) => databaseObjects(AWS_NAMESPACE, database)),
  ];
  const named = [...names].reduce((present, [from, to]) => withImage(present, from, to), objects);
  if (named.length > 0) await applyServerSide(kubectl, named);
  const nothing = { workloads: new Map<string, Map<string, string>>(), exports: new Map<string, string>() };
  const deployed = needsEmulator ? deployStacks() : Promise.resolve(nothing);
  const [values] = await Promise.all([
    deployed,
    ...(routes.length > 0 ? [rolledOut(kubectl, AWS_NAMESPACE, 'deployment/router')] : []),
    ...databases.map(({ name }) => rolledOut(kubectl, AWS_NAMESPACE, `deployment/${name}`)),
  ]);
  const parts = [
    ...(routes.length > 0 ? ['routes'] : []),
    ...(needsEmulator ? ['emulator'] : []),
    ...databases.map(({ name, image }) => `${name} (${image})`),
  ];
  if (parts.length > 0) tell(parts.join(', '));
  return values;

  async function deployStacks(): Promise<StackValues> {
    await rolledOut(kubectl, AWS_NAMESPACE, 'deployment/aws');
    const forward = await portForward(cluster.connection, AWS_NAMESPACE, 'service/aws', 4566);
    const stacks = new Stacks(forward.url);
    try {
      const found = new Map<string, Map<string, string>>();
      const exports = new Map<string, string>();
      const own = async (owner: { workload: string | undefined }, { template, parameters }: Addons) => {
        const isEmpty = Object.keys(template.Resources).length === 0;
        const stack = stackName({ application, environment, ...owner });
        return isEmpty ? new Map<string, string>() : await stacks.deploy(stack, template, parameters);
      };
      if (environmentAddons) {
        const outputs = await own({ workload: undefined }, environmentAddons);
        for (const [name, output] of environmentAddons.stackExports) exports.set(name, outputs.get(output) ?? '');
      }
      if (events) {
        const outputs = await stacks.deploy(`${application}-${environment}-events`, events.template, {});
        for (const [workload, values] of events.variables(outputs)) found.set(workload, values);
      }
      for (const [workload, one] of addons) {
        const outputs = await own({ workload }, one);
        found.set(workload, new Map([...(found.get(workload) ?? []), ...outputs]));
      }
      return { workloads: found, exports };
    } finally {
      stacks.end();
      forward.end();
    }
  }
}

/** The rule of CoreDNS for the names of service discovery, such as api.test.shop.local. */
function discoveryNames(application: string, environment: string): string {
  const domain = `${environment}.${application}.local`.replaceAll('.', '\\.');
  return `rewrite stop name regex (.+)\\.${domain} {1}.${objectName(application)}.svc.cluster.local answer auto`;
}

/** The workload with what it gets of AWS here. */
function withValues(
  workload: Workload,
  { addons, environmentAddons, events }: Plan,
  aws: StackValues,
  given: Given,
): Workload {
  const own = addons.get(workload.manifest.name);
  const needsEmulator = addons.size > 0 || environmentAddons !== undefined || events !== undefined;
  const platformVariables = needsEmulator ? emulatorVariables(AWS_NAMESPACE) : new Map<string, string>();
  const placed = { ...workload, nodePorts: undefined, platformVariables };
  const { manifest } = workload;
  const outputs = aws.workloads.get(manifest.name) ?? new Map<string, string>();
  const known = new Map<string, string>([
    ...given,
    ...(own?.variables ?? []),
    ...[...outputs].map(([key, value]) => [variableOf(key), value] as const),
  ]);
  for (const container of [manifest.fields, ...Object.values(manifest.fields.sidecars ?? {})])
    for (const [name, value] of Object.entries(container.variables ?? {})) {
      const found =
        typeof value === 'string'
          ? undefined
          : (environmentAddons?.exports.get(value.from_cfn) ?? aws.exports.get(value.from_cfn));
      if (found !== undefined && !known.has(name)) known.set(name, found);
    }
  const { values, missing } = secretsOf(placed, { addons, environmentAddons }, given);
  if (missing.length > 0) throw new MissingSecrets(missing);
  return {
    ...placed,
    values: inputValues(manifest, inputs(valueInputs(placed)), known).values,
    secretValues: values,
  };
}

/** The values of the secrets of a workload, and the keys that have none. */
function secretsOf(workload: Workload, plan: Pick<Plan, 'addons' | 'environmentAddons'>, given: Given) {
  const { manifest } = workload;
  const stated = [...given].filter(([, value]) => value !== '');
  const secrets = new Map([...createdSecrets(workload, plan), ...stated]);
  return inputValues(manifest, inputs(secretInputs(workload)), secrets);
}

/** The secrets of a workload that its addons or those of the environment create here, by key. */
function createdSecrets(
  workload: Workload,
  { addons, environmentAddons }: Pick<Plan, 'addons' | 'environmentAddons'>,
): Map<string, string> {
  const own = addons.get(workload.manifest.name);
  const found = secretInputs(workload).flatMap((input) => {
    const value = own?.secrets.get(input.key) ?? createdSecret(input, own) ?? createdSecret(input, environmentAddons);
    return value === undefined ? [] : [[input.key, value] as const];
  });
  return new Map(found);
}

function createdSecret({ remote, exported }: SecretInput, addons: Addons | undefined): string | undefined {
  if (addons === undefined) return undefined;
  if (exported !== undefined) return addons.secretSources.cloudformation.get(exported) ?? addons.exports.get(exported);
  const value = remote && addons.secretSources[remote.store].get(remote.key);
  return value === undefined || remote?.property === undefined ? value : propertyOf(value, remote.property);
}

/** An output's name as the variable that it becomes; the variables of topics and queues have their names already. */
function variableOf(key: string): string {
  return /^[A-Z0-9_]+$/.test(key) ? key : variableName(key);
}

class MissingSecrets extends Error {
  constructor(keys: readonly string[]) {
    super(`${keys.join(', ')} ${keys.length === 1 ? 'has' : 'have'} no value in ${SECRET_FILE}`);
  }
}

/** Releases a workload and waits until it runs; a scheduled job only has to be there. Returns whether it has an autoscaler. */
async function start(
  cluster: Cluster,
  images: readonly LoadedImage[],
  workload: Workload,
  all: readonly Workload[],
): Promise<boolean> {
  const { secretValues = {}, ...rest } = workload;
  // Its Secret is made apart: the record of a release holds no values.
  const { app, namespace } = synthesize(
    { ...rest, secretValues: undefined },
    { level: securityLevel(all), routed: true },
  );
  const { name } = workload.manifest;
  const objects = parseObjects(app.synthYaml());
  const target = { namespace, name, isBuilt: images.some(({ from, isBuilt }) => isBuilt && from === workload.image) };
  // Several workloads have these, and two that create one at the same time must not refuse each other.
  const isShared = ({ kind }: KubernetesObject) => ['Namespace', 'PersistentVolumeClaim'].includes(kind);
  await applyServerSide(cluster.kubectl, objects.filter(isShared));
  const routes = routesOf([workload]);
  const routed = routes.length > 0 ? objects.filter(isServiceOf(name)) : [];
  const own = [...objects.filter((object) => !isShared(object)), ...routed.map(podsService)];
  const named = images.reduce((present, { from, to }) => withImage(present, from, to), own);
  const manifests =
    Object.keys(secretValues).length > 0
      ? await releaseSecret(cluster, target, secretName(name), secretValues, named)
      : named;
  await release(cluster, target, { image: mainImage(manifests, name), manifests });
  const unreached = await untilReached(`http://localhost:${cluster.port}`, routes);
  for (const { path, port } of unreached) remark(`${name}: nothing answers on port ${port}, which gets ${path}`);
  return objects.some(({ kind }) => kind === 'HorizontalPodAutoscaler');
}

function isServiceOf(workload: string) {
  return ({ kind, metadata }: KubernetesObject) => kind === 'Service' && metadata.name === workload;
}

/** The image of the container that has the name of its workload. */
function mainImage(objects: readonly KubernetesObject[], name: string): string {
  const containers = allContainers(objects);
  return (containers.find((container) => container.name === name) ?? containers[0])?.image ?? '';
}

async function attempt(workload: Workload, work: () => Promise<void>): Promise<WorkloadOutcome> {
  const { name, type } = workload.manifest;
  try {
    await work();
    return { name, type, failure: undefined };
  } catch (error) {
    // What keeps all of them from running is no fault of this one.
    if (error instanceof Refusal) throw error;
    const message = messageOf(error);
    const cause = likelyCause(message);
    // Frames of a stack would push its error out of the last lines.
    const [first = '', ...others] = message.split('\n').filter((line) => line.trim() !== '' && !/^\s+at /.test(line));
    const shown = [first, ...others.slice(-FAILURE_LINES)];
    return { name, type, failure: [...shown, ...(cause === undefined ? [] : [`likely cause: ${cause}`])].join('\n') };
  }
}

function brokenOutcome({ name, message }: BrokenWorkload): WorkloadOutcome {
  return { name, type: 'not read', failure: message };
}

/** An image named by its digest takes no further tag. */
function unpinned({ name, id }: { name: string; id: string }) {
  const plain = name.replace(/@.*/, '');
  return { name: /:[^/]+$/.test(plain) ? plain : `${plain}:latest`, id };
}

const PRUNED =
  'deployments,cronjobs,services,serviceaccounts,horizontalpodautoscalers,poddisruptionbudgets,networkpolicies,secrets,configmaps';

/** Removes the workloads that the workspace no longer has; volumes stay. */
async function prune({ kubectl }: Cluster, application: string, kept: readonly string[]): Promise<void> {
  const others = `app.kubernetes.io/managed-by=cdk8s,app.kubernetes.io/name notin (${kept.join(',')})`;
  await kubectl(['delete', PRUNED, '-n', application, '-l', others, '--ignore-not-found', '--wait=false']);
}
