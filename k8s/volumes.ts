import type { k8s } from 'cdk8s-plus-27';
import { labelName } from '../manifest/names.ts';
import type { FileSystem } from '../manifest/task-overrides.ts';
import { type Container, containersOf } from './containers.ts';
import { overrideOf } from './overrides.ts';
import { scalingOf } from './scaling.ts';
import type { Workload } from './workload.ts';

/** Whether the root file system of a container is read-only. */
export function hasReadonlyRoot(workload: Workload, container: Container): boolean {
  return overrideOf(workload, container).readonlyRoot ?? workload.manifest.fields.storage?.readonly_fs ?? false;
}

/** A read-only root file system needs a writable /tmp, separate for each container. */
export function mountsOf(workload: Workload, container: Container): k8s.VolumeMount[] {
  const fileSystems = fileSystemsByVolume(workload);
  const stated = allMounts(workload, container).map(({ volume, path, readOnly }) => {
    const subPath = folderOf(fileSystems.get(volume));
    return { name: labelName(volume), mountPath: path, readOnly, ...(subPath ? { subPath } : {}) };
  });
  const hasTmp = stated.some(({ mountPath }) => mountPath === '/tmp');
  if (hasTmp || !hasReadonlyRoot(workload, container)) return stated;
  return [...stated, { name: temporaryVolume(container), mountPath: '/tmp' }];
}

/** The mounts of a container in the manifest, and those that overrides add. */
function allMounts(workload: Workload, container: Container): Container['mounts'] {
  return [...container.mounts, ...overrideOf(workload, container).mounts];
}

/** The file system of each volume of the manifest, and of those that overrides add. */
function fileSystemsByVolume({ manifest, overrides }: Workload): Map<string, FileSystem> {
  const stated = manifest.fields.storage?.volumes ?? {};
  const added = [...manifest.taskOverrides.volumes, ...overrides.task.volumes].filter(({ name }) => !stated[name]);
  return new Map([
    ...Object.entries(stated).map(([name, { efs }]) => [name, efs] as const),
    ...added.map(({ name, efs }) => [name, efs] as const),
  ]);
}

/** The volumes that are mounted but neither in the manifest nor in patches: a program may add them to the task. */
export function unknownVolumes(workload: Workload): string[] {
  const known = fileSystemsByVolume(workload);
  const mounted = containersOf(workload.manifest.fields).flatMap((container) => allMounts(workload, container));
  return [...new Set(mounted.map(({ volume }) => volume))].filter((volume) => !known.has(volume));
}

function temporaryVolume({ name }: Container): string {
  return labelName(`tmp-${name}`);
}

export function volumesOf(workload: Workload, containers: readonly Container[]): k8s.Volume[] {
  const { name } = workload.manifest;
  const stated = [...fileSystemsByVolume(workload)].map(([volume, efs]) => {
    if (!isShared(efs)) return { name: labelName(volume), emptyDir: {} };
    return { name: labelName(volume), persistentVolumeClaim: { claimName: claimName(name, volume, efs) } };
  });
  const unknown = unknownVolumes(workload).map((volume) => ({ name: labelName(volume), emptyDir: {} }));
  const temporary = containers
    .map((container) => ({ wanted: temporaryVolume(container), mounts: mountsOf(workload, container) }))
    .filter(({ wanted, mounts }) => mounts.some((mount) => mount.name === wanted))
    .map(({ wanted }) => ({ name: wanted, emptyDir: {} }));
  return [...stated, ...unknown, ...temporary];
}

/** Whether a volume outlives the pod. */
function isShared(efs: FileSystem): boolean {
  return efs !== undefined && efs !== false;
}

/**
 * The name of the claim for a volume that outlives the pod: that of its file system, which other workloads may mount
 * too, or one of the workload if Copilot creates the file system.
 */
function claimName(workload: string, volume: string, efs: FileSystem): string {
  return fileSystemOf(efs) ?? labelName(`${workload}-${volume}`);
}

/** The name of an existing file system; undefined if Copilot creates one for this workload. */
function fileSystemOf(efs: FileSystem): string | undefined {
  const id = typeof efs === 'object' ? efs.id : undefined;
  const stated = typeof id === 'object' ? id.from_cfn : id;
  if (stated === undefined || stated === 'copilot' || stated === 'managed') return undefined;
  return labelName(`efs-${stated}`);
}

/** The folder of an existing file system that a volume is: its root directory, or one for its access point. */
function folderOf(efs: FileSystem): string | undefined {
  if (typeof efs !== 'object' || fileSystemOf(efs) === undefined) return undefined;
  const parts = (efs.root_dir ?? '').split('/').filter((part) => !['', '.', '..'].includes(part));
  return parts.join('/') || efs.auth?.access_point_id;
}

/** A PersistentVolumeClaim. */
export interface Claim {
  name: string;
  /** The file system that it represents; undefined if Copilot creates one for this workload. */
  fileSystem: string | undefined;
  accessMode: 'ReadWriteOnce' | 'ReadWriteMany';
}

/** The claims of a workload, each once. */
export function claimsOf(workload: Workload): Claim[] {
  const { name, fields, type } = workload.manifest;
  const severalPods = type !== 'Scheduled Job' && scalingOf(fields).max > 1;
  const claims = [...fileSystemsByVolume(workload)].flatMap(([volume, efs]): Claim[] => {
    if (!isShared(efs)) return [];
    const claim = claimName(name, volume, efs);
    const needed = severalPods || workload.sharedFileSystems.has(claim) ? 'ReadWriteMany' : 'ReadWriteOnce';
    return [{ name: claim, fileSystem: fileSystemOf(efs), accessMode: workload.accessMode ?? needed }];
  });
  return [...new Map(claims.map((claim) => [claim.name, claim])).values()];
}

/** The names of a workload's claims for file systems that other workloads may mount too. */
export function fileSystemsOf(workload: Workload): string[] {
  return claimsOf(workload).flatMap(({ fileSystem }) => fileSystem ?? []);
}
