import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { z } from 'zod';
import { UsageError } from '../k8s/errors.ts';
import { displayed, MissingInput, openWorkspace, readText, type Workspace } from '../manifest/workspace.ts';
import { Refusal } from '../tools/terminal/refusal.ts';
import { addonEdits } from './addons.ts';
import type { Journal, Session } from './apply.ts';
import { clients, readInventory, withDrift } from './aws.ts';
import { cdkFiles } from './cdk.ts';
import { deploy } from './deploy.ts';
import { type DeployedStack, type Inventory, parseInventory, refusals } from './inventory.ts';
import { exclusively } from './lock.ts';
import { report } from './report.ts';
import { applyStep, checkStep, undoStep } from './run-steps.ts';
import { type Change, changes, environmentFacts, type StepName } from './steps.ts';
import { mapOf, Template } from './template.ts';
import { buildspec, edited, type formats, stackFiles, stepFiles, writeText } from './write.ts';

/** The options of every command. */
export interface Options {
  /** The Copilot workspace; by default the one that this folder is in. */
  readonly workspace: string | undefined;
  readonly environment: string;
  /** Where the files are; by default `ejected/ENV` beside the workspace. */
  readonly output: string | undefined;
}

/** Further options of the commands on a step. */
export interface StepOptions extends Options {
  /** Only this service or job; by default all. */
  readonly service: string | undefined;
  /** Does not ask. */
  readonly yes: boolean;
}

/** The options of a release. */
export interface ReleaseOptions extends Options {
  readonly service: string;
  /** The tag of the images that are built; by default the commit. */
  readonly tag: string | undefined;
  /** The image of the service, instead of building one. */
  readonly image: string | undefined;
  readonly yes: boolean;
}

function outputOf({ output, environment, workspace }: Options): string {
  return output ?? join(openWorkspace(workspace).root, 'ejected', environment);
}

/** Checks, applies or undoes a step of all stacks that it is for, or of one service. Throws Refusal and UsageError. */
export async function runStep(
  command: 'check' | 'apply' | 'undo',
  step: StepName,
  options: StepOptions,
): Promise<void> {
  await exclusively(outputOf(options), () => takeStep(command, step, options));
}

async function takeStep(command: 'check' | 'apply' | 'undo', step: StepName, options: StepOptions): Promise<void> {
  const session = openSession(options);
  const all = changes(session.inventory);
  const unexpected = edited(outputOf(options), stepFiles(all));
  if (unexpected.length > 0)
    throw new Refusal(`files were edited, which has no effect: ${unexpected.join(', ')}; run write again`);
  const chosen = all.filter((change) => change.step === step && isChosen(change, options));
  if (chosen.length === 0) {
    const only = options.service === undefined ? '' : ` for --service ${options.service}`;
    throw new UsageError(`${step} has nothing to do${only}`);
  }
  if (command === 'check') return await checkStep(session, all, chosen);
  if (command === 'apply') return await applyStep(session, all, chosen);
  return await undoStep(session, all, chosen);
}

function isChosen({ stack }: Change, { service }: StepOptions): boolean {
  return service === undefined || stack.workload === service;
}

/** Reads the stacks and writes inventory.json and REPORT.md. Throws Refusal with all that is not supported. */
export async function plan(options: Options): Promise<void> {
  const { environment } = options;
  const output = outputOf(options);
  const workspace = openWorkspace(options.workspace);
  const connected = clients();
  const read = await readInventory(connected, workspace.application, environment);
  const inventory = await withDrift(connected, read);
  const problems = refusals(inventory, manifestsOf(workspace), environmentManifest(workspace, environment));
  if (problems.length > 0) throw new Refusal(problems.join('\n'));
  const all = changes(inventory);
  keepEarlier(output, inventory);
  writeText(join(output, 'inventory.json'), `${JSON.stringify(inventory, null, 2)}\n`);
  writeText(
    join(output, 'REPORT.md'),
    report(inventory, all, [...notesOn(workspace), ...editedAddons(workspace, inventory)]),
  );
  console.log(
    `${displayed(join(output, 'REPORT.md'))}: what each step changes\n${displayed(join(output, 'inventory.json'))}: the stacks as they are deployed`,
  );
}

/** Keeps the inventory of an earlier plan if its steps have changed stacks since: without it they can't be undone. */
function keepEarlier(output: string, now: Inventory): void {
  const path = join(output, 'inventory.json');
  if (!existsSync(path)) return;
  const earlier = storedAt(path);
  const isUnchanged = (stack: DeployedStack) =>
    now.stacks.some(({ id, template }) => id === stack.id && template === stack.template);
  if (earlier.stacks.every(isUnchanged)) return;
  const kept = join(output, `inventory-${earlier.takenAt.replaceAll(':', '-')}.json`);
  renameSync(path, kept);
  console.log(`${displayed(kept)}: the earlier plan; its steps are undone with it in the place of inventory.json`);
}

/** Releases a service from its edited manifest, without Copilot. Throws Refusal and DocumentError. */
export async function release(options: ReleaseOptions): Promise<void> {
  const output = outputOf(options);
  const { workspace, yes, ...rest } = options;
  const journal = fileJournal(join(output, 'log.jsonl'));
  const session = { clients: clients(), journal, say, confirm: (question: string) => confirm(question, yes) };
  const inventory = join(output, 'inventory.json');
  const planned = existsSync(inventory) ? storedAt(inventory) : undefined;
  const wanted = { ...rest, workspace: openWorkspace(workspace), output, planned };
  await exclusively(output, () => deploy(session, wanted));
}

function say(line: string): void {
  console.log(line);
}

function manifestsOf({ folder, workloads }: Workspace): Map<string, string> {
  return new Map(workloads.map((name) => [name, readText(join(folder, name, 'manifest.yml')).text]));
}

function environmentManifest({ folder }: Workspace, environment: string): string | undefined {
  const path = join(folder, 'environments', environment, 'manifest.yml');
  return existsSync(path) ? readText(path).text : undefined;
}

/** Addons in the workspace that are not as deployed: no step changes them, and `eject deploy` will refuse them. */
function editedAddons({ folder }: Workspace, inventory: Inventory): string[] {
  const { stacks } = inventory;
  return stacks.flatMap(({ kind, workload, name, template, resources }) => {
    if (kind === 'nested') return [];
    const addons = stacks.find(({ id }) => id === resources.AddonsStack?.physicalId)?.template;
    const parameters = mapOf(new Template(template, name).resources().get('AddonsStack')?.properties.Parameters);
    const edits = addonEdits(
      join(folder, workload ?? 'environments', 'addons'),
      addons,
      parameters,
      environmentFacts(inventory),
    );
    return edits.map((edit) => `${edit}: not deployed; deploy it with Copilot, or take it back`);
  });
}

function notesOn({ folder, workloads }: Workspace): string[] {
  return workloads
    .map((name) => join(folder, name, 'overrides'))
    .filter((path) => existsSync(path))
    .map(
      (path) =>
        `${displayed(path)}: its changes are already in the deployed template; after ejecting it has no effect.`,
    );
}

/** Writes the templates of all steps and of the ejected stacks, and a CDK app of these. Throws TemplateError. */
export function write(options: Options, to: (typeof formats)[number]): void {
  const output = outputOf(options);
  const inventory = storedInventory(options);
  const all = changes(inventory);
  const app = to === 'cdk' ? cdkFiles(inventory, all) : [];
  const files = new Map([...stepFiles(all), ...stackFiles(inventory, all), ...app]);
  files.set('buildspec.yml', buildspec(inventory));
  for (const [path, text] of files) writeText(join(output, path), text);
  console.log(`${files.size} files in ${displayed(output)}: steps/, undo/, stacks/ and buildspec.yml`);
}

function storedInventory(options: Options): Inventory {
  const { environment } = options;
  const path = join(outputOf(options), 'inventory.json');
  const inventory = storedAt(path);
  if (inventory.environment !== environment)
    throw new UsageError(`${displayed(path)} is of the environment ${inventory.environment}, not ${environment}`);
  return inventory;
}

function storedAt(path: string): Inventory {
  const { text, name } = readText(path);
  try {
    return parseInventory(text);
  } catch {
    throw new MissingInput(`${name} is not an inventory: remove it, and run plan again`);
  }
}

function openSession(options: StepOptions): Session {
  return {
    clients: clients(),
    inventory: storedInventory(options),
    journal: fileJournal(join(outputOf(options), 'log.jsonl')),
    say,
    confirm: (question) => confirm(question, options.yes),
  };
}

const entrySchema = z.object({ event: z.enum(['execute', 'end', 'done']), stack: z.string() }).partial();

/** A journal file with a line of JSON for each entry. */
export function fileJournal(path: string): Journal {
  return {
    write(entry) {
      mkdirSync(join(path, '..'), { recursive: true });
      appendFileSync(path, `${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`);
    },
    last(stack) {
      if (!existsSync(path)) return undefined;
      const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
      const entries = lines.flatMap((line) => {
        try {
          return [entrySchema.parse(JSON.parse(line))];
        } catch {
          // An incomplete last line of a run that was killed.
          return [];
        }
      });
      return entries.findLast((entry) => entry.stack === stack)?.event;
    },
  };
}

async function confirm(question: string, isAgreed: boolean): Promise<void> {
  if (isAgreed) return;
  if (!process.stdin.isTTY) throw new Refusal(`${question} Not a terminal: use --yes`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const given = await terminal.question(`${question} (yes) `);
  terminal.close();
  if (given.trim().toLowerCase() !== 'yes') throw new Refusal('nothing was changed');
}
