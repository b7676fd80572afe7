import { type ExecFileException, execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { KUBECONFIG } from '../../local-kind/cluster.ts';
import { freePort } from '../../tools/process/free-port.ts';
import { Refusal } from '../../tools/terminal/refusal.ts';
import { requireTools } from '../../tools/terminal/requirements.ts';
import { skipWithout } from '../skip.ts';

/** The cluster of the tests: their own, gone afterwards; or TEST_CLUSTER=name, which stays. */
export const CLUSTER = process.env.TEST_CLUSTER || 'plusone-test';
const OWN = !process.env.TEST_CLUSTER;
/** The options of kubectl for it. */
export const CONNECTION = ['--kubeconfig', KUBECONFIG, '--context', `kind-${CLUSTER}`] as const;

let baseUrl = '';

/** What `make up` printed as the address of the service, without a slash at the end. */
export function url(path = ''): string {
  return `${baseUrl}${path}`;
}

before(async function () {
  this.timeout(480_000);
  try {
    await requireTools(['docker', 'docker buildx', 'kind', 'kubectl']);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    skipWithout(this, 'kind', `a cluster needs these programs ${error.message.replaceAll('\n', '\n    ')}`);
  }
  if (OWN) await ended('make', ['down', `CLUSTER=${CLUSTER}`]);
  const { code, stdout, stderr } = await makeUp();
  console.log(`${stderr}${stdout}`.replaceAll(/^/gm, '    '));
  if (code !== 0) throw new Error(`make up ended with ${code}: ${stdout}${stderr}`);
  baseUrl = /answers at (http:\S+)\//.exec(stdout)?.[1] ?? '';
  await eventually('the autoscaler has started as many pods as it wants', 60, async () => {
    const wanted = await ask('get', 'hpa', 'plusone', '-o', 'jsonpath={.spec.minReplicas}');
    return (await ask('get', 'deployment', 'plusone', '-o', 'jsonpath={.status.readyReplicas}')) >= wanted;
  });
});

after(async function () {
  this.timeout(60_000);
  if (OWN) await ended('make', ['down', `CLUSTER=${CLUSTER}`]);
});

/** `make up` for the cluster of the tests. */
export async function makeUp(): Promise<Ended> {
  const port = OWN && baseUrl === '' ? [`PORT=${await freePort()}`] : [];
  return make('up', ...port);
}

export function make(target: string, ...variables: string[]): Promise<Ended> {
  return ended('make', ['--no-print-directory', target, `CLUSTER=${CLUSTER}`, ...variables]);
}

/** A shell on this machine that pipes that line into `make shell`. */
export function makeShell(line: string): Promise<Ended> {
  return ended('make', ['--no-print-directory', 'shell', `CLUSTER=${CLUSTER}`], line);
}

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, whatever that is. */
export function ended(program: string, args: string[], input = ''): Promise<Ended> {
  return new Promise((resolve) => {
    const finish = (error: ExecFileException | null, stdout: string, stderr: string) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr });
    const child = execFile(program, args, { maxBuffer: 64 * 1024 * 1024 }, finish);
    child.stdin?.on('error', () => {}).end(input);
  });
}

/** kubectl in the service's namespace. */
export function kubectl(...args: string[]): Promise<Ended> {
  return ended('kubectl', [...CONNECTION, '-n', 'plusone', ...args]);
}

/** What kubectl wrote to stdout. Throws when it does not end with 0. */
export async function ask(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await kubectl(...args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}

/** What stands in that field of each object of a kind; `labels` as in `kubectl get -l`. */
export async function fields(kind: string, labels: string, path: string): Promise<string[]> {
  const found = await ask('get', kind, '-l', labels, '-o', `jsonpath={range .items[*]}{${path}}{"\\n"}{end}`);
  return found.split('\n').filter((line) => line !== '');
}

/** The pods of the service that are there and stay. */
export async function servicePods(): Promise<string[]> {
  const columns = 'custom-columns=:.metadata.name,:.metadata.deletionTimestamp';
  const pods = await ask('get', 'pods', '-l', 'app.kubernetes.io/name=plusone', '-o', columns, '--no-headers');
  return pods
    .split('\n')
    .filter((line) => line.endsWith('<none>'))
    .map((line) => line.split(' ')[0] ?? '');
}

/** Runs JavaScript in a container of the service, as the service. */
export function runInService(pod: string, script: string): Promise<Ended> {
  return kubectl('exec', pod, '-c', 'plusone', '--', 'node', '--input-type=module', '-e', script);
}

/** Sends a signal to the first process of the pod's container from outside of it, where SIGKILL works too. */
export async function signalService(pod: string, signal: string): Promise<void> {
  const path = 'jsonpath={.spec.nodeName} {.status.containerStatuses[0].containerID}';
  const [node = '', id = ''] = (await ask('get', 'pod', pod, '-o', path)).split(' ');
  const task = ['ctr', '-n', 'k8s.io', 'tasks', 'kill', '--signal', signal, id.replace('containerd://', '')];
  const { code, stderr } = await ended('docker', ['exec', node, ...task]);
  if (code !== 0) throw new Error(stderr);
}

/** Asks until the answer is a yes. Throws after that many seconds. */
export async function eventually(what: string, seconds: number, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + seconds * 1000; ; await sleep(250)) {
    if (await holds()) return;
    if (Date.now() > deadline) throw new Error(`after ${seconds} s still not: ${what}`);
  }
}
