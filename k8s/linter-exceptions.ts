import { isDeepStrictEqual } from 'node:util';
import type { k8s } from 'cdk8s-plus-27';

/** Findings of kube-score and checkov that are accepted for an object. */
export interface Exceptions {
  /** https://github.com/zegl/kube-score/blob/master/README_CHECKS.md */
  kubeScore: readonly string[];
  /**
   * Each with the reason, which is written as an annotation. https://www.checkov.io/5.Policy%20Index/kubernetes.html
   */
  checkov: Readonly<Record<string, string>>;
}

/** For an image that was loaded into the cluster: it was not pulled, so it has no digest and no newer version. */
export const presentImage: Exceptions = {
  kubeScore: ['container-image-pull-policy'],
  checkov: {
    CKV_K8S_15: 'The image is loaded into the cluster; there is no registry to pull it from',
    CKV_K8S_43: 'The image is loaded into the cluster; it has no digest from a registry',
  },
};

/** For containers that run as the user of the image or of the task definition on AWS. */
export const declaredUser: Exceptions = {
  kubeScore: ['container-security-context-user-group-id'],
  checkov: { CKV_K8S_40: 'The user is the same as on AWS' },
};

/** For pods with topologySpreadConstraints, which kube-score does not recognise. */
export const spreadPods: Exceptions = { kubeScore: ['deployment-has-host-podantiaffinity'], checkov: {} };

/** For a fixed number of pods, given by `count`. */
export const fixedCount: Exceptions = { kubeScore: ['deployment-replicas'], checkov: {} };

/** For an autoscaler that starts from one pod, where `count` says so, which no PodDisruptionBudget could spare. */
export const fromOnePod: Exceptions = {
  kubeScore: ['deployment-has-poddisruptionbudget', 'horizontalpodautoscaler-replicas'],
  checkov: {},
};

/** For a deployment that ends the old pods first, where `deployment.rolling` says so. */
export const recreatedPods: Exceptions = { kubeScore: ['deployment-strategy'], checkov: {} };

/**
 * For settings that a workload declares, and has on AWS, against the advice of both tools; only where it declares them.
 */
export function declaredPod({ containers, initContainers = [] }: k8s.PodSpec): Exceptions {
  const isLatest = (image = '') => !image.includes('@') && (!/:[^/:]+$/.test(image) || image.endsWith(':latest'));
  const all = [...containers, ...initContainers];
  const readiness = containers.map(({ readinessProbe }) => readinessProbe);
  const liveness = containers.map(({ livenessProbe }) => livenessProbe);
  const findings: (Exceptions & { found: boolean })[] = [
    {
      found: all.some(({ securityContext }) => !securityContext?.readOnlyRootFilesystem),
      kubeScore: ['container-security-context-readonlyrootfilesystem'],
      checkov: { CKV_K8S_22: 'The manifest has no storage.readonly_fs' },
    },
    {
      found: all.some(({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false),
      kubeScore: [],
      checkov: Object.fromEntries(
        ['CKV_K8S_20', 'CKV_K8S_23', 'CKV_K8S_28', 'CKV_K8S_37'].map((rule) => [
          rule,
          'The image may run as root, as on AWS, and needs the capabilities of root',
        ]),
      ),
    },
    {
      found: all.some(({ env = [] }) => env.some(({ valueFrom }) => valueFrom?.secretKeyRef)),
      kubeScore: [],
      checkov: { CKV_K8S_35: 'Copilot passes secrets as variables' },
    },
    {
      found: liveness.includes(undefined),
      kubeScore: [],
      checkov: { CKV_K8S_8: 'The manifest has no image.healthcheck' },
    },
    {
      found: all.some(({ image }) => isLatest(image)),
      kubeScore: ['container-image-tag'],
      checkov: { CKV_K8S_14: 'The manifest names the image without a version' },
    },
    {
      found: readiness.includes(undefined),
      kubeScore: ['pod-probes'],
      checkov: { CKV_K8S_9: 'Nothing sends requests to it' },
    },
    {
      found: readiness.some((probe, i) => probe !== undefined && isDeepStrictEqual(probe, liveness[i])),
      kubeScore: ['pod-probes-identical'],
      checkov: {},
    },
  ];
  const present = findings.filter(({ found }) => found);
  return {
    kubeScore: present.flatMap(({ kubeScore }) => kubeScore),
    checkov: Object.fromEntries(present.flatMap(({ checkov }) => Object.entries(checkov))),
  };
}

/** For the Service that represents the load balancer. */
export const standsForLoadBalancer: Exceptions = { kubeScore: ['service-type'], checkov: {} };

/** The annotations with which both tools ignore these findings. */
export function exceptions(...all: readonly Exceptions[]): Record<string, string> {
  const kubeScore = all.flatMap((exception) => exception.kubeScore);
  const checkov = all.flatMap((exception) => Object.entries(exception.checkov));
  return {
    ...(kubeScore.length > 0 ? { 'kube-score/ignore': kubeScore.join(',') } : {}),
    ...Object.fromEntries(checkov.map(([rule, reason], i) => [`checkov.io/skip${i + 1}`, `${rule}=${reason}`])),
  };
}
