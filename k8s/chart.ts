import { ApiObject, App, Chart, JsonPatch } from 'cdk8s';
import { k8s, Namespace, Pods, Protocol, Service, ServiceAccount, ServiceType } from 'cdk8s-plus-27';
import type { Construct } from 'constructs';
import type { Unsupported } from '../manifest/mapping.ts';
import { objectName, secretName } from '../manifest/names.ts';
import { cronJobSchedule } from '../manifest/schedule.ts';
import { type Adapted, adaptedOf } from './adapted.ts';
import { serviceAlias } from './cluster-names.ts';
import { addExternalSecret } from './external-secrets.ts';
import { builtImages } from './images.ts';
import { type Inputs, inputs } from './inputs.ts';
import {
  declaredPod,
  declaredUser,
  exceptions,
  fixedCount,
  fromOnePod,
  presentImage,
  recreatedPods,
  spreadPods,
  standsForLoadBalancer,
} from './linter-exceptions.ts';
import { addedPorts, allPorts } from './overrides.ts';
import { type Pod, podOf } from './pod.ts';
import { listenerPorts, listeningPorts, portName, type ServicePort, servicePorts } from './ports.ts';
import { addHttpRoutes, addIngress, type Route } from './routes.ts';
import { type Scaling, scalingOf, scheduleScaling } from './scaling.ts';
import { maybeRoot, securityLevel } from './security.ts';
import { secretInputs, valueInputs } from './variables.ts';
import { claimsOf } from './volumes.ts';
import type { SecurityLevel, Workload } from './workload.ts';

/** A workload as Kubernetes objects. */
export interface Synthesis {
  app: App;
  charts: Chart[];
  namespace: string;
  /** The images to build and load into the cluster, and the Dockerfile of each. */
  builtImages: ReadonlyMap<string, string>;
  /** The keys that the Secret of the workload must have. */
  secrets: Inputs;
  /** The variables whose values only CloudFormation knows. */
  variables: Inputs;
  /** The containers that may run as root, each with the reason. */
  maybeRoot: ReadonlyMap<string, string>;
  /** The fields whose effect differs from AWS. */
  adapted: Adapted[];
  unsupported: Unsupported[];
}

/** The settings that the workloads of an application share. */
export interface Shared {
  /** The Pod Security Standard that the namespace enforces. */
  level: SecurityLevel;
  /** Whether an Ingress leads to the workloads. */
  routed: boolean;
}

/**
 * The Kubernetes objects of a workload: a chart with the namespace, which every workload of the application shares,
 * and a chart with the workload. For a single workload, the namespace enforces the level that it allows, and there is
 * no Ingress.
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
    secrets: inputs(secretInputs(workload)),
    variables: inputs(valueInputs(workload)),
    maybeRoot: maybeRoot(workload),
    adapted,
    unsupported: [
      ...workload.manifest.unsupported.filter(
        ({ path }) =>
          !(routed && /^http\.(.*\.)?(path|alias)$/.test(path)) && !adapted.some((other) => other.path === path),
      ),
      ...pod.unsupported,
      ...chart.unsupported,
      ...Object.keys(workload.manifest.fields.image?.labels ?? {})
        .filter((name) => !isAnnotation(name))
        .map((name) => ({ path: `image.labels.${name}`, reason: 'not a valid name of an annotation' })),
      ...workload.overrides.unsupported,
      ...workload.cloudFormationOnly.map((path) => ({
        path,
        reason: path.endsWith('addons')
          ? 'CloudFormation only; --values and --secrets-from set its outputs for the containers'
          : 'CloudFormation only',
      })),
    ],
  };
}

function aloneOf(workload: Workload): Shared {
  return { level: securityLevel([workload]), routed: false };
}

/**
 * The namespace of an application and the routes to its workloads, which all have a Service: HTTPRoutes of that
 * Gateway, or an Ingress without one.
 */
export function synthesizeRoutes(
  workload: Workload,
  routes: readonly Route[],
  level: SecurityLevel,
  gateway: string | undefined,
): App {
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
  if (gateway === undefined) addIngress(chart, objectName(application), routes);
  else addHttpRoutes(chart, objectName(application), routes, gateway);
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

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set */
function isAnnotation(name: string): boolean {
  return /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/.test(name);
}

class WorkloadChart extends Chart {
  readonly unsupported: Unsupported[] = [];
  private readonly workload: Workload;
  private readonly pod: Pod;
  /** The labels that select this workload's pods. */
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
      metadata: {
        name,
        annotations: exceptions(
          presentImage,
          declaredUser,
          spreadPods,
          declaredPod(this.pod.spec),
          ...(scaling.min < 2 ? [scaling.metrics.length === 0 ? fixedCount : fromOnePod] : []),
          ...(recreate ? [recreatedPods] : []),
        ),
      },
      spec: {
        // With an autoscaler, a number here would reset the count at every apply.
        ...(scaling.metrics.length > 0 ? {} : { replicas: scaling.min }),
        selector: { matchLabels: this.selector },
        // As in ECS: new tasks start beside all old ones, or after all old ones have stopped.
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
    this.expose(['Load Balanced Web Service', 'Request-Driven Web Service', 'Static Site'].includes(type));
  }

  private schedule() {
    const { name, fields } = this.workload.manifest;
    const { on, retries = 0, timeout } = fields;
    const off = on?.schedule === 'none';
    const job = k8s.KubeCronJob.manifest({
      metadata: { name, annotations: exceptions(presentImage, declaredUser, declaredPod(this.pod.spec)) },
      spec: {
        schedule: off ? '@yearly' : cronJobSchedule(on?.schedule ?? ''),
        timeZone: 'Etc/UTC',
        // A cluster that was stopped at the time runs the job within the next hour.
        startingDeadlineSeconds: 3600,
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
    const labels = Object.entries(this.workload.manifest.fields.image?.labels ?? {});
    const stated = Object.fromEntries(labels.filter(([name]) => isAnnotation(name)));
    const annotations = { ...stated, ...this.pod.annotations };
    return {
      metadata: { labels: { ...this.labels }, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
      spec: { ...this.pod.spec, ...extra },
    };
  }

  /**
   * An object with a pod, whose spec is at that JSON pointer, and the fields of pods that cdk8s-plus-27 does not have.
   */
  private add(id: string, manifest: ReturnType<typeof k8s.KubeDeployment.manifest>, spec: string) {
    const object = new ApiObject(this, id, manifest);
    object.addJsonPatch(...this.pod.additions.map(({ path, value }) => JsonPatch.add(`${spec}${path}`, value)));
  }

  /** Spreads the pods of each workload over the nodes. */
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

  private autoscale({ min, max, metrics, annotations: targets, cooldown }: Scaling) {
    const { manifest, overrides, kubectlImage } = this.workload;
    const { name } = manifest;
    if (overrides.scheduledActions.length > 0) scheduleScaling(this, name, overrides.scheduledActions, kubectlImage);
    const annotations = { ...targets, ...(min < 2 ? exceptions(fromOnePod) : {}) };
    new k8s.KubeHorizontalPodAutoscalerV2(this, 'autoscaler', {
      metadata: { name, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
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
    const reason = `it has no metric to scale by: the count stays at ${min}`;
    if (max > min) this.unsupported.push({ path: 'count.range', reason });
    for (const { name } of this.workload.overrides.scheduledActions)
      this.unsupported.push({ path: `ScheduledActions.${name}`, reason });
  }

  private expose(outside: boolean) {
    const { manifest, nodePorts, takenNames } = this.workload;
    const { fields, name } = manifest;
    const balanced = outside && fields.http !== false && !fields.isPrivate;
    const main = servicePorts(fields);
    // On ECS other services reach every port of a task that has a name; a NodePort would also open those of sidecars.
    const reached = main.length === 0 || balanced ? [] : listeningPorts(fields);
    const others = reached.filter(
      ({ container, port, protocol }) =>
        container !== fields.name && !main.some((known) => known.port === port && known.protocol === protocol),
    );
    const ports: ServicePort[] = [
      ...main,
      ...[...others, ...addedPorts(this.workload)].map(({ port, protocol }) => ({
        name: portName(fields, port, protocol),
        port,
        targetPort: port,
        protocol,
      })),
    ];
    const listeners = listenerPorts(fields);
    const { NODE_PORT, CLUSTER_IP, LOAD_BALANCER } = ServiceType;
    const pods = Pods.select(this, 'pods', { labels: this.selector });
    const serve = (id: string, service: string, type: ServiceType, served: readonly ServicePort[], before = 0) =>
      new Service(this, id, {
        metadata: { name: service, annotations: type === CLUSTER_IP ? {} : exceptions(standsForLoadBalancer) },
        type,
        selector: pods,
        ports: served.map(({ protocol, ...port }, i) => ({
          ...port,
          protocol: protocol === 'UDP' ? Protocol.UDP : Protocol.TCP,
          ...(type === CLUSTER_IP ? {} : nodePort(before + i)),
        })),
      });
    function nodePort(i: number) {
      const chosen = nodePorts && nodePorts.first + i * nodePorts.step;
      return chosen !== undefined && chosen <= 32767 ? { nodePort: chosen } : {};
    }
    if (ports.length > 0) serve('service', name, balanced ? NODE_PORT : CLUSTER_IP, ports);
    const type = this.workload.environment === 'local' ? NODE_PORT : LOAD_BALANCER;
    if (listeners.length > 0) serve('listeners', `${name}-nlb`, type, listeners, balanced ? ports.length : 0);
    const alias = serviceAlias(manifest);
    if (ports.length > 0 && alias !== undefined && !takenNames.has(alias)) serve('alias', alias, CLUSTER_IP, ports);
  }

  /** As on AWS, allows ingress only to the ports that the pods listen on, and all egress. */
  private guardPods() {
    const { name } = this.workload.manifest;
    const ports = allPorts(this.workload);
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
    const { manifest, secretValues, externalSecrets } = this.workload;
    const name = secretName(manifest.name);
    if (secretValues && Object.keys(secretValues).length > 0)
      new k8s.KubeSecret(this, 'secrets', { metadata: { name }, stringData: secretValues });
    if (externalSecrets) this.unsupported.push(...addExternalSecret(this, name, secretInputs(this.workload)));
  }

  private claimVolumes() {
    for (const { name, fileSystem, accessMode } of claimsOf(this.workload)) {
      new k8s.KubePersistentVolumeClaim(this, `volume-${name}`, {
        // The same object from every workload that mounts the file system.
        metadata: {
          name,
          ...(fileSystem
            ? { labels: { 'app.kubernetes.io/name': fileSystem, 'app.kubernetes.io/component': 'file-system' } }
            : {}),
        },
        spec: {
          accessModes: [accessMode],
          resources: { requests: { storage: k8s.Quantity.fromString(this.workload.volumeSize) } },
        },
      });
    }
  }
}
