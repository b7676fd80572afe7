import type { Chart } from 'cdk8s';
import { k8s, Role, ServiceAccount } from 'cdk8s-plus-27';
import type { ScheduledAction } from '../manifest/cfn-patches.ts';
import { COOLDOWN } from '../manifest/defaults.ts';
import type { Fields } from '../manifest/fields.ts';
import { CRON_JOB_NAME, labelName } from '../manifest/names.ts';
import { cronJobSchedule } from '../manifest/schedule.ts';
import { exceptions, presentImage } from './linter-exceptions.ts';
import { quantities, sizeOf } from './resources.ts';

export interface Scaling {
  min: number;
  max: number;
  metrics: k8s.MetricSpecV2[];
  /** The lower bound, and the targets that an autoscaler cannot measure, for a scaler that can: functions/kubernetes.ts. */
  annotations: Record<string, string>;
  cooldown: { in: number; out: number };
}

/**
 * The number of pods, and the metrics that they scale by. Percentages refer to the task's size, as on AWS, not to the
 * pod's requests, so the targets are amounts. The longest of several cooldowns applies to all metrics.
 */
export function scalingOf(fields: Fields): Scaling {
  const { count } = fields;
  if (!count || 'replicas' in count)
    return { min: count?.replicas ?? 1, max: count?.replicas ?? 1, metrics: [], annotations: {}, cooldown: COOLDOWN };
  const { range, spot, cpu_percentage, memory_percentage, requests, response_time } = count;
  const { min: least = spot ?? 1, max: most = least } = range ?? {};
  // 0 needs the feature gate HPAScaleToZero, which is off by default. A fixed 0 would never scale up.
  const min = range ? Math.max(1, least) : least;
  const max = Math.max(min, most);
  const { cpu, memory } = sizeOf(fields);
  const metrics = [
    { name: 'cpu', target: cpu_percentage, amount: (percent: number) => `${Math.round((cpu * percent) / 100)}m` },
    {
      name: 'memory',
      target: memory_percentage,
      amount: (percent: number) => `${Math.round((memory * percent) / 100)}Mi`,
    },
  ].flatMap(({ name, target, amount }) =>
    !target?.value ? [] : [{ name, averageValue: k8s.Quantity.fromString(amount(target.value)) }],
  );
  const stated = [cpu_percentage?.cooldown, memory_percentage?.cooldown, count.cooldown];
  const longest = (side: 'in' | 'out', most: number) => {
    const own = stated.slice(0, 2).flatMap((cooldown) => cooldown?.[side] ?? []);
    const seconds = own.length > 0 ? Math.max(...own) : (count.cooldown?.[side] ?? COOLDOWN[side]);
    return Math.min(most, Math.ceil(seconds));
  };
  return {
    min,
    max,
    metrics: metrics.map(({ name, averageValue }) => ({
      type: 'Resource',
      resource: { name, target: { type: 'AverageValue', averageValue } },
    })),
    annotations: {
      // A scaler that had set this lower bound would not notice that it is the manifest's by now: functions/kubernetes.ts.
      ...(range ? { 'scaler/minimum': String(min) } : {}),
      ...(requests?.value ? { 'scaler/requests': String(requests.value) } : {}),
      ...(response_time?.value ? { 'scaler/response-seconds': String(response_time.value) } : {}),
    },
    // The maximum of an autoscaler: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v2/
    cooldown: { in: longest('in', 1800), out: longest('out', 1800) },
  };
}

/**
 * The equivalent of Application Auto Scaling's scheduled actions: for each, a CronJob that sets the bounds of the
 * autoscaler with an account that may do only this. The bounds of a later `kubectl apply` hold until the next action,
 * as the bounds of a deployment do on AWS.
 */
export function scheduleScaling(
  chart: Chart,
  workload: string,
  actions: readonly ScheduledAction[],
  kubectlImage: string,
) {
  const name = `${workload}-scaler`;
  const selector = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/component': 'scheduled-scaling' };
  const metadata = { name, labels: selector };
  new ServiceAccount(chart, 'scaler', { metadata, automountToken: false });
  const autoscaler = { apiGroup: 'autoscaling', resourceType: 'horizontalpodautoscalers', resourceName: workload };
  const role = new Role(chart, 'scaler-role', { metadata });
  role.allow(['get', 'patch'], autoscaler);
  new k8s.KubeRoleBinding(chart, 'scaler-binding', {
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name }],
  });
  new k8s.KubeNetworkPolicy(chart, 'scaler-ingress', {
    metadata,
    spec: {
      podSelector: { matchLabels: selector },
      policyTypes: ['Ingress', 'Egress'],
      // The API server: the port of its Service, and the port that kubeadm configures.
      egress: [{ ports: [443, 6443].map((port) => ({ port: k8s.IntOrString.fromNumber(port), protocol: 'TCP' })) }],
    },
  });

  for (const action of actions) {
    const bounds = {
      ...(action.min === undefined ? {} : { minReplicas: Math.max(1, action.min) }),
      ...(action.max === undefined ? {} : { maxReplicas: Math.max(1, action.max) }),
    };
    new k8s.KubeCronJob(chart, `scaler-${action.name}`, {
      metadata: {
        name: labelName(`${workload}-${action.name}`, CRON_JOB_NAME),
        labels: selector,
        annotations: exceptions(presentImage, {
          kubeScore: [],
          checkov: { CKV_K8S_38: 'It calls the API server with an account that may patch one autoscaler' },
        }),
      },
      spec: {
        schedule: cronJobSchedule(action.schedule),
        timeZone: action.timezone === 'UTC' ? 'Etc/UTC' : action.timezone,
        concurrencyPolicy: 'Forbid',
        // A laptop that was asleep at the time runs the job within the next hour.
        startingDeadlineSeconds: 3600,
        jobTemplate: {
          spec: {
            backoffLimit: 3,
            ttlSecondsAfterFinished: 86400,
            template: {
              metadata: { labels: { ...chart.labels, ...selector } },
              spec: scalerPod(JSON.stringify({ ...minimumOf(bounds), spec: bounds })),
            },
          },
        },
      },
    });
  }

  /** A scaler that had the same lower bound would not notice that it is the schedule's by now: functions/kubernetes.ts. */
  function minimumOf({ minReplicas }: { minReplicas?: number }) {
    return minReplicas === undefined ? {} : { metadata: { annotations: { 'scaler/minimum': String(minReplicas) } } };
  }

  function scalerPod(patch: string): k8s.PodSpec {
    return {
      restartPolicy: 'OnFailure',
      serviceAccountName: name,
      automountServiceAccountToken: true,
      enableServiceLinks: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65532,
        runAsGroup: 65532,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: 'kubectl',
          image: kubectlImage,
          imagePullPolicy: 'IfNotPresent',
          command: ['kubectl'],
          args: ['patch', 'horizontalpodautoscaler', workload, '--patch', patch],
          resources: {
            requests: quantities({ cpu: '10m', memory: '32Mi', 'ephemeral-storage': '16Mi' }),
            limits: quantities({ cpu: '500m', memory: '128Mi', 'ephemeral-storage': '64Mi' }),
          },
          securityContext: {
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
            readOnlyRootFilesystem: true,
          },
        },
      ],
    };
  }
}
