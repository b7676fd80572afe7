import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CloudFormationClient,
  CreateChangeSetCommand,
  DeleteChangeSetCommand,
  DescribeChangeSetCommand,
  DescribeStackEventsCommand,
  ExecuteChangeSetCommand,
  type Parameter,
  type Change as SdkChange,
  SetStackPolicyCommand,
  type Stack,
} from '@aws-sdk/client-cloudformation';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { Refusal } from '../tools/terminal/refusal.ts';
import { type Clients, deployedResources, deployedTemplate, describeStack, parametersOf } from './aws.ts';
import type { DeployedStack, Inventory } from './inventory.ts';
import { judge, type Verdict } from './judge.ts';
import type { Context } from './resolve.ts';
import { type Change, contextOf, type Expected, isSameTemplate } from './steps.ts';
import { Template } from './template.ts';
import { removable } from './transform.ts';

/** A longer template must be in a bucket. */
const longestBody = 51_200;
const pollMilliseconds = 2000;
const START_SECONDS = 30;

/** The record of a run, so that it can be resumed. */
export interface Journal {
  write(entry: Readonly<Record<string, unknown>>): void;
  /** The event of the last entry of a stack: an update is started, has ended, or was found as it should be. */
  last(stack: string): 'execute' | 'end' | 'done' | undefined;
}

export interface Session {
  readonly clients: Clients;
  /** As it was planned. */
  readonly inventory: Inventory;
  readonly journal: Journal;
  readonly say: (line: string) => void;
  /** Throws if the user does not agree. */
  readonly confirm: (question: string) => Promise<void>;
}

/**
 * The index of the last of these templates that equals the deployed one (-1: none), and the stack's description. Waits for
 * the update of an interrupted run; throws Refusal if another one is in progress or the stack is in a failed state.
 */
export async function positionOf(
  { clients: { cloudFormation }, inventory, journal, say }: Session,
  stack: DeployedStack,
  templates: readonly Template[],
): Promise<{ position: number; description: Stack }> {
  const description = await settledStack(cloudFormation, stack.name, journal.last(stack.name) === 'execute', say);
  if (description.StackId !== stack.id)
    throw new Refusal(`${stack.name} is a different stack from the one in the inventory of ${inventory.takenAt}`);
  const deployed = new Template(await deployedTemplate(cloudFormation, stack.name), stack.name);
  return { position: templates.findLastIndex((template) => isSameTemplate(deployed, template)), description };
}

/** The stack when nothing is in progress in it; waits only for an update of ours. Throws Refusal. */
export async function settledStack(
  client: CloudFormationClient,
  name: string,
  isOurs: boolean,
  say: (line: string) => void,
): Promise<Stack> {
  let stack = await describeStack(client, name);
  if (!stack) throw new Refusal(`the stack ${name} does not exist`);
  if (stack.StackStatus?.endsWith('_IN_PROGRESS')) {
    if (!isOurs) throw new Refusal(`${name} is ${stack.StackStatus}: a deployment is in progress; wait for it`);
    say(`${name}: the update of an interrupted run is in progress; waiting for it`);
    stack = await waitForStack(client, name);
  }
  if (!/^(CREATE|UPDATE|IMPORT)_COMPLETE$|^UPDATE_ROLLBACK_COMPLETE$/.test(stack.StackStatus ?? ''))
    throw new Refusal(`${name} is ${stack.StackStatus}: bring it to a complete state first`);
  return stack;
}

/** Waits until nothing is in progress in a stack. */
export async function waitForStack(client: CloudFormationClient, name: string): Promise<Stack> {
  for (let pause = pollMilliseconds / 8; ; pause = Math.min(2 * pause, pollMilliseconds)) {
    const stack = await describeStack(client, name);
    if (!stack) throw new Refusal(`the stack ${name} does not exist any more`);
    if (!stack.StackStatus?.endsWith('_IN_PROGRESS')) return stack;
    await sleep(pause);
  }
}

/** An update of a stack, with the changes that it may make. */
export interface Update {
  readonly name: string;
  readonly from: Template;
  readonly to: Template;
  readonly expected: Expected;
  /** The resources that may be replaced, such as a task definition in a release. */
  readonly mayReplace: readonly string[];
  /** Values of parameters that differ from the deployed ones. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The values of parameters that the deployed template doesn't have. */
  readonly defaults: Readonly<Record<string, string>>;
  readonly before: Context;
}

/** The update for a step, from the stack as it is deployed now. */
export function updateOf(change: Change, now: Inventory): Update {
  const stack = now.stacks.find(({ name }) => name === change.stack.name);
  if (!stack) throw new Refusal(`the stack ${change.stack.name} does not exist`);
  return {
    name: `plusone-eject-${change.step}`,
    from: change.from,
    to: change.to,
    expected: change.expected,
    mayReplace: [],
    parameters: {},
    defaults: change.stack.parameters,
    before: contextOf(now, stack),
  };
}

/** A change set by its ARN: another run may make one with the same name. */
export interface MadeChangeSet {
  readonly changeSet: string;
  readonly changes: readonly SdkChange[];
}

/** Creates a change set and checks it; deletes it if there is a problem. */
export async function check(
  { clients, say }: Pick<Session, 'clients' | 'say'>,
  stack: DeployedStack,
  description: Stack,
  update: Update,
): Promise<Verdict & MadeChangeSet> {
  const known = parametersOf(description);
  const after = { ...update.defaults, ...known, ...update.parameters };
  const contexts = { before: update.before, after: { ...update.before, parameters: after } };
  const early = judge(update, contexts, undefined, update.mayReplace);
  if (early.problems.length > 0) return { ...early, changeSet: '', changes: [] };
  const { changeSet, changes } = await createChangeSet(clients, stack, description, update);
  const verdict = judge(update, contexts, changes, update.mayReplace);
  for (const note of verdict.notes) say(`  ${stack.name}: ${note}`);
  if (verdict.problems.length > 0) await deleteChangeSet(clients.cloudFormation, stack.name, update.name);
  return { ...verdict, changeSet, changes };
}

async function createChangeSet(
  { cloudFormation, s3 }: Clients,
  stack: DeployedStack,
  description: Stack,
  update: Update,
): Promise<MadeChangeSet> {
  const text = update.to.text();
  const known = parametersOf(description);
  const wanted = Object.keys(update.to.section('Parameters'));
  await deleteChangeSet(cloudFormation, stack.name, update.name);
  const { Id: changeSet = update.name } = await cloudFormation.send(
    new CreateChangeSetCommand({
      StackName: stack.name,
      ChangeSetName: update.name,
      ChangeSetType: 'UPDATE',
      ...(Buffer.byteLength(text) <= longestBody
        ? { TemplateBody: text }
        : { TemplateURL: await upload(s3, stack, text) }),
      Parameters: wanted.flatMap((name): Parameter[] => {
        const value = update.parameters[name] ?? (name in known ? undefined : update.defaults[name]);
        if (value !== undefined) return [{ ParameterKey: name, ParameterValue: value }];
        return name in known ? [{ ParameterKey: name, UsePreviousValue: true }] : [];
      }),
      // Without them some tags would be lost, and IAM policies depend on them.
      Tags: description.Tags ?? [],
      Capabilities: ['CAPABILITY_IAM', 'CAPABILITY_NAMED_IAM', 'CAPABILITY_AUTO_EXPAND'],
    }),
  );
  return { changeSet, changes: await changesOf(cloudFormation, stack.name, changeSet) };
}

async function changesOf(client: CloudFormationClient, stack: string, name: string): Promise<readonly SdkChange[]> {
  for (let pause = pollMilliseconds / 8; ; pause = Math.min(2 * pause, pollMilliseconds)) {
    const changes: SdkChange[] = [];
    let NextToken: string | undefined;
    let status = '';
    let reason = '';
    do {
      const page = await client.send(
        new DescribeChangeSetCommand({ StackName: stack, ChangeSetName: name, NextToken }),
      );
      changes.push(...(page.Changes ?? []));
      [status, reason, NextToken] = [page.Status ?? '', page.StatusReason ?? '', page.NextToken];
    } while (NextToken);
    if (status === 'CREATE_COMPLETE') return changes;
    if (status === 'FAILED') {
      await deleteChangeSet(client, stack, name);
      throw new Refusal(`${stack}: CloudFormation made no change set: ${reason || 'no reason given'}`);
    }
    await sleep(pause);
  }
}

/** Deletes a change set if it exists. */
export async function deleteChangeSet(client: CloudFormationClient, stack: string, name: string): Promise<void> {
  try {
    await client.send(new DeleteChangeSetCommand({ StackName: stack, ChangeSetName: name }));
  } catch (error) {
    if (!(error instanceof Error) || !/ChangeSetNotFound|does not exist/.test(`${error.name} ${error.message}`))
      throw error;
  }
}

/** Uploads a long template to Copilot's own bucket, from which the stack's functions come. */
async function upload(s3: Clients['s3'], stack: DeployedStack, text: string): Promise<string> {
  const bucket = /^\s*S3Bucket: ['"]?([a-z0-9.-]+)/m.exec(stack.template)?.[1] ?? bucketOf(stack);
  if (bucket === undefined)
    throw new Refusal(`${stack.name}: the template is longer than ${longestBody} bytes, and its bucket is not known`);
  const key = `plusone-eject/${stack.name}/${Date.now()}.yml`;
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: text, ContentType: 'application/yaml' }));
  const region = stack.id.split(':')[3];
  const domain = region?.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  return `https://${bucket}.s3.${region}.${domain}/${key}`;
}

function bucketOf({ parameters }: DeployedStack): string | undefined {
  return /^https:\/\/([a-z0-9.-]+?)\.s3[.-]/.exec(parameters.AddonsTemplateURL ?? '')?.[1];
}

/** A stack policy that denies all unexpected changes. */
export function stackPolicy({ expected, mayReplace }: Pick<Update, 'expected' | 'mayReplace'>): string {
  const except = (ids: readonly string[]) =>
    ids.length > 0 ? { NotResource: ids.map((id) => `LogicalResourceId/${id}`) } : { Resource: '*' };
  return JSON.stringify({
    Statement: [
      { Effect: 'Allow', Action: 'Update:*', Principal: '*', Resource: '*' },
      { Effect: 'Deny', Action: 'Update:Replace', Principal: '*', ...except(mayReplace) },
      { Effect: 'Deny', Action: 'Update:Delete', Principal: '*', ...except(expected.removed) },
    ],
  });
}

const allowAll = JSON.stringify({
  Statement: [{ Effect: 'Allow', Action: 'Update:*', Principal: '*', Resource: '*' }],
});

/** Restores the previous stack policy. CloudFormation can't remove one: without a previous policy, all is allowed. */
export async function restorePolicy(client: CloudFormationClient, stack: DeployedStack): Promise<void> {
  await client.send(new SetStackPolicyCommand({ StackName: stack.name, StackPolicyBody: stack.policy ?? allowAll }));
}

/** Executes a checked change set under a temporary stack policy, and waits for its end. */
export async function execute(
  session: Session,
  stack: DeployedStack,
  update: Update,
  changeSet: string,
): Promise<Stack> {
  const { cloudFormation } = session.clients;
  const { journal } = session;
  journal.write({ event: 'execute', stack: stack.name, update: update.name });
  const before = await describeStack(cloudFormation, stack.name);
  await cloudFormation.send(new SetStackPolicyCommand({ StackName: stack.name, StackPolicyBody: stackPolicy(update) }));
  try {
    await cloudFormation.send(new ExecuteChangeSetCommand({ StackName: stack.name, ChangeSetName: changeSet }));
  } catch (error) {
    // A denying policy would stay and block every other deployment.
    await restorePolicy(cloudFormation, stack);
    throw error;
  }
  const started = Date.now();
  await waitForStart(cloudFormation, stack.name, before?.LastUpdatedTime);
  const result = await waitForStack(cloudFormation, stack.name);
  await restorePolicy(cloudFormation, stack);
  journal.write({ event: 'end', stack: stack.name, update: update.name, status: result.StackStatus });
  if (result.StackStatus !== 'UPDATE_COMPLETE') {
    const reasons = await failures(cloudFormation, stack.name, started);
    throw new Refusal(`${stack.name} is ${result.StackStatus}:\n${reasons.join('\n') || '  no reason given'}`);
  }
  return result;
}

/** Waits until an update shows, which is a moment after the call that starts it; not for ever, because `verify` follows. */
async function waitForStart(client: CloudFormationClient, name: string, before: Date | undefined): Promise<void> {
  const deadline = performance.now() + START_SECONDS * 1000;
  while (performance.now() < deadline) {
    const stack = await describeStack(client, name);
    if (stack?.StackStatus?.endsWith('_IN_PROGRESS')) return;
    if (stack?.LastUpdatedTime?.getTime() !== before?.getTime()) return;
    await sleep(pollMilliseconds / 8);
  }
}

/** The reasons why resources of a stack failed since a time, the first one first. */
async function failures(client: CloudFormationClient, name: string, since: number): Promise<string[]> {
  const { StackEvents = [] } = await client.send(new DescribeStackEventsCommand({ StackName: name }));
  return StackEvents.filter(({ Timestamp, ResourceStatus }) => {
    return ResourceStatus?.endsWith('_FAILED') && (Timestamp?.getTime() ?? 0) >= since - 60_000;
  })
    .toReversed()
    .map(({ LogicalResourceId, ResourceStatusReason }) => `  ${LogicalResourceId}: ${ResourceStatusReason}`);
}

/** Checks that a change was made as expected: template, physical ids, exports. Throws Refusal. */
export async function verify({ clients, inventory }: Session, change: Change): Promise<void> {
  const { stack, to, expected } = change;
  const { cloudFormation } = clients;
  const deployed = new Template(await deployedTemplate(cloudFormation, stack.name), stack.name);
  const problems = isSameTemplate(deployed, to) ? [] : ['its template is not the one of this step'];
  const resources = await deployedResources(cloudFormation, stack.name);
  // Resources that `drop` removed and its undo created again have new physical ids.
  const recreated = new Set(removable(to));
  for (const [id, { physicalId }] of Object.entries(stack.resources)) {
    const now = resources[id]?.physicalId;
    if (to.resources().has(id) && now !== physicalId && !recreated.has(id))
      problems.push(`${id} was ${physicalId} and is ${now ?? 'gone'}`);
  }
  for (const id of expected.removed) if (id in resources) problems.push(`${id} is still there`);
  const description = await describeStack(cloudFormation, stack.name);
  const outputs = new Map((description?.Outputs ?? []).map(({ ExportName, OutputValue }) => [ExportName, OutputValue]));
  for (const { exportName, value } of Object.values(stack.outputs))
    if (exportName !== undefined && outputs.get(exportName) !== value)
      problems.push(`the export ${exportName} was ${value} and is ${outputs.get(exportName) ?? 'gone'}`);
  if (problems.length > 0)
    throw new Refusal(
      [`${stack.name} is not as it was at ${inventory.takenAt}:`, ...problems.map((line) => `  ${line}`)].join('\n'),
    );
}
