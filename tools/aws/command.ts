import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { parse } from 'yaml';
import { makeTarget } from '../terminal/make-target.ts';
import { duration, remark, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { requireTools, type ToolName } from '../terminal/requirements.ts';
import { identity, regionOf } from './credentials.ts';

/** The environment and the service that a command works on. */
export interface Target {
  application: string;
  service: string;
  environment: string;
  region: string;
}

/**
 * Runs a make target: checks its requirements (the tools, and credentials if `aws` is one of them), prints its target and
 * finally its duration. Errors are printed for the operator, with exit code 1.
 */
export async function command(
  name: string,
  tools: readonly ToolName[],
  work: (target: Target, account: string) => Promise<void>,
): Promise<void> {
  const started = performance.now();
  await makeTarget(`make ${name}`, async () => {
    const what = readTarget(process.env);
    // Copilot reads the first, the AWS CLI the second.
    process.env.AWS_REGION = process.env.AWS_DEFAULT_REGION = what.region;
    const account = tools.length === 0 ? '' : await step('tools and credentials', () => prepare(tools));
    const { application, environment, region } = what;
    if (account) remark(`${name}: ${application}/${environment} in ${region}, account ${account}`);
    await work(what, account);
    remark(`${name}: done in ${duration(started)}`);
  });
}

/** Checks the tools; returns the account of the credentials if one of the tools is `aws`. */
async function prepare(tools: readonly ToolName[]): Promise<string> {
  await requireTools(tools);
  return tools.includes('aws') ? (await identity()).account : '';
}

/**
 * The target: ENV (default test), AWS_REGION (default us-west-2), and the names from copilot/.
 * @throws {Refusal} if there is no such environment
 */
export function readTarget(env: NodeJS.ProcessEnv): Target {
  const environments = readdirSync('copilot/environments', { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'addons' && entry.name !== 'overrides')
    .map((entry) => entry.name);
  const environment = env.ENV || 'test';
  if (!environments.includes(environment)) {
    throw new Refusal(
      `ENV is ${environment}; it must be an environment of copilot/environments/: ${environments.join(', ')}`,
    );
  }
  const workspace: { application: string } = parse(readFileSync('copilot/.workspace', 'utf8'));
  return {
    application: workspace.application,
    service: 'plusone',
    environment,
    region: regionOf(env),
  };
}

/**
 * Asks the operator to type the answer; the variable YES replaces it.
 * @throws {Refusal} on another answer, or without a terminal
 */
export async function confirm(question: string, answer: 'yes' | string): Promise<void> {
  if (process.env.YES === '1' && answer === 'yes') return;
  if (process.env.YES === answer) return;
  if (!process.stdin.isTTY) throw new Refusal(`${question} Not a terminal: set YES=${answer === 'yes' ? '1' : answer}`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const given = await terminal.question(`${question} (${answer}) `);
  terminal.close();
  if (given.trim().toLowerCase() !== answer) throw new Refusal('nothing was changed');
}
