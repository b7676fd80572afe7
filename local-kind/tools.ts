import { requireTools as require } from '../doctor/tools.ts';

/** Throws a Refusal that names every tool of `make up` that is missing or does not work, with how to get it. */
export async function requireTools(): Promise<void> {
  await require(['docker', 'docker buildx', 'kind', 'kubectl']);
}
