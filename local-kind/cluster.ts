import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { requireFreePort } from './port.ts';
import { output, Refusal } from './terminal.ts';

/** Where kind writes how to reach its clusters; the person's own kubeconfig and context stay as they are. */
export const KUBECONFIG = '.local/kubeconfig';

const START_SECONDS = 120;
/** Enough for a node that was only stopped. */
const LAST_CHANCE_SECONDS = 30;

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
  /** The words by which kubectl finds it. */
  connection: string[];
  /** Runs kubectl against it and gives back what it wrote to stdout. */
  kubectl(args: string[], input?: string): Promise<string>;
}

/**
 * Makes the cluster, or brings the one of that name back: a stopped node is started, one whose making was broken off
 * is made again. `port` undefined: that of the cluster, else the configuration's.
 * Throws a Refusal when the port is taken or is not the cluster's.
 */
export async function ensureCluster(
  name: string,
  port: number | undefined,
  tell: (what: string) => void,
): Promise<Cluster> {
  const config = kindConfig.parse(parse(readFileSync('local-kind/cluster.yaml', 'utf8')));
  const [mapping] = config.nodes[0].extraPortMappings;
  const connection = ['--kubeconfig', KUBECONFIG, '--context', `kind-${name}`];
  const kubectl = (args: string[], input = '') => output('kubectl', [...connection, ...args], input);
  const nodePort = mapping.containerPort;
  const published = await publishedPort(name, nodePort);

  if (published !== undefined) {
    if (port !== undefined && port !== published)
      throw new Refusal(
        `the cluster ${name} has port ${published}, and a cluster keeps its port: leave PORT out, or make down first`,
      );
    const cluster = { name, port: published, nodePort, connection, kubectl };
    // kind writes the kubeconfig last: without it, somebody broke off in the middle (or it is a clone's cluster).
    const finished = await kubectl(['config', 'get-contexts', `kind-${name}`]).then(
      () => true,
      () => false,
    );
    await startNode(name, published);
    if (await answers(cluster, finished ? START_SECONDS : LAST_CHANCE_SECONDS)) {
      tell(`${name} is there`);
      return cluster;
    }
    if (finished)
      throw new Refusal(`the cluster ${name} does not answer after ${START_SECONDS} s: make down, then make up`);
    tell(`${name} was never finished: made anew`);
    await output('kind', ['delete', 'cluster', '--name', name, '--kubeconfig', KUBECONFIG]);
  }

  const image = process.env.KIND_NODE_IMAGE || config.nodes[0].image;
  mapping.hostPort = port ?? mapping.hostPort;
  await requireFreePort(mapping.hostPort);
  const create = ['create', 'cluster', '--name', name, '--image', image, '--kubeconfig', KUBECONFIG];
  await output('kind', [...create, '--config', '-'], stringify(config));
  tell(`${name}, ${image}`);
  return { name, port: mapping.hostPort, nodePort, connection, kubectl };
}

/** The port of this machine that the cluster publishes, or undefined when there is no such cluster. */
async function publishedPort(name: string, nodePort: number): Promise<number | undefined> {
  const nodes = await output('kind', ['get', 'nodes', '--name', name]);
  if (nodes === '') return undefined;
  const bindings = z.record(z.string(), z.array(z.object({ HostPort: z.coerce.number() })).nullable());
  const inspected = await output('docker', ['inspect', '--format', '{{json .HostConfig.PortBindings}}', node(name)]);
  const binding = bindings.parse(JSON.parse(inspected))[`${nodePort}/tcp`]?.[0];
  if (!binding)
    throw new Refusal(
      `there is a kind cluster ${name} which is not ours (it publishes no port ${nodePort}): make up CLUSTER=another`,
    );
  return binding.HostPort;
}

function node(cluster: string): string {
  return `${cluster}-control-plane`;
}

async function startNode(name: string, port: number): Promise<void> {
  if ((await output('docker', ['inspect', '--format', '{{.State.Running}}', node(name)])) === 'true') return;
  await requireFreePort(port);
  await output('docker', ['start', node(name)]);
}

/** Whether its API and its node get ready within that time; asked once at least. */
async function answers({ name, kubectl }: Cluster, seconds: number): Promise<boolean> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    try {
      await output('kind', ['export', 'kubeconfig', '--name', name, '--kubeconfig', KUBECONFIG]);
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

/** Gives an image that changes often to the cluster's node: only what the node has not got. */
export async function loadImage(cluster: Cluster, { name, id }: Image): Promise<void> {
  const present = await output('docker', ['exec', node(cluster.name), 'crictl', 'inspecti', name]).catch(() => '');
  if (present.includes(`"${id}"`)) return;
  // It relies on how docker and containerd lay out an image today; kind has a way for each of their versions.
  await output('local-kind/load-image.sh', [node(cluster.name), name]).catch(() => loadImages(cluster, [name]));
}

/** Gives images of this machine to the cluster's node, if it has not got them already. */
export async function loadImages({ name }: Cluster, images: string[]): Promise<void> {
  if (images.length > 0) await output('kind', ['load', 'docker-image', '--name', name, ...images]);
}
