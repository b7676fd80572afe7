import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { UsageError } from '../k8s/errors.ts';
import { DocumentError } from '../manifest/document.ts';
import { displayed, MissingInput, openWorkspace, readText, type Workspace } from '../manifest/workspace.ts';
import { Refusal } from '../tools/terminal/refusal.ts';
import type { Journal, Session } from './apply.ts';
import { clients, readInventory, withDrift } from './aws.ts';

import { cdkFiles } from './cdk.ts';
import { deploy } from './deploy.ts';
import { type Inventory, parseInventory, refusals } from './inventory.ts';
import { report } from './report.ts';
import { applyStep, checkStep, undoStep } from './run.ts';
import { type Change, changes, stepNames } from './steps.ts';
import { TemplateError } from './template.ts';
import { edited, stackFiles, stepFiles, writeText } from './write.ts';

const usage = `Takes the deployed stacks of a Copilot environment out of Copilot: the same stacks and resources, without its custom resources.

Usage: eject plan   --environment ENV                          read the stacks, write inventory.json and REPORT.md
       eject write  --environment ENV --to cloudformation|cdk  write the templates of all steps and of the stacks after them
       eject check STEP --environment ENV [--service NAME]     make and judge the change sets of a step, and remove them
       eject apply STEP --environment ENV [--service NAME]     carry out a step
       eject undo STEP  --environment ENV [--service NAME]     take a step back
       eject deploy     --environment ENV --service NAME       afterwards: release from the edited manifest

Steps, in this order: ${stepNames.join(', ')}. AWS is only read until apply, undo and the change sets of check.

  --environment ENV   the environment
  --workspace PATH    the Copilot workspace (default: copilot)
  --output PATH       where plan and write write (default: ejected/ENV)
  --service NAME      only this service or job (default: all)
  --to FORMAT         cloudformation, or cdk for a CDK app of the stacks as well (default: cloudformation)
  --tag TAG           deploy: the tag of the images that are built (default: the commit)
  --image IMAGE       deploy: the image of the service, instead of building one
  --yes               apply, undo and deploy without asking
  --help              this text

Exit code: 0 done, 1 refused or failed, 64 wrong usage, 65 something wrong in a file, 66 a file is missing.`;

/** Runs `eject` with these arguments and gives back the exit code of the process. */
export async function eject(args: readonly string[]): Promise<number> {
  try {
    const options = readOptions(args);
    if (options.help) console.log(usage);
    else await run(options);
    return 0;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const code = exitCode(error);
    console.error(code === 64 ? `${error.message}\n\n${usage}` : describe(error));
    return code;
  }
}

function exitCode(error: Error): number {
  if (error instanceof UsageError || ('code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))) return 64;
  if (error instanceof TemplateError || error instanceof DocumentError || error instanceof z.ZodError) return 65;
  return error instanceof MissingInput ? 66 : 1;
}

/** AWS's own errors have their meaning in the name. */
function describe(error: Error): string {
  const isOurs = [TemplateError, DocumentError, Refusal, MissingInput].some((kind) => error instanceof kind);
  return isOurs ? error.message : `${error.name}: ${error.message}`;
}

type Options = ReturnType<typeof readOptions>;

const commands = ['plan', 'write', 'check', 'apply', 'undo', 'deploy'] as const;

function readOptions(args: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      environment: { type: 'string' },
      workspace: { type: 'string', default: 'copilot' },
      output: { type: 'string' },
      service: { type: 'string' },
      to: { type: 'string', default: 'cloudformation' },
      tag: { type: 'string' },
      image: { type: 'string' },
      yes: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [command, step, ...rest] = positionals;
  if (values.help) return { ...values, environment: '', output: '', command: 'plan' as const, step: undefined };
  const known = commands.find((name) => name === command);
  if (!known) throw new UsageError(`${command ?? 'no command'}: expected ${commands.join(', ')}`);
  const needsStep = known === 'check' || known === 'apply' || known === 'undo';
  const name = stepNames.find((item) => item === step);
  if (needsStep && !name) throw new UsageError(`${known} ${step ?? ''}: expected a step: ${stepNames.join(', ')}`);
  if (rest.length > 0 || (!needsStep && step !== undefined))
    throw new UsageError(`unexpected argument ${rest[0] ?? step}`);
  if (!values.environment) throw new UsageError('--environment is missing');
  if (values.to !== 'cloudformation' && values.to !== 'cdk')
    throw new UsageError(`--to ${values.to}: expected cloudformation or cdk`);
  const output = values.output ?? join('ejected', values.environment);
  return { ...values, environment: values.environment, output, command: known, step: name };
}

async function run(options: Options): Promise<void> {
  const { command, step } = options;
  if (command === 'plan') return await plan(options);
  if (command === 'write') return write(options);
  if (command === 'deploy') return await release(options);
  if (!step) throw new UsageError(`${command}: expected a step: ${stepNames.join(', ')}`);
  const session = openSession(options);
  const all = changes(session.inventory);
  const unexpected = edited(options.output, stepFiles(all));
  if (unexpected.length > 0)
    throw new Refusal(
      `edited after they were written, which has no effect here: ${unexpected.join(', ')}; run write again`,
    );
  const chosen = all.filter((change) => change.step === step && isChosen(change, options));
  if (chosen.length === 0) throw new UsageError(`--service ${options.service}: ${step} has nothing to do for it`);
  if (command === 'check') return await checkStep(session, all, chosen);
  if (command === 'apply') return await applyStep(session, all, chosen);
  return await undoStep(session, all, chosen);
}

function isChosen({ stack }: Change, { service }: Options): boolean {
  return service === undefined || stack.workload === service;
}

async function plan({ environment, workspace: path, output }: Options): Promise<void> {
  const workspace = openWorkspace(path);
  const connected = clients();
  const read = await readInventory(connected, workspace.application, environment);
  const inventory = await withDrift(connected, read);
  const problems = refusals(inventory, manifestsOf(workspace));
  if (problems.length > 0) throw new Refusal(problems.join('\n'));
  const all = changes(inventory);
  writeText(join(output, 'inventory.json'), `${JSON.stringify(inventory, null, 2)}\n`);
  writeText(join(output, 'REPORT.md'), report(inventory, all, notesOn(workspace)));
  console.log(
    `${displayed(join(output, 'REPORT.md'))}: what each step changes\n${displayed(join(output, 'inventory.json'))}: the stacks as they are deployed`,
  );
}

async function release({ environment, workspace, output, service, tag, image, yes }: Options): Promise<void> {
  if (service === undefined) throw new UsageError('deploy: --service is missing');
  const journal = fileJournal(join(output, 'log.jsonl'));
  const session = { clients: clients(), journal, say, confirm: (question: string) => confirm(question, yes) };
  await deploy(session, { workspace: openWorkspace(workspace), environment, service, tag, image, output });
}

function say(line: string): void {
  console.log(line);
}

function manifestsOf({ folder, workloads }: Workspace): Map<string, string> {
  return new Map(workloads.map((name) => [name, readText(join(folder, name, 'manifest.yml')).text]));
}

function notesOn({ folder, workloads }: Workspace): string[] {
  return workloads
    .map((name) => join(folder, name, 'overrides'))
    .filter((path) => existsSync(path))
    .map(
      (path) => `${displayed(path)}: what it changes is in the deployed template already; afterwards it has no effect.`,
    );
}

function write(options: Options): void {
  const inventory = storedInventory(options);
  const all = changes(inventory);
  const app = options.to === 'cdk' ? cdkFiles(inventory, all) : [];
  const files = new Map([...stepFiles(all), ...stackFiles(inventory, all), ...app]);
  for (const [path, text] of files) writeText(join(options.output, path), text);
  console.log(`${files.size} files in ${displayed(options.output)}: steps/, undo/ and stacks/`);
}

function storedInventory({ output, environment }: Options): Inventory {
  const { text, name } = readText(join(output, 'inventory.json'));
  let inventory: Inventory;
  try {
    inventory = parseInventory(text);
  } catch {
    throw new MissingInput(`${name} is not an inventory: run plan again`);
  }
  if (inventory.environment !== environment)
    throw new UsageError(`${name} is of the environment ${inventory.environment}, not ${environment}`);
  return inventory;
}

function openSession(options: Options): Session {
  return {
    clients: clients(),
    inventory: storedInventory(options),
    journal: fileJournal(join(options.output, 'log.jsonl')),
    say,
    confirm: (question) => confirm(question, options.yes),
  };
}

const entrySchema = z.object({ event: z.string(), stack: z.string() }).partial();

/** A journal with a line of JSON for each entry. */
export function fileJournal(path: string): Journal {
  return {
    write(entry) {
      mkdirSync(join(path, '..'), { recursive: true });
      appendFileSync(path, `${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`);
    },
    isUpdating(stack) {
      if (!existsSync(path)) return false;
      const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
      const entries = lines.flatMap((line) => {
        try {
          return [entrySchema.parse(JSON.parse(line))];
        } catch {
          // The last line of a run that was killed while it wrote.
          return [];
        }
      });
      return entries.findLast((entry) => entry.stack === stack)?.event === 'execute';
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

if (import.meta.main) process.exitCode = await eject(process.argv.slice(2));
