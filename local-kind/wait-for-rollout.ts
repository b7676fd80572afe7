import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Cluster } from './cluster.ts';

const ROUND_SECONDS = 5;
/** kubectl ends a round at once for a Deployment that exceeded its progress deadline. */
const SHORTEST_ROUND_MILLISECONDS = 500;
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

const metadata = z.object({
  name: z.string(),
  deletionTimestamp: z.string().optional(),
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()).default({}),
});
const podsAndReplicaSets = z.object({
  items: z.array(
    z.discriminatedUnion('kind', [
      z.object({
        kind: z.literal('Pod'),
        metadata,
        status: z.object({ phase: z.string(), initContainerStatuses: statuses, containerStatuses: statuses }),
      }),
      z.object({ kind: z.literal('ReplicaSet'), metadata }),
    ]),
  ),
});

/** Reasons of a waiting container that does not recover by waiting. */
const HOPELESS =
  /^(CrashLoopBackOff|ImagePullBackOff|ErrImagePull|InvalidImageName|CreateContainerConfigError|CreateContainerError)$/;
/** A container that is not ready after so many restarts while it is waited for will not recover. */
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
  const restartsBefore = new Map<string, number>();
  // Not Date.now(): the clock jumps when a laptop wakes up.
  for (const deadline = performance.now() + deadlineSeconds * 1000; ; ) {
    const began = performance.now();
    try {
      await kubectl([...command, workload, '-n', namespace, `--timeout=${ROUND_SECONDS}s`]);
      return;
    } catch (error) {
      const isLate = performance.now() > deadline;
      const lateAfter = isLate ? deadlineSeconds : undefined;
      const problem = await podProblem(kubectl, namespace, workload, restartsBefore, lateAfter);
      if (problem !== undefined) throw new NotReady(`${workload} does not get ready: ${problem}`);
      if (isLate) throw error;
      await sleep(Math.max(0, SHORTEST_ROUND_MILLISECONDS - (performance.now() - began)));
    }
  }
}

/**
 * Why the pods of a workload's newest template do not start; undefined while they may still start. `restartsBefore` gets
 * how often each container had been restarted when it was first seen: those of a stopped node are restarted with it.
 * `lateAfter` are the seconds after which they are late, if they are.
 */
async function podProblem(
  kubectl: Cluster['kubectl'],
  namespace: string,
  workload: string,
  restartsBefore: Map<string, number>,
  lateAfter: number | undefined,
): Promise<string | undefined> {
  const selector = `app.kubernetes.io/name=${workload.split('/')[1]}`;
  const answer = await kubectl(['get', 'pods,replicasets', '-n', namespace, '-l', selector, '-o', 'json']);
  const { items } = podsAndReplicaSets.parse(JSON.parse(answer));
  const newest = newestHash(items.flatMap((item) => (item.kind === 'ReplicaSet' ? [item.metadata] : [])));
  for (const item of items) {
    if (item.kind !== 'Pod' || item.metadata.deletionTimestamp !== undefined) continue;
    const { metadata, status } = item;
    if (metadata.labels['pod-template-hash'] !== newest) continue;
    for (const { name, ready, restartCount, state } of [...status.initContainerStatuses, ...status.containerStatuses]) {
      const { reason = '', message = '' } = state.waiting ?? {};
      const container = `${metadata.name}/${name}`;
      const before = restartsBefore.get(container) ?? restartCount;
      restartsBefore.set(container, before);
      const restarts = restartCount - before;
      const isRestarted = !ready && restarts >= MAX_RESTARTS;
      const isHopeless = HOPELESS.test(reason) || status.phase === 'Failed' || isRestarted;
      if (!isHopeless && (ready || lateAfter === undefined)) continue;
      const log = await logOf(kubectl, namespace, metadata.name, name);
      const failed = isRestarted ? `not ready, and restarted ${restarts} times` : status.phase;
      const how = reason || (isHopeless ? failed : `not ready after ${lateAfter} s`);
      const probe = reason === '' ? await lastEvent(kubectl, namespace, metadata.name) : '';
      return [`container ${name} of ${metadata.name}: ${how}`, probe, log || message].filter(Boolean).join('\n');
    }
  }
  return undefined;
}

/**
 * The hash of a Deployment's newest template; undefined for a workload without ReplicaSets. Not that of the newest pod: an
 * autoscaler also adds pods of the previous template during a rollout.
 */
function newestHash(replicaSets: readonly z.infer<typeof metadata>[]): string | undefined {
  const revision = ({ annotations }: z.infer<typeof metadata>) =>
    Number(annotations['deployment.kubernetes.io/revision'] ?? 0);
  return replicaSets.toSorted((a, b) => revision(b) - revision(a))[0]?.labels['pod-template-hash'];
}

/** The end of a container's log; empty if there is none. */
async function logOf(kubectl: Cluster['kubectl'], namespace: string, pod: string, container: string): Promise<string> {
  const logs = ['logs', '-n', namespace, pod, '-c', container, '--tail=25'];
  // The log of the ended container has the reason; that of its successor may be empty.
  for (const words of [[...logs, '--previous'], logs]) {
    const log = await kubectl(words).catch(() => '');
    // What kubectl prints, without an error, for a container that was removed a moment ago.
    if (log !== '' && !log.startsWith('unable to retrieve container logs')) return log;
  }
  return '';
}

/** The last warning of Kubernetes about a pod, such as a failed probe. */
async function lastEvent(kubectl: Cluster['kubectl'], namespace: string, pod: string): Promise<string> {
  const about = `involvedObject.name=${pod},type=Warning`;
  const path = 'jsonpath={.items[-1:].message}';
  const sorted = ['--sort-by=.lastTimestamp', '--field-selector', about];
  return await kubectl(['get', 'events', '-n', namespace, ...sorted, '-o', path]).catch(() => '');
}
