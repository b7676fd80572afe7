import type { k8s } from 'cdk8s-plus-27';
import { DEREGISTRATION_DELAY, STOP_TIMEOUT } from '../manifest/defaults.ts';
import type { Fields } from '../manifest/fields.ts';
import type { Unsupported } from '../manifest/mapping.ts';
import { objectName } from '../manifest/names.ts';
import { withClusterNames } from './cluster-names.ts';
import { type Container, conditionsOn, containersOf } from './containers.ts';
import { withoutExpansion } from './expansion.ts';
import { imageOf } from './images.ts';
import { endsBesideService, waitingAtEnd } from './one-shot.ts';
import { allPorts, overrideOf } from './overrides.ts';
import { portName } from './ports.ts';
import { serviceProbes, sidecarProbes } from './probes.ts';
import { quantities, resourcesOf } from './resources.ts';
import { maybeRoot, statedUser } from './security.ts';
import { variablesOf } from './variables.ts';
import { hasReadonlyRoot, mountsOf, volumesOf } from './volumes.ts';
import type { Workload } from './workload.ts';

/** The pod of a workload. */
export interface Pod {
  spec: k8s.PodSpec;
  /** Fields that cdk8s-plus-27 (Kubernetes 1.27) does not have, by their JSON pointer in the spec. */
  additions: { path: string; value: unknown }[];
  annotations: Record<string, string>;
  unsupported: Unsupported[];
}

/** The pod for everything that a manifest says about the task. */
export function podOf(workload: Workload): Pod {
  const { manifest } = workload;
  const { fields } = manifest;
  const containers = containersOf(fields);
  // What ends after the service has started, and can't wait at its end, is an init container behind the service.
  const late = containers.filter(
    (container) => container.role === 'after' && endsBesideService(workload, container) && !waitingAtEnd(container),
  );
  const main = late.length > 0 ? containers.filter(({ role }) => role === 'main') : [];
  const before = containers.filter(({ role }) => role === 'before' || role === 'along');
  const init = [...before, ...main, ...late];
  const beside = containers.filter((container) => !init.includes(container));
  const drain = drainSeconds(fields);
  const stop = overrideOf(workload, { place: 0 }).stopTimeout ?? STOP_TIMEOUT;
  const volumes = volumesOf(workload, containers);
  const claims = volumes.some(({ persistentVolumeClaim }) => persistentVolumeClaim);
  const group = claims ? volumeGroup(workload, containers) : undefined;
  const nonRoot = workload.security === 'restricted' || maybeRoot(workload).size === 0;
  const pullSecret = pullSecretOf(workload);
  const mainAt = main.length > 0 ? `/initContainers/${before.length}` : '/containers/0';

  return {
    spec: {
      serviceAccountName: manifest.name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: drain + stop,
      securityContext: {
        ...(nonRoot ? { runAsNonRoot: true } : {}),
        seccompProfile: { type: 'RuntimeDefault' },
        ...(group === undefined ? {} : { fsGroup: group }),
      },
      ...(pullSecret ? { imagePullSecrets: [{ name: pullSecret }] } : {}),
      ...(fields.platform ? { nodeSelector: { 'kubernetes.io/os': operatingSystem(fields.platform) } } : {}),
      ...(init.length > 0 ? { initContainers: init.map((container) => containerOf(workload, container)) } : {}),
      containers: beside.length > 0 ? beside.map((container) => containerOf(workload, container)) : [pause],
      ...(volumes.length > 0 ? { volumes } : {}),
    },
    additions: [
      // https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
      ...init.flatMap(({ role }, i) =>
        role === 'along' || role === 'main' ? { path: `/initContainers/${i}/restartPolicy`, value: 'Always' } : [],
      ),
      ...(drain > 0 ? [{ path: `${mainAt}/lifecycle`, value: { preStop: { sleep: { seconds: drain } } } }] : []),
    ],
    annotations: main.length > 0 ? { 'kubectl.kubernetes.io/default-container': objectName(manifest.name) } : {},
    unsupported: [
      ...looseOrder(
        fields,
        containers.filter((container) => !late.includes(container)),
      ),
      ...manifest.taskOverrides.unsupported,
    ],
  };
}

/** What keeps a pod alive whose other containers are all init containers: the container that every pod has anyway. */
const pause: k8s.Container = {
  name: 'pause',
  image: 'registry.k8s.io/pause:3.10.1',
  imagePullPolicy: 'IfNotPresent',
  resources: {
    requests: quantities({ cpu: '1m', memory: '1Mi', 'ephemeral-storage': '1Mi' }),
    limits: quantities({ cpu: '10m', memory: '16Mi', 'ephemeral-storage': '16Mi' }),
  },
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    readOnlyRootFilesystem: true,
    runAsUser: 65535,
    runAsGroup: 65535,
  },
};

/** The image pull secret of a pod; undefined if no registry of its images needs one. */
export function pullSecretOf({ manifest, pullSecret }: Workload): string | undefined {
  const { image, sidecars = {} } = manifest.fields;
  const isPrivate =
    image?.credentials !== undefined ||
    Object.values(sidecars).some(({ credentialsParameter }) => credentialsParameter !== undefined);
  return pullSecret ?? (isPrivate ? 'registry-credentials' : undefined);
}

/** The group that may write to the claims: that of the main container's user, if it is known and not root. */
function volumeGroup(workload: Workload, [main]: readonly Container[]): number | undefined {
  if (!main) return undefined;
  const inImage = workload.imageUsers.get(main.name) ?? '';
  const user = statedUser(workload, main) ?? (/^\d+$/.test(inImage) ? Number(inImage) : undefined);
  return user === 0 ? undefined : user;
}

function containerOf(workload: Workload, container: Container): k8s.Container {
  const { fields } = workload.manifest;
  const { name, role } = container;
  const override = overrideOf(workload, container);
  const stated = {
    entrypoint: override.entryPoint ?? container.entrypoint,
    command: override.command ?? container.command,
  };
  const { entrypoint, command } = (endsBesideService(workload, container) && waitingAtEnd(stated)) || stated;
  const ports = allPorts(workload).filter((port) => port.container === name);
  const mounts = mountsOf(workload, container);
  const user = statedUser(workload, container);
  const hardened = workload.security === 'restricted' || !maybeRoot(workload).has(name);
  const env = variablesOf(workload, container);
  const names = new Set(env.map((variable) => variable.name));
  const word = (text: string) => withoutExpansion(withClusterNames(workload, text), names);
  return {
    name: objectName(name),
    image: imageOf(workload, container),
    imagePullPolicy: 'IfNotPresent',
    ...(override.workingDirectory === undefined ? {} : { workingDir: override.workingDirectory }),
    ...(entrypoint ? { command: entrypoint.map(word) } : {}),
    ...(command ? { args: command.map(word) } : {}),
    env,
    ...(ports.length > 0
      ? {
          ports: ports.map(({ port, protocol }) => ({
            name: portName(fields, port, protocol),
            containerPort: port,
            protocol,
          })),
        }
      : {}),
    resources: resourcesOf(container, fields, workload.reserve),
    ...(role === 'main' ? serviceProbes(fields, word) : sidecarProbes(container, fields, word)),
    securityContext: {
      // On ECS a container that starts as root has Docker's default capabilities, and needs them: bind, chown, setuid.
      ...(hardened ? { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } : {}),
      readOnlyRootFilesystem: hasReadonlyRoot(workload, container),
      ...(user === undefined ? {} : { runAsUser: user }),
      ...(override.user?.gid === undefined ? {} : { runAsGroup: override.user.gid }),
    },
    ...(mounts.length > 0 ? { volumeMounts: mounts } : {}),
  };
}

function operatingSystem({ osfamily = 'linux' }: NonNullable<Fields['platform']>): string {
  return osfamily.toLowerCase().startsWith('windows') ? 'windows' : 'linux';
}

/** How long the load balancer continues to send requests to a deregistering target, in seconds; 0 without one. */
function drainSeconds({ http }: Fields): number {
  if (!http) return 0;
  const stated = http === true ? undefined : http.deregistration_delay;
  return Math.ceil(stated ?? DEREGISTRATION_DELAY);
}

/** The dependencies of a task that a pod does not support. */
function looseOrder(fields: Fields, containers: readonly Container[]): Unsupported[] {
  return containers.flatMap(({ name, role, at }) => {
    const loose: Unsupported[] = [];
    if (role === 'after') {
      loose.push({
        path: `${at}depends_on`,
        reason: `a pod starts "${name}" beside the service and does not wait for it`,
      });
    }
    if (conditionsOn(name, fields).includes('complete')) {
      loose.push({ path: at.slice(0, -1), reason: 'a pod waits for success: a container that fails is run again' });
    }
    return loose;
  });
}
