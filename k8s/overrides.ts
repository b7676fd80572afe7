import { type ContainerOverride, mergeOverride } from '../manifest/task-overrides.ts';
import type { Workload } from './workload.ts';

/** What the manifest and the patches of a workload say of a container, by its place in the task definition. */
export function overrideOf({ manifest, overrides }: Workload, { place }: { place: number }): ContainerOverride {
  return mergeOverride(manifest.taskOverrides.containers.get(place), overrides.task.containers.get(place));
}
