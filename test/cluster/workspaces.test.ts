import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { synth } from '../../k8s/main.ts';
import { KUBECONFIG } from '../../local-kind/cluster.ts';
import { linters } from '../rehearsal/linters.ts';
import { skipWithout } from '../skip.ts';
import { CLUSTER, type Ended, ended, eventually } from './cluster.ts';
import { kubeScore } from './kube-score.ts';

const WORKSPACES = 'test/workspaces';
const NODE = `${CLUSTER}-control-plane`;

/** The images of each workspace: of its workloads, by the folder that is built from its Dockerfile there. */
const images: readonly { context: string; dockerfile: string; of: readonly string[] }[] = [
  { context: 'queue', dockerfile: 'web/Dockerfile', of: ['web'] },
  { context: 'queue/api', dockerfile: 'Dockerfile', of: ['api'] },
  { context: 'queue/worker', dockerfile: 'Dockerfile', of: ['worker'] },
  { context: 'paths/service', dockerfile: 'Dockerfile', of: ['home', 'search', 'admin'] },
  { context: 'job/app', dockerfile: 'Dockerfile', of: ['report', 'reader'] },
  { context: 'addon/app', dockerfile: 'Dockerfile', of: ['notes'] },
  { context: 'request-driven/app', dockerfile: 'Dockerfile', of: ['quote'] },
];

/** Workspaces that other tests run; here the API server checks their objects, in a namespace of its own. */
const checked = ['cache', 'shop'];
const CHECKED = 'checked';

/** What stands in for AWS: SNS and SQS, and the database of an addon. */
const STAND_INS = 'test/cluster/stand-ins.yaml';
const standInImages = ['ministackorg/ministack:1.5.33', 'mysql:8.4'];
const INGRESS = 'test/cluster/ingress.yaml';
const ingressImage = 'traefik:v3.7.13';

const values: Readonly<Record<string, string>> = {
  COPILOT_SNS_TOPIC_ARNS: JSON.stringify({ placed: 'arn:aws:sns:us-east-1:000000000000:placed' }),
  COPILOT_QUEUE_URI: 'http://aws.stand-ins:4566/000000000000/worker',
  DB_HOST: 'mysql.stand-ins',
  DB_PORT: '3306',
  TABLE: 'notes',
  BUCKET: 'notes',
  CACHE_HOST: 'cache.stand-ins',
  CACHE_PORT: '6379',
  QUEUE_URL: 'http://aws.stand-ins:4566/000000000000/jobs',
};
const secrets: Readonly<Record<string, string>> = {
  DB_SECRET: JSON.stringify({ username: 'notes', password: 'a$$b $(DB_HOST)' }),
  AUTHOR: 'Dijkstra',
  GREETING: 'Hello',
};

/** Every workspace, as it runs in `test`, and one of them in `prod` beside it. */
const applied = [
  { workspace: 'queue', environment: 'test', namespace: 'orders', kinds: ['web', 'api', 'worker'] },
  { workspace: 'paths', environment: 'test', namespace: 'paths', kinds: ['home', 'search', 'admin'] },
  { workspace: 'paths', environment: 'prod', namespace: 'paths-prod', kinds: ['home', 'search', 'admin'] },
  { workspace: 'job', environment: 'test', namespace: 'books', kinds: ['reader'] },
  { workspace: 'addon', environment: 'test', namespace: 'notes', kinds: ['notes'] },
  { workspace: 'request-driven', environment: 'test', namespace: 'quotes', kinds: ['quote'] },
  { workspace: 'static-site', environment: 'test', namespace: 'museum', kinds: ['pages'] },
] as const;

describe('a translated workspace in the cluster', function () {
  this.timeout(240_000);
  let folder = '';
  let hasIngress = false;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'workspaces-'));
    writeFileSync(join(folder, 'platform.env'), 'AWS_ENDPOINT_URL=http://aws.stand-ins:4566\n');
    writeFileSync(join(folder, 'values.env'), lines(values));
    writeFileSync(join(folder, 'secrets.env'), lines(secrets));
    hasIngress = (await ended('docker', ['image', 'inspect', ingressImage])).code === 0;
    for (const { workspace, environment, namespace } of applied)
      translate(workspace, environment, join(folder, namespace));
    for (const workspace of checked) translate(workspace, 'test', join(folder, workspace), CHECKED);
    await loadImages([
      ...images,
      { context: join(folder, 'museum/pages.image'), dockerfile: 'Dockerfile', of: ['pages'] },
    ]);
    if (hasIngress) await succeeds('kind', ['load', 'docker-image', '--name', CLUSTER, ingressImage]);
    await succeeds('kubectl', [...connection, 'apply', '-f', STAND_INS, ...(hasIngress ? ['-f', INGRESS] : [])]);
    await rolledOut('stand-ins', ['aws', 'mysql']);
    await createQueue();
    for (const { namespace } of applied)
      await succeeds('kubectl', [...connection, 'apply', '-f', join(folder, namespace)]);
    await Promise.all(applied.map(({ namespace, kinds }) => rolledOut(namespace, kinds)));
  });

  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    const namespaces = ['stand-ins', 'ingress', CHECKED, ...applied.map(({ namespace }) => namespace)];
    await ended('kubectl', [...connection, 'delete', 'namespace', ...namespaces, '--ignore-not-found', '--wait=false']);
  });

  function translate(workspace: string, environment: string, output: string, namespace?: string) {
    const log = console.log;
    console.log = () => {};
    try {
      synth({
        workspace: join(WORKSPACES, workspace),
        environment,
        output,
        namespace,
        // kind has no storage class for more than one node.
        'access-mode': 'ReadWriteOnce',
        'platform-env': join(folder, 'platform.env'),
        values: join(folder, 'values.env'),
        'secrets-from': join(folder, 'secrets.env'),
      });
    } finally {
      console.log = log;
    }
  }

  function objectFiles(): string[] {
    return [...applied.map(({ namespace }) => namespace), ...checked].flatMap((name) =>
      readdirSync(join(folder, name))
        .filter((file) => file.endsWith('.k8s.yaml'))
        .map((file) => join(folder, name, file)),
    );
  }

  it('has objects that the API server accepts without warnings', async () => {
    await succeeds('kubectl', [...connection, 'create', 'namespace', CHECKED, '--save-config']);
    const files = objectFiles().flatMap((file) => ['-f', file]);
    const dryRun = [...connection, 'apply', '--dry-run=server', '--validate=strict', ...files];
    const { code, stderr } = await ended('kubectl', dryRun);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
  });

  it('has no findings in kube-score and checkov except declared ones, each with its reason', async function () {
    const files = objectFiles();
    const score = kubeScore();
    if (!score) skipWithout(this, 'go', 'kube-score is built with Go, which is not there');
    expect(score(files)).to.deep.equal([]);
    const tools = linters();
    if (!tools) skipWithout(this, 'python3', 'checkov is installed with Python 3, which is not there');
    const words = ['--framework', 'kubernetes', '--quiet', '--compact', '--skip-download'];
    const { code, output } = tools.run('checkov', [...words, ...files.flatMap((file) => ['-f', file])]);
    expect(code, output).to.equal(0);
  });

  it('has an API behind nginx, and a worker that receives the messages of the API', async () => {
    const order = `o${Date.now()}`;
    expect(await get('orders', 'web', `/orders/${order}`, ['-X', 'POST', '-w', '%{http_code}'])).to.equal('placed202');
    await eventually('the worker has packed the order', 30, async () => {
      return (await get('orders', 'web', `/orders/${order}`)) === 'packed';
    });
  });

  it('routes to services by path', async function () {
    if (!hasIngress) skipWithout(this, 'traefik', `the image ${ingressImage} is not on this machine`);
    for (const [path, service] of [
      ['/', 'home'],
      ['/api/1', 'search'],
      ['/admin', 'admin'],
    ] as const) {
      await eventually(`${path} leads to ${service}`, 30, async () => {
        const host = ['-H', 'Host: paths.example'];
        return (await inNode(`http://localhost:80${path}`, host)).startsWith(`${service} in `);
      });
    }
  });

  it('runs in two environments at the same time, each with its own ports and number of pods', async () => {
    expect(await get('paths', 'search', '/api')).to.equal('search in test: /api');
    expect(await get('paths-prod', 'search', '/api')).to.equal('search in prod: /api');
    const pods = 'jsonpath={.status.readyReplicas}';
    expect(await ask('paths-prod', 'get', 'deployment', 'search', '-o', pods)).to.equal('2');
  });

  it('retries a failed job, whose report a service reads from the same file system', async () => {
    await ask('books', 'create', 'job', 'now', '--from=cronjob/report');
    await ask('books', 'wait', 'job', 'now', '--for=condition=complete', '--timeout=120s');
    expect(await ask('books', 'get', 'job', 'now', '-o', 'jsonpath={.status.failed}')).to.equal('1');
    expect(await get('books', 'reader', '/')).to.equal('all books are in order');
  });

  it('connects to the database of its addon with the secret of the addon', async () => {
    await get('notes', 'notes', '/first');
    expect(await get('notes', 'notes', '/')).to.equal('[{"notes":1}]');
  });

  it('answers as a request-driven service', async () => {
    expect(await get('quotes', 'quote', '/')).to.equal('Simplicity is prerequisite for reliability. Dijkstra');
  });

  it('serves a static site, with an index for each folder', async () => {
    expect(await get('museum', 'pages', '/about')).to.equal('<h1>About</h1>\n');
    expect(await get('museum', 'pages', '/assets/style.css', ['-o', '/dev/null', '-w', '%{content_type}'])).to.equal(
      'text/css',
    );
    expect(await get('museum', 'pages', '/notes.md', ['-o', '/dev/null', '-w', '%{http_code}'])).to.equal('404');
  });

  it('enforces "restricted" where every Dockerfile has a numeric user', async () => {
    const level = (namespace: string) =>
      ask(
        namespace,
        'get',
        'ns',
        namespace,
        '-o',
        'jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}',
      );
    expect(await Promise.all(['quotes', 'paths', 'museum', 'orders'].map(level))).to.deep.equal([
      'restricted',
      'restricted',
      'restricted',
      'baseline',
    ]);
  });

  it('has no container that restarts repeatedly', async () => {
    const restarts = 'jsonpath={range .items[*]}{.status.containerStatuses[*].restartCount}{" "}{end}';
    for (const { namespace } of applied) {
      const counts = (await ask(namespace, 'get', 'pods', '-o', restarts)).split(/\s+/).filter(Boolean);
      expect(Math.max(...counts.map(Number)), namespace).to.equal(0);
    }
  });
});

const connection = ['--kubeconfig', KUBECONFIG, '--context', `kind-${CLUSTER}`];

function lines(entries: Readonly<Record<string, string>>): string {
  return Object.entries(entries)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

async function succeeds(program: string, args: string[]): Promise<Ended> {
  const result = await ended(program, args);
  if (result.code !== 0) throw new Error(`${program} ${args.join(' ')}: ${result.stderr}${result.stdout}`);
  return result;
}

async function ask(namespace: string, ...args: string[]): Promise<string> {
  return (await succeeds('kubectl', [...connection, '-n', namespace, ...args])).stdout.trim();
}

async function loadImages(all: typeof images) {
  await Promise.all(
    all.map(({ context, dockerfile, of }) => {
      const path = resolve(WORKSPACES, context);
      const names = of.flatMap((workload) => ['--tag', `${workload}:dev`]);
      return succeeds('docker', ['build', '--quiet', ...names, '--file', join(path, dockerfile), path]);
    }),
  );
  const built = all.flatMap(({ of }) => of.map((workload) => `${workload}:dev`));
  await succeeds('kind', ['load', 'docker-image', '--name', CLUSTER, ...built, ...standInImages]);
}

async function rolledOut(namespace: string, deployments: readonly string[]) {
  const waits = deployments.map((name) => ask(namespace, 'rollout', 'status', `deployment/${name}`, '--timeout=150s'));
  const results = await Promise.allSettled(waits);
  const failed = results.find((result) => result.status === 'rejected');
  if (!failed) return;
  const pods = await ask(namespace, 'get', 'pods');
  const events = await ask(namespace, 'get', 'events', '--field-selector=type=Warning');
  throw new Error(`${String(failed.reason)}\n${pods}\n${events}`);
}

/** curl in the node, which has the ports of Services and of the node whatever the host's system is. */
async function inNode(url: string, words: readonly string[] = []): Promise<string> {
  const { stdout } = await ended('docker', ['exec', NODE, 'curl', '-sS', '--max-time', '10', ...words, url]);
  return stdout;
}

/** What a Load Balanced Web Service answers at its port of the node. */
async function get(namespace: string, service: string, path: string, words: readonly string[] = []): Promise<string> {
  const port = await ask(namespace, 'get', 'service', service, '-o', 'jsonpath={.spec.ports[0].nodePort}');
  return await inNode(`http://localhost:${port}${path}`, words);
}

/** The topic, the worker's queue, and the subscription of the one to the other, as Copilot makes them on AWS. */
async function createQueue() {
  const address = await ask('stand-ins', 'get', 'service', 'aws', '-o', 'jsonpath={.spec.clusterIP}');
  const topic = 'arn:aws:sns:us-east-1:000000000000:placed';
  const queue = 'arn:aws:sqs:us-east-1:000000000000:worker';
  for (const call of [
    { Action: 'CreateTopic', Name: 'placed' },
    { Action: 'CreateQueue', QueueName: 'worker' },
    { Action: 'Subscribe', TopicArn: topic, Protocol: 'sqs', Endpoint: queue },
  ]) {
    const answer = await inNode(`http://${address}:4566/`, ['--fail', '--data', new URLSearchParams(call).toString()]);
    if (!answer.includes('<')) throw new Error(`${call.Action}: ${answer}`);
  }
}
