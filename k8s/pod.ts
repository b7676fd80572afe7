import { k8s } from 'cdk8s-plus-27';
import type { Fields } from '../manifest/fields.ts';
import type { NotCarried } from '../manifest/mapping.ts';
import { objectName } from '../manifest/names.ts';
import { withClusterNames } from './adapted.ts';
import { type Container, conditionsOn, containersOf } from './containers.ts';
import { imageOf } from './images.ts';
import { isCarried, taskOverride, taskOverrideTexts } from './overrides.ts';
import { listeningPorts } from './ports.ts';
import { serviceProbes, sidecarProbes } from './probes.ts';
import { maybeRoot, statedUser } from './security.ts';
import { unknownVariables, variablesOf } from './variables.ts';
import type { Workload } from './workload.ts';

/** The pod of a workload. */
export interface Pod {
  spec: k8s.PodSpec;
  /** What the API objects of cdk8s-plus-27, which are of Kubernetes 1.27, can't say: by its JSON pointer in the spec. */
  additions: { path: string; value: unknown }[];
  notCarried: NotCarried[];
}

/** https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html#container_definition_timeout */
const defaultStopTimeout = 30;
/** https://aws.github.io/copilot-cli/docs/manifest/lb-web-service/#http-deregistration-delay */
const defaultDeregistrationDelay = 60;

/** Everything in a manifest that is about the task, as a pod. */
export function podOf(workload: Workload): Pod {
  const { manifest, overrides } = workload;
  const { fields } = manifest;
  const containers = containersOf(fields);
  const init = containers.filter(({ role }) => role === 'before' || role === 'along');
  const beside = containers.filter(({ role }) => role === 'main' || role === 'after');
  const drain = drainSeconds(fields);
  const stop = overrides.stopTimeouts.get(0) ?? stopTimeout(fields) ?? defaultStopTimeout;
  const volumes = volumesOf(workload, containers);
  const [main] = containers;
  const user = main && statedUser(workload, main);
  const nonRoot = workload.security === 'restricted' || maybeRoot(workload).size === 0;
  const owned = user !== undefined && volumes.some(({ persistentVolumeClaim }) => persistentVolumeClaim);

  return {
    spec: {
      serviceAccountName: manifest.name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: drain + stop,
      securityContext: {
        ...(nonRoot ? { runAsNonRoot: true } : {}),
        seccompProfile: { type: 'RuntimeDefault' },
        ...(owned ? { fsGroup: user } : {}),
      },
      ...(fields.platform ? { nodeSelector: { 'kubernetes.io/os': operatingSystem(fields.platform) } } : {}),
      ...(init.length > 0 ? { initContainers: init.map((container) => containerOf(workload, container)) } : {}),
      containers: beside.map((container) => containerOf(workload, container)),
      ...(volumes.length > 0 ? { volumes } : {}),
    },
    additions: [
      // https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
      ...init.flatMap(({ role }, i) =>
        role === 'along' ? { path: `/initContainers/${i}/restartPolicy`, value: 'Always' } : [],
      ),
      ...(drain > 0 ? [{ path: '/containers/0/lifecycle', value: { preStop: { sleep: { seconds: drain } } } }] : []),
    ],
    notCarried: [...unknownVariables(workload), ...looseOrder(fields, containers), ...otherTaskFields(fields)],
  };
}

function containerOf(workload: Workload, container: Container): k8s.Container {
  const { fields } = workload.manifest;
  const { name, role } = container;
  const entrypoint = taskOverrideTexts(fields, container, 'EntryPoint') ?? container.entrypoint;
  const command = taskOverrideTexts(fields, container, 'Command') ?? container.command;
  const ports = listeningPorts(fields).filter((port) => port.container === name);
  const mounts = mountsOf(workload, container);
  const user = statedUser(workload, container);
  const hardened = workload.security === 'restricted' || !maybeRoot(workload).has(name);
  return {
    name: objectName(name),
    image: imageOf(workload, container),
    imagePullPolicy: 'IfNotPresent',
    ...(entrypoint ? { command: entrypoint.map((word) => withClusterNames(workload, word)) } : {}),
    ...(command ? { args: command.map((word) => withClusterNames(workload, word)) } : {}),
    env: variablesOf(workload, container),
    ...(ports.length > 0
      ? {
          ports: ports.map(({ port, protocol }) => ({
            name: portName(fields, port, protocol),
            containerPort: port,
            protocol,
          })),
        }
      : {}),
    resources: resourcesOf(fields, (shareOf(container, fields) * workload.reserve) / 100),
    ...(role === 'main' ? serviceProbes(fields) : sidecarProbes(container, fields)),
    securityContext: {
      // A container that starts as root has on ECS, and needs, what Docker gives it: to bind, to chown, to change user.
      ...(hardened ? { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } : {}),
      readOnlyRootFilesystem: hasReadonlyRoot(workload, container),
      ...(user === undefined ? {} : { runAsUser: user }),
    },
    ...(mounts.length > 0 ? { volumeMounts: mounts } : {}),
  };
}

/** A name that no other port of the pod has: the same number may be listened on over TCP and over UDP. */
function portName({ image }: Fields, port: number, protocol: string): string {
  if (protocol === 'UDP') return `udp-${port}`;
  return port === image?.port ? 'http' : `port-${port}`;
}

/**
 * The part of what the pod reserves that is this container's. ECS shares one size among the containers of a task, a
 * pod has to divide it: a tenth for each sidecar that runs beside the service, but never more than half for all.
 */
function shareOf({ role }: Container, fields: Fields): number {
  const companions = containersOf(fields).filter((other) => other.role === 'along' || other.role === 'after').length;
  const each = companions > 0 ? Math.min(0.1, 0.5 / companions) : 0;
  if (role === 'main') return 1 - companions * each;
  return role === 'before' ? 1 : each;
}

function resourcesOf(fields: Fields, reserved: number): k8s.ResourceRequirements {
  const { cpu, memory } = sizeOf(fields);
  const amounts = (values: Record<string, string>) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, k8s.Quantity.fromString(value)]));
  return {
    requests: amounts({
      cpu: `${Math.ceil(cpu * reserved)}m`,
      memory: `${Math.ceil(memory * reserved)}Mi`,
      // Room for /tmp and for what a container logs, which is counted too.
      'ephemeral-storage': '64Mi',
    }),
    limits: amounts({
      cpu: `${cpu}m`,
      memory: `${memory}Mi`,
      // What a task on Fargate has when it asks for nothing.
      'ephemeral-storage': `${fields.storage?.ephemeral ?? 20}Gi`,
    }),
  };
}

/** The size of a task: CPU in thousandths, memory in MiB. Copilot's defaults are 256 units (of 1024) and 512 MiB. */
export function sizeOf({ cpu = 256, memory = 512 }: Fields): { cpu: number; memory: number } {
  return { cpu: Math.ceil((cpu * 1000) / 1024), memory };
}

function hasReadonlyRoot({ manifest, overrides }: Workload, { place }: Container): boolean {
  const stated = taskOverride(manifest.fields, { place }, 'ReadonlyRootFilesystem');
  return (
    overrides.readonlyRoots.get(place) ??
    (stated === undefined ? undefined : stated === 'true') ??
    manifest.fields.storage?.readonly_fs ??
    false
  );
}

/** A read-only root comes with a place for temporary files, each container's own. */
function mountsOf(workload: Workload, container: Container): k8s.VolumeMount[] {
  const added = workload.overrides.mounts.filter(({ place }) => place === container.place);
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

function volumesOf(workload: Workload, containers: readonly Container[]): k8s.Volume[] {
  const { name, fields } = workload.manifest;
  const stated = Object.entries(fields.storage?.volumes ?? {}).map(([volume, { efs }]) => {
    if (!isShared(efs)) return { name: objectName(volume), emptyDir: {} };
    return { name: objectName(volume), persistentVolumeClaim: { claimName: claimName(name, volume, efs) } };
  });
  const added = [...new Set(workload.overrides.volumes.map(objectName))]
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
export function isShared(efs: FileSystem): boolean {
  return efs !== undefined && efs !== false;
}

/**
 * The name of the claim for a volume that outlives the pod: that of its file system, which other workloads may mount
 * too, or the workload's own where Copilot makes the file system.
 */
export function claimName(workload: string, volume: string, efs: FileSystem): string {
  return fileSystemOf(efs) ?? objectName(`${workload}-${volume}`);
}

/** The name of a file system that is there already; undefined where Copilot makes one for the workload alone. */
export function fileSystemOf(efs: FileSystem): string | undefined {
  const id = typeof efs === 'object' ? efs.id : undefined;
  const stated = typeof id === 'object' ? id.from_cfn : id;
  if (stated === undefined || stated === 'copilot' || stated === 'managed') return undefined;
  return objectName(`efs-${stated}`)
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .slice(0, 63)
    .replace(/-+$/, '');
}

function operatingSystem({ osfamily = 'linux' }: NonNullable<Fields['platform']>): string {
  return osfamily.toLowerCase().startsWith('windows') ? 'windows' : 'linux';
}

/** How long the load balancer goes on sending while it takes a target out, in seconds; 0 where there is none. */
function drainSeconds({ http }: Fields): number {
  if (!http) return 0;
  const stated = http === true ? undefined : http.deregistration_delay;
  return Math.ceil(stated ?? defaultDeregistrationDelay);
}

function stopTimeout(fields: Fields): number | undefined {
  const stated = taskOverride(fields, { place: 0 }, 'StopTimeout');
  return /^\d+$/.test(String(stated)) ? Number(stated) : undefined;
}

function otherTaskFields({ taskdef_overrides = [] }: Fields): NotCarried[] {
  return taskdef_overrides.flatMap(({ path, value }, i) =>
    isCarried(path, value)
      ? []
      : [{ path: `taskdef_overrides[${i}]`, reason: `${path} is a field of an ECS task definition` }],
  );
}

/** Where a pod knows less of order than a task. */
function looseOrder(fields: Fields, containers: readonly Container[]): NotCarried[] {
  return containers.flatMap(({ name, role, at }) => {
    const loose: NotCarried[] = [];
    if (role === 'after') {
      loose.push({
        path: `${at}depends_on`,
        reason: `a pod starts "${name}" beside the service and does not wait for it`,
      });
    }
    if (conditionsOn(name, fields).includes('complete')) {
      loose.push({ path: at.slice(0, -1), reason: 'a pod waits for success: what fails is run again' });
    }
    return loose;
  });
}
