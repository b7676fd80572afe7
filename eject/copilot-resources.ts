/**
 * Facts about Copilot's templates (1.34.1): its custom resources, with the effect of their deletion, and the resources
 * that have data or that others depend on.
 * https://github.com/aws/copilot-cli/tree/v1.34.1/cf-custom-resources/lib
 */
export interface CustomResource {
  /** What happens when the resource is deleted without `DeletionPolicy: Retain`. */
  readonly onDelete: string;
  /** Its replacement; undefined if this version can't replace it. */
  readonly replacedBy: string | undefined;
  /** What to do where it can't be replaced. */
  readonly instead?: string;
}

const certificate = 'the ARN of the certificate, which stays with its validation records';
const records = 'nothing: the records stay';

export const customResources: Readonly<Record<string, CustomResource>> = {
  'Custom::EnvControllerFunction': {
    onDelete:
      'takes the service out of every parameter of the environment and updates that stack; when no other service uses them, the load balancer, the NAT gateways, and the EFS file system with its data are deleted',
    replacedBy: 'Fn::ImportValue of the outputs of the environment',
  },
  'Custom::RulePriorityFunction': {
    onDelete: 'nothing; an update computes another priority',
    replacedBy: 'the priority as deployed',
  },
  'Custom::DynamicDesiredCountFunction': {
    onDelete: 'nothing',
    replacedBy: 'no DesiredCount: the running count stays',
  },
  'Custom::CertificateValidationFunction': {
    onDelete: 'deletes the validation records and the certificate',
    replacedBy: certificate,
  },
  'Custom::DNSDelegationFunction': { onDelete: 'deletes the NS records of the subdomain', replacedBy: records },
  'Custom::CustomDomainFunction': { onDelete: 'deletes the A records of the aliases', replacedBy: records },
  'Custom::CertificateReplicatorFunction': {
    onDelete: 'deletes the certificate in us-east-1; each update requests another one',
    replacedBy: certificate,
  },
  'Custom::BucketCleanerFunction': {
    onDelete: 'empties the bucket of the access logs',
    replacedBy: 'nothing: the bucket and its logs stay',
  },
  'Custom::UniqueJSONValuesFunction': {
    onDelete: 'nothing',
    replacedBy: undefined,
    instead:
      'CloudFront takes its aliases from it; leave the environment with Copilot, or deploy it without `cdn`, which moves the traffic to the load balancer',
  },
  'Custom::TriggerStateMachine': {
    onDelete: 'nothing',
    replacedBy: undefined,
    instead: 'it copies the files of a Static Site; leave that service in another environment',
  },
  'Custom::NLBCertValidatorFunction': {
    onDelete: 'deletes the validation records and the certificate',
    replacedBy: certificate,
  },
  'Custom::NLBCustomDomainFunction': { onDelete: 'deletes the A records of the aliases', replacedBy: records },
};

/** Custom resources whose `Ref` is the ARN of a certificate. */
export const certificateTypes: ReadonlySet<string> = new Set([
  'Custom::CertificateValidationFunction',
  'Custom::CertificateReplicatorFunction',
  'Custom::NLBCertValidatorFunction',
]);

export function isCustomResource(type: string): boolean {
  return type.startsWith('Custom::') || type === 'AWS::CloudFormation::CustomResource';
}

/** Types that get `DeletionPolicy: Retain`: they have data or public addresses, or contain other stacks. */
const retained = new Set([
  'AWS::ApiGateway::RestApi',
  'AWS::CertificateManager::Certificate',
  'AWS::CloudFormation::Stack',
  'AWS::CloudFront::Distribution',
  'AWS::Cognito::UserPool',
  'AWS::DynamoDB::GlobalTable',
  'AWS::DynamoDB::Table',
  'AWS::EC2::EIP',
  'AWS::EC2::NatGateway',
  'AWS::ECS::Cluster',
  'AWS::EFS::AccessPoint',
  'AWS::EFS::FileSystem',
  'AWS::EFS::MountTarget',
  'AWS::ElastiCache::CacheCluster',
  'AWS::ElastiCache::ReplicationGroup',
  'AWS::ElasticLoadBalancingV2::Listener',
  'AWS::ElasticLoadBalancingV2::LoadBalancer',
  'AWS::KMS::Key',
  'AWS::Kinesis::Stream',
  'AWS::Logs::LogGroup',
  'AWS::OpenSearchService::Domain',
  'AWS::RDS::DBCluster',
  'AWS::RDS::DBInstance',
  'AWS::Route53::HostedZone',
  'AWS::Route53::RecordSet',
  'AWS::Route53::RecordSetGroup',
  'AWS::S3::Bucket',
  'AWS::SNS::Topic',
  'AWS::SQS::Queue',
  'AWS::SecretsManager::Secret',
  'AWS::ServiceDiscovery::PrivateDnsNamespace',
]);

/** Whether the first step gives resources of this type `DeletionPolicy: Retain`. */
export function isRetained(type: string): boolean {
  return isCustomResource(type) || retained.has(type);
}

/** The supported version of Copilot. */
export const copilotVersion = 'v1.34.1';

/** Parameters of an environment that Copilot's controller maintains: the services that need each part of it. */
export const featureParameters = [
  'ALBWorkloads',
  'InternalALBWorkloads',
  'EFSWorkloads',
  'NATWorkloads',
  'AppRunnerPrivateWorkloads',
  'Aliases',
  'CreateHTTPSListener',
  'CreateInternalHTTPSListener',
] as const;

/** The supported workload types, as in the first words of a template's description. */
export const supportedTypes = [
  'Load Balanced Web Service',
  'Backend Service',
  'Worker Service',
  'Scheduled Job',
] as const;
