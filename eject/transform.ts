import { isMap, isSeq, Scalar } from 'yaml';
import { backlogCode, backlogFunction } from './backlog.ts';
import {
  certificateTypes,
  customResources,
  featureParameters,
  isCustomResource,
  isRetained,
} from './copilot-resources.ts';
import { type Context, conditionsOf } from './resolve.ts';
import { referencesOf, type Template, TemplateError, textOf, toValue, type Value } from './template.ts';

// The steps as pure functions: each returns a changed copy of a template, and throws if an expected part is missing.

/**
 * Adds `DeletionPolicy: Retain` and `UpdateReplacePolicy: Retain` to the resources with data and to all custom resources.
 * The function of a retained custom resource is not called when it is removed later.
 */
export function retain(template: Template): Template {
  const copy = template.copy();
  for (const [id, { type }] of copy.resources()) {
    if (!isRetained(type)) continue;
    for (const policy of ['UpdateReplacePolicy', 'DeletionPolicy']) {
      const resource = copy.node(['Resources', id]);
      if (!isMap(resource)) continue;
      const before = textOf(toValue(resource.get(policy, true)));
      // Retain also replaces Snapshot, because nothing is deleted.
      if (before === 'Retain') continue;
      if (resource.has(policy)) {
        resource.set(policy, 'Retain');
        continue;
      }
      const at = resource.items.findIndex((pair) => String(pair.key) === 'Type');
      resource.items.splice(at + 1, 0, copy.document.createPair(policy, 'Retain'));
    }
  }
  note(copy, 'retain');
  return copy;
}

/**
 * Records a step in the metadata of a resource. Without it, CloudFormation refuses an update in which only conditions,
 * dependencies, or resources that don't exist differ.
 */
function note(template: Template, step: string): void {
  const [id] = [...template.resources()].find(([, { condition }]) => condition === undefined) ?? [];
  if (id === undefined) throw new TemplateError(`${template.name}: every resource has a condition`);
  template.set(['Resources', id, 'Metadata', 'plusone:eject'], step);
}

/**
 * Replaces the conditions of an environment by constants, as they are with these parameters: nothing is deleted if a
 * service is later removed from a parameter. The parameters stay, because an update by Copilot's controller that changes
 * nothing fails.
 */
export function pin(template: Template, context: Context): Template {
  const copy = template.copy();
  for (const [name, holds] of Object.entries(conditionsOf(copy, context))) {
    if (holds === undefined)
      throw new TemplateError(
        `${copy.name}: the condition ${name} depends on something that is not known: let it depend on parameters only`,
      );
    const constant = copy.document.createNode(['true', String(holds)], { flow: true });
    constant.tag = '!Equals';
    copy.set(['Conditions', name], constant);
  }
  note(copy, 'pin');
  return copy;
}

/** The values that replace custom resources in a service's template. */
export interface Facts {
  readonly application: string;
  readonly environment: string;
  /** The names of the exports of the environment, by the names of their outputs. */
  readonly environmentExports: Readonly<Record<string, string>>;
  /** The priorities of the listener rules as deployed, by their logical ids. */
  readonly priorities: Readonly<Record<string, string>>;
  /** The physical ids of the stack's resources, by their logical ids. */
  readonly physicalIds: Readonly<Record<string, string>>;
}

/**
 * Detaches a service's template from its custom resources, which stay unused: attributes of the environment become
 * imports, priorities of listener rules become literals, and a computed DesiredCount is removed.
 */
export function detach(template: Template, facts: Facts): Template {
  const copy = template.copy();
  const custom = [...copy.resources()].filter(([, { type }]) => isCustomResource(type));
  const ids = new Set(custom.map(([id]) => id));
  for (const [id, { type }] of custom) {
    if (type === 'Custom::EnvControllerFunction') importAttributes(copy, id, facts, ids);
    else if (type === 'Custom::RulePriorityFunction') fixPriorities(copy, id, facts);
    else if (type === 'Custom::DynamicDesiredCountFunction') leaveCount(copy, id);
    else if (customResources[type]?.replacedBy) fixCertificate(copy, id, type, facts.physicalIds);
    else throw new TemplateError(`${copy.name}: ${id}: ${type} can't be replaced by this version`);
  }
  for (const id of copy.resources().keys()) {
    if (ids.has(id)) continue;
    for (const reference of referencesOf(partOf(copy, id)))
      if (ids.has(reference))
        throw new TemplateError(
          `${copy.name}: ${id} uses ${reference} in a way that Copilot does not: take it out of the overrides, and deploy with Copilot`,
        );
    dropDependencies(copy, id, ids);
  }
  note(copy, 'detach');
  return copy;
}

function partOf(template: Template, id: string): Value {
  return toValue(template.node(['Resources', id]));
}

function importAttributes(template: Template, id: string, facts: Facts, untouched: ReadonlySet<string>): void {
  const prefix = `${facts.application}-${facts.environment}-`;
  template.replaceAttributes(id, (attribute, [section, user]) => {
    // Custom resources stay exactly as they are: a changed property would call their functions.
    if (section === 'Resources' && untouched.has(String(user))) return undefined;
    const name = facts.environmentExports[attribute];
    if (name === undefined)
      throw new TemplateError(
        `${template.name}: ${id}.${attribute}: the environment has no export for this: take it out of the overrides, and deploy with Copilot`,
      );
    const hasNames = template.node(['Parameters', 'AppName']) && template.node(['Parameters', 'EnvName']);
    if (!hasNames || !name.startsWith(prefix)) return { importValue: name.replaceAll('${', '${!') };
    return { importValue: `\${AppName}-\${EnvName}-${name.slice(prefix.length)}` };
  });
}

function fixPriorities(template: Template, id: string, { priorities }: Facts): void {
  template.replaceAttributes(id, (attribute, [section, rule, , property]) => {
    const priority = section === 'Resources' && property === 'Priority' ? priorities[String(rule)] : undefined;
    if (priority === undefined)
      throw new TemplateError(`${template.name}: ${rule} uses ${id}.${attribute}, and its priority is not known`);
    return priority;
  });
}

function leaveCount(template: Template, id: string): void {
  for (const [service, { type }] of template.resources()) {
    if (type !== 'AWS::ECS::Service') continue;
    const path = ['Resources', service, 'Properties', 'DesiredCount'];
    if (template.references(path).has(id)) template.delete(path);
  }
}

/** Replaces a certificate that a custom resource requested by its ARN. */
function fixCertificate(
  template: Template,
  id: string,
  type: string,
  physicalIds: Readonly<Record<string, string>>,
): void {
  const arn = physicalIds[id];
  // Without a physical id its condition is false.
  if (!certificateTypes.has(type) || arn === undefined) return;
  if (!arn.startsWith('arn:')) throw new TemplateError(`${template.name}: ${id} is ${arn}, not a certificate`);
  template.replaceReferences(id, arn);
}

/** Removes resources that no longer exist from the DependsOn of another one. */
function dropDependencies(template: Template, id: string, gone: ReadonlySet<string>): void {
  const path = ['Resources', id, 'DependsOn'];
  const before = template.resources().get(id)?.dependsOn ?? [];
  const rest = before.filter((other) => !gone.has(other));
  if (rest.length === before.length) return;
  const node = template.node(path);
  if (rest.length === 0) template.delete(path);
  else if (isSeq(node)) node.items = node.items.filter((item) => !gone.has(String(toValue(item))));
}

/** The custom resources of a template, and the functions and roles that nothing else uses: what {@link drop} removes. */
export function removable(template: Template): string[] {
  const resources = template.resources();
  const gone = new Set([...resources].filter(([, { type }]) => isCustomResource(type)).map(([id]) => id));
  const uses = new Map([...resources.keys()].map((id) => [id, referencesOf(partOf(template, id))]));
  for (const type of ['AWS::Lambda::Function', 'AWS::IAM::Role']) {
    for (const [id, definition] of resources) {
      if (definition.type !== type) continue;
      const users = [...uses].filter(([user, used]) => user !== id && used.has(id)).map(([user]) => user);
      if (users.length > 0 && users.every((user) => gone.has(user))) gone.add(id);
    }
  }
  return [...resources.keys()].filter((id) => gone.has(id));
}

/**
 * Removes the custom resources of a detached template with their functions and roles. The function that measures a queue's
 * backlog stays, with new code and a current runtime, because the scaling depends on it.
 */
export function drop(template: Template): Template {
  const copy = template.copy();
  const gone = new Set(removable(copy));
  for (const id of gone) copy.delete(['Resources', id]);
  for (const id of copy.resources().keys()) dropDependencies(copy, id, gone);
  const left = referencesOf(copy.value());
  for (const id of gone) if (left.has(id)) throw new TemplateError(`${copy.name}: something still uses ${id}`);
  if (copy.resources().get(backlogFunction)?.type === 'AWS::Lambda::Function') {
    const code = new Scalar(backlogCode);
    code.type = Scalar.BLOCK_LITERAL;
    copy.set(['Resources', backlogFunction, 'Properties', 'Code'], copy.document.createNode({ ZipFile: code }));
    copy.set(['Resources', backlogFunction, 'Properties', 'Runtime'], 'nodejs24.x');
  }
  note(copy, 'drop');
  return copy;
}

/**
 * Removes the remaining parts of Copilot from an environment whose conditions are pinned: resources whose condition is
 * false, the conditions, the parameters that only they used, the output that Copilot's controller needs, and the custom
 * resources with their functions and roles; the certificates and records that these made stay.
 */
export function clean(template: Template, context: Context): Template {
  const copy = template.copy();
  const conditions = conditionsOf(copy, context);
  for (const section of ['Resources', 'Outputs']) {
    for (const [id, value] of Object.entries(copy.section(section))) {
      const condition = textOf(typeof value === 'object' && value && 'Condition' in value ? value.Condition : null);
      if (condition === undefined) continue;
      copy.delete(conditions[condition] === true ? [section, id, 'Condition'] : [section, id]);
    }
  }
  chooseBranches(copy, conditions);
  copy.delete(['Conditions']);
  copy.delete(['Outputs', 'EnabledFeatures']);
  const gone = removable(copy);
  for (const [id, { type }] of copy.resources()) {
    if (!isCustomResource(type)) continue;
    if (!customResources[type]?.replacedBy)
      throw new TemplateError(`${copy.name}: ${id}: ${type} can't be replaced by this version`);
    fixCertificate(copy, id, type, context.physicalIds);
  }
  for (const id of gone) copy.delete(['Resources', id]);
  const left = referencesOf(copy.section('Resources'));
  for (const id of gone) if (left.has(id)) throw new TemplateError(`${copy.name}: something still uses ${id}`);
  note(copy, 'environment');
  const used = referencesOf(copy.value());
  for (const name of featureParameters) {
    if (used.has(name)) throw new TemplateError(`${copy.name}: something still uses the parameter ${name}`);
    copy.delete(['Parameters', name]);
  }
  for (const [id, { dependsOn }] of copy.resources())
    dropDependencies(copy, id, new Set(dependsOn.filter((other) => !copy.node(['Resources', other]))));
  return copy;
}

/** Replaces each Fn::If by the branch that applies. */
function chooseBranches(template: Template, conditions: Readonly<Record<string, boolean | undefined>>): void {
  function chosen(node: unknown): unknown {
    if (isMap(node)) {
      const call = node.items.length === 1 ? node.get('Fn::If', true) : undefined;
      if (isSeq(call)) return branch(call.items);
      node.items = node.items.filter((pair) => {
        pair.value = chosen(pair.value);
        return pair.value !== undefined;
      });
    }
    if (isSeq(node)) {
      if (node.tag === '!If') return branch(node.items);
      node.items = node.items.flatMap((item) => {
        const value = chosen(item);
        return value === undefined ? [] : [value];
      });
    }
    return node;
  }
  function branch([condition, yes, no]: readonly unknown[]): unknown {
    const holds = conditions[String(textOf(toValue(condition)))];
    if (holds === undefined) throw new TemplateError(`${template.name}: an Fn::If has an unknown condition`);
    const result = chosen(holds ? yes : no);
    return textOf(refOf(toValue(result))) === 'AWS::NoValue' ? undefined : result;
  }
  chosen(template.document.contents);
}

function refOf(value: Value): Value | undefined {
  return typeof value === 'object' && value !== null && 'Ref' in value ? value.Ref : undefined;
}
