import { z } from 'zod';
import type { Cluster } from './cluster.ts';

const ROUND_SECONDS = 5;
const DEADLINE_SECONDS = 180;

const waiting = z.object({ reason: z.string().default(''), message: z.string().default('') }).optional();
const statuses = z
  .array(
    z.object({
      name: z.string(),
      ready: z.boolean(),
      restartCount: z.number().default(0),
      state: z.object({ waiting }),
    }),
  )
  .default([]);

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

/** Reasons of a waiting container that does not recover by waiting. */
const HOPELESS =
  /^(CrashLoopBackOff|ImagePullBackOff|ErrImagePull|InvalidImageName|CreateContainerConfigError|CreateContainerError)$/;
/** A container that is not ready after so many starts will not recover. */
const MAX_RESTARTS = 3;

/** Something in the cluster does not start. The message says why. */
export class NotReady extends Error {
  override name = 'NotReady';
}

/**
 * Waits until a workload is rolled out: all pods new and ready, a Job complete.
 * @throws {NotReady} if a new pod cannot start or takes too long, with the reason and the end of its log
 */
export async function rolledOut(
  kubectl: Cluster['kubectl'],
  namespace: string,
  workload: string,
  deadlineSeconds = DEADLINE_SECONDS,
): Promise<void> {
  const command = workload.startsWith('job/') ? ['wait', '--for=condition=Complete'] : ['rollout', 'status'];
  // Not Date.now(): the clock jumps when a laptop wakes up.
  for (const deadline = performance.now() + deadlineSeconds * 1000; ; ) {
    try {
      await kubectl([...command, workload, '-n', namespace, `--timeout=${ROUND_SECONDS}s`]);
      return;
    } catch (error) {
      const isLate = performance.now() > deadline;
      const problem = await podProblem(kubectl, namespace, workload, isLate);
      if (problem !== undefined) throw new NotReady(`${workload} does not get ready: ${problem}`);
      if (isLate) throw error;
    }
  }
}

/** Why the newest pods of a workload do not start; undefined while they may still start and it is not late. */
async function podProblem(
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
    for (const { name, ready, restartCount, state } of [...status.initContainerStatuses, ...status.containerStatuses]) {
      const { reason = '', message = '' } = state.waiting ?? {};
      const isRestarted = !ready && restartCount >= MAX_RESTARTS;
      const isHopeless = HOPELESS.test(reason) || status.phase === 'Failed' || isRestarted;
      if (!isHopeless && !(isLate && !ready)) continue;
      const logs = ['logs', '-n', namespace, metadata.name, '-c', name, '--tail=25'];
      // The log of the ended container has the reason; that of its successor may be empty.
      const previousLog = await kubectl([...logs, '--previous']).catch(() => '');
      const log = previousLog || (await kubectl(logs).catch(() => ''));
      const failed = isRestarted ? `not ready, and restarted ${restartCount} times` : status.phase;
      const how = reason || (isHopeless ? failed : `not ready after ${DEADLINE_SECONDS} s`);
      const probe = reason === '' ? await lastEvent(kubectl, namespace, metadata.name) : '';
      return [`container ${name} of ${metadata.name}: ${how}`, probe, log || message].filter(Boolean).join('\n');
    }
  }
  return undefined;
}

/** The last warning of Kubernetes about a pod, such as a failed probe. */
async function lastEvent(kubectl: Cluster['kubectl'], namespace: string, pod: string): Promise<string> {
  const about = `involvedObject.name=${pod},type=Warning`;
  const path = 'jsonpath={.items[-1:].message}';
  const sorted = ['--sort-by=.lastTimestamp', '--field-selector', about];
  return await kubectl(['get', 'events', '-n', namespace, ...sorted, '-o', path]).catch(() => '');
}
