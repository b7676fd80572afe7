import { ApiObject, App, Chart, JsonPatch, Size } from 'cdk8s';
import {
  k8s,
  Namespace,
  PersistentVolumeAccessMode,
  PersistentVolumeClaim,
  Pods,
  Protocol,
  Service,
  ServiceAccount,
  ServiceType,
} from 'cdk8s-plus-27';
import type { Construct } from 'constructs';
import type { NotCarried } from '../manifest/mapping.ts';
import { objectName, secretName } from '../manifest/names.ts';
import { cronJobSchedule } from '../manifest/schedule.ts';
import { type Adapted, adaptedOf } from './adapted.ts';
import { declaredUser, exceptions, presentImage, spreadPods, standsForLoadBalancer } from './exceptions.ts';
import { builtImages } from './images.ts';
import { claimName, fileSystemOf, isShared, type Pod, podOf } from './pod.ts';
import { listeningPorts, servicePorts } from './ports.ts';
import type { Route } from './routes.ts';
import { type Scaling, scalingOf, scheduleScaling } from './scaling.ts';
import { maybeRoot, securityLevel } from './security.ts';
import { secretKeys } from './variables.ts';
import type { SecurityLevel, Workload } from './workload.ts';

/** A workload as Kubernetes objects. */
export interface Synthesis {
  app: App;
  charts: Chart[];
  namespace: string;
  /** The images that the cluster has to be given, and the Dockerfile of each. */
  builtImages: ReadonlyMap<string, string>;
  /** The keys that the Secret of the workload has to hold, and where AWS keeps the value of each. */
  secretKeys: ReadonlyMap<string, string>;
  /** The containers that may run as root, each with the reason. */
  maybeRoot: ReadonlyMap<string, string>;
  /** What has another effect than on AWS. */
  adapted: Adapted[];
  notCarried: NotCarried[];
}

/** What the workloads of an application share. */
export interface Shared {
  /** The Pod Security Standard that the namespace enforces. */
  level: SecurityLevel;
  /** Whether an Ingress leads to the workloads. */
  routed: boolean;
}

/**
 * The Kubernetes objects of a workload: a chart with the namespace, which every workload of the application shares,
 * and a chart with the workload. Alone, the namespace enforces what the workload takes, and no Ingress leads to it.
 */
export function synthesize(workload: Workload, { level, routed }: Shared = aloneOf(workload)): Synthesis {
  const app = new App();
  const { namespace } = workload;
  const adapted = adaptedOf(workload);
  const shared = namespaceChart(app, workload, level);
  const pod = podOf(workload);
  const chart = new WorkloadChart(app, workload, pod);
  chart.addDependency(shared);
  return {
    app,
    charts: [shared, chart],
    namespace,
    builtImages: builtImages(workload),
    secretKeys: secretKeys(workload.manifest.fields),
    maybeRoot: maybeRoot(workload),
    adapted,
    notCarried: [
      ...workload.manifest.notCarried.filter(
        ({ path }) =>
          !(routed && /^http\.(.*\.)?(path|alias)$/.test(path)) && !adapted.some((other) => other.path === path),
      ),
      ...pod.notCarried,
      ...chart.notCarried,
      ...workload.overrides.notCarried,
      ...workload.cloudFormationOnly.map((path) => ({
        path,
        reason: 'CloudFormation only; what it adds to the environment of the containers --platform-env can say',
      })),
    ],
  };
}

function aloneOf(workload: Workload): Shared {
  return { level: securityLevel([workload]), routed: false };
}

/** The namespace and the Ingress of an application, whose workloads all have a Service. */
export function synthesizeRoutes(workload: Workload, routes: readonly Route[], level: SecurityLevel): App {
  const app = new App();
  const { application, environment, namespace } = workload;
  const shared = namespaceChart(app, workload, level);
  const chart = new Chart(app, 'routes', {
    namespace,
    disableResourceNameHashes: true,
    labels: {
      'app.kubernetes.io/name': application,
      'app.kubernetes.io/instance': `${application}-${environment}`,
      'app.kubernetes.io/part-of': application,
      'app.kubernetes.io/managed-by': 'cdk8s',
    },
  });
  const hosts = [...new Set(routes.map(({ host }) => host))];
  new k8s.KubeIngress(chart, 'ingress', {
    metadata: { name: application },
    spec: {
      rules: hosts.map((host) => ({
        ...(host === undefined ? {} : { host }),
        http: {
          paths: routes
            .filter((route) => route.host === host)
            .map(({ path, service, port }) => ({
              path,
              pathType: 'Prefix',
              backend: { service: { name: service, port: { number: port } } },
            })),
        },
      })),
    },
  });
  chart.addDependency(shared);
  return app;
}

function namespaceChart(app: App, { application, namespace }: Workload, level: SecurityLevel): Chart {
  const chart = new Chart(app, 'application', { disableResourceNameHashes: true });
  new Namespace(chart, 'namespace', {
    metadata: {
      name: namespace,
      labels: {
        'app.kubernetes.io/part-of': application,
        // https://kubernetes.io/docs/concepts/security/pod-security-standards/
        'pod-security.kubernetes.io/enforce': level,
        'pod-security.kubernetes.io/enforce-version': 'latest',
        'pod-security.kubernetes.io/warn': level,
        'pod-security.kubernetes.io/audit': level,
      },
    },
  });
  return chart;
}

class WorkloadChart extends Chart {
  readonly notCarried: NotCarried[] = [];
  private readonly workload: Workload;
  private readonly pod: Pod;
  /** What tells this workload's pods from all others. */
  private readonly selector: Record<string, string>;

  constructor(scope: Construct, workload: Workload, pod: Pod) {
    const { application, environment, namespace, manifest } = workload;
    const { name, type } = manifest;
    const selector = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/instance': `${application}-${environment}` };
    super(scope, name, {
      namespace,
      disableResourceNameHashes: true,
      labels: {
        ...selector,
        'app.kubernetes.io/component': type.toLowerCase().replaceAll(' ', '-'),
        'app.kubernetes.io/part-of': application,
        'app.kubernetes.io/managed-by': 'cdk8s',
      },
    });
    this.workload = workload;
    this.pod = pod;
    this.selector = selector;

    new ServiceAccount(this, 'account', { metadata: { name }, automountToken: false });
    this.holdSecrets();
    this.claimVolumes();
    this.guardPods();
    if (type === 'Scheduled Job') this.schedule();
    else this.deploy();
  }

  private deploy() {
    const { name, type, fields } = this.workload.manifest;
    const scaling = scalingOf(fields);
    const recreate = fields.deployment?.rolling === 'recreate';
    const deployment = k8s.KubeDeployment.manifest({
      metadata: { name, annotations: exceptions(presentImage, declaredUser, spreadPods) },
      spec: {
        // Beside an autoscaler a number here would be put back at every apply.
        ...(scaling.metrics.length > 0 ? {} : { replicas: scaling.min }),
        selector: { matchLabels: this.selector },
        // As ECS does it: new tasks beside all of the old ones, or all of the old ones out first.
        strategy: recreate
          ? { type: 'Recreate' }
          : {
              type: 'RollingUpdate',
              rollingUpdate: {
                maxUnavailable: k8s.IntOrString.fromNumber(0),
                maxSurge: k8s.IntOrString.fromString('100%'),
              },
            },
        template: this.template(scaling.min > 1 ? this.spread() : {}),
      },
    });
    this.add('deployment', deployment, '/spec/template/spec');

    if (scaling.metrics.length > 0) this.autoscale(scaling);
    else this.noteFixedCount(scaling);
    if (scaling.min > 1) {
      new k8s.KubePodDisruptionBudget(this, 'disruption', {
        metadata: { name },
        spec: { maxUnavailable: k8s.IntOrString.fromNumber(1), selector: { matchLabels: this.selector } },
      });
    }
    this.expose(type === 'Load Balanced Web Service');
  }

  private schedule() {
    const { name, fields } = this.workload.manifest;
    const { on, retries = 0, timeout } = fields;
    const off = on?.schedule === 'none';
    const job = k8s.KubeCronJob.manifest({
      metadata: { name, annotations: exceptions(presentImage, declaredUser) },
      spec: {
        schedule: off ? '@yearly' : cronJobSchedule(on?.schedule ?? ''),
        timeZone: 'Etc/UTC',
        ...(off ? { suspend: true } : {}),
        jobTemplate: {
          spec: {
            backoffLimit: retries,
            ...(timeout ? { activeDeadlineSeconds: Math.ceil(timeout) } : {}),
            template: this.template({ restartPolicy: 'Never' }),
          },
        },
      },
    });
    this.add('job', job, '/spec/jobTemplate/spec/template/spec');
  }

  private template(extra: Partial<k8s.PodSpec>): k8s.PodTemplateSpec {
    const annotations = this.workload.manifest.fields.image?.labels;
    return {
      metadata: { labels: { ...this.labels }, ...(annotations ? { annotations } : {}) },
      spec: { ...this.pod.spec, ...extra },
    };
  }

  /** An object with a pod in it, whose spec is at that JSON pointer, and what cdk8s-plus-27 can't say about pods. */
  private add(id: string, manifest: ReturnType<typeof k8s.KubeDeployment.manifest>, spec: string) {
    const object = new ApiObject(this, id, manifest);
    object.addJsonPatch(...this.pod.additions.map(({ path, value }) => JsonPatch.add(`${spec}${path}`, value)));
  }

  /** One pod to a node as far as there are nodes, and each workload for itself. */
  private spread(): Pick<k8s.PodSpec, 'topologySpreadConstraints'> {
    return {
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'kubernetes.io/hostname',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: this.selector },
          matchLabelKeys: ['pod-template-hash'],
        },
      ],
    };
  }

  private autoscale({ min, max, metrics, cooldown }: Scaling) {
    const { manifest, overrides, kubectlImage } = this.workload;
    const { name } = manifest;
    if (overrides.scheduledActions.length > 0) scheduleScaling(this, name, overrides.scheduledActions, kubectlImage);
    new k8s.KubeHorizontalPodAutoscalerV2(this, 'autoscaler', {
      metadata: { name },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
        minReplicas: min,
        maxReplicas: max,
        metrics,
        behavior: {
          scaleDown: {
            stabilizationWindowSeconds: cooldown.in,
            policies: [{ type: 'Pods', value: 1, periodSeconds: Math.max(1, cooldown.in) }],
          },
          scaleUp: {
            stabilizationWindowSeconds: 0,
            policies: [{ type: 'Percent', value: 100, periodSeconds: Math.max(1, cooldown.out) }],
          },
        },
      },
    });
  }

  private noteFixedCount({ min, max }: Scaling) {
    const reason = `nothing here to scale by: it stays at ${min}`;
    if (max > min) this.notCarried.push({ path: 'count.range', reason });
    for (const { name } of this.workload.overrides.scheduledActions)
      this.notCarried.push({ path: `ScheduledActions.${name}`, reason });
  }

  private expose(outside: boolean) {
    const { manifest, nodePort } = this.workload;
    const ports = servicePorts(manifest.fields);
    const { connect } = manifest.fields.network ?? {};
    if (ports.length === 0) return;
    const pods = Pods.select(this, 'pods', { labels: this.selector });
    const { NODE_PORT, CLUSTER_IP } = ServiceType;
    const serve = (id: string, name: string, type: ServiceType) =>
      new Service(this, id, {
        metadata: { name, annotations: type === NODE_PORT ? exceptions(standsForLoadBalancer) : {} },
        type,
        selector: pods,
        ports: ports.map(({ protocol, ...port }, i) => ({
          ...port,
          protocol: protocol === 'UDP' ? Protocol.UDP : Protocol.TCP,
          ...(type === NODE_PORT && i === 0 && nodePort !== undefined ? { nodePort } : {}),
        })),
      });
    serve('service', manifest.name, outside ? NODE_PORT : CLUSTER_IP);
    if (typeof connect === 'object') serve('alias', objectName(connect.alias), CLUSTER_IP);
  }

  /** Into the pods comes only what is meant for the ports that they listen on; out goes what they like, as on AWS. */
  private guardPods() {
    const { name, fields } = this.workload.manifest;
    const ports = listeningPorts(fields);
    new k8s.KubeNetworkPolicy(this, 'ingress', {
      metadata: { name },
      spec: {
        podSelector: { matchLabels: this.selector },
        policyTypes: ['Ingress', 'Egress'],
        egress: [{}],
        ...(ports.length > 0
          ? {
              ingress: [
                { ports: ports.map(({ port, protocol }) => ({ port: k8s.IntOrString.fromNumber(port), protocol })) },
              ],
            }
          : {}),
      },
    });
  }

  private holdSecrets() {
    const { manifest, secretValues } = this.workload;
    if (!secretValues || Object.keys(secretValues).length === 0) return;
    new k8s.KubeSecret(this, 'secrets', { metadata: { name: secretName(manifest.name) }, stringData: secretValues });
  }

  private claimVolumes() {
    const { name, fields } = this.workload.manifest;
    const claims = Object.entries(fields.storage?.volumes ?? {}).flatMap(([volume, { efs }]) =>
      isShared(efs) ? [[claimName(name, volume, efs), fileSystemOf(efs)] as const] : [],
    );
    for (const [claim, fileSystem] of new Map(claims)) {
      new PersistentVolumeClaim(this, `volume-${claim}`, {
        // The same object from every workload that mounts the file system.
        metadata: { name: claim, ...(fileSystem ? { labels: { 'app.kubernetes.io/name': fileSystem } } : {}) },
        accessModes: [PersistentVolumeAccessMode.READ_WRITE_ONCE],
        storage: Size.gibibytes(1),
      });
    }
  }
}
