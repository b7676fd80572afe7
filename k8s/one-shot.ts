import type { Container } from './containers.ts';
import type { Workload } from './workload.ts';

type Words = Pick<Container, 'entrypoint' | 'command'>;

/** Runs its arguments, then waits for SIGTERM, which it passes on. */
const script = `trap 'kill $!; wait; exit 0' TERM INT; "$@" & wait; sleep 2147483647 & wait`;

/**
 * Whether a container ends while the service continues to run: Kubernetes would restart it again and again, ECS does
 * not. The pod of a job ends with its containers.
 */
export function endsBesideService({ manifest }: Workload, { role, oneShot }: Container): boolean {
  return role !== 'before' && oneShot && manifest.type !== 'Scheduled Job';
}

/** The same command, whose shell waits after it has ended; undefined if the command does not start with a shell. */
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
