import type { Manifest } from '../manifest/manifest.ts';
import type { Overrides } from '../manifest/overrides.ts';

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
  /** The variables of each env file, by its path in the manifest. */
  environmentFiles: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** What the platform gives every container, as ECS gives the region and the credentials of the task's role. */
  platformVariables: ReadonlyMap<string, string>;
  /** The port of every node that leads to a Load Balanced Web Service; without one the cluster chooses. */
  nodePort: number | undefined;
  /** The values of the keys of its Secret; without them someone else makes the Secret. */
  secretValues: Readonly<Record<string, string>> | undefined;
  /** The image whose kubectl the scheduled scaling runs. */
  kubectlImage: string;
  /** How much of `cpu` and `memory` a pod reserves, in percent; it may use all of it while the node has it to spare. */
  reserve: number;
}
