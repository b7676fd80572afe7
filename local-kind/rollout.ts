import { z } from 'zod';
import type { Cluster } from './cluster.ts';

const ROUND_SECONDS = 5;
const DEADLINE_SECONDS = 180;

const waiting = z.object({ reason: z.string().default(''), message: z.string().default('') }).optional();
const statuses = z.array(z.object({ name: z.string(), ready: z.boolean(), state: z.object({ waiting }) })).default([]);

const podList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({
        name: z.string(),
        creationTimestamp: z.string(),
        deletionTimestamp: z.string().optional(),
        labels: z.record(z.string(), z.string()),
      }),
      status: z.object({ phase: z.string(), initContainerStatuses: statuses, containerStatuses: statuses }),
    }),
  ),
});

/** Reasons of a waiting container that no waiting cures. */
const HOPELESS =
  /^(CrashLoopBackOff|ImagePullBackOff|ErrImagePull|InvalidImageName|CreateContainerConfigError|CreateContainerError)$/;

/**
 * Waits until a workload runs as it was applied: all pods new and ready, a Job complete. Throws as soon as one of the
 * new pods cannot start, or when they take too long, with the reason and the end of its log.
 */
export async function rolledOut(kubectl: Cluster['kubectl'], namespace: string, workload: string): Promise<void> {
  const question = workload.startsWith('job/') ? ['wait', '--for=condition=Complete'] : ['rollout', 'status'];
  for (const deadline = Date.now() + DEADLINE_SECONDS * 1000; ; ) {
    try {
      await kubectl([...question, workload, '-n', namespace, `--timeout=${ROUND_SECONDS}s`]);
      return;
    } catch (error) {
      const isLate = Date.now() > deadline;
      const trouble = await troubleOf(kubectl, namespace, workload, isLate);
      if (trouble !== undefined) throw new Error(`${workload} does not get ready: ${trouble}`);
      if (isLate) throw error;
    }
  }
}

/** What keeps the newest pods of a workload from starting; undefined when they just take their time, until it is late. */
async function troubleOf(
  kubectl: Cluster['kubectl'],
  namespace: string,
  workload: string,
  isLate: boolean,
): Promise<string | undefined> {
  const selector = `app.kubernetes.io/name=${workload.split('/')[1]}`;
  const answer = await kubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'json']);
  const pods = podList
    .parse(JSON.parse(answer))
    .items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .toSorted((a, b) => b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp));
  const newest = pods[0]?.metadata.labels['pod-template-hash'];
  for (const { metadata, status } of pods) {
    if (metadata.labels['pod-template-hash'] !== newest) continue;
    for (const { name, ready, state } of [...status.initContainerStatuses, ...status.containerStatuses]) {
      const { reason = '', message = '' } = state.waiting ?? {};
      const isHopeless = HOPELESS.test(reason) || status.phase === 'Failed';
      if (!isHopeless && !(isLate && !ready)) continue;
      const logs = ['logs', '-n', namespace, metadata.name, '-c', name, '--tail=10'];
      // One that ended has said why; the one that is tried instead may not have said anything yet.
      const lastWords = await kubectl([...logs, '--previous']).catch(() => '');
      const log = lastWords || (await kubectl(logs).catch(() => ''));
      const how = reason || (isHopeless ? status.phase : `not ready after ${DEADLINE_SECONDS} s`);
      return `container ${name} of ${metadata.name}: ${how}\n${log || message}`;
    }
  }
  return undefined;
}
