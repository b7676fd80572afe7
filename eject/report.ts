import { certificateTypes, customResources, isCustomResource } from './copilot-resources.ts';
import { type DeployedStack, environmentStack, type Inventory, workloadStacks, workloadType } from './inventory.ts';
import { difference } from './judge.ts';
import { type Change, contextOf, stepNames } from './steps.ts';
import { Template } from './template.ts';
import { removable } from './transform.ts';

/** Resources that cost money, as `kind: unit of billing`. */
const costs: Readonly<Record<string, string>> = {
  'AWS::EC2::EIP': 'public IPv4 address, by the hour',
  'AWS::EC2::NatGateway': 'NAT gateway, by the hour and by traffic',
  'AWS::ECS::Service': 'tasks on Fargate, by vCPU and memory per second',
  'AWS::EFS::FileSystem': 'file system, by storage',
  'AWS::ElasticLoadBalancingV2::LoadBalancer': 'load balancer, by the hour and by traffic',
  'AWS::KMS::Key': 'key, by the month',
  'AWS::RDS::DBCluster': 'database, by storage',
  'AWS::RDS::DBInstance': 'database, by the hour and by storage',
  'AWS::Route53::HostedZone': 'hosted zone, by the month',
  'AWS::SecretsManager::Secret': 'secret, by the month',
};

const risks: Readonly<Record<(typeof stepNames)[number], { does: string; risk: string; undo: string }>> = {
  retain: {
    does: 'gives the resources that hold data and all custom resources `DeletionPolicy: Retain` and `UpdateReplacePolicy: Retain`',
    risk: 'none known: only policies change, no resource is touched',
    undo: 'the template as Copilot deployed it',
  },
  pin: {
    does: 'makes constants of the conditions of the environment, as they are now; its parameters stay',
    risk: 'until it is undone, Copilot cannot add or remove a load balancer, NAT gateways or a file system, and `copilot env deploy` would undo it',
    undo: 'the template before it',
  },
  detach: {
    does: 'replaces what the service takes from its custom resources by imports and literals; the custom resources stay, unused',
    risk: 'a change set may announce replacements that do not happen; a temporary stack policy denies them',
    undo: 'the template before it; priorities of listener rules may be computed again if `drop` had been applied',
  },
  drop: {
    does: 'removes the custom resources (they are retained, so their functions are not called), their functions and roles',
    risk: '`copilot svc deploy` creates them again',
    undo: 'the template before it: the functions are created again from the bucket of Copilot, which must still be there',
  },
  environment: {
    does: 'removes the conditions, the parameters that only they used, the output that the controller needed, and its custom resources with their functions and roles; certificates and records stay',
    risk: 'from here `copilot env deploy` must not be run: it would bring the parameters back empty',
    undo: 'the template before it, with the values of the parameters from the inventory; with a domain, another certificate is requested',
  },
};

/**
 * REPORT.md: the deployed stacks, what a naive removal would destroy, what each step changes, what stays unmanaged, and
 * the costs. `notes` are findings in the workspace, such as overrides.
 */
export function report(inventory: Inventory, changes: readonly Change[], notes: readonly string[]): string {
  const { application, environment, account, region, takenAt } = inventory;
  const lines = [
    `# ${application}/${environment} without Copilot`,
    '',
    `Account ${account}, ${region}, as deployed at ${takenAt}. Nothing was changed by making this report.`,
    '',
    '## What is deployed',
    '',
    ...table(
      ['stack', 'what', 'status', 'resources'],
      inventory.stacks.map((stack) => [
        stack.name,
        kindOf(stack),
        stack.status,
        String(Object.keys(stack.resources).length),
      ]),
    ),
    '',
    '## What removing the custom resources by hand would destroy',
    '',
    ...naiveRemoval(inventory),
    '',
    '## Steps',
    '',
    `In this order: ${stepNames.join(', ')}. Each can be repeated, interrupted, and undone in reverse order.`,
    ...stepNames.flatMap((step) => stepLines(changes.filter((change) => change.step === step))),
    '',
    '## What stays, managed by no stack of this environment',
    '',
    `- The stack set ${application}-infrastructure with its repositories, the bucket of the artifacts and its key, and the stack ${application}-infrastructure-roles: releases need the repositories and the bucket.`,
    `- Parameters of SSM below /copilot/applications/${application} (records of Copilot) and /copilot/${application}/${environment}/secrets (secrets; the tasks read them).`,
    ...madeByFunctions(inventory),
    ...logGroups(inventory),
    ...oldRuntimes(changes),
    '- What `DeletionPolicy: Retain` keeps when a stack is deleted later: the stack is gone, these resources are not.',
    '',
    '## What it costs to keep',
    '',
    'The steps add nothing that is paid. These are there already, and go on:',
    '',
    ...costLines(inventory),
    '',
    '## Before the first step',
    '',
    '- Disable the pipelines of this application: a deployment by Copilot between two steps is refused or undoes them.',
    ...notes.map((note) => `- ${note}`),
    ...unprotected(inventory),
    ...drifted(inventory),
  ];
  return `${lines.join('\n')}\n`;
}

function kindOf(stack: DeployedStack): string {
  if (stack.kind === 'workload') return `${stack.workload}: ${workloadType(new Template(stack.template, stack.name))}`;
  return stack.kind === 'environment' ? 'environment' : 'nested stack (addons); not changed by any step';
}

function naiveRemoval(inventory: Inventory): string[] {
  const environment = environmentStack(inventory);
  const template = new Template(environment.template, environment.name);
  const context = contextOf(inventory, environment);
  const lines = workloadStacks(inventory).flatMap((stack) => {
    const own = new Template(stack.template, stack.name);
    return [...own.resources()].flatMap(([id, { type }]) => {
      if (!isCustomResource(type)) return [];
      if (type !== 'Custom::EnvControllerFunction')
        return [`- ${stack.name}, ${id}: ${customResources[type]?.onDelete}.`];
      const parameters = without(context.parameters, stack.workload ?? '');
      const { removed } = difference(template, template, context, { ...context, parameters });
      if (removed.length === 0)
        return [`- ${stack.name}, ${id}: nothing while other services use the same parts of the environment.`];
      return [`- ${stack.name}, **${id}**: its function would delete ${removed.join(', ')} of ${environment.name}.`];
    });
  });
  const own = Object.entries(environment.resources).flatMap(([id, { type }]) =>
    isCustomResource(type) ? [`- ${environment.name}, ${id}: ${customResources[type]?.onDelete}.`] : [],
  );
  const names = workloadStacks(inventory).map(({ workload = '' }) => workload);
  const parameters = names.reduce((rest, name) => without(rest, name), context.parameters);
  const all = difference(template, template, context, { ...context, parameters }).removed;
  return [
    ...lines,
    ...own,
    '',
    all.length > 0 ? `After the last service these would be gone: ${all.join(', ')}.` : 'Nothing more.',
  ];
}

function without(parameters: Readonly<Record<string, string>>, workload: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => {
      if (!name.endsWith('Workloads')) return [name, value];
      const rest = value.split(',').filter((item) => item !== workload);
      return [name, rest.join(',')];
    }),
  );
}

function stepLines(changes: readonly Change[]): string[] {
  const [first] = changes;
  if (!first) return [];
  const { does, risk, undo } = risks[first.step];
  return [
    '',
    `### ${first.step}`,
    '',
    `It ${does}.`,
    '',
    `- Risk: ${risk}.`,
    `- Undo: ${undo} (\`eject undo ${first.step}\`).`,
    ...changes.map((change) => `- ${change.stack.name}: ${summary(change)}.`),
  ];
}

function summary({ step, from, to, expected }: Change): string {
  if (step === 'retain') {
    const before = from.resources();
    const ids = [...to.resources()].filter(([id, { deletionPolicy }]) => {
      return deletionPolicy === 'Retain' && before.get(id)?.deletionPolicy !== 'Retain';
    });
    return ids.length > 0 ? ids.map(([id]) => id).join(', ') : 'nothing new';
  }
  if (step === 'drop') {
    const changed = Object.entries(expected.modified).map(([id, names]) => `; ${id}: other ${names.join(', ')}`);
    return `removes ${expected.removed.join(', ') || 'nothing'}${changed.join('')}`;
  }
  if (step === 'detach') {
    const properties = Object.entries(expected.modified).map(([id, names]) => `${id}: without ${names.join(', ')}`);
    return `${removable(to).length} resources become unused${properties.length > 0 ? `; ${properties.join('; ')}` : ''}`;
  }
  const conditions = Object.keys(from.section('Conditions'));
  return `${step === 'pin' ? 'pins' : 'removes'} ${[...conditions, ...expected.removed].join(', ')}`;
}

function logGroups(inventory: Inventory): string[] {
  const functions = workloadStacks(inventory).flatMap((stack) => {
    const gone = new Set(removable(new Template(stack.template, stack.name)));
    return Object.entries(stack.resources).filter(([id, { type }]) => type === 'AWS::Lambda::Function' && gone.has(id));
  });
  const names = functions.map(([, { physicalId }]) => `/aws/lambda/${physicalId}`);
  return names.length > 0 ? [`- Log groups of the removed functions: ${names.join(', ')}.`] : [];
}

function costLines({ stacks }: Inventory): string[] {
  const counts = new Map<string, string[]>();
  for (const { name, resources } of stacks)
    for (const [id, { type }] of Object.entries(resources))
      if (type in costs) counts.set(type, [...(counts.get(type) ?? []), `${id} (${name})`]);
  return [...counts].map(([type, ids]) => `- ${ids.length} × ${costs[type]}: ${ids.join(', ')}`);
}

/** Resources with data in nested stacks, which no step changes, without a DeletionPolicy. */
function unprotected({ stacks }: Inventory): string[] {
  return stacks
    .filter(({ kind }) => kind === 'nested')
    .flatMap((stack) => {
      const resources = [...new Template(stack.template, stack.name).resources()];
      return resources
        .filter(
          ([, { type, deletionPolicy }]) =>
            /::(DB(Instance|Cluster)|Table|Bucket|FileSystem)$/.test(type) && !deletionPolicy,
        )
        .map(
          ([id, { type }]) =>
            `- ${stack.name}: ${id} (${type}) has no DeletionPolicy. The stack that contains it is retained; consider a policy in the addon.`,
        );
    });
}

function drifted({ stacks }: Inventory): string[] {
  return stacks.flatMap(({ name, drift }) =>
    Object.entries(drift).map(([id, found]) => {
      const what = found === 'deleted' ? 'deleted' : `changed in ${found.join(', ')}`;
      return `- ${name}: ${id} was ${what} outside the stack. No step restores it.`;
    }),
  );
}

/** The certificates and DNS records of custom resources, which stay when these are removed. */
function madeByFunctions({ stacks }: Inventory): string[] {
  return stacks.flatMap(({ name, resources, parameters }) =>
    Object.entries(resources).flatMap(([id, { type, physicalId }]) => {
      if (certificateTypes.has(type))
        return [
          `- ${name}, ${id}: the certificate ${physicalId} with its validation records, with which ACM renews it. Undoing its removal requests another one.`,
        ];
      if (type === 'Custom::DNSDelegationFunction')
        return [`- ${name}, ${id}: the NS records of this environment in the hosted zone of ${parameters.AppDNSName}.`];
      if (/^Custom::(NLB)?CustomDomainFunction$/.test(type))
        return [
          `- ${name}, ${id}: the A records of its aliases (${parameters.Aliases || parameters.NLBAliases || 'none'}). A new alias needs a record and a certificate that you make.`,
        ];
      return [];
    }),
  );
}

/** Remaining functions with a runtime that AWS retires. */
function oldRuntimes(changes: readonly Change[]): string[] {
  const last = new Map(changes.map(({ stack, to }) => [stack.name, to]));
  return [...last].flatMap(([name, template]) =>
    [...template.resources()]
      .filter(([, { type, properties }]) => {
        return type === 'AWS::Lambda::Function' && /^nodejs(1\d|20)\./.test(String(properties.Runtime));
      })
      .map(
        ([id, { properties }]) => `- ${name}: the function ${id} stays on ${properties.Runtime}, which AWS retires.`,
      ),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
