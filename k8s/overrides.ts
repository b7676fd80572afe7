import { type ContainerOverride, mergeOverride } from '../manifest/task-overrides.ts';
import { containersOf } from './containers.ts';
import { type ListeningPort, listeningPorts, transportOf } from './ports.ts';
import type { Workload } from './workload.ts';

/** The settings of a container in the manifest and the patches of a workload, by its index in the task definition. */
export function overrideOf(
  { manifest, overrides }: Workload,
  { place, name }: { place: number; name?: string },
): ContainerOverride {
  const all = [manifest.taskOverrides, overrides.task];
  const own = all.flatMap(({ added }) => added).find((container) => container.name === name)?.override;
  return all.reduce(
    (known, { containers }) => mergeOverride(known, containers.get(place)),
    mergeOverride(own, undefined),
  );
}

/** All ports that the containers of a workload listen on: those of the manifest, and those that overrides add. */
export function allPorts(workload: Workload): ListeningPort[] {
  return [...listeningPorts(workload.manifest.fields), ...addedPorts(workload)];
}

/** The ports that overrides add to those of the manifest. */
export function addedPorts(workload: Workload): ListeningPort[] {
  const known = listeningPorts(workload.manifest.fields);
  return containersOf(workload.manifest.fields).flatMap((container) =>
    overrideOf(workload, container)
      .ports.map(({ port, protocol }) => ({
        container: container.name,
        port,
        protocol: transportOf(protocol),
      }))
      .filter((added) => !known.some(({ port, protocol }) => port === added.port && protocol === added.protocol)),
  );
}
