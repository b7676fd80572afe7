import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { S3Client } from '@aws-sdk/client-s3';
import type { Journal } from '../../eject/apply.ts';
import type { Clients } from '../../eject/aws.ts';
import type { DeployedStack } from '../../eject/inventory.ts';

/** A CloudFormation in memory, as far as steps need it: it takes what it is sent, and notes the calls that change it. */
export class FakeCloudFormation {
  readonly calls: string[] = [];
  readonly stacks: Map<string, DeployedStack>;
  readonly policies: Map<string, string>;
  /** The templates that were uploaded, by bucket and key. */
  readonly uploads = new Map<string, string>();
  /** What is thrown when a command of this name is sent. */
  failing: string | undefined;
  /** The status that an update ends with. */
  outcome = 'UPDATE_COMPLETE';
  /** How often a stack that is updated still says so before it is done. */
  polls = 0;
  /** How often a stack looks as before after an update of it was started. */
  unnoticed = 0;
  /** Run before a call has its effect, and before its answer arrives: what they throw is what the caller gets. */
  onCall: () => void = () => {};
  onAnswer: () => void = () => {};
  private readonly changeSets = new Map<string, { id: string; template: string; parameters: Record<string, string> }>();
  private made = 0;
  private readonly updates = new Map<string, { unnoticed: number; left: number; result: DeployedStack }>();
  private readonly updated = new Map<string, Date>();

  constructor(stacks: Iterable<DeployedStack>, policies: ReadonlyMap<string, string> = new Map()) {
    this.stacks = new Map([...stacks].map((stack) => [stack.name, stack]));
    this.policies = new Map(policies);
  }

  /** Another one with the same stacks and policies. */
  copy(): FakeCloudFormation {
    return new FakeCloudFormation(this.stacks.values(), this.policies);
  }

  clients(): Clients {
    const options = { region: 'us-west-2', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } };
    const answering = <C extends object>(client: C): C =>
      Object.assign(client, {
        send: async (command: object) => {
          this.onCall();
          const answer = this.answer(command.constructor.name, inputOf(command));
          this.onAnswer();
          return answer;
        },
      });
    return {
      cloudFormation: answering(new CloudFormationClient(options)),
      loadBalancing: answering(new ElasticLoadBalancingV2Client(options)),
      s3: answering(new S3Client(options)),
    };
  }

  private proceed(key: string): void {
    const update = this.updates.get(key);
    const stack = this.stacks.get(key);
    if (!update || !stack) return;
    if (update.unnoticed > 0) {
      update.unnoticed -= 1;
      return;
    }
    this.updated.set(key, new Date(this.made));
    this.stacks.set(key, update.left > 0 ? { ...stack, status: 'UPDATE_IN_PROGRESS' } : update.result);
    if (update.left === 0) this.updates.delete(key);
    update.left -= 1;
  }

  private answer(name: string, input: Record<string, unknown>): unknown {
    const key = String(input.StackName ?? '');
    const stack = this.stacks.get(key);
    if (/^(Create|Delete|Execute|Set)/.test(name)) this.calls.push(`${name.replace('Command', '')} ${key}`);
    if (this.failing && name === this.failing) throw new Error(`AccessDenied: ${name}`);
    switch (name) {
      case 'DescribeStacksCommand': {
        this.proceed(key);
        const now = input.StackName === undefined ? [...this.stacks.values()] : [this.stacks.get(key)];
        return {
          Stacks: now.flatMap((stack) =>
            stack ? [{ ...described(stack), LastUpdatedTime: this.updated.get(stack.name) }] : [],
          ),
        };
      }
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
        const template = input.TemplateBody ?? this.uploads.get(String(input.TemplateURL));
        this.made += 1;
        const id = `arn:changeSet/${this.made}`;
        this.changeSets.set(key, { id, template: String(template), parameters: Object.fromEntries(parameters) });
        return { Id: id };
      }
      case 'DeleteChangeSetCommand':
        this.changeSets.delete(key);
        return {};
      case 'PutObjectCommand':
        this.uploads.set(`https://${input.Bucket}.s3.us-west-2.amazonaws.com/${input.Key}`, String(input.Body));
        return {};
      case 'DescribeChangeSetCommand':
        return { Status: 'CREATE_COMPLETE', Changes: [] };
      case 'ExecuteChangeSetCommand': {
        const made = this.changeSets.get(key);
        if (!stack || !made || made.id !== input.ChangeSetName)
          throw new Error(`ChangeSetNotFound: ${input.ChangeSetName}`);
        if (stack.status.endsWith('_IN_PROGRESS')) throw new Error(`${key} is in ${stack.status} state`);
        this.changeSets.delete(key);
        const isDone = this.outcome === 'UPDATE_COMPLETE';
        const { template, parameters } = isDone ? made : stack;
        const result = { ...stack, status: this.outcome, template, parameters };
        this.updates.set(key, { unnoticed: this.unnoticed, left: this.polls > 0 ? this.polls + 1 : 0, result });
        this.proceed(key);
        return {};
      }
      default:
        return {};
    }
  }
}

export type Entry = Readonly<Record<string, unknown>>;

/** A journal in memory. */
export function memoryJournal(entries: Entry[]): Journal {
  return {
    write: (entry) => void entries.push(entry),
    last: (stack) => {
      const event = entries.findLast((entry) => entry.stack === stack)?.event;
      return event === 'execute' || event === 'end' || event === 'done' ? event : undefined;
    },
  };
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
