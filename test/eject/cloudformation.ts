import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { S3Client } from '@aws-sdk/client-s3';
import type { Clients } from '../../eject/aws.ts';
import type { DeployedStack, Inventory } from '../../eject/inventory.ts';

/** A CloudFormation in memory, as far as steps need it: it takes what it is sent, and notes the calls that change it. */
export class FakeCloudFormation {
  readonly calls: string[] = [];
  readonly stacks: Map<string, DeployedStack>;
  readonly policies = new Map<string, string>();
  /** What is thrown when a command of this name is sent. */
  failing: string | undefined;
  /** The status that an update ends with. */
  outcome = 'UPDATE_COMPLETE';
  private readonly changeSets = new Map<string, { template: string; parameters: Record<string, string> }>();

  constructor(inventory: Inventory) {
    this.stacks = new Map(inventory.stacks.map((stack) => [stack.name, stack]));
  }

  clients(): Clients {
    const options = { region: 'us-west-2', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } };
    const answering = <C extends object>(client: C): C =>
      Object.assign(client, {
        send: async (command: object) => this.answer(command.constructor.name, inputOf(command)),
      });
    return {
      cloudFormation: answering(new CloudFormationClient(options)),
      loadBalancing: answering(new ElasticLoadBalancingV2Client(options)),
      s3: answering(new S3Client(options)),
    };
  }

  private answer(name: string, input: Record<string, unknown>): unknown {
    const key = String(input.StackName ?? '');
    const stack = this.stacks.get(key);
    if (/^(Create|Delete|Execute|Set)/.test(name)) this.calls.push(`${name.replace('Command', '')} ${key}`);
    if (this.failing && name === this.failing) throw new Error(`AccessDenied: ${name}`);
    switch (name) {
      case 'DescribeStacksCommand':
        return { Stacks: stack ? [described(stack)] : [] };
      case 'GetTemplateCommand':
        return { TemplateBody: stack?.template };
      case 'GetStackPolicyCommand':
        return { StackPolicyBody: this.policies.get(key) };
      case 'SetStackPolicyCommand':
        this.policies.set(key, String(input.StackPolicyBody));
        return {};
      case 'ListStackResourcesCommand':
        return {
          StackResourceSummaries: Object.entries(stack?.resources ?? {}).map(([LogicalResourceId, resource]) => ({
            LogicalResourceId,
            ResourceType: resource.type,
            PhysicalResourceId: resource.physicalId,
          })),
        };
      case 'ListExportsCommand': {
        const outputs = [...this.stacks.values()].flatMap(({ outputs }) => Object.values(outputs));
        return { Exports: outputs.map(({ exportName, value }) => ({ Name: exportName, Value: value })) };
      }
      case 'DescribeRulesCommand':
        return { Rules: [{ Priority: '50000' }] };
      case 'CreateChangeSetCommand': {
        const given = Array.isArray(input.Parameters) ? input.Parameters : [];
        const parameters = given.map(({ ParameterKey, ParameterValue, UsePreviousValue }) => {
          return [ParameterKey, UsePreviousValue ? stack?.parameters[ParameterKey] : ParameterValue];
        });
        this.changeSets.set(key, { template: String(input.TemplateBody), parameters: Object.fromEntries(parameters) });
        return {};
      }
      case 'DescribeChangeSetCommand':
        return { Status: 'CREATE_COMPLETE', Changes: [] };
      case 'ExecuteChangeSetCommand': {
        const made = this.changeSets.get(key);
        if (!stack || !made) throw new Error(`no change set for ${key}`);
        const isDone = this.outcome === 'UPDATE_COMPLETE';
        this.stacks.set(key, { ...stack, status: this.outcome, ...(isDone ? made : {}) });
        return {};
      }
      default:
        return {};
    }
  }
}

function inputOf(command: object): Record<string, unknown> {
  return 'input' in command && typeof command.input === 'object' ? { ...command.input } : {};
}

function described({ name, id, status, parameters, tags, outputs, capabilities }: DeployedStack) {
  return {
    StackName: name,
    StackId: id,
    StackStatus: status,
    Capabilities: capabilities,
    Parameters: Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({ ParameterKey, ParameterValue })),
    Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
    Outputs: Object.entries(outputs).map(([OutputKey, { value, exportName }]) => ({
      OutputKey,
      OutputValue: value,
      ExportName: exportName,
    })),
  };
}
