import type { AddonOutput } from '../manifest/addons.ts';
import type { Overrides } from '../manifest/cfn-patches.ts';
import type { Manifest } from '../manifest/manifest.ts';

/** https://kubernetes.io/docs/concepts/security/pod-security-standards/ */
export const securityLevels = ['restricted', 'baseline', 'privileged'] as const;
export type SecurityLevel = (typeof securityLevels)[number];

/** One workload of one application in one environment, and how this cluster takes it. */
export interface Workload {
  application: string;
  environment: string;
  /** The namespace of its objects. */
  namespace: string;
  manifest: Manifest;
  overrides: Overrides;
  /** What the workspace has beside the manifest that only CloudFormation reads. */
  cloudFormationOnly: readonly string[];
  /** The image that stands for what the manifest builds; its tag is that of the sidecars that are built too. */
  image: string;
  /** The `USER` of the Dockerfile of each container that is built and names one, by the container's name. */
  imageUsers: ReadonlyMap<string, string>;
  /** The Pod Security Standard that was asked for. */
  security: SecurityLevel | undefined;
  /** The files of a Static Site: where each is, by its path on the site; none for other workloads. */
  siteFiles: ReadonlyMap<string, string>;
  /** The variables of each env file, by its path in the manifest. */
  environmentFiles: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** What the platform gives every container, as ECS gives the region and the credentials of the task's role. */
  platformVariables: ReadonlyMap<string, string>;
  /** The ports of every node for a Load Balanced Web Service: a first one, and how far the next is; undefined: the cluster chooses. */
  nodePorts: { first: number; step: number } | undefined;
  /** The outputs of its own addons, and of those of the environment. */
  addons: readonly AddonOutput[];
  environmentAddons: readonly AddonOutput[];
  /** The values of the variables that CloudFormation alone knows, by their key. */
  values: Readonly<Record<string, string>>;
  /** The values of the keys of its Secret; without them someone else makes the Secret. */
  secretValues: Readonly<Record<string, string>> | undefined;
  /** Whether External Secrets makes the Secret, from the stores of AWS. */
  externalSecrets: boolean;
  /** The names of the claims that other workloads of the workspace mount too. */
  sharedFileSystems: ReadonlySet<string>;
  /** The Pod Security Standard that the namespace of all workloads of the workspace enforces. */
  namespaceLevel: SecurityLevel;
  /** The aliases of Service Connect in the workspace that have a dot, each with the name of its Service. */
  dottedAliases: ReadonlyMap<string, string>;
  /** Of each claim, such as `1Gi`. */
  volumeSize: string;
  /** The access mode that someone asked for. */
  accessMode: 'ReadWriteOnce' | 'ReadWriteMany' | undefined;
  /** The image pull secret that someone asked for. */
  pullSecret: string | undefined;
  /** The image whose kubectl the scheduled scaling runs. */
  kubectlImage: string;
  /** How much of `cpu` and `memory` a pod reserves, in percent; it may use all of it while the node has it to spare. */
  reserve: number;
}
