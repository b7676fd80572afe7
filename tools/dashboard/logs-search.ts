/**
 * `make logs-search`: searches the logs of the kind cluster of `make up`. The first time it installs OpenSearch there, and
 * what takes the logs of all pods to it, from their first line; both stay until `make down`.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, DestinationRequest } from '../../functions/destinations.ts';
import { type Found, readFound, searchRequest } from '../../functions/log-search.ts';
import { type Cluster, ensureCluster, loadImages } from '../../local-kind/cluster.ts';
import { portForward } from '../../local-kind/port-forward.ts';
import { rolledOut } from '../../local-kind/wait-for-rollout.ts';
import { makeTarget } from '../terminal/make-target.ts';
import { remark, say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { requireTools } from '../terminal/requirements.ts';
import { withFunctions } from './functions.ts';
import { LINES, readSearch } from './searches.ts';

const DEFAULT_CLUSTER = 'plusone';
const NAMESPACE = 'monitoring';
/** Of the indices: LOGS_NAME in logs.yaml. */
const LOGS = 'plusone-local';
const FIRST_LINES_SECONDS = 60;
/** How often the reader stores what it has read: functions/pod-logs.ts. */
const READ_MILLISECONDS = 1_000;

async function logsSearch(): Promise<void> {
  const asked = readSearch(process.env);
  const name = process.env.CLUSTER || DEFAULT_CLUSTER;
  await step('tools', () => requireTools(['docker', 'kind', 'kubectl']));
  const cluster = await step('cluster', (tell) => ensureCluster(name, {}, tell));
  const isNew = await step('OpenSearch and the log reader', () => install(cluster));
  const { url, end } = await portForward(cluster.connection, NAMESPACE, 'service/opensearch', 9200);
  try {
    const { total, lines } = await search(url, asked, isNew);
    // As in a log, the newest line is the last.
    for (const line of lines.toReversed()) say(JSON.stringify(line));
    remark(`${lines.length} of ${total} lines of the last ${asked.minutes} minutes`);
  } finally {
    end();
  }
}

/** Applies the manifests, and waits until both run. Gives back whether OpenSearch was not there before. */
async function install(cluster: Cluster): Promise<boolean> {
  const namespace = readFileSync('tools/dashboard/kubernetes/namespace.yaml', 'utf8');
  const manifests = `${namespace}\n---\n${await withFunctions(cluster, 'logs', 'pod-logs')}`;
  const there = await cluster.kubectl(['get', 'deployments', '-n', NAMESPACE, '-o', 'name']);
  const isNew = !there.includes('deployment.apps/opensearch');
  if (isNew) {
    const [, openSearch = ''] = /image: (opensearchproject\S+)/.exec(manifests) ?? [];
    await loadImages(cluster, [openSearch]);
  }
  await cluster.kubectl(['apply', '-f', '-'], manifests);
  for (const workload of ['opensearch', 'log-reader']) {
    await rolledOut(cluster.kubectl, NAMESPACE, `deployment/${workload}`);
  }
  return isNew;
}

/** Searches what is stored by now; after an installation, once the lines that there were are. */
async function search(
  url: string,
  { query, minutes }: { query: string; minutes: number },
  isNew: boolean,
): Promise<Found> {
  const send = async ({ method, url, headers, body }: DestinationRequest): Promise<Answer> => {
    const response = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(20_000) });
    return { status: response.status, body: await response.text() };
  };
  let before = 0;
  for (const end = Date.now() + FIRST_LINES_SECONDS * 1000; ; await sleep(2 * READ_MILLISECONDS)) {
    const refresh = await send({ method: 'POST', url: `${url}/logs-${LOGS}-*/_refresh`, headers: {}, body: '' });
    const all = readFound(await send(searchRequest(url, LOGS, { query: '*', minutes: 525_600, size: 1 })));
    if (refresh.status === 200 && all.total > 0) {
      // The reader takes the lines of some containers before those of others; a busy service writes without end.
      if (!isNew || all.total === before || Date.now() > end) break;
      before = all.total;
    } else if (Date.now() > end) {
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
