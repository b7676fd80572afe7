/**
 * `make dashboard`: installs Prometheus, Grafana and the scaler in the kind cluster of `make up`, and forwards ports until Ctrl-C.
 * They continue to collect until `make down`; the command can be repeated. If Grafana's image is not available, it uses only
 * Prometheus, from which `npm run dashboard:render` draws the same panels.
 */
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, ensureCluster, loadImages } from '../../local-kind/cluster.ts';
import { imagesOf, parseObjects } from '../../local-kind/objects.ts';
import { rolledOut } from '../../local-kind/wait-for-rollout.ts';
import { alertRules } from '../alerts/build.ts';
import { PROBE, putProbe } from '../alerts/probe.ts';
import { freePort, isFree } from '../process/free-port.ts';
import { makeTarget } from '../terminal/make-target.ts';
import { messageOf } from '../terminal/message.ts';
import { Failed, output, stopAll } from '../terminal/programs.ts';
import { remark, say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { requireTools } from '../terminal/requirements.ts';
import { withFunctions } from './functions.ts';

const DEFAULT_CLUSTER = 'plusone';
const NAMESPACE = 'monitoring';
const WORKLOADS = ['prometheus', 'alertmanager', 'blackbox', 'kube-state-metrics', 'grafana'] as const;
/** The preferred ports of this machine: the usual ones of these programs. */
const PORTS = { grafana: 3000, prometheus: 9090 } as const;
/** Kinds whose objects are removed if they are no longer in the manifests; ConfigMaps change their names with their content. */
const PRUNED = [
  'core/v1/ConfigMap',
  'core/v1/Service',
  'core/v1/ServiceAccount',
  'apps/v1/Deployment',
  'networking.k8s.io/v1/NetworkPolicy',
  'rbac.authorization.k8s.io/v1/Role',
  'rbac.authorization.k8s.io/v1/RoleBinding',
];

async function dashboard(): Promise<void> {
  await step('tools', () => requireTools(['docker', 'kind', 'kubectl']));
  const name = process.env.CLUSTER || DEFAULT_CLUSTER;
  const others = name === DEFAULT_CLUSTER ? '' : ` CLUSTER=${name}`;
  const cluster = await step('cluster', (tell) => ensureCluster(name, {}, tell));
  await cluster.kubectl(['get', 'deployment', 'plusone', '-n', 'plusone']).catch((error: unknown) => {
    if (error instanceof Failed) throw new Refusal(`the cluster ${name} has no Plusone yet: make up${others}`);
    throw error;
  });
  const seconds = minuteSeconds();
  const scaler = await scalerManifests(cluster, seconds);
  const workloads = [...WORKLOADS, ...(scaler === undefined ? [] : ['scaler'])];
  const monitoring = await monitoringManifests(seconds);
  const manifests = [monitoring, ...(scaler === undefined ? [] : [scaler])].join('\n---\n');
  await step('images', (tell) => loadPresentImages(cluster, monitoring, tell));
  const troubles = await step('dashboard', async (tell) => {
    const prune = ['--prune', '-l', 'app.kubernetes.io/part-of=dashboard'];
    const allowed = PRUNED.map((kind) => `--prune-allowlist=${kind}`);
    await cluster.kubectl(['apply', '-f', '-', ...prune, ...allowed], manifests);
    const outcomes = await Promise.all(workloads.map((workload) => troubleWith(cluster, workload)));
    tell(workloads.filter((_, at) => outcomes[at] === undefined).join(', '));
    return new Map(workloads.map((workload, at) => [workload, outcomes[at]]));
  });
  for (const trouble of troubles.values())
    if (trouble !== undefined) remark(`\n! ${trouble}\n  make dashboard${others} tries again`);
  if (troubles.get('prometheus') !== undefined) {
    throw new Refusal(
      'without Prometheus there is no dashboard. The same panels as a picture, from a service on this machine:\n\n' +
        '  make dev\n  npm run dashboard:render',
    );
  }

  const stored = await putProbe(new URL(`http://localhost:${cluster.port}`), process.env.WRITE_TOKEN).catch(String);
  if (stored !== 200 && stored !== 204 && stored !== 201) {
    remark(
      `\n! The user ${PROBE.user} could not be stored (${stored}), so the check of a birthday fails. With a WRITE_TOKEN: set it.`,
    );
  }
  const prometheus = await portFor('prometheus');
  const forwards = [forward(cluster, 'prometheus', prometheus)];
  say('');
  if (troubles.get('grafana') === undefined) {
    const grafana = await portFor('grafana');
    forwards.push(forward(cluster, 'grafana', grafana));
    say(`Grafana      http://localhost:${grafana}  the dashboard, without a login`);
  }
  say(`Prometheus   http://localhost:${prometheus}  for questions of your own

  npm run dashboard:render -- --prometheus http://localhost:${prometheus} --seconds 300   the same panels as a picture

Ctrl-C ends the access to them; make down${others} removes all of it.`);
  await Promise.race([...forwards, interrupted()]);
}

/** A minute of the scaler and of the alerts lasts as long; drills shorten it. */
function minuteSeconds(): number {
  const text = process.env.SCALER_MINUTE_SECONDS || '60';
  const seconds = Number(text);
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= 60) return seconds;
  throw new Refusal(`SCALER_MINUTE_SECONDS=${text}: expected a whole number of seconds, 1 to 60`);
}

/** Everything but the scaler. */
async function monitoringManifests(seconds: number): Promise<string> {
  if (seconds === 60) return await output('kubectl', ['kustomize', 'tools/dashboard']);
  const folder = mkdtempSync(join(tmpdir(), 'plusone-dashboard-'));
  try {
    cpSync('tools/dashboard', folder, { recursive: true });
    writeFileSync(join(folder, 'kubernetes/alerts.yml'), alertRules(seconds));
    return await output('kubectl', ['kustomize', folder]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Undefined if there is no autoscaler whose lower bound the scaler could change. */
async function scalerManifests(cluster: Cluster, seconds: number): Promise<string | undefined> {
  const words = ['get', 'horizontalpodautoscaler', 'plusone', '-n', 'plusone', '--ignore-not-found', '-o', 'name'];
  if ((await cluster.kubectl(words)) === '') {
    remark('! The count in the manifest is fixed, so there is no autoscaler, and the scaler is not installed.');
    return undefined;
  }
  const manifests = await withFunctions(cluster, 'scaler', 'pod-scaler');
  return manifests.replace("SCALER_MINUTE_SECONDS, value: '60'", `SCALER_MINUTE_SECONDS, value: '${seconds}'`);
}

/** Resolves at Ctrl-C, which also ends the child processes. */
async function interrupted(): Promise<void> {
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  stopAll();
}

/** Loads the images that this machine has into the node. */
async function loadPresentImages(cluster: Cluster, manifests: string, tell: (what: string) => void): Promise<void> {
  const present = await loadImages(cluster, imagesOf(parseObjects(manifests)));
  tell(present.length === 0 ? 'pulled by the cluster' : present.join(', '));
}

/** Why it does not run, usually an image that cannot be pulled; undefined if it runs. */
async function troubleWith({ kubectl }: Cluster, workload: string): Promise<string | undefined> {
  try {
    await rolledOut(kubectl, NAMESPACE, `deployment/${workload}`);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

async function portFor(program: keyof typeof PORTS): Promise<number> {
  return (await isFree(PORTS[program])) ? PORTS[program] : await freePort();
}

/** Forwards a port of this machine to the program, and again to the next pod if its pod ends. Never resolves. */
async function forward({ connection }: Cluster, program: keyof typeof PORTS, port: number): Promise<never> {
  for (;;) {
    const words = ['port-forward', '-n', NAMESPACE, `service/${program}`, `${port}:${PORTS[program]}`];
    await output('kubectl', [...connection, ...words]).catch(() => '');
    await sleep(1_000);
  }
}

await makeTarget('make dashboard', dashboard);
process.exit(0);
