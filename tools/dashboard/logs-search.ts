/**
 * `make logs-search`: searches the logs of the kind cluster of `make up`. The first time it installs OpenSearch there, and
 * what takes the logs of all pods to it, from their first line; both stay until `make down`.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, DestinationRequest } from '../../functions/destinations.ts';
import { type Found, readFound, searchRequest } from '../../functions/log-search.ts';
import { type Cluster, ensureCluster, loadImages } from '../../local-kind/cluster.ts';
import { portForward } from '../../local-kind/port-forward.ts';
import { rolledOut } from '../../local-kind/wait-for-rollout.ts';
import { makeTarget } from '../terminal/make-target.ts';
import { Failed } from '../terminal/programs.ts';
import { remark, say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { requireTools } from '../terminal/requirements.ts';
import { LINES, readSearch } from './searches.ts';

const DEFAULT_CLUSTER = 'plusone';
const NAMESPACE = 'monitoring';
const MANIFESTS = ['namespace', 'logs'].map((name) => `tools/dashboard/kubernetes/${name}.yaml`);
/** Of the indices: LOGS_NAME in logs.yaml. */
const LOGS = 'plusone-local';
const SOURCES = ['pod-logs', 'destinations', 'log-events', 'search-index', 'delivery'].map((name) => `${name}.ts`);
const FIRST_LINES_SECONDS = 60;

async function logsSearch(): Promise<void> {
  const asked = readSearch(process.env);
  const name = process.env.CLUSTER || DEFAULT_CLUSTER;
  await step('tools', () => requireTools(['docker', 'kind', 'kubectl']));
  const cluster = await step('cluster', (tell) => ensureCluster(name, {}, tell));
  await step('OpenSearch and the log reader', () => install(cluster));
  const { url, end } = await portForward(cluster.connection, NAMESPACE, 'service/opensearch', 9200);
  try {
    const { total, lines } = await search(url, asked);
    // As in a log, the newest line is the last.
    for (const line of lines.toReversed()) say(JSON.stringify(line));
    remark(`${lines.length} of ${total} lines of the last ${asked.minutes} minutes`);
  } finally {
    end();
  }
}

/** Applies the manifests, and waits until both run. */
async function install(cluster: Cluster): Promise<void> {
  const image = await cluster
    .kubectl([
      'get',
      'deployment',
      'plusone',
      '-n',
      'plusone',
      '-o',
      'jsonpath={.spec.template.spec.containers[0].image}',
    ])
    .catch((error: unknown) => {
      if (error instanceof Failed) throw new Refusal(`the cluster ${cluster.name} has no Plusone yet: make up`);
      throw error;
    });
  const data = Object.fromEntries(SOURCES.map((file) => [file, readFileSync(`functions/${file}`, 'utf8')]));
  // A name by its content, so that a change of it is a change of the pod.
  const hash = createHash('sha256').update(JSON.stringify(data)).digest('hex').slice(0, 10);
  const functions = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `functions-${hash}`, namespace: NAMESPACE, labels: { 'app.kubernetes.io/part-of': 'logs' } },
    data,
  };
  const manifests = MANIFESTS.map((file) => readFileSync(file, 'utf8'))
    .join('\n---\n')
    .replace('image: IMAGE', () => `image: ${image}`)
    .replace('name: FUNCTIONS', () => `name: ${functions.metadata.name}`);
  const there = await cluster.kubectl(['get', 'deployments', '-n', NAMESPACE, '-o', 'name']);
  if (!there.includes('deployment.apps/opensearch')) {
    const [, openSearch = ''] = /image: (opensearchproject\S+)/.exec(manifests) ?? [];
    await loadImages(cluster, [openSearch]);
  }
  await cluster.kubectl(['apply', '-f', '-'], `${manifests}\n---\n${JSON.stringify(functions)}\n`);
  for (const workload of ['opensearch', 'log-reader']) {
    await rolledOut(cluster.kubectl, NAMESPACE, `deployment/${workload}`);
  }
}

/** Searches what is stored by now; after an installation, once the first lines are. */
async function search(url: string, { query, minutes }: { query: string; minutes: number }): Promise<Found> {
  const send = async ({ method, url, headers, body }: DestinationRequest): Promise<Answer> => {
    const response = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(20_000) });
    return { status: response.status, body: await response.text() };
  };
  for (const end = Date.now() + FIRST_LINES_SECONDS * 1000; ; await sleep(500)) {
    const refresh = await send({ method: 'POST', url: `${url}/logs-${LOGS}-*/_refresh`, headers: {}, body: '' });
    const all = readFound(await send(searchRequest(url, LOGS, { query: '*', minutes: 525_600, size: 1 })));
    if (refresh.status === 200 && all.total > 0) break;
    if (Date.now() > end) {
      throw new Refusal(
        `no line is stored yet: kubectl --kubeconfig .local/kubeconfig -n ${NAMESPACE} logs deployment/log-reader`,
      );
    }
  }
  const answer = await send(searchRequest(url, LOGS, { query, minutes, size: LINES }));
  if (answer.status === 400) throw new Refusal(`QUERY is ${query}; OpenSearch cannot read it`);
  return readFound(answer);
}

await makeTarget('make logs-search', logsSearch);
