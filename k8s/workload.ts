import type { AddonOutput } from '../manifest/addons.ts';
import type { Overrides } from '../manifest/cfn-patches.ts';
import type { Manifest } from '../manifest/manifest.ts';

/** https://kubernetes.io/docs/concepts/security/pod-security-standards/ */
export const securityLevels = ['restricted', 'baseline', 'privileged'] as const;
export type SecurityLevel = (typeof securityLevels)[number];

/** A workload of an application in an environment, with the settings of this cluster. */
export interface Workload {
  application: string;
  environment: string;
  /** The namespace of its objects. */
  namespace: string;
  manifest: Manifest;
  overrides: Overrides;
  /** The files beside the manifest that only CloudFormation reads. */
  cloudFormationOnly: readonly string[];
  /** The name of the image that the manifest builds; images of sidecars that are built have the same tag. */
  image: string;
  /** The `USER` of the Dockerfile of each container that is built and names one, by the container's name. */
  imageUsers: ReadonlyMap<string, string>;
  /** The requested Pod Security Standard. */
  security: SecurityLevel | undefined;
  /** The files of a Static Site: the location of each by its path on the site; empty for other workloads. */
  siteFiles: ReadonlyMap<string, string>;
  /** The variables of each env file, by its path in the manifest. */
  environmentFiles: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /**
   * The variables that the platform sets in every container, as ECS sets the region and the task role's credentials.
   */
  platformVariables: ReadonlyMap<string, string>;
  /**
   * The node ports of a Load Balanced Web Service: the first one and the step to the next; undefined: the cluster
   * chooses.
   */
  nodePorts: { first: number; step: number } | undefined;
  /** The outputs of its own addons, and of those of the environment. */
  addons: readonly AddonOutput[];
  environmentAddons: readonly AddonOutput[];
  /** The values of the variables that only CloudFormation knows, by their key. */
  values: Readonly<Record<string, string>>;
  /** The values of its Secret, by key; without them the Secret must exist. */
  secretValues: Readonly<Record<string, string>> | undefined;
  /** Whether External Secrets creates the Secret from AWS. */
  externalSecrets: boolean;
  /** The names of the claims that other workloads of the workspace mount too. */
  sharedFileSystems: ReadonlySet<string>;
  /** The Pod Security Standard that the namespace of all workloads of the workspace enforces. */
  namespaceLevel: SecurityLevel;
  /**
   * The aliases of Service Connect in the workspace that have a dot, and the names of service discovery such as
   * `api.shop.local`, which environments have that are older than Copilot 1.5; each with the name of its Service.
   */
  dottedAliases: ReadonlyMap<string, string>;
  /** The names by which other workloads of the workspace are reached. */
  takenNames: ReadonlySet<string>;
  /** Of each claim, such as `1Gi`. */
  volumeSize: string;
  /** The requested access mode. */
  accessMode: 'ReadWriteOnce' | 'ReadWriteMany' | undefined;
  /** The requested image pull secret. */
  pullSecret: string | undefined;
  /** The image whose kubectl the scheduled scaling runs. */
  kubectlImage: string;
  /** The part of `cpu` and `memory` that a pod requests, in percent; it may use all of it if the node has it free. */
  reserve: number;
}
