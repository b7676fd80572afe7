import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { parse } from 'yaml';
import { account, requireTools, type Tool } from './prerequisites.ts';
import { CommandFailed } from './run.ts';

/** What a command works on. */
export interface Target {
  application: string;
  service: string;
  environment: string;
  region: string;
}

/** Something that the operator can put right: the message says what and how. */
export class Refusal extends Error {}

/**
 * Runs one of the commands: checks first what it needs (the tools, and credentials if one of the tools is `aws`), says
 * where it works, and ends with how long it took. Errors come out as lines for the operator, with exit code 1.
 */
export async function command(
  name: string,
  tools: Tool[],
  work: (target: Target, account: string) => Promise<void>,
): Promise<void> {
  const start = performance.now();
  try {
    const target = readTarget(process.env);
    requireTools(tools);
    // Copilot, the AWS CLI and the SDK of every language read it from here.
    process.env.AWS_REGION = process.env.AWS_DEFAULT_REGION = target.region;
    const owner = tools.includes('aws') ? await account() : '';
    const { application, environment, region } = target;
    if (owner) say(`${name}: ${application}/${environment} in ${region}, account ${owner}`);
    await work(target, owner);
    say(`${name}: done in ${duration(start)}`);
  } catch (error) {
    say(`${name}: ${error instanceof Refusal || error instanceof CommandFailed ? error.message : describe(error)}`);
    process.exitCode = 1;
  }
}

/** ENV (default test) and AWS_REGION (default us-west-2), and the names from copilot/. Throws Refusal. */
export function readTarget(env: NodeJS.ProcessEnv): Target {
  const environments = readdirSync('copilot/environments', { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'addons' && entry.name !== 'overrides')
    .map((entry) => entry.name);
  const environment = env.ENV || 'test';
  if (!environments.includes(environment)) {
    throw new Refusal(`ENV=${environment} is no environment of copilot/environments/: ${environments.join(', ')}`);
  }
  const workspace: { application: string } = parse(readFileSync('copilot/.workspace', 'utf8'));
  return {
    application: workspace.application,
    service: 'plusone',
    environment,
    region: env.AWS_REGION || env.AWS_DEFAULT_REGION || 'us-west-2',
  };
}

/** One step of a command, with its name before and its time after. */
export async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  say(`\n→ ${name}`);
  const result = await work();
  say(`✓ ${name} (${duration(start)})`);
  return result;
}

/** Throws Refusal unless the operator types the answer; YES=… in the environment has typed it already. */
export async function confirm(question: string, answer: 'yes' | string): Promise<void> {
  if (process.env.YES === '1' && answer === 'yes') return;
  if (process.env.YES === answer) return;
  if (!process.stdin.isTTY)
    throw new Refusal(`${question} Nobody is here to answer: set YES=${answer === 'yes' ? '1' : answer}`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const given = await terminal.question(`${question} (${answer}) `);
  terminal.close();
  if (given.trim().toLowerCase() !== answer) throw new Refusal('nothing was changed');
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function duration(start: number): string {
  const seconds = Math.round((performance.now() - start) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
