import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, ensureCluster, loadImage } from '../../../local-kind/cluster.ts';
import { chooseDatabase } from '../../../local-kind/mysql.ts';
import { type KubernetesObject, withImage } from '../../../local-kind/objects.ts';
import { portForward } from '../../../local-kind/port-forward.ts';
import { lastRelease, type Release, release, releaseSecret } from '../../../local-kind/release.ts';
import { secretName } from '../../../manifest/names.ts';
import { output } from '../../terminal/programs.ts';
import { Refusal } from '../../terminal/refusal.ts';
import { Deferred } from '../deferred.ts';
import type { Environment, Fixture } from '../drill.ts';

const NAMESPACE = 'plusone';
const SERVICE = 'plusone';
const TARGET = { namespace: NAMESPACE, name: SERVICE, isBuilt: true } as const;
/** Of local-kind/mysql-cluster.yaml. */
const GROUP_PORT = 33_061;
const SELECTOR = `app.kubernetes.io/name=${SERVICE}`;
const ROLLOUT_SECONDS = 180;

/** The service in the kind cluster of `make up`. */
export class KindFixture implements Fixture {
  readonly urls: readonly string[];
  // Several pods write, independently of each other.
  readonly lateWritesEnd = false;
  readonly isShared = true;
  readonly writeToken = process.env.WRITE_TOKEN || undefined;
  readonly #cluster: Cluster;
  readonly #before: Release;
  readonly #restartsBefore: ReadonlyMap<string, number>;
  readonly #deferred = new Deferred();
  readonly #mayRestart = new Set<string>();

  constructor(cluster: Cluster, before: Release, restarts: ReadonlyMap<string, number>) {
    this.#cluster = cluster;
    this.#before = before;
    this.#restartsBefore = restarts;
    this.urls = [`http://127.0.0.1:${cluster.port}`];
  }

  get cluster(): Cluster {
    return this.#cluster;
  }

  /** The image of the service from before the drill. */
  get image(): string {
    return this.#before.image;
  }

  /** The nodes that run the service. */
  get nodes(): readonly string[] {
    return this.#cluster.nodes;
  }

  /** Runs kubectl in the namespace of the service; returns its stdout. */
  async kubectl(args: readonly string[], input = ''): Promise<string> {
    return await this.#cluster.kubectl(['-n', NAMESPACE, ...args], input);
  }

  /** Forwards a port of this machine to one of a Service, until `end`. */
  async forward(namespace: string, service: string, port: number): Promise<{ url: string; end(): void }> {
    return await portForward(this.#cluster.connection, namespace, `service/${service}`, port);
  }

  /** Runs a script in the shell of a node. */
  async onNode(node: string, script: string): Promise<string> {
    return await output('docker', ['exec', node, 'sh', '-c', script]);
  }

  /** The node of a pod, and the id of its first container there. */
  async placeOf(pod: string): Promise<{ node: string; id: string }> {
    const path = 'jsonpath={.spec.nodeName} {.status.containerStatuses[0].containerID}';
    const [node = '', id = ''] = (await this.kubectl(['get', 'pod', pod, '-o', path])).split(' ');
    return { node, id: id.replace('containerd://', '') };
  }

  /** The pods of the service that are not being deleted. */
  async pods(): Promise<string[]> {
    const columns = 'custom-columns=:.metadata.name,:.metadata.deletionTimestamp';
    const lines = await this.kubectl(['get', 'pods', '-l', SELECTOR, '-o', columns, '--no-headers']);
    return lines.split('\n').flatMap((line) => (line.endsWith('<none>') ? [line.split(' ')[0] ?? ''] : []));
  }

  /** How many pods of the service are ready, by image. */
  async readyImages(): Promise<Map<string, number>> {
    const path = '{range .items[*]}{.spec.containers[0].image} {.status.containerStatuses[0].ready}{"\\n"}{end}';
    const lines = await this.kubectl(['get', 'pods', '-l', SELECTOR, '-o', `jsonpath=${path}`]);
    const counts = new Map<string, number>();
    for (const line of lines.split('\n')) {
      const [image = '', ready] = line.split(' ');
      if (ready === 'true') counts.set(image, (counts.get(image) ?? 0) + 1);
    }
    return counts;
  }

  /** Replaces the pods one by one; resolves when the old ones are gone. */
  async restart(): Promise<void> {
    const before = await this.pods();
    await this.kubectl(['rollout', 'restart', `deployment/${SERVICE}`]);
    await this.rolledOut();
    await this.gone(before);
  }

  /** Releases an image as `make up` does. Throws when the release failed and was rolled back. */
  async release(image: string): Promise<void> {
    this.defer(() => this.restore());
    const { image: from, manifests } = this.#before;
    await release(this.#cluster, TARGET, { image, manifests: withImage(manifests, from, image) });
  }

  /**
   * Releases other objects with the image from before the drill, as `make up` does after a change of the manifest; `secrets`
   * are the values in the Secret of the service, by their keys in the objects.
   */
  async releaseObjects(
    manifests: readonly KubernetesObject[],
    secrets: Readonly<Record<string, string>>,
  ): Promise<void> {
    this.defer(() => this.restore());
    const objects = await releaseSecret(this.#cluster, TARGET, secretName(SERVICE), secrets, manifests);
    await release(this.#cluster, TARGET, { image: this.image, manifests: objects });
  }

  /** Starts the release of an image, without waiting for it. */
  async beginRelease(image: string): Promise<void> {
    this.defer(() => this.restore());
    await this.kubectl(['set', 'image', `deployment/${SERVICE}`, `${SERVICE}=${image}`, `migrate=${image}`]);
  }

  async rolledOut(): Promise<void> {
    await this.kubectl(['rollout', 'status', `deployment/${SERVICE}`, `--timeout=${ROLLOUT_SECONDS}s`]);
  }

  async gone(pods: readonly string[]): Promise<void> {
    if (pods.length === 0) return;
    const names = pods.map((pod) => `pod/${pod}`);
    await this.kubectl(['wait', ...names, '--for=delete', `--timeout=${ROLLOUT_SECONDS}s`]);
  }

  /** Restores the release from before the drill. */
  async restore(): Promise<void> {
    await release(this.#cluster, TARGET, this.#before);
  }

  /** Builds an image from the running one, with these files replaced, and loads it into the nodes. */
  async imageWith(tag: string, files: Readonly<Record<string, string>>): Promise<string> {
    const directory = mkdtempSync(join(tmpdir(), 'plusone-drill-'));
    const [base, name] = [`${SERVICE}:drill-base`, `${SERVICE}:${tag}`];
    try {
      const { image } = this.#before;
      await output('docker', ['tag', image.split('-').at(-1) ?? '', base]).catch(() => {
        throw new Refusal(`the base of ${image} is no longer on this machine: run make up, then the drill again`);
      });
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(join(directory, dirname(path)), { recursive: true });
        writeFileSync(join(directory, path), text);
      }
      writeFileSync(join(directory, 'Dockerfile'), `FROM ${base}\nCOPY src src\nENV REVISION=${tag}\n`);
      await output('docker', ['build', '--quiet', '--provenance=false', '--tag', name, directory]);
      const id = await output('docker', ['inspect', '--format', '{{.Id}}', name]);
      return await loadImage(this.#cluster, { name, id });
    } finally {
      rmSync(directory, { recursive: true, force: true });
      await output('docker', ['rmi', '--force', name, base]);
    }
  }

  /** Drains a node, as before it is replaced. */
  async drain(node: string): Promise<void> {
    this.defer(() => this.uncordon(node));
    const drain = ['drain', node, '--ignore-daemonsets', '--delete-emptydir-data'];
    await this.kubectl([...drain, `--timeout=${ROLLOUT_SECONDS}s`]);
  }

  async uncordon(node: string): Promise<void> {
    await this.kubectl(['uncordon', node]);
  }

  /** The number of pods of the service on each node that has any. */
  async podsByNode(): Promise<number[]> {
    const nodes = await this.kubectl(['get', 'pods', '-l', SELECTOR, '-o', 'jsonpath={.items[*].spec.nodeName}']);
    const counts = new Map<string, number>();
    for (const node of nodes.split(' ')) counts.set(node, (counts.get(node) ?? 0) + 1);
    return [...counts.values()];
  }

  /** Sends a signal to the first process of a pod's first container. */
  async signal(pod: string, signal: string): Promise<void> {
    this.#mayRestart.add(pod);
    await this.signalContainer(NAMESPACE, pod, '.status.containerStatuses[0]', signal);
  }

  /**
   * Sends a signal to the first process of a container, from the node, where SIGKILL works too. `status` is the path of its
   * status in the pod. Throws when it does not run.
   */
  async signalContainer(namespace: string, pod: string, status: string, signal: string): Promise<void> {
    const path = `jsonpath={.spec.nodeName} {${status}.containerID}`;
    const [node = '', id = ''] = (await this.#cluster.kubectl(['get', 'pod', pod, '-n', namespace, '-o', path])).split(
      ' ',
    );
    const task = ['ctr', '-n', 'k8s.io', 'tasks', 'kill', '--signal', signal, id.replace('containerd://', '')];
    await output('docker', ['exec', node, ...task]);
  }

  /** Drops, or no longer drops, what a MySQL server sends to the others of its group; clients still reach it. */
  async cutOffFromGroup(pod: string, change: '--append' | '--delete'): Promise<void> {
    const path = `jsonpath={.spec.nodeName} {.status.containerStatuses[?(@.name=="mysql")].containerID}`;
    const [node = '', id = ''] = (await this.kubectl(['get', 'pod', pod, '-o', path])).split(' ');
    const script =
      `pid=$(ctr -n k8s.io tasks ls | awk -v id="$0" '$1 == id { print $2 }'); for side in --sport --dport; do ` +
      `nsenter --target "$pid" --net iptables ${change} OUTPUT --protocol tcp $side ${GROUP_PORT} --jump DROP; done`;
    await output('docker', ['exec', node, 'sh', '-ec', script, id.replace('containerd://', '')]);
  }

  /** The resident memory of a container of the service's pods, the largest of them in MiB; 0 when none runs. */
  async memoryOf(status: string): Promise<number> {
    const path = `{range .items[*]}{.spec.nodeName} {${status}.containerID}{"\\n"}{end}`;
    const lines = await this.kubectl(['get', 'pods', '-l', SELECTOR, '-o', `jsonpath=${path}`]);
    const sizes = lines.split('\n').map(async (line) => {
      const [node = '', id = ''] = line.split(' ');
      const script = `sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/$(ctr -n k8s.io tasks ls | awk -v id="$0" '$1 == id { print $2 }')/status`;
      const read = output('docker', ['exec', node, 'sh', '-c', script, id.replace('containerd://', '')]);
      return Number(await read.catch(() => '0')) / 1024;
    });
    return Math.max(0, ...(await Promise.all(sizes)));
  }

  /** Runs one statement as the root user of MySQL. */
  async sql(statement: string): Promise<string> {
    const client = 'MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mysql -N -h 127.0.0.1 -u root plusone';
    const pod = await this.databasePod();
    return await this.kubectl(['exec', '-i', pod, '-c', 'mysql', '--', 'sh', '-c', client], statement);
  }

  /** Whether the database is a cluster of three servers. */
  async hasDatabaseCluster(): Promise<boolean> {
    return (await chooseDatabase(this.#cluster, NAMESPACE, undefined)) === 'cluster';
  }

  /** The pod of MySQL that takes writes: in a cluster of three, the one to which its Service leads. */
  async databasePod(): Promise<string> {
    const path = 'jsonpath={.spec.selector.statefulset\\.kubernetes\\.io/pod-name}';
    return (await this.kubectl(['get', 'service', 'mysql', '-o', path])) || 'mysql-0';
  }

  /** Waits until the Service of the database leads to another pod. */
  async databasePodIsNot(former: string): Promise<void> {
    for (const deadline = performance.now() + ROLLOUT_SECONDS * 1000; ; await sleep(100)) {
      if ((await this.databasePod()) !== former) return;
      if (performance.now() > deadline) throw new Error(`after ${ROLLOUT_SECONDS} s MySQL still leads to ${former}`);
    }
  }

  /** Waits until every pod of MySQL is ready. */
  async databaseRolledOut(): Promise<void> {
    await this.kubectl(['rollout', 'status', 'statefulset/mysql', `--timeout=${ROLLOUT_SECONDS}s`]);
  }

  /** Registers an action to run after the drill, even if it fails; in reverse order. */
  defer(action: () => unknown): void {
    this.#deferred.add(action);
  }

  // The port of /metrics is not reachable from outside, by design.
  async memory(): Promise<undefined> {
    return undefined;
  }

  async restarts(): Promise<number> {
    let ended = 0;
    for (const [pod, count] of await restartsOf(this.#cluster)) {
      if (!this.#mayRestart.has(pod)) ended += count - (this.#restartsBefore.get(pod) ?? 0);
    }
    return ended;
  }

  async close(): Promise<void> {
    await this.#deferred.run();
  }
}

async function restartsOf({ kubectl }: Cluster): Promise<Map<string, number>> {
  const path = '{range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount}{"\\n"}{end}';
  const lines = await kubectl(['get', 'pods', '-n', NAMESPACE, '-l', SELECTOR, '-o', `jsonpath=${path}`]);
  return new Map(lines.split('\n').map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1] ?? 0)]));
}

const name = process.env.CLUSTER || 'plusone';

/** Whether the cluster `CLUSTER` exists, by default that of `make up`. */
export async function isClusterThere(): Promise<boolean> {
  // kind may be missing.
  const clusters = await output('kind', ['get', 'clusters']).catch(() => '');
  return clusters.split('\n').includes(name);
}

/** The cluster `CLUSTER`, by default that of `make up`. Throws a Refusal when it doesn't exist. */
export async function openKindEnvironment(): Promise<Environment<KindFixture>> {
  if (!(await isClusterThere())) throw new Refusal(`there is no kind cluster ${name}: make up`);
  const cluster = await ensureCluster(name, {}, () => {});
  const { kubectl } = cluster;
  const kubernetes = await kubectl(['get', 'nodes', '-o', 'jsonpath={.items[0].status.nodeInfo.kubeletVersion}']);
  const [cpu] = cpus();
  return {
    target: 'kind',
    description: `${cpus().length} × ${cpu?.model ?? 'CPU'}, kind, Kubernetes ${kubernetes}, ${cluster.nodes.length} nodes for the service`,
    async open() {
      await kubectl(['-n', NAMESPACE, 'rollout', 'status', `deployment/${SERVICE}`, `--timeout=${ROLLOUT_SECONDS}s`]);
      const before = await lastRelease(cluster, TARGET);
      if (before === undefined) throw new Refusal(`no release has succeeded in the cluster ${name} yet: make up`);
      return new KindFixture(cluster, before, await restartsOf(cluster));
    },
    async close() {},
  };
}
