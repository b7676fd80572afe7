import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { output, run } from '../tools/terminal/programs.ts';
import { Refusal } from '../tools/terminal/refusal.ts';
import { requireFreePort } from './port-holder.ts';

/** Where kind writes how to reach its clusters; the person's own kubeconfig and context stay as they are. */
export const KUBECONFIG = '.local/kubeconfig';

const CONFIGURATION = new URL('./cluster.yaml', import.meta.url);
const LOAD_IMAGE = fileURLToPath(new URL('./load-image.sh', import.meta.url));

/** How long an existing cluster may take to answer: a stopped node on a busy machine needs most of it. */
const ANSWER_SECONDS = 120;

/** What kubectl says of these is for people; of others it may be a secret. */
const TOLD = ['apply', 'delete'];

const kindConfig = z.looseObject({
  nodes: z.tuple([
    z.looseObject({
      image: z.string(),
      extraPortMappings: z.tuple([z.looseObject({ containerPort: z.int(), hostPort: z.int() })]),
    }),
  ]),
});

/** The one cluster that `make up` keeps. */
export interface Cluster {
  name: string;
  /** The port of 127.0.0.1 that leads to the service. */
  port: number;
  /** The node's end of it. */
  nodePort: number;
  /** The nodes that run the service: the workers, or the one node there is. A container of that name is each of them. */
  nodes: string[];
  /** The words by which kubectl finds it. */
  connection: string[];
  /** Runs kubectl against it and gives back what it wrote to stdout. */
  kubectl(args: string[], input?: string): Promise<string>;
}

/** What was asked for; undefined: as the cluster has it, else as in the configuration. */
interface Options {
  PORT?: number | undefined;
  /** Nodes beside the control plane, which runs nothing of the service then. */
  WORKERS?: number | undefined;
}

/** How whoever is at the keyboard types the commands that a refusal names. */
export interface Typed {
  again: string;
  otherPort(port: number): string;
  otherCluster: string;
  down: string;
}

function typedMake(cluster: string): Typed {
  return {
    again: `make up CLUSTER=${cluster}`,
    otherPort: (port) => `make up PORT=${port}`,
    otherCluster: 'make up CLUSTER=another',
    down: `make down CLUSTER=${cluster}`,
  };
}

/**
 * Creates the cluster, or uses the one of that name: a stopped node is started, a lost kubeconfig is exported again. It
 * never deletes a cluster.
 * @throws {Refusal} when the port is in use, the cluster does not answer within `answerSeconds`, or it has another port
 * or number of nodes than asked for
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
  const there = await nodesOf(name);

  if (there.length > 0) {
    const published = await publishedPort(name, nodePort, typed);
    if (port !== undefined && port !== published)
      throw new Refusal(
        `the cluster ${name} has port ${published}, and a cluster keeps its port: leave PORT out, or ${typed.down} first`,
      );
    if (workers !== undefined && workers !== there.length - 1)
      throw new Refusal(
        `the cluster ${name} has ${there.length - 1} workers, and a cluster keeps its nodes: leave WORKERS out, or ${typed.down} first`,
      );
    const cluster = { name, port: published, nodePort, nodes: nodesOfTheService(name, there), connection, kubectl };
    await startNodes(there, published, typed);
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
  await run('kind', [...create, '--config', '-'], { input: stringify({ ...config, nodes }) });
  tell([name, image, ...(workers ? [`${workers} workers`] : [])].join(', '));
  const made = nodesOfTheService(name, await nodesOf(name));
  return { name, port: mapping.hostPort, nodePort, nodes: made, connection, kubectl };
}

/** Runs kubectl with these words for the cluster; what it says of some verbs is for people. */
export function kubectlOf(connection: readonly string[]): Cluster['kubectl'] {
  return ([verb = '', ...args], input = '') =>
    (TOLD.includes(verb) ? run : output)('kubectl', [...connection, verb, ...args], { input });
}

/** The nodes of a cluster; none when there is no such cluster. */
export async function nodesOf(name: string): Promise<string[]> {
  const nodes = await output('kind', ['get', 'nodes', '--name', name]);
  return nodes.split('\n').filter((node) => node !== '');
}

function nodesOfTheService(name: string, nodes: string[]): string[] {
  return nodes.length === 1 ? nodes : nodes.filter((node) => node !== controlPlane(name));
}

/** The port of this machine that the cluster publishes. */
async function publishedPort(name: string, nodePort: number, typed: Typed): Promise<number> {
  const bindings = z.record(z.string(), z.array(z.object({ HostPort: z.coerce.number() })).nullable());
  const inspect = ['inspect', '--format', '{{json .HostConfig.PortBindings}}', controlPlane(name)];
  const binding = bindings.parse(JSON.parse(await output('docker', inspect)))[`${nodePort}/tcp`]?.[0];
  if (!binding)
    throw new Refusal(
      `there is a kind cluster ${name} which is not ours (it publishes no port ${nodePort}): ${typed.otherCluster}`,
    );
  return binding.HostPort;
}

/** The node that the port of this machine leads to, and that has what stands in for AWS. */
function controlPlane(cluster: string): string {
  return `${cluster}-control-plane`;
}

async function startNodes(nodes: string[], port: number, typed: Typed): Promise<void> {
  const inspect = ['inspect', '--format', '{{.Name}} {{.State.Running}}', ...nodes];
  const states = (await output('docker', inspect)).split('\n');
  const stopped = nodes.filter((node) => states.includes(`/${node} false`));
  if (stopped.length === 0) return;
  if (stopped.some((node) => node.endsWith('-control-plane'))) await requireFreePort(port, typed.otherPort);
  await output('docker', ['start', ...stopped]);
}

/** Whether its API and its node get ready within that time; asked once at least. */
async function answers({ name, kubectl }: Cluster, kubeconfig: string, seconds: number): Promise<boolean> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    try {
      await output('kind', ['export', 'kubeconfig', '--name', name, '--kubeconfig', kubeconfig]);
      await kubectl(['get', '--raw', '/readyz']);
      await kubectl(['wait', 'node', '--all', '--for=condition=Ready', '--timeout=5s']);
      return true;
    } catch {
      if (Date.now() > deadline) return false;
      await sleep(1000);
    }
  }
}

/** An image of this machine. */
export interface Image {
  name: string;
  /** Of its content: another one whenever anything in it differs. */
  id: string;
}

/**
 * Gives an image that changes often to the nodes that run the service, and only what they have not got. Gives back its
 * name there, `plusone:dev-0123456789ab`, which no other content ever has: so a pod that starts again finds what it was
 * made of.
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
  const lacking: string[] = [];
  for (const node of cluster.nodes) if (!(await has(node))) lacking.push(node);
  tell(unique);
  if (lacking.length === 0) return unique;
  await output('docker', ['tag', id, unique]);
  // It relies on how docker and containerd lay out an image today; kind has a way for each of their versions.
  await Promise.all(lacking.map((node) => output('bash', [LOAD_IMAGE, node, unique]))).catch(async () => {
    await output('docker', ['tag', id, unique]);
    await run('kind', ['load', 'docker-image', '--name', cluster.name, '--nodes', lacking.join(), unique]);
  });
  // Here `name` is enough. Gone already when somebody else has just given the same to another cluster.
  await output('docker', ['rmi', unique]).catch(() => '');
  return unique;
}

/** Those of the images that this machine has, each once; the nodes pull the others themselves. */
export async function presentImages(names: readonly string[]): Promise<string[]> {
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

/** Gives images of this machine to the node that has what stands in for AWS, if it has not got them already. */
export async function loadImages({ name }: Cluster, images: string[]): Promise<void> {
  if (images.length === 0) return;
  await run('kind', ['load', 'docker-image', '--name', name, '--nodes', controlPlane(name), ...images]);
}

/** Removes the service's images other than these from its nodes, and from this machine what no name leads to any more. */
export async function keepImages({ nodes }: Cluster, service: string, kept: readonly string[]): Promise<void> {
  const clean = nodes.map(async (node) => {
    const names = await output('docker', ['exec', node, 'ctr', '--namespace', 'k8s.io', 'images', 'ls', '--quiet']);
    const ours = names.split('\n').filter((name) => name.startsWith(`docker.io/library/${service}:`));
    // An image goes with all of its names, so the content counts.
    const obsolete = new Map(ours.map((name) => [contentOf(name), name]));
    for (const name of kept) obsolete.delete(contentOf(name));
    if (obsolete.size > 0) await output('docker', ['exec', node, 'crictl', 'rmi', ...obsolete.values()]);
  });
  const prune = ['image', 'prune', '--force', '--filter', `label=org.opencontainers.image.title=${service}`];
  await Promise.all([...clean, output('docker', prune)]);
}

/** What `loadImage` has put at the end of an image's name. */
function contentOf(name: string): string | undefined {
  return name.split('-').at(-1);
}
