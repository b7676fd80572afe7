import { k8s } from 'cdk8s-plus-27';
import { TASK_DEFAULTS } from '../manifest/defaults.ts';
import type { Fields } from '../manifest/fields.ts';
import { type Container, containersOf } from './containers.ts';

/**
 * The share of this container in the resources that the pod requests. The containers of a task share one size; a pod
 * must divide it: a tenth for each sidecar that runs beside the service, but at most half for all sidecars.
 */
function shareOf({ role }: Container, fields: Fields): number {
  const companions = containersOf(fields).filter((other) => other.role === 'along' || other.role === 'after').length;
  const each = companions > 0 ? Math.min(0.1, 0.5 / companions) : 0;
  if (role === 'main') return 1 - companions * each;
  return role === 'before' ? 1 : each;
}

/** Amounts of resources as the API objects take them. */
export function quantities(amounts: Readonly<Record<string, string>>): Record<string, k8s.Quantity> {
  return Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, k8s.Quantity.fromString(amount)]));
}

/** The requests of a container, that percentage of its share of the task's size, and its limits. */
export function resourcesOf(container: Container, fields: Fields, percent: number): k8s.ResourceRequirements {
  const reserved = (shareOf(container, fields) * percent) / 100;
  const { cpu, memory } = sizeOf(fields);
  return {
    requests: quantities({
      cpu: `${Math.ceil(cpu * reserved)}m`,
      memory: `${Math.ceil(memory * reserved)}Mi`,
      // Space for /tmp and for the container's logs, which count too.
      'ephemeral-storage': '64Mi',
    }),
    limits: quantities({
      cpu: `${cpu}m`,
      memory: `${memory}Mi`,
      'ephemeral-storage': `${fields.storage?.ephemeral ?? TASK_DEFAULTS.ephemeralStorage}Gi`,
    }),
  };
}

/** The size of a task: CPU in thousandths (Copilot counts in 1024 units), memory in MiB. */
export function sizeOf({ cpu = TASK_DEFAULTS.cpu, memory = TASK_DEFAULTS.memory }: Fields): {
  cpu: number;
  memory: number;
} {
  return { cpu: Math.ceil((cpu * 1000) / 1024), memory };
}
