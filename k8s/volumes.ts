import type { k8s } from 'cdk8s-plus-27';
import type { Fields } from '../manifest/fields.ts';
import { objectName } from '../manifest/names.ts';
import type { Container } from './containers.ts';
import { overrideOf } from './overrides.ts';
import { scalingOf } from './scaling.ts';
import type { Workload } from './workload.ts';

/** Whether the root file system of a container is read-only. */
export function hasReadonlyRoot(workload: Workload, container: Container): boolean {
  return overrideOf(workload, container).readonlyRoot ?? workload.manifest.fields.storage?.readonly_fs ?? false;
}

/** A read-only root file system needs a writable /tmp, separate for each container. */
export function mountsOf(workload: Workload, container: Container): k8s.VolumeMount[] {
  const added = overrideOf(workload, container).mounts;
  const stated = [...container.mounts, ...added].map(({ volume, path, readOnly }) => ({
    name: objectName(volume),
    mountPath: path,
    readOnly,
  }));
  const hasTmp = stated.some(({ mountPath }) => mountPath === '/tmp');
  if (hasTmp || !hasReadonlyRoot(workload, container)) return stated;
  return [...stated, { name: temporaryVolume(container), mountPath: '/tmp' }];
}

function temporaryVolume({ name }: Container): string {
  return objectName(`tmp-${name}`);
}

export function volumesOf(workload: Workload, containers: readonly Container[]): k8s.Volume[] {
  const { name, fields } = workload.manifest;
  const stated = Object.entries(fields.storage?.volumes ?? {}).map(([volume, { efs }]) => {
    if (!isShared(efs)) return { name: objectName(volume), emptyDir: {} };
    return { name: objectName(volume), persistentVolumeClaim: { claimName: claimName(name, volume, efs) } };
  });
  const added = [
    ...new Set([...workload.manifest.taskOverrides.volumes, ...workload.overrides.task.volumes].map(objectName)),
  ]
    .filter((volume) => !stated.some((known) => known.name === volume))
    .map((volume) => ({ name: volume, emptyDir: {} }));
  const temporary = containers
    .map((container) => ({ wanted: temporaryVolume(container), mounts: mountsOf(workload, container) }))
    .filter(({ wanted, mounts }) => mounts.some((mount) => mount.name === wanted))
    .map(({ wanted }) => ({ name: wanted, emptyDir: {} }));
  return [...stated, ...added, ...temporary];
}

type FileSystem = NonNullable<NonNullable<Fields['storage']>['volumes']>[string]['efs'];

/** Whether a volume outlives the pod. */
function isShared(efs: FileSystem): boolean {
  return efs !== undefined && efs !== false;
}

/**
 * The name of the claim for a volume that outlives the pod: that of its file system, which other workloads may mount
 * too, or one of the workload if Copilot creates the file system.
 */
function claimName(workload: string, volume: string, efs: FileSystem): string {
  return fileSystemOf(efs) ?? objectName(`${workload}-${volume}`);
}

/** The name of an existing file system; undefined if Copilot creates one for this workload. */
function fileSystemOf(efs: FileSystem): string | undefined {
  const id = typeof efs === 'object' ? efs.id : undefined;
  const stated = typeof id === 'object' ? id.from_cfn : id;
  if (stated === undefined || stated === 'copilot' || stated === 'managed') return undefined;
  return objectName(`efs-${stated}`)
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .slice(0, 63)
    .replace(/-+$/, '');
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
  const claims = Object.entries(fields.storage?.volumes ?? {}).flatMap(([volume, { efs }]): Claim[] => {
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
