import { z } from 'zod';
import { DocumentError } from '../manifest/document.ts';
import { copilotVersion, customResources, isCustomResource, supportedTypes } from './copilot-resources.ts';
import { isSameManifest } from './deployed-manifest.ts';
import { Template, TemplateError } from './template.ts';

const texts = z.record(z.string(), z.string());

const stackSchema = z.object({
  name: z.string(),
  id: z.string(),
  kind: z.enum(['environment', 'workload', 'nested']),
  /** The name of the service or job. */
  workload: z.string().optional(),
  status: z.string(),
  /** The template as it was deployed. */
  template: z.string(),
  parameters: texts,
  tags: texts,
  capabilities: z.array(z.string()),
  /** The role that CloudFormation uses; undefined if it uses the caller's permissions. */
  role: z.string().optional(),
  /** The stack policy, or undefined. */
  policy: z.string().optional(),
  outputs: z.record(z.string(), z.object({ value: z.string(), exportName: z.string().optional() })),
  resources: z.record(z.string(), z.object({ type: z.string(), physicalId: z.string() })),
  /** The priorities of its listener rules, by their logical ids. */
  priorities: texts,
  /** The drifted resources, by their logical ids: deleted, or with these properties changed. */
  drift: z.record(z.string(), z.union([z.literal('deleted'), z.array(z.string())])),
});

const inventorySchema = z.object({
  application: z.string(),
  environment: z.string(),
  account: z.string(),
  region: z.string(),
  partition: z.string(),
  /** An ISO 8601 time. */
  takenAt: z.string(),
  stacks: z.array(stackSchema),
  /** The values of all exports of the account and region that these stacks define or import. */
  exports: texts,
});

export type DeployedStack = z.output<typeof stackSchema>;
export type Inventory = z.output<typeof inventorySchema>;

/** Reads the inventory from the text of its file. Throws ZodError or SyntaxError. */
export function parseInventory(text: string): Inventory {
  return inventorySchema.parse(JSON.parse(text));
}

export function environmentStack(inventory: Inventory): DeployedStack {
  const found = inventory.stacks.find(({ kind }) => kind === 'environment');
  if (!found) throw new Error(`the inventory has no stack of the environment ${inventory.environment}`);
  return found;
}

/** The stacks of services and jobs by the names of these. */
export function workloadStacks(inventory: Inventory): DeployedStack[] {
  return inventory.stacks
    .filter(({ kind }) => kind === 'workload')
    .toSorted((a, b) => ((a.workload ?? '') < (b.workload ?? '') ? -1 : 1));
}

/** The type of a workload, by the manifest that Copilot keeps in the template; undefined when it can't be told. */
export function workloadType(template: Template): string | undefined {
  return /^type:\s*['"]?([^'"#\n]+?)['"]?\s*(#.*)?$/m.exec(template.metadata('Manifest') ?? '')?.[1];
}

const settled = /^(CREATE|UPDATE|IMPORT)_COMPLETE$|^UPDATE_ROLLBACK_COMPLETE$/;

/**
 * The reasons why this version does not support these stacks, each with its stack and resource; empty if it does.
 * `manifests` are those of the workspace, by the names of the workloads; that of the environment is optional, since Copilot
 * needs none.
 */
export function refusals(
  inventory: Inventory,
  manifests: ReadonlyMap<string, string>,
  environmentManifest?: string,
): string[] {
  return [
    ...inventory.stacks.flatMap((stack) => [
      ...statusRefusals(stack),
      ...driftRefusals(stack),
      ...templateRefusals(stack),
    ]),
    ...inventory.stacks.flatMap((stack) => tagRefusals(inventory, stack)),
    ...workloadStacks(inventory).flatMap((stack) => {
      const local = manifests.get(stack.workload ?? '');
      if (local !== undefined) return manifestRefusals(inventory, stack, local, stack.workload ?? '');
      return [
        `${stack.name}: the workspace has no manifest for ${stack.workload}: use the workspace that was deployed`,
      ];
    }),
    ...(environmentManifest === undefined
      ? []
      : manifestRefusals(inventory, environmentStack(inventory), environmentManifest, inventory.environment)),
  ];
}

function statusRefusals({ name, status }: DeployedStack): string[] {
  if (settled.test(status)) return [];
  if (/_IN_PROGRESS$/.test(status)) return [`${name} is ${status}: a deployment is in progress; wait for it`];
  return [`${name} is ${status}: bring it to a complete state first`];
}

/** An update of a service would revert changes that were made outside the stack, such as its task definition. */
function driftRefusals({ name, resources, drift }: DeployedStack): string[] {
  return Object.entries(drift).flatMap(([id, found]) => {
    if (found === 'deleted')
      return [`${name}: ${id} was deleted outside the stack: restore it, or deploy with Copilot`];
    const changed = resources[id]?.type === 'AWS::ECS::Service' ? found.filter((path) => path !== '/DesiredCount') : [];
    if (changed.length === 0) return [];
    return [`${name}: ${id} was changed outside the stack (${changed.join(', ')}): deploy with Copilot to correct it`];
  });
}

function templateRefusals(stack: DeployedStack): string[] {
  if (stack.kind === 'nested') return [];
  const { name } = stack;
  let template: Template;
  try {
    template = new Template(stack.template, name);
  } catch (error) {
    if (error instanceof TemplateError) return [error.message];
    throw error;
  }
  const found: string[] = [];
  const version = template.metadata('Version');
  if (version !== copilotVersion) {
    const command = stack.kind === 'environment' ? 'env' : 'svc';
    found.push(
      `${name}: its template is of Copilot ${version ?? '(unknown)'}; deploy it with Copilot ${copilotVersion} first: copilot ${command} deploy`,
    );
  }
  if (Object.keys(template.section('Transform')).length > 0 || template.node(['Transform']))
    found.push(`${name}: the template has a Transform, which is not supported`);
  for (const [id, { type }] of template.resources()) {
    if (!isCustomResource(type)) continue;
    const known = customResources[type];
    if (!known) found.push(`${name}: ${id}: ${type} is not a custom resource of Copilot ${copilotVersion}`);
    else if (!known.replacedBy && id in stack.resources)
      found.push(`${name}: ${id}: ${type} can't be replaced by this version: ${known.instead}`);
  }
  const type = workloadType(template);
  if (stack.kind === 'workload' && !supportedTypes.some((supported) => supported === type))
    found.push(
      `${name}: the type ${type ?? '(unknown)'} is not supported (supported: ${supportedTypes.join(', ')}): leave it with Copilot in another environment, and delete it here with copilot svc delete`,
    );
  return found;
}

/** The reasons to refuse a stack whose tags are not those that Copilot gave it. */
export function tagRefusals(
  { application, environment }: Pick<Inventory, 'application' | 'environment'>,
  { name, kind, tags, workload }: Pick<DeployedStack, 'name' | 'kind' | 'tags' | 'workload'>,
): string[] {
  if (kind === 'nested') return [];
  const expected: Record<string, string> = { 'copilot-application': application, 'copilot-environment': environment };
  if (workload) expected['copilot-service'] = workload;
  return Object.entries(expected)
    .filter(([key, value]) => tags[key] !== value)
    .map(
      ([key, value]) =>
        `${name}: the tag ${key} is ${tags[key] === undefined ? 'missing' : tags[key]}, expected ${value}: IAM policies depend on it; give the stack this tag again`,
    );
}

function manifestRefusals(
  { application, environment }: Inventory,
  stack: DeployedStack,
  local: string,
  of: string,
): string[] {
  const { name } = stack;
  const file = `${of}/manifest.yml`;
  try {
    const kept = new Template(stack.template, name).metadata('Manifest');
    if (kept === undefined || isSameManifest(local, file, kept, { application, environment, shell: process.env }))
      return [];
  } catch (error) {
    if (error instanceof DocumentError) return [`${name}: ${error.message}`];
    // Of a template that can't be read there is a refusal already.
    if (error instanceof TemplateError) return [];
    throw error;
  }
  return [
    `${name}: the manifest of ${of} in the workspace is not the one that was deployed: deploy it with Copilot, or check out the one that was`,
  ];
}
