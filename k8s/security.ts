import { type Container, containersOf } from './containers.ts';
import { overrideOf } from './overrides.ts';
import type { SecurityLevel, Workload } from './workload.ts';

/** The numeric user that the task definition sets for a container; undefined if it sets none. */
export function statedUser(workload: Workload, container: Container): number | undefined {
  return overrideOf(workload, container).user?.uid;
}

/** The containers that may run as root, as far as the files show, each with the reason. */
export function maybeRoot(workload: Workload): Map<string, string> {
  return new Map(
    containersOf(workload.manifest.fields).flatMap((container) => {
      const reason = whyMaybeRoot(workload, container);
      return reason ? [[container.name, reason]] : [];
    }),
  );
}

function whyMaybeRoot(workload: Workload, container: Container): string | undefined {
  const stated = statedUser(workload, container);
  if (stated !== undefined) return stated === 0 ? 'the task definition sets the user root' : undefined;
  if (container.image?.location) return `the user of ${container.image.location} is unknown`;
  const user = workload.imageUsers.get(container.name);
  if (user === undefined) return 'its Dockerfile has no USER, or does not exist';
  if (!/^\d+$/.test(user))
    return `USER ${user} of its Dockerfile is a name, which Kubernetes can't distinguish from root`;
  return Number(user) === 0 ? `USER ${user} of its Dockerfile is root` : undefined;
}

/** The Pod Security Standard that the namespace of these workloads enforces. */
export function securityLevel(workloads: readonly Workload[]): SecurityLevel {
  const stated = workloads.map(({ security }) => security).find((level) => level !== undefined);
  if (stated) return stated;
  return workloads.every((workload) => maybeRoot(workload).size === 0) ? 'restricted' : 'baseline';
}
