import { existsSync, mkdirSync, readFileSync, rmSync, statSync, utimes, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { isRunning, output, run } from '../tools/terminal/programs.ts';
import { Refusal } from '../tools/terminal/refusal.ts';
import { type KubernetesObject, kubernetesObject, list } from './objects.ts';
import { requireFreePort } from './port-holder.ts';

/** kind writes its clusters to this file; the user's own kubeconfig and context stay unchanged. */
export const KUBECONFIG = '.local/kubeconfig';

const CONFIGURATION = new URL('./cluster.yaml', import.meta.url);
const LOAD_IMAGE = fileURLToPath(new URL('./load-image.sh', import.meta.url));

/** How long an existing cluster may take to answer: a stopped node on a busy machine needs most of it. */
const ANSWER_SECONDS = 120;

/** How often a creation shows that it goes on, and by how much the clocks of Docker and of this machine may differ. */
const BEAT_MILLISECONDS = 500;
const CLOCKS_MILLISECONDS = 10_000;

/** The output of these commands may be shown; that of others may contain secrets. */
const SHOWN = ['apply', 'delete'];

const kindConfig = z.looseObject({
  nodes: z.tuple([
    z.looseObject({
      image: z.string(),
      extraPortMappings: z.tuple([z.looseObject({ containerPort: z.int(), hostPort: z.int() })]),
    }),
  ]),
});

/** The cluster of `make up`. */
export interface Cluster {
  name: string;
  /** The port of the service on 127.0.0.1. */
  port: number;
  /** The port of the node that it is mapped to. */
  nodePort: number;
  /** The nodes that run the service: the workers, or the only node. Each is a container with that name. */
  nodes: string[];
  /** The options with which kubectl uses it. */
  connection: string[];
  /** Runs kubectl against it and returns its stdout. */
  kubectl(args: string[], input?: string): Promise<string>;
}

/** The requested cluster; undefined: as the cluster is, else as in the configuration. */
interface Options {
  PORT?: number | undefined;
  /** Nodes in addition to the control plane, which then does not run the service. */
  WORKERS?: number | undefined;
}

/** The commands that a refusal names, as the user types them. */
export interface Typed {
  again: string;
  /** The name of the option or variable with the port. */
  port: string;
  otherPort(port: number): string;
  otherCluster: string;
  down: string;
}

function typedMake(cluster: string): Typed {
  return {
    again: `make up CLUSTER=${cluster}`,
    port: 'PORT',
    otherPort: (port) => `make up PORT=${port}`,
    otherCluster: 'make up CLUSTER=another',
    down: `make down CLUSTER=${cluster}`,
  };
}

/**
 * Creates the cluster, or uses the one of that name: a stopped node is started, a lost kubeconfig is exported again. It
 * deletes a cluster only if its creation was interrupted: that one has no data yet, and never becomes ready.
 * @throws {Refusal} when the port is in use, the cluster does not answer within `answerSeconds`, it has another port
 * or number of nodes than asked for, or another process is creating it
 */
export async function ensureCluster(
  name: string,
  { PORT: port, WORKERS: workers }: Options,
  tell: (what: string) => void,
  answerSeconds = ANSWER_SECONDS,
  kubeconfig = KUBECONFIG,
  typed = typedMake(name),
): Promise<Cluster> {
  const config = kindConfig.parse(parse(readFileSync(CONFIGURATION, 'utf8')));
  const [mapping] = config.nodes[0].extraPortMappings;
  const connection = ['--kubeconfig', kubeconfig, '--context', `kind-${name}`];
  const kubectl = kubectlOf(connection);
  const nodePort = mapping.containerPort;
  const creation = creationOf(name, kubeconfig);
  const existing = await nodesOf(name);

  if (existing.length > 0 && (await creation.isInterrupted(typed))) {
    tell('interrupted creation repeated');
    await output('kind', ['delete', 'cluster', '--name', name, '--kubeconfig', kubeconfig]);
  } else if (existing.length > 0) {
    const published = await publishedPort(name, nodePort, typed.otherCluster);
    if (port !== undefined && port !== published)
      throw new Refusal(
        `the cluster ${name} has port ${published}, and a cluster keeps its port: leave ${typed.port} out, or ${typed.down} first`,
      );
    if (workers !== undefined && workers !== existing.length - 1)
      throw new Refusal(
        `the cluster ${name} has ${existing.length - 1} workers, and a cluster keeps its nodes: leave WORKERS out, or ${typed.down} first`,
      );
    const cluster = { name, port: published, nodePort, nodes: serviceNodes(name, existing), connection, kubectl };
    await startNodes(existing, published, typed);
    if (await answers(cluster, kubeconfig, answerSeconds)) {
      tell(`${name} exists`);
      return cluster;
    }
    // It may hold data: only the user may delete it.
    throw new Refusal(
      `the cluster ${name} does not answer after ${answerSeconds} s. ${typed.again} tries again; ` +
        `${typed.down} deletes it with its data, and the next one creates it`,
    );
  }

  const image = process.env.KIND_NODE_IMAGE || config.nodes[0].image;
  mapping.hostPort = port ?? mapping.hostPort;
  await requireFreePort(mapping.hostPort, typed.otherPort);
  const nodes = [...config.nodes, ...Array.from({ length: workers ?? 0 }, () => ({ role: 'worker', image }))];
  const create = ['create', 'cluster', '--name', name, '--image', image, '--kubeconfig', kubeconfig];
  await creation.during(() => run('kind', [...create, '--config', '-'], { input: stringify({ ...config, nodes }) }));
  tell([name, image, ...(workers ? [`${workers} workers`] : [])].join(', '));
  const created = serviceNodes(name, await nodesOf(name));
  return { name, port: mapping.hostPort, nodePort, nodes: created, connection, kubectl };
}

/**
 * Records in a file that a cluster is being created: an interrupted `kind create` leaves containers that never get ready.
 * The time of the file is the last moment of the creation.
 */
function creationOf(name: string, kubeconfig: string) {
  const file = `${kubeconfig}.${name}.creating`;
  return {
    async during(create: () => Promise<unknown>): Promise<void> {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, String(process.pid));
      const beat = setInterval(() => utimes(file, new Date(), new Date(), () => {}), BEAT_MILLISECONDS);
      try {
        await create();
        rmSync(file, { force: true });
      } finally {
        clearInterval(beat);
      }
    },
    /**
     * Whether the cluster is what an interrupted creation left: one that was made after it is another one, with data.
     * Throws a Refusal if another process is still creating it.
     */
    async isInterrupted(typed: Typed): Promise<boolean> {
      if (!existsSync(file)) return false;
      const id = Number(readFileSync(file, 'utf8'));
      if (id !== process.pid && isRunning(id))
        throw new Refusal(
          `process ${id} is creating the cluster ${name}: wait for it. If that is another program, ${typed.down} first`,
        );
      const created = await output('docker', ['inspect', '--format', '{{.Created}}', controlPlane(name)]);
      return Date.parse(created) < statSync(file).mtimeMs + CLOCKS_MILLISECONDS;
    },
  };
}

/** Runs kubectl with these words for the cluster; what it says of some verbs is for people. */
export function kubectlOf(connection: readonly string[]): Cluster['kubectl'] {
  return ([verb = '', ...args], input = '') =>
    (SHOWN.includes(verb) ? run : output)('kubectl', [...connection, verb, ...args], { input });
}

/**
 * Applies objects on the server's side: the client-side `apply` would copy all of them, with the values of Secrets, into an
 * annotation.
 */
export async function applyServerSide(
  kubectl: Cluster['kubectl'],
  objects: readonly KubernetesObject[],
): Promise<void> {
  await kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], list(objects));
}

/**
 * The address of the cluster's DNS server, once it answers. A new cluster runs pods before that, and a program that resolves
 * a name as it starts would end.
 */
export async function dnsAddress(kubectl: Cluster['kubectl']): Promise<string> {
  await kubectl(['rollout', 'status', 'deployment/coredns', '-n', 'kube-system', `--timeout=${ANSWER_SECONDS}s`]);
  return await kubectl(['get', 'service', 'kube-dns', '-n', 'kube-system', '-o', 'jsonpath={.spec.clusterIP}']);
}

/**
 * Gives CoreDNS these `rewrite` rules, unless it has them.
 * https://coredns.io/plugins/rewrite/
 */
export async function rewriteNames(kubectl: Cluster['kubectl'], rules: readonly string[]): Promise<void> {
  const coredns = ['-n', 'kube-system', '-o', 'jsonpath={.data.Corefile}'];
  const corefile = await kubectl(['get', 'configmap', 'coredns', ...coredns]);
  const missing = rules.filter((rule) => !corefile.includes(rule));
  if (missing.length === 0) return;
  const changed = corefile.replace(/^( *)kubernetes /m, (line, indent: string) =>
    [...missing.map((rule) => `${indent}${rule}`), line].join('\n'),
  );
  const metadata = { name: 'coredns', namespace: 'kube-system' };
  await applyServerSide(kubectl, [
    kubernetesObject.parse({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { Corefile: changed } }),
  ]);
  await kubectl(['rollout', 'restart', 'deployment/coredns', '-n', 'kube-system']);
}

/** The nodes of a cluster; none if there is no such cluster. */
export async function nodesOf(name: string): Promise<string[]> {
  const nodes = await output('kind', ['get', 'nodes', '--name', name]);
  return nodes.split('\n').filter((node) => node !== '');
}

function serviceNodes(name: string, nodes: string[]): string[] {
  return nodes.length === 1 ? nodes : nodes.filter((node) => node !== controlPlane(name));
}

/**
 * Deletes a cluster with its data, or does nothing if there is none.
 * @throws {Refusal} if another program created it
 */
export async function deleteCluster(name: string, kubeconfig: string): Promise<void> {
  const [{ extraPortMappings }] = kindConfig.parse(parse(readFileSync(CONFIGURATION, 'utf8'))).nodes;
  const remove = `kind delete cluster --name ${name}`;
  if ((await nodesOf(name)).length > 0) await publishedPort(name, extraPortMappings[0].containerPort, remove);
  await output('kind', ['delete', 'cluster', '--name', name, '--kubeconfig', kubeconfig]);
}

/** The port of this machine that the cluster publishes. A Refusal says `otherwise` if another program created it. */
async function publishedPort(name: string, nodePort: number, otherwise: string): Promise<number> {
  const bindings = z.record(z.string(), z.array(z.object({ HostPort: z.coerce.number() })).nullable());
  const inspect = ['inspect', '--format', '{{json .HostConfig.PortBindings}}', controlPlane(name)];
  const binding = bindings.parse(JSON.parse(await output('docker', inspect)))[`${nodePort}/tcp`]?.[0];
  if (!binding)
    throw new Refusal(
      `there is a kind cluster ${name} which is not ours (it publishes no port ${nodePort}): ${otherwise}`,
    );
  return binding.HostPort;
}

/** The node with the published port and the AWS stand-ins. */
function controlPlane(cluster: string): string {
  return `${cluster}-control-plane`;
}

/** Starts the nodes that are stopped, and resumes those that are paused. */
async function startNodes(nodes: string[], port: number, typed: Typed): Promise<void> {
  const inspect = ['inspect', '--format', '{{.Name}} {{.State.Status}}', ...nodes];
  const states = (await output('docker', inspect)).split('\n');
  const inState = (...names: string[]) =>
    nodes.filter((node) => names.some((name) => states.includes(`/${node} ${name}`)));
  const paused = inState('paused');
  if (paused.length > 0) await output('docker', ['unpause', ...paused]);
  const stopped = inState('created', 'exited');
  if (stopped.length === 0) return;
  if (stopped.some((node) => node.endsWith('-control-plane'))) await requireFreePort(port, typed.otherPort);
  await output('docker', ['start', ...stopped]);
}

/** Whether its API and its nodes get ready within that time; checks at least once. */
async function answers({ name, kubectl }: Cluster, kubeconfig: string, seconds: number): Promise<boolean> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    try {
      await output('kind', ['export', 'kubeconfig', '--name', name, '--kubeconfig', kubeconfig]);
      await kubectl(['get', '--raw', '/readyz']);
      await kubectl(['wait', 'node', '--all', '--for=condition=Ready', '--timeout=5s']);
      return true;
    } catch {
      if (performance.now() > deadline) return false;
      await sleep(1000);
    }
  }
}

/** An image of this machine. */
export interface Image {
  name: string;
  /** The hash of its content. */
  id: string;
}

/**
 * Loads an image that changes often into the nodes that run the service, without the layers that they have. Returns its
 * name there, such as `plusone:dev-0123456789ab`, which is unique to its content: a pod that restarts finds its image.
 */
export async function loadImage(
  cluster: Cluster,
  { name, id }: Image,
  tell: (what: string) => void = () => {},
): Promise<string> {
  const unique = `${name}-${id.replace('sha256:', '').slice(0, 12)}`;
  const has = (node: string) =>
    output('docker', ['exec', node, 'crictl', 'inspecti', unique]).then(
      () => true,
      () => false,
    );
  const missing: string[] = [];
  for (const node of cluster.nodes) if (!(await has(node))) missing.push(node);
  tell(unique);
  if (missing.length === 0) return unique;
  await output('docker', ['tag', id, unique]);
  // The script relies on the image layout of current docker and containerd; kind supports all versions.
  await Promise.all(missing.map((node) => output('bash', [LOAD_IMAGE, node, unique]))).catch(async () => {
    await output('docker', ['tag', id, unique]);
    await run('kind', ['load', 'docker-image', '--name', cluster.name, '--nodes', missing.join(), unique]);
  });
  // On this machine `name` is enough. It may be removed already by a concurrent run for another cluster.
  await output('docker', ['rmi', unique]).catch(() => '');
  return unique;
}

/**
 * Loads those of the images that this machine has into the node with the AWS stand-ins, unless it has them; the nodes pull
 * the others. Returns the names of the images that this machine has, without duplicates.
 */
export async function loadImages({ name }: Pick<Cluster, 'name'>, images: readonly string[]): Promise<string[]> {
  const present = await presentImages(images);
  if (present.length > 0)
    await run('kind', ['load', 'docker-image', '--name', name, '--nodes', controlPlane(name), ...present]);
  return present;
}

async function presentImages(names: readonly string[]): Promise<string[]> {
  const present = await Promise.all(
    [...new Set(names)].map((name) =>
      output('docker', ['image', 'inspect', '--format', '{{.Id}}', name]).then(
        () => [name],
        () => [],
      ),
    ),
  );
  return present.flat();
}

/** Removes other images of the service from its nodes, and untagged ones from this machine. */
export async function keepImages({ nodes }: Cluster, service: string, kept: readonly string[]): Promise<void> {
  const clean = nodes.map(async (node) => {
    const names = await output('docker', ['exec', node, 'ctr', '--namespace', 'k8s.io', 'images', 'ls', '--quiet']);
    const ours = names.split('\n').filter((name) => name.startsWith(`docker.io/library/${service}:`));
    // Removing an image removes all of its names, so images are compared by content.
    const obsolete = new Map(ours.map((name) => [contentOf(name), name]));
    for (const name of kept) obsolete.delete(contentOf(name));
    if (obsolete.size > 0) await output('docker', ['exec', node, 'crictl', 'rmi', ...obsolete.values()]);
  });
  const prune = ['image', 'prune', '--force', '--filter', `label=org.opencontainers.image.title=${service}`];
  await Promise.all([...clean, output('docker', prune)]);
}

/** The suffix that `loadImage` appends to the name of an image. */
function contentOf(name: string): string | undefined {
  return name.split('-').at(-1);
}
