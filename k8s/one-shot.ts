import type { Container } from './containers.ts';
import type { Workload } from './workload.ts';

type Words = Pick<Container, 'entrypoint' | 'command'>;

/** Runs its arguments, and then waits to be stopped; what it runs is stopped with it. */
const script = `trap 'kill $!; wait; exit 0' TERM INT; "$@" & wait; sleep 2147483647 & wait`;

/**
 * Whether a container ends beside the service while its pod runs on: Kubernetes would start it again and again, where
 * ECS leaves it. The pod of a job ends with its containers.
 */
export function endsBesideService({ manifest }: Workload, { role, oneShot }: Container): boolean {
  return role === 'after' && oneShot && manifest.type !== 'Scheduled Job';
}

/** The same words, but with their shell waiting once they have ended; undefined where they start no shell. */
export function waitingAtEnd({ entrypoint, command }: Words): Words | undefined {
  const shell = shellOf(entrypoint ?? command);
  if (shell === undefined) return undefined;
  const waiting = [shell, '-c', script, shell];
  return entrypoint
    ? { entrypoint: [...waiting, ...entrypoint], command }
    : { command: [...waiting, ...(command ?? [])] };
}

function shellOf([first = '']: readonly string[] = []): string | undefined {
  return /^(\/(usr\/)?bin\/)?(ba|da|a)?sh$/.test(first) ? first : undefined;
}
