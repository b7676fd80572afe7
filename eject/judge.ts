import type { Change as SdkChange } from '@aws-sdk/client-cloudformation';
import { isCustomResource } from './copilot-resources.ts';
import { type Context, type Resolved, resolve } from './resolve.ts';
import type { Expected } from './steps.ts';
import { isSame, listOf, mapOf, type Template, textOf, type Value } from './template.ts';

/**
 * Properties that can't be changed without replacing the resource (`createOnlyProperties` of the resource schemas,
 * https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html), of the types that a
 * release changes. `*` are all but Tags.
 */
const createOnly: Readonly<Record<string, readonly string[]>> = {
  'AWS::ApplicationAutoScaling::ScalableTarget': ['ResourceId', 'ScalableDimension', 'ServiceNamespace'],
  'AWS::ApplicationAutoScaling::ScalingPolicy': [
    'PolicyName',
    'ResourceId',
    'ScalableDimension',
    'ScalingTargetId',
    'ServiceNamespace',
  ],
  'AWS::CloudFormation::Stack': [],
  'AWS::CloudWatch::Alarm': ['AlarmName'],
  'AWS::ECS::Service': ['Cluster', 'LaunchType', 'Role', 'SchedulingStrategy', 'ServiceName'],
  'AWS::ECS::TaskDefinition': ['*'],
  'AWS::ElasticLoadBalancingV2::Listener': ['LoadBalancerArn'],
  'AWS::ElasticLoadBalancingV2::ListenerRule': ['ListenerArn'],
  'AWS::ElasticLoadBalancingV2::TargetGroup': [
    'IpAddressType',
    'Name',
    'Port',
    'Protocol',
    'ProtocolVersion',
    'TargetType',
    'VpcId',
  ],
  'AWS::Events::Rule': ['Name'],
  'AWS::IAM::Role': ['Path', 'RoleName'],
  'AWS::Lambda::Function': ['FunctionName', 'PackageType'],
  'AWS::Logs::LogGroup': ['LogGroupName'],
  'AWS::SNS::Subscription': ['Endpoint', 'Protocol', 'TopicArn'],
  'AWS::SQS::Queue': ['FifoQueue', 'QueueName'],
  'AWS::StepFunctions::StateMachine': ['StateMachineName', 'StateMachineType'],
};

/** The actual changes of a stack, by logical ids. */
export interface Difference {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** The properties whose values differ; resources that stay as they are, are not here. */
  readonly modified: ReadonlyMap<string, readonly string[]>;
  /** Those of them that are replaced. */
  readonly replaced: ReadonlySet<string>;
  readonly from: Resolved;
  readonly to: Resolved;
}

/**
 * The actual changes of an update from one template to another: it compares the properties with all functions evaluated.
 * Change sets are pessimistic about values of functions; this is not, but knows only the types listed here.
 */
export function difference(from: Template, to: Template, before: Context, after: Context = before): Difference {
  const [old, next] = [resolve(from, before), resolve(to, after)];
  const added = [...next.resources.keys()].filter((id) => !old.resources.has(id));
  const removed = [...old.resources.keys()].filter((id) => !next.resources.has(id));
  const modified = new Map<string, readonly string[]>();
  const replaced = new Set<string>();
  for (const [id, resource] of next.resources) {
    const previous = old.resources.get(id);
    if (!previous) continue;
    const names = new Set([...Object.keys(previous.properties), ...Object.keys(resource.properties)]);
    const changed = [...names].filter((name) => !isSame(previous.properties[name], resource.properties[name]));
    if (previous.type !== resource.type) changed.push('Type');
    if (changed.length === 0) continue;
    modified.set(id, changed);
    if (previous.type !== resource.type || isReplacement(resource.type, changed)) replaced.add(id);
  }
  return { added, removed, modified, replaced, from: old, to: next };
}

function isReplacement(type: string, changed: readonly string[]): boolean {
  // Their functions decide; those of Copilot keep the physical id.
  if (isCustomResource(type)) return false;
  const names = createOnly[type];
  // For an unknown type, assume a replacement.
  if (!names) return true;
  return changed.some((name) => names.includes(name) || (names.includes('*') && name !== 'Tags'));
}

export interface Verdict {
  /** The reasons to refuse the change; empty if it is allowed. */
  readonly problems: readonly string[];
  /** Notes where CloudFormation's change set is too pessimistic. */
  readonly notes: readonly string[];
}

/**
 * Checks a change by its actual effect and by CloudFormation's change set (undefined before there is one): only
 * `mayReplace` is replaced, only expected resources are added, removed or modified, custom resources are removed only
 * with Retain, and each export keeps its value.
 */
export function judge(
  { from, to, expected }: { from: Template; to: Template; expected: Expected },
  { before, after = before }: { before: Context; after?: Context },
  changeSet: readonly SdkChange[] | undefined,
  mayReplace: readonly string[] = [],
): Verdict {
  const real = difference(from, to, before, after);
  const problems: string[] = [];
  const notes: string[] = [];
  const definitions = from.resources();
  for (const id of real.added) if (!expected.added.includes(id)) problems.push(`${id} would be created`);
  for (const id of real.removed) {
    if (!expected.removed.includes(id)) problems.push(`${id} would be deleted`);
    const definition = definitions.get(id);
    if (definition && isCustomResource(definition.type) && definition.deletionPolicy !== 'Retain')
      problems.push(`${id} would be deleted without DeletionPolicy: Retain, and its function called`);
  }
  for (const [id, properties] of real.modified) {
    const unexpected = properties.filter((name) => !expected.modified[id]?.includes(name));
    if (unexpected.length > 0) problems.push(`${id} would be changed: ${unexpected.join(', ')}`);
    if (real.replaced.has(id) && !mayReplace.includes(id))
      problems.push(`${id} would be replaced: ${properties.join(', ')}`);
  }
  problems.push(...exportProblems(real));
  for (const change of changeSet ?? []) judgeReported(change, real, { problems, notes, expected, mayReplace, to });
  return { problems: [...new Set(problems)], notes };
}

function exportProblems({ from, to }: Difference): string[] {
  const after = new Map([...to.outputs.values()].map(({ exportName, value }) => [exportName, value]));
  return [...from.outputs.values()].flatMap(({ exportName, value }) => {
    if (exportName === undefined) return [];
    const next: Value | undefined = after.get(exportName);
    if (next === undefined) return [`the export ${exportName} would be removed`];
    return isSame(value, next) ? [] : [`the export ${exportName} would change`];
  });
}

function judgeReported(
  { ResourceChange }: SdkChange,
  real: Difference,
  {
    problems,
    notes,
    expected,
    mayReplace,
    to,
  }: { problems: string[]; notes: string[]; expected: Expected; mayReplace: readonly string[]; to: Template },
): void {
  const {
    Action,
    LogicalResourceId: id = '',
    Replacement,
    ResourceType: type,
    PhysicalResourceId,
  } = ResourceChange ?? {};
  if (Action === 'Modify') {
    if (Replacement !== 'True' || mayReplace.includes(id) || real.replaced.has(id)) return;
    // No property that needs a replacement changes its value; a stack policy also denies it.
    if (real.from.resources.has(id))
      notes.push(
        `the change set says that ${id} (${type}) is replaced; its properties keep their values, so it is not`,
      );
    else problems.push(`${id} (${type}) would be replaced, says CloudFormation's change set`);
    return;
  }
  // A resource whose condition was false does not exist, so nothing is removed.
  if (Action === 'Remove' && !PhysicalResourceId && !real.from.resources.has(id)) return;
  if (Action === 'Add' && (expected.added.includes(id) || isNeverCreated(to, id))) return;
  if (Action === 'Remove' && expected.removed.includes(id)) return;
  if (Action === 'Dynamic') return;
  problems.push(`${id} (${type}): CloudFormation's change set says ${Action}`);
}

/** Whether the condition of a resource is a constant that doesn't hold, whatever the parameters are. */
function isNeverCreated(template: Template, id: string): boolean {
  const condition = template.resources().get(id)?.condition;
  if (condition === undefined) return false;
  const sides = listOf(mapOf(template.section('Conditions')[condition])['Fn::Equals']).map(textOf);
  return sides.length === 2 && !sides.includes(undefined) && sides[0] !== sides[1];
}
