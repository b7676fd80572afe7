/**
 * `make scale-status TARGET=kind`: shows the number of pods, and the last runs of the scaler of `make dashboard` in the kind
 * cluster: its readings, its decisions and their reasons.
 */
import { z } from 'zod';
import { minimumOf } from '../../functions/kubernetes.ts';
import { describeRun, readRun } from '../../functions/scaler-runs.ts';
import { type Cluster, ensureCluster } from '../../local-kind/cluster.ts';
import { makeTarget } from '../terminal/make-target.ts';
import { say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { requireTools } from '../terminal/requirements.ts';

const DEFAULT_CLUSTER = 'plusone';
const MINUTES = 15;
const RUNS = 10;

const autoscaler = z.object({
  metadata: z.object({ annotations: z.record(z.string(), z.string()).default({}) }),
  spec: z.object({ minReplicas: z.number(), maxReplicas: z.number() }),
  status: z.object({ desiredReplicas: z.number().default(0), currentReplicas: z.number().default(0) }),
});

async function scaleStatus(): Promise<void> {
  const name = process.env.CLUSTER || DEFAULT_CLUSTER;
  await step('tools', () => requireTools(['docker', 'kind', 'kubectl']));
  const cluster = await step('cluster', (tell) => ensureCluster(name, {}, tell));
  const json = await found(cluster, 'plusone', 'horizontalpodautoscaler/plusone', 'json');
  if (json === '') {
    throw new Refusal('there is no autoscaler: the count is fixed until count in the manifest has a range; or make up');
  }
  const bounded = autoscaler.parse(JSON.parse(json));
  const { desiredReplicas, currentReplicas } = bounded.status;
  const range = `from ${minimumOf(bounded)} to ${bounded.spec.maxReplicas}`;
  say(`desired ${desiredReplicas}, running ${currentReplicas}, ${range}`);
  if ((await found(cluster, 'monitoring', 'deployment/scaler', 'name')) === '') {
    throw new Refusal('the scaler is not installed: make dashboard');
  }
  const log = await cluster.kubectl(['logs', '-n', 'monitoring', 'deployment/scaler', `--since=${MINUTES}m`]);
  const runs = log.split('\n').flatMap((line) => readRun(line) ?? []);
  if (runs.length === 0) {
    // A scaler whose settings are invalid ends with the reason.
    say(
      `the scaler did not run in the last ${MINUTES} minutes, or ended at once; its log:\n${log.trimEnd() || 'empty'}`,
    );
  }
  for (const one of runs.slice(-RUNS)) say(describeRun(one));
}

async function found({ kubectl }: Cluster, namespace: string, object: string, format: string): Promise<string> {
  return await kubectl(['get', object, '-n', namespace, '--ignore-not-found', '-o', format]);
}

await makeTarget('make scale-status', scaleStatus);
