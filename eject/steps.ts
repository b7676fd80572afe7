import { backlogFunction } from './backlog.ts';
import { certificateTypes, isCustomResource } from './copilot-resources.ts';
import { type DeployedStack, environmentStack, type Inventory, workloadStacks } from './inventory.ts';
import type { Context } from './resolve.ts';
import { isSame, Template, type ValueMap } from './template.ts';
import { clean, detach, drop, type Facts, pin, removable, retain } from './transform.ts';

export const stepNames = ['retain', 'pin', 'detach', 'drop', 'environment'] as const;
export type StepName = (typeof stepNames)[number];

/** A step of one stack: from one template to the next. */
export interface Change {
  readonly step: StepName;
  readonly stack: DeployedStack;
  readonly from: Template;
  readonly to: Template;
  readonly expected: Expected;
}

/** The allowed changes of a stack's resources, by their logical ids; all others are refused. */
export interface Expected {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** The properties that may change. */
  readonly modified: Readonly<Record<string, readonly string[]>>;
}

export const nothing: Expected = { added: [], removed: [], modified: {} };

/**
 * All changes in the order in which they are made: each step for all stacks that it is for, the environment first,
 * before the next step begins. Throws TemplateError where a template can't be changed.
 */
export function changes(inventory: Inventory): Change[] {
  const environment = environmentStack(inventory);
  const workloads = workloadStacks(inventory);
  const facts = environmentFacts(inventory);
  const found: Change[] = [];
  const current = new Map<string, Template>();
  function change(step: StepName, stack: DeployedStack, make: (template: Template) => Template, expected = nothing) {
    const from = current.get(stack.name) ?? new Template(stack.template, stack.name);
    const to = make(from);
    current.set(stack.name, to);
    found.push({ step, stack, from, to, expected });
  }
  for (const stack of [environment, ...workloads]) change('retain', stack, retain);
  const context = contextOf(inventory, environment);
  change('pin', environment, (template) => pin(template, context));
  for (const stack of workloads) {
    const own = { priorities: stack.priorities, physicalIds: contextOf(inventory, stack).physicalIds };
    const make = (template: Template) => detach(template, { ...facts, ...own });
    change('detach', stack, make, { ...nothing, modified: uncounted(stack) });
  }
  for (const stack of workloads) {
    const template = current.get(stack.name);
    const modified = template?.resources().has(backlogFunction) ? { [backlogFunction]: ['Code', 'Runtime'] } : {};
    change('drop', stack, drop, { ...nothing, removed: template ? removable(template) : [], modified });
  }
  const pinned = current.get(environment.name);
  const removed = pinned ? removable(pinned).filter((id) => id in environment.resources) : [];
  change('environment', environment, (template) => clean(template, context), { ...nothing, removed });
  return found;
}

/** The services whose count a custom resource computes: they get no DesiredCount. */
function uncounted(stack: DeployedStack): Record<string, string[]> {
  const template = new Template(stack.template, stack.name);
  const resources = [...template.resources()];
  const counters = resources.filter(([, { type }]) => type === 'Custom::DynamicDesiredCountFunction');
  const services = resources.filter(([id, { type }]) => {
    const references = template.references(['Resources', id, 'Properties', 'DesiredCount']);
    return type === 'AWS::ECS::Service' && counters.some(([counter]) => references.has(counter));
  });
  return Object.fromEntries(services.map(([id]) => [id, ['DesiredCount']]));
}

/** What is known of an environment for all of its services. */
export function environmentFacts(inventory: Inventory): Omit<Facts, 'priorities' | 'physicalIds'> {
  const exports = Object.entries(environmentStack(inventory).outputs).flatMap(([output, { exportName }]) =>
    exportName === undefined ? [] : [[output, exportName] as const],
  );
  return {
    application: inventory.application,
    environment: inventory.environment,
    environmentExports: Object.fromEntries(exports),
  };
}

/** What CloudFormation knows of a stack as it is deployed, with the attributes of custom resources that can be told. */
export function contextOf(inventory: Inventory, stack: DeployedStack): Context {
  const { account, region, partition, exports } = inventory;
  const attributes: Record<string, string> = {};
  const template = new Template(stack.template, stack.name);
  for (const [id, { type }] of template.resources()) {
    if (type === 'Custom::EnvControllerFunction')
      for (const [output, { value }] of Object.entries(environmentStack(inventory).outputs))
        attributes[`${id}.${output}`] = value;
  }
  for (const [rule, priority] of Object.entries(stack.priorities)) {
    for (const attribute of priorityAttributes(template, rule)) attributes[attribute] = priority;
  }
  return {
    parameters: stack.parameters,
    pseudoParameters: {
      'AWS::AccountId': account,
      'AWS::Partition': partition,
      'AWS::Region': region,
      'AWS::StackId': stack.id,
      'AWS::StackName': stack.name,
      'AWS::URLSuffix': partition === 'aws-cn' ? 'amazonaws.com.cn' : 'amazonaws.com',
    },
    physicalIds: Object.fromEntries(Object.entries(stack.resources).map(([id, { physicalId }]) => [id, physicalId])),
    attributes,
    exports,
  };
}

/** The attributes that the priority of a listener rule is, such as `HTTPRulePriorityAction.Priority`. */
function priorityAttributes(template: Template, rule: string): string[] {
  const found: string[] = [];
  for (const [id, { type }] of template.resources()) {
    if (type !== 'Custom::RulePriorityFunction') continue;
    template.copy().replaceAttributes(id, (attribute, [section, resource, , property]) => {
      if (section === 'Resources' && resource === rule && property === 'Priority') found.push(`${id}.${attribute}`);
      return '';
    });
  }
  return found;
}

/** The change that undoes another one. `updateId` is a text that no deployment has used. */
export function reversed(change: Change, updateId: string): Change {
  const { added, removed, modified } = change.expected;
  const to = change.from.copy();
  const again: Record<string, readonly string[]> = {};
  for (const [id, { type }] of change.step === 'detach' ? to.resources() : []) {
    // The priority may have been computed again if the custom resource had been removed.
    if (type === 'AWS::ElasticLoadBalancingV2::ListenerRule') again[id] = ['Priority'];
    // Otherwise the count of the last deployment would return instead of the running one.
    if (type !== 'Custom::DynamicDesiredCountFunction') continue;
    to.set(['Resources', id, 'Properties', 'UpdateID'], updateId);
    again[id] = ['UpdateID'];
  }
  // A custom resource that is made again requests another certificate.
  if (change.step !== 'retain' && change.step !== 'pin') Object.assign(again, usersOfCertificates(to));
  return {
    ...change,
    from: change.to,
    to,
    expected: { added: removed, removed: added, modified: { ...modified, ...again } },
  };
}

/** The properties that have the certificate of a custom resource, by the logical ids of their resources. */
function usersOfCertificates(template: Template): Record<string, readonly string[]> {
  const resources = [...template.resources()];
  const certificates = resources.filter(([, { type }]) => certificateTypes.has(type)).map(([id]) => id);
  const found: Record<string, readonly string[]> = {};
  for (const [id, { properties, type }] of resources) {
    if (isCustomResource(type)) continue;
    const names = Object.keys(properties).filter((name) => {
      const used = template.references(['Resources', id, 'Properties', name]);
      return certificates.some((certificate) => used.has(certificate));
    });
    if (names.length > 0) found[id] = names;
  }
  return found;
}

/** Whether two templates are equal, except for the UpdateID that each deployment by Copilot changes. */
export function isSameTemplate(a: Template, b: Template): boolean {
  return isSame(withoutUpdateId(a), withoutUpdateId(b));
}

/** Of a copy, since a template that was edited has other nodes than the same one read from its text. */
function withoutUpdateId(template: Template): ValueMap {
  const copy = template.copy();
  for (const [id, { type }] of copy.resources())
    if (type === 'Custom::DynamicDesiredCountFunction') copy.delete(['Resources', id, 'Properties', 'UpdateID']);
  return copy.value();
}

/** Whether a change may be made only after another one. */
export function depends(change: Change, on: Change): boolean {
  const isBefore = stepNames.indexOf(on.step) < stepNames.indexOf(change.step);
  if (!isBefore) return false;
  if (on.stack.name === change.stack.name) return true;
  // What is imported from the environment must be there for good; its parameters go last of all.
  return (on.step === 'pin' && change.step === 'detach') || change.step === 'environment';
}
