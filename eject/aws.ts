import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CloudFormationClient,
  DescribeStackDriftDetectionStatusCommand,
  DescribeStackResourceDriftsCommand,
  DescribeStacksCommand,
  DetectStackDriftCommand,
  GetStackPolicyCommand,
  GetTemplateCommand,
  paginateDescribeStacks,
  paginateListExports,
  paginateListStackResources,
  type Stack,
} from '@aws-sdk/client-cloudformation';
import { DescribeRulesCommand, ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { Refusal } from '../tools/terminal/refusal.ts';
import { type DeployedStack, environmentStack, type Inventory } from './inventory.ts';

/** The clients of one account and region. */
export interface Clients {
  readonly cloudFormation: CloudFormationClient;
  readonly loadBalancing: ElasticLoadBalancingV2Client;
  readonly s3: S3Client;
}

/** Clients with the credentials, region, proxy and certificates of the environment, as the AWS CLI reads it. */
export function clients(env: NodeJS.ProcessEnv = process.env): Clients {
  const configuration = { requestHandler: handler(env), maxAttempts: 5 };
  return {
    cloudFormation: new CloudFormationClient(configuration),
    loadBalancing: new ElasticLoadBalancingV2Client(configuration),
    s3: new S3Client(configuration),
  };
}

/** Unlike the AWS CLI, the SDK reads neither HTTPS_PROXY nor AWS_CA_BUNDLE. */
export function handler(env: NodeJS.ProcessEnv): NodeHttpHandler {
  const bundle = env.AWS_CA_BUNDLE;
  const agent = { keepAlive: true, proxyEnv: env };
  return new NodeHttpHandler({
    httpAgent: new HttpAgent(agent),
    httpsAgent: new Agent({ ...agent, ...(bundle ? { ca: readFileSync(bundle) } : {}) }),
    connectionTimeout: 10_000,
    requestTimeout: 60_000,
  });
}

/** All stacks of the account and region that are not deleted. */
export async function liveStacks(client: CloudFormationClient): Promise<Stack[]> {
  const all: Stack[] = [];
  for await (const page of paginateDescribeStacks({ client }, {})) all.push(...(page.Stacks ?? []));
  return all.filter(({ StackStatus }) => StackStatus !== 'DELETE_COMPLETE');
}

/** Those of the services and jobs of an environment. */
export function workloadsOf(stacks: readonly Stack[], application: string, environment: string): Stack[] {
  return stacks.filter((stack) => {
    const { AppName, EnvName, WorkloadName } = parametersOf(stack);
    const name = `${application}-${environment}-${WorkloadName}`;
    return AppName === application && EnvName === environment && stack.StackName === name;
  });
}

/** Reads the stacks of an environment as they are deployed. Throws Refusal when there is none. */
export async function readInventory(
  { cloudFormation, loadBalancing }: Clients,
  application: string,
  environment: string,
): Promise<Inventory> {
  const live = await liveStacks(cloudFormation);
  const name = `${application}-${environment}`;
  const main = live.find((stack) => stack.StackName === name && parametersOf(stack).EnvironmentName === environment);
  if (!main) throw new Refusal(`there is no stack ${name} of a Copilot environment in this account and region`);
  const workloads = workloadsOf(live, application, environment);
  const stacks: DeployedStack[] = [];
  for (const stack of [main, ...workloads])
    stacks.push(await readStack({ cloudFormation, loadBalancing }, stack, stack === main ? 'environment' : 'workload'));
  for (const { resources } of [...stacks]) {
    for (const { type, physicalId } of Object.values(resources)) {
      const nested = type === 'AWS::CloudFormation::Stack' && live.find(({ StackId }) => StackId === physicalId);
      if (nested) stacks.push(await readStack({ cloudFormation, loadBalancing }, nested, 'nested'));
    }
  }
  const [, partition = '', , region = '', account = ''] = main.StackId?.split(':') ?? [];
  const exports = await readExports(cloudFormation);
  return {
    application,
    environment,
    account,
    region,
    partition,
    takenAt: new Date().toISOString(),
    stacks,
    exports: Object.fromEntries(Object.entries(exports).filter(([key]) => key.startsWith(application))),
  };
}

/** The inventory with new values of one stack, the environment's outputs and the exports. */
export async function readAgain(connected: Clients, inventory: Inventory, stack: DeployedStack): Promise<Inventory> {
  const { cloudFormation } = connected;
  const environment = environmentStack(inventory);
  const description = await describeStack(cloudFormation, stack.name);
  if (!description) throw new Refusal(`the stack ${stack.name} does not exist`);
  const own = await readStack(connected, description, stack.kind);
  const main = stack.kind === 'environment' ? description : await describeStack(cloudFormation, environment.name);
  if (!main) throw new Refusal(`the stack ${environment.name} does not exist`);
  return {
    ...inventory,
    stacks: stack.kind === 'environment' ? [own] : [{ ...environment, outputs: outputsOf(main) }, own],
    exports: await readExports(cloudFormation),
  };
}

async function readExports(client: CloudFormationClient): Promise<Record<string, string>> {
  const exports: Record<string, string> = {};
  for await (const page of paginateListExports({ client }, {}))
    for (const { Name = '', Value = '' } of page.Exports ?? []) exports[Name] = Value;
  return exports;
}

export function parametersOf({ Parameters = [] }: Stack): Record<string, string> {
  return Object.fromEntries(
    Parameters.map(({ ParameterKey = '', ParameterValue = '' }) => [ParameterKey, ParameterValue]),
  );
}

export function tagsOf({ Tags = [] }: Stack): Record<string, string> {
  return Object.fromEntries(Tags.map(({ Key = '', Value = '' }) => [Key, Value]));
}

function outputsOf({ Outputs = [] }: Stack): DeployedStack['outputs'] {
  const outputs = Outputs.map(({ OutputKey = '', OutputValue = '', ExportName }) => {
    return [OutputKey, { value: OutputValue, ...(ExportName ? { exportName: ExportName } : {}) }] as const;
  });
  return Object.fromEntries(outputs);
}

/** A stack by its name, or undefined. */
export async function describeStack(client: CloudFormationClient, name: string): Promise<Stack | undefined> {
  try {
    return (await client.send(new DescribeStacksCommand({ StackName: name }))).Stacks?.[0];
  } catch (error) {
    if (error instanceof Error && error.message.includes('does not exist')) return undefined;
    throw error;
  }
}

/** The template of a stack as it was sent. */
export async function deployedTemplate(client: CloudFormationClient, name: string): Promise<string> {
  const { TemplateBody = '' } = await client.send(
    new GetTemplateCommand({ StackName: name, TemplateStage: 'Original' }),
  );
  return TemplateBody;
}

/** The resources of a stack by their logical ids. */
export async function deployedResources(
  client: CloudFormationClient,
  name: string,
): Promise<Record<string, { type: string; physicalId: string }>> {
  const resources: Record<string, { type: string; physicalId: string }> = {};
  for await (const page of paginateListStackResources({ client }, { StackName: name })) {
    for (const { LogicalResourceId = '', ResourceType: type = '', ...rest } of page.StackResourceSummaries ?? []) {
      if (rest.ResourceStatus === 'DELETE_COMPLETE') continue;
      resources[LogicalResourceId] = { type, physicalId: rest.PhysicalResourceId ?? '' };
    }
  }
  return resources;
}

/** The inventory of one stack. */
export async function readStack(
  { cloudFormation, loadBalancing }: Pick<Clients, 'cloudFormation' | 'loadBalancing'>,
  stack: Stack,
  kind: DeployedStack['kind'],
): Promise<DeployedStack> {
  const name = stack.StackName ?? '';
  const resources = await deployedResources(cloudFormation, name);
  const policy = await cloudFormation.send(new GetStackPolicyCommand({ StackName: name }));
  const parameters = parametersOf(stack);
  return {
    name,
    id: stack.StackId ?? '',
    kind,
    ...(kind === 'workload' && parameters.WorkloadName ? { workload: parameters.WorkloadName } : {}),
    status: stack.StackStatus ?? '',
    template: await deployedTemplate(cloudFormation, name),
    parameters,
    tags: tagsOf(stack),
    capabilities: stack.Capabilities ?? [],
    ...(stack.RoleARN ? { role: stack.RoleARN } : {}),
    ...(policy.StackPolicyBody ? { policy: policy.StackPolicyBody } : {}),
    outputs: outputsOf(stack),
    resources,
    priorities: await rulePriorities(loadBalancing, resources),
    drift: {},
  };
}

/** The same inventory with the drift of each stack; drift detection may take minutes. */
export async function withDrift({ cloudFormation }: Clients, inventory: Inventory): Promise<Inventory> {
  const stacks: DeployedStack[] = [];
  for (const stack of inventory.stacks) stacks.push({ ...stack, drift: await driftOf(cloudFormation, stack.name) });
  return { ...inventory, stacks };
}

async function driftOf(client: CloudFormationClient, name: string): Promise<DeployedStack['drift']> {
  const { StackDriftDetectionId } = await client.send(new DetectStackDriftCommand({ StackName: name }));
  let status: string | undefined;
  do {
    await sleep(1000);
    const detection = await client.send(new DescribeStackDriftDetectionStatusCommand({ StackDriftDetectionId }));
    status = detection.DetectionStatus;
    if (status === 'DETECTION_FAILED' && !detection.DriftedStackResourceCount)
      throw new Refusal(`${name}: drift can't be detected: ${detection.DetectionStatusReason}`);
  } while (status === 'DETECTION_IN_PROGRESS');
  const drift: DeployedStack['drift'] = {};
  let NextToken: string | undefined;
  do {
    const page = await client.send(
      new DescribeStackResourceDriftsCommand({
        StackName: name,
        StackResourceDriftStatusFilters: ['MODIFIED', 'DELETED'],
        NextToken,
      }),
    );
    for (const {
      LogicalResourceId: id = '',
      StackResourceDriftStatus,
      PropertyDifferences = [],
    } of page.StackResourceDrifts ?? [])
      drift[id] =
        StackResourceDriftStatus === 'DELETED'
          ? 'deleted'
          : PropertyDifferences.map(({ PropertyPath = '' }) => PropertyPath);
    NextToken = page.NextToken;
  } while (NextToken);
  return drift;
}

async function rulePriorities(
  client: ElasticLoadBalancingV2Client,
  resources: DeployedStack['resources'],
): Promise<Record<string, string>> {
  const rules = Object.entries(resources).filter(
    ([, { type }]) => type === 'AWS::ElasticLoadBalancingV2::ListenerRule',
  );
  const priorities: Record<string, string> = {};
  for (const [id, { physicalId }] of rules) {
    const { Rules = [] } = await client.send(new DescribeRulesCommand({ RuleArns: [physicalId] }));
    const priority = Rules[0]?.Priority;
    if (priority !== undefined) priorities[id] = priority;
  }
  return priorities;
}
