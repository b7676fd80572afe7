import { isDeepStrictEqual } from 'node:util';
import { k8s } from 'cdk8s-plus-27';
import type { NotCarried } from './carried.ts';
import type { Fields } from './fields.ts';
import { listeningPorts, servicePorts } from './ports.ts';
import type { Release } from './release.ts';
import { objectName } from './rules.ts';

/** The pod of a workload. */
export interface Pod {
  spec: k8s.PodSpec;
  /** What the API objects of cdk8s-plus-27 (Kubernetes 1.27) can't say yet, by its JSON pointer in the spec. */
  additions: { path: string; value: unknown }[];
  annotations: Record<string, string>;
  /** The images that the cluster must be given, and the Dockerfile of each. */
  builtImages: Map<string, string>;
  /** The keys that the workload's Secret must hold, and where AWS keeps the value of each. */
  secretKeys: Map<string, string>;
  notCarried: NotCarried[];
}

type Sidecar = NonNullable<Fields['sidecars']>[string];
type Healthcheck = NonNullable<NonNullable<Fields['image']>['healthcheck']>;

type HttpHealthcheck = Extract<
  NonNullable<Exclude<NonNullable<Fields['http']>, boolean>['healthcheck']>,
  { port?: unknown }
>;

/** What the main container and a sidecar have in common. */
type Container = Pick<Sidecar, 'variables' | 'secrets' | 'env_file' | 'entrypoint' | 'command' | 'healthcheck'> & {
  /** Its name in the manifest. */
  name: string;
  image: string;
  mounts: { volume: string; path: string; readOnly: boolean }[];
  /** Its share of what the pod reserves. */
  share: number;
  /** Its place in the task definition. */
  place: number;
};

/** How a sidecar runs: to its end before the others start, along with them, or started after the service. */
type Role = 'before' | 'along' | 'after';

/** ECS's own. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html */
const defaultStopTimeout = 30;
/** Copilot's own, as its manifest reference says. */
const defaultDeregistrationDelay = 60;
const defaultGracePeriod = 60;

/** The name of the Secret that holds what the manifest lists as `secrets`. */
export function secretName(workload: string): string {
  return `${workload}-secrets`;
}

/** A path as a load balancer takes it: with its slash. */
function absolute(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

/** The translation of everything in a manifest that is about the task: its containers, their order, size and care. */
export function podOf(release: Release): Pod {
  const { manifest, overrides, platformVariables, environmentFiles, application, environment, reserve } = release;
  const { type, fields } = manifest;
  const { name = '', sidecars = {}, storage, image } = fields;
  const pod: Pod = {
    spec: { containers: [] },
    additions: [],
    annotations: image?.labels ?? {},
    builtImages: new Map(),
    secretKeys: new Map(),
    notCarried: [],
  };
  const ports = listeningPorts(fields);
  const roles = rolesOf(fields);
  const companions = [...roles.values()].filter((role) => role !== 'before').length;
  // ECS shares one size among the containers of a task; a pod has to divide what it reserves.
  const companionShare = companions > 0 ? Math.min(0.1, 0.5 / companions) : 0;
  const places = placesOf(fields);

  const main: Container = {
    ...fields,
    name,
    healthcheck: image?.healthcheck,
    image: imageOf(name, image ?? {}),
    mounts: Object.entries(storage?.volumes ?? {}).map(([volume, { path = '', read_only = true }]) => ({
      volume,
      path,
      readOnly: read_only,
    })),
    share: 1 - companions * companionShare,
    place: 0,
  };
  const others = new Map(
    Object.entries(sidecars).map(([sidecar, own]): [string, Container] => {
      const mounts = (own.mount_points ?? []).map(({ source_volume = '', path = '', read_only = true }) => ({
        volume: source_volume,
        path,
        readOnly: read_only,
      }));
      const share = roles.get(sidecar) === 'before' ? 1 : companionShare;
      return [
        sidecar,
        {
          ...own,
          name: sidecar,
          image: imageOf(sidecar, own.image ?? {}),
          mounts,
          share,
          place: places.indexOf(sidecar),
        },
      ];
    }),
  );

  const probes = probesOf(fields);
  const drain = drainSeconds(fields);
  const startOrder = inOrder(fields).filter((sidecar) => roles.get(sidecar) !== 'after');
  const init = startOrder.flatMap((sidecar) => others.get(sidecar) ?? []);
  const after = [...others.values()].filter((container) => roles.get(container.name) === 'after');
  for (const [i, container] of init.entries()) {
    if (roles.get(container.name) !== 'along') continue;
    pod.additions.push({ path: `/initContainers/${i}/restartPolicy`, value: 'Always' });
  }
  if (drain > 0)
    pod.additions.push({ path: '/containers/0/lifecycle', value: { preStop: { sleep: { seconds: drain } } } });
  noteWhatIsLoose();

  const user = overrides.users.get(0);
  const needsClaim = Object.values(storage?.volumes ?? {}).some(({ efs }) => isShared(efs));
  pod.spec = {
    serviceAccountName: manifest.name,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: drain + (overrides.stopTimeouts.get(0) ?? stopTimeout(fields) ?? defaultStopTimeout),
    securityContext: {
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
      ...(needsClaim && user ? { fsGroup: user } : {}),
    },
    ...(fields.platform
      ? {
          nodeSelector: {
            'kubernetes.io/os': (fields.platform.osfamily ?? 'linux').toLowerCase().startsWith('windows')
              ? 'windows'
              : 'linux',
          },
        }
      : {}),
    ...(init.length > 0
      ? { initContainers: init.map((container) => containerOf(container, companionProbes(container))) }
      : {}),
    containers: [
      containerOf(main, probes),
      ...after.map((container) => containerOf(container, companionProbes(container))),
    ],
    ...volumes(),
  };
  return pod;

  function imageOf(container: string, { build, location }: { build?: unknown; location?: string | undefined }): string {
    if (location) return location;
    const isMain = container === name || isDeepStrictEqual(build, image?.build);
    const tag = /:[^/:]+$/.exec(release.image)?.[0] ?? '';
    const built = isMain ? release.image : `${objectName(`${name}-${container}`)}${tag}`;
    const { dockerfile, context } = (build ?? {}) as { dockerfile?: string; context?: string };
    pod.builtImages.set(built, dockerfile ?? (context ? `${context}/Dockerfile` : 'Dockerfile'));
    return built;
  }

  function containerOf(container: Container, own: Partial<k8s.Container>): k8s.Container {
    const listening = ports.filter((port) => port.container === container.name);
    const user = overrides.users.get(container.place);
    const mounts = mountsOf(container);
    return {
      name: objectName(container.name),
      image: container.image,
      imagePullPolicy: 'IfNotPresent',
      ...(container.entrypoint ? { command: container.entrypoint } : {}),
      ...(container.command ? { args: container.command } : {}),
      env: variablesOf(container),
      ...(listening.length > 0
        ? {
            ports: listening.map(({ port, protocol }) => ({
              name: port === image?.port ? 'http' : `port-${port}`,
              containerPort: port,
              protocol,
            })),
          }
        : {}),
      resources: resourcesOf(container.share),
      securityContext: {
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        readOnlyRootFilesystem: hasReadonlyRoot(container),
        ...(user ? { runAsUser: user } : {}),
      },
      ...(mounts.length > 0 ? { volumeMounts: mounts } : {}),
      ...own,
    };
  }

  function mountsOf(container: Container): k8s.VolumeMount[] {
    const mounts = container.mounts.map(({ volume, path, readOnly }) => ({
      name: objectName(volume),
      mountPath: path,
      readOnly,
    }));
    const writable = hasReadonlyRoot(container) && !mounts.some(({ mountPath }) => mountPath === '/tmp');
    return writable ? [...mounts, { name: temporary(container.name), mountPath: '/tmp' }] : mounts;
  }

  function hasReadonlyRoot({ place }: Container): boolean {
    return overrides.readonlyRoots.get(place) ?? storage?.readonly_fs ?? false;
  }

  function temporary(container: string): string {
    return objectName(`tmp-${container}`);
  }

  function volumes(): Pick<k8s.PodSpec, 'volumes'> {
    const declared = Object.entries(storage?.volumes ?? {}).map(([volume, { efs }]) =>
      isShared(efs)
        ? { name: objectName(volume), persistentVolumeClaim: { claimName: objectName(`${name}-${volume}`) } }
        : { name: objectName(volume), emptyDir: {} },
    );
    const scratch = [main, ...others.values()]
      .filter((container) => mountsOf(container).some((mount) => mount.name === temporary(container.name)))
      .map((container) => ({ name: temporary(container.name), emptyDir: {} }));
    return declared.length + scratch.length > 0 ? { volumes: [...declared, ...scratch] } : {};
  }

  function variablesOf(container: Container): k8s.EnvVar[] {
    const variables = new Map<string, Omit<k8s.EnvVar, 'name'>>();
    const set = (entries: Iterable<readonly [string, string]>) => {
      for (const [key, value] of entries) variables.set(key, { value });
    };
    set(environmentFiles.get(container.env_file ?? '') ?? []);
    for (const [key, value] of Object.entries(container.variables ?? {})) {
      if (typeof value === 'string') variables.set(key, { value });
      else if (!platformVariables.has(key)) {
        const path = container === main ? `variables.${key}` : `sidecars.${container.name}.variables.${key}`;
        pod.notCarried.push({
          path,
          reason: `the CloudFormation export "${value.from_cfn}" is not here; --platform-env can say what it is`,
        });
      }
    }
    set(injectedVariables(container));
    set(platformVariables);
    for (const [key, source] of Object.entries(container.secrets ?? {})) {
      const secretKey = container === main ? key : `${container.name}.${key}`;
      pod.secretKeys.set(secretKey, sourceOfSecret(source));
      variables.set(key, { valueFrom: { secretKeyRef: { name: secretName(manifest.name), key: secretKey } } });
    }
    return [...variables].map(([key, rest]) => ({ name: key, ...rest }));
  }

  /** https://aws.github.io/copilot-cli/docs/developing/environment-variables/#what-are-the-default-environment-variables */
  function injectedVariables({ mounts }: Container): [string, string][] {
    const endpoint = `${application}.svc.cluster.local`;
    const balanced =
      servicePorts(fields).length > 0 && fields.http !== false && (fields.http || type === 'Load Balanced Web Service');
    return [
      ...(mounts.length > 0
        ? [
            [
              'COPILOT_MOUNT_POINTS',
              JSON.stringify(Object.fromEntries(mounts.map(({ volume, path }) => [volume, path]))),
            ] as [string, string],
          ]
        : []),
      ['COPILOT_APPLICATION_NAME', application],
      ['COPILOT_SERVICE_DISCOVERY_ENDPOINT', endpoint],
      ['COPILOT_ENVIRONMENT_NAME', environment],
      ['COPILOT_SERVICE_NAME', name],
      ...(balanced ? [['COPILOT_LB_DNS', `${manifest.name}.${endpoint}`] as [string, string]] : []),
    ];
  }

  function resourcesOf(share: number): k8s.ResourceRequirements {
    const { cpu, memory } = sizeOf(fields);
    const reserved = (share * reserve) / 100;
    return {
      requests: {
        cpu: k8s.Quantity.fromString(`${Math.ceil(cpu * reserved)}m`),
        memory: k8s.Quantity.fromString(`${Math.ceil(memory * reserved)}Mi`),
        // Room for /tmp; what a container logs is counted too.
        'ephemeral-storage': k8s.Quantity.fromString('64Mi'),
      },
      limits: {
        cpu: k8s.Quantity.fromString(`${cpu}m`),
        memory: k8s.Quantity.fromString(`${memory}Mi`),
        'ephemeral-storage': k8s.Quantity.fromString(`${storage?.ephemeral ?? 20}Gi`),
      },
    };
  }

  function companionProbes({ name: sidecar, healthcheck }: Container): Partial<k8s.Container> {
    const check = healthcheck && containerProbe(healthcheck);
    if (!check || roles.get(sidecar) === 'before') return {};
    const dependents = [image?.depends_on, ...Object.values(sidecars).map(({ depends_on }) => depends_on)];
    const awaited = dependents.some((dependencies) => dependencies?.[sidecar] === 'healthy');
    const { initialDelaySeconds, ...probe } = check;
    return awaited
      ? { startupProbe: { ...check, failureThreshold: 30 }, livenessProbe: probe }
      : { livenessProbe: check };
  }

  function noteWhatIsLoose() {
    for (const [i, { path }] of (fields.taskdef_overrides ?? []).entries()) {
      if (path !== stopTimeoutPath)
        pod.notCarried.push({
          path: `taskdef_overrides[${i}]`,
          reason: `${path} is a field of an ECS task definition`,
        });
    }
    for (const [sidecar, role] of roles) {
      const at = `sidecars.${sidecar}`;
      const stated = [image?.depends_on, ...Object.values(sidecars).map(({ depends_on }) => depends_on)].map(
        (dependencies) => dependencies?.[sidecar],
      );
      if (role === 'after')
        pod.notCarried.push({
          path: `${at}.depends_on`,
          reason: `a pod starts "${sidecar}" beside the service and does not wait for it`,
        });
      if (stated.includes('complete'))
        pod.notCarried.push({ path: at, reason: 'a pod starts only after success: when it fails it is run again' });
    }
  }
}

/** The limits of a task: CPU in thousandths, memory in MiB. Copilot's defaults are 256 units and 512 MiB. */
export function sizeOf({ cpu = 256, memory = 512 }: Fields): { cpu: number; memory: number } {
  return { cpu: Math.ceil((cpu * 1000) / 1024), memory };
}

/** Whether a volume outlives the pod. */
export function isShared(efs: NonNullable<NonNullable<Fields['storage']>['volumes']>[string]['efs']): boolean {
  return efs !== undefined && efs !== false;
}

/** How long the load balancer goes on sending while it takes a target out, in seconds; 0 where there is none. */
function drainSeconds({ http }: Fields): number {
  if (!http) return 0;
  const stated = typeof http === 'object' ? http.deregistration_delay : undefined;
  return Math.ceil(stated ?? defaultDeregistrationDelay);
}

const stopTimeoutPath = 'ContainerDefinitions[0].StopTimeout';

function stopTimeout({ taskdef_overrides = [] }: Fields): number | undefined {
  const stated = taskdef_overrides.find(({ path }) => path === stopTimeoutPath);
  return stated && Number(stated.value);
}

function sourceOfSecret(source: string | { from_cfn: string } | { secretsmanager: string }): string {
  if (typeof source === 'string') return `SSM ${source}`;
  return 'from_cfn' in source ? `CloudFormation export ${source.from_cfn}` : `Secrets Manager ${source.secretsmanager}`;
}

/** Copilot's order of containers: https://github.com/aws/copilot-cli/tree/v1.34.1/internal/pkg/template/templates/workloads */
function placesOf({ name = '', logging, observability, sidecars = {} }: Fields): string[] {
  const { retention, ...router } = logging ?? {};
  return [
    name,
    ...(Object.keys(router).length > 0 ? ['firelens_log_router'] : []),
    ...(observability?.tracing ? ['aws-otel-collector'] : []),
    ...Object.keys(sidecars).toSorted(),
  ];
}

function rolesOf(fields: Fields): Map<string, Role> {
  const { name = '', image, sidecars = {} } = fields;
  const everyDependency = [image?.depends_on, ...Object.values(sidecars).map(({ depends_on }) => depends_on)];
  function needsMain(sidecar: string): boolean {
    return Object.keys(sidecars[sidecar]?.depends_on ?? {}).some(
      (dependency) => dependency === name || needsMain(dependency),
    );
  }
  return new Map(
    Object.keys(sidecars).map((sidecar) => {
      const ends = everyDependency.some((dependencies) =>
        ['success', 'complete'].includes(dependencies?.[sidecar] ?? ''),
      );
      return [sidecar, needsMain(sidecar) ? 'after' : ends ? 'before' : 'along'];
    }),
  );
}

/** The sidecars, each after those that it depends on. */
function inOrder({ sidecars = {} }: Fields): string[] {
  const ordered = new Set<string>();
  function visit(sidecar: string) {
    for (const dependency of Object.keys(sidecars[sidecar]?.depends_on ?? {}).toSorted())
      if (sidecars[dependency]) visit(dependency);
    ordered.add(sidecar);
  }
  for (const sidecar of Object.keys(sidecars).toSorted()) visit(sidecar);
  return [...ordered];
}

/**
 * Readiness is what the load balancer looks at, liveness what ECS looks at itself. Until the first success, or the
 * end of the grace period, neither counts.
 */
function probesOf(fields: Fields): Partial<k8s.Container> {
  const { http, nlb, image } = fields;
  const [first] = servicePorts(fields);
  const own = image?.healthcheck && containerProbe(image.healthcheck);
  const { initialDelaySeconds, ...covered } = own ?? {};
  if (http && first) {
    const rule = typeof http === 'object' ? http : undefined;
    const check: HttpHealthcheck = rule?.healthcheck ?? {};
    const {
      path = '/',
      port = first.targetPort,
      interval = 30,
      timeout = 5,
      unhealthy_threshold = 2,
      grace_period = defaultGracePeriod,
    } = check;
    const action =
      rule?.version === 'grpc'
        ? { tcpSocket: { port: k8s.IntOrString.fromNumber(port) } }
        : {
            httpGet: {
              path: absolute(path),
              port: k8s.IntOrString.fromNumber(port),
              ...(port === 443 ? { scheme: 'HTTPS' } : {}),
            },
          };
    const timing = { timeoutSeconds: wholeSeconds(timeout) };
    return {
      ...(grace_period > 0
        ? { startupProbe: { ...action, ...timing, periodSeconds: 1, failureThreshold: wholeSeconds(grace_period) } }
        : {}),
      readinessProbe: {
        ...action,
        ...timing,
        periodSeconds: wholeSeconds(interval),
        failureThreshold: unhealthy_threshold,
      },
      ...(own ? { livenessProbe: grace_period > 0 ? covered : own } : {}),
    };
  }
  if (nlb && first) {
    return {
      readinessProbe: { tcpSocket: { port: k8s.IntOrString.fromNumber(first.targetPort) }, periodSeconds: 10 },
      ...(own ? { livenessProbe: own } : {}),
    };
  }
  // Nothing but the container's own check says when it is there.
  return own ? { livenessProbe: own, ...(first ? { readinessProbe: covered } : {}) } : {};
}

/** A check of ECS as a probe, with Copilot's defaults; undefined for `NONE`. */
function containerProbe({
  command,
  interval = 10,
  timeout = 5,
  retries = 2,
  start_period = 0,
}: Healthcheck): k8s.Probe | undefined {
  const [kind, ...rest] = command ?? ['CMD-SHELL', 'curl -f http://localhost/ || exit 1'];
  if (kind === 'NONE' || kind === undefined) return undefined;
  const exec = kind === 'CMD-SHELL' ? ['/bin/sh', '-c', rest.join(' ')] : kind === 'CMD' ? rest : [kind, ...rest];
  return {
    exec: { command: exec },
    ...(start_period > 0 ? { initialDelaySeconds: wholeSeconds(start_period) } : {}),
    periodSeconds: wholeSeconds(interval),
    timeoutSeconds: wholeSeconds(timeout),
    failureThreshold: retries,
  };
}

/** Kubernetes counts in whole seconds, one at least. */
function wholeSeconds(duration: number): number {
  return Math.max(1, Math.ceil(duration));
}
