/** Findings of kube-score and checkov that an object has to live with. */
export interface Exceptions {
  /** https://github.com/zegl/kube-score/blob/master/README_CHECKS.md */
  kubeScore: readonly string[];
  /** Each with the reason, which goes into the manifest. https://www.checkov.io/5.Policy%20Index/kubernetes.html */
  checkov: Readonly<Record<string, string>>;
}

/** For an image that the cluster was given by hand: it was never pulled, so it has no digest and no newer version. */
export const presentImage: Exceptions = {
  kubeScore: ['container-image-pull-policy'],
  checkov: {
    CKV_K8S_15: 'The image is loaded into the cluster, there is no registry to pull from',
    CKV_K8S_43: 'The image is loaded into the cluster, no registry gave it a digest',
  },
};

/** For containers that run as the user that the image, or the task definition on AWS, names. */
export const declaredUser: Exceptions = {
  kubeScore: ['container-security-context-user-group-id'],
  checkov: { CKV_K8S_40: 'The user is the one it has on AWS' },
};

/** For pods that topologySpreadConstraints spread over the nodes, which kube-score does not count. */
export const spreadPods: Exceptions = { kubeScore: ['deployment-has-host-podantiaffinity'], checkov: {} };

/** For the Service that stands for the load balancer. */
export const standsForLoadBalancer: Exceptions = { kubeScore: ['service-type'], checkov: {} };

/** The annotations by which both tools take an object as it is. */
export function exceptions(...all: readonly Exceptions[]): Record<string, string> {
  const kubeScore = all.flatMap((exception) => exception.kubeScore);
  const checkov = all.flatMap((exception) => Object.entries(exception.checkov));
  return {
    ...(kubeScore.length > 0 ? { 'kube-score/ignore': kubeScore.join(',') } : {}),
    ...Object.fromEntries(checkov.map(([rule, reason], i) => [`checkov.io/skip${i + 1}`, `${rule}=${reason}`])),
  };
}
