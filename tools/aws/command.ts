import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { parse } from 'yaml';
import { makeTarget } from '../terminal/make-target.ts';
import { duration, remark, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { requireTools, type ToolName } from '../terminal/requirements.ts';
import { identity, regionOf } from './credentials.ts';

/** What a command works on. */
export interface Target {
  application: string;
  service: string;
  environment: string;
  region: string;
}

/**
 * Runs one of the commands: checks first what it needs (the tools, and credentials if one of the tools is `aws`), says
 * where it works, and ends with how long it took. Errors come out as lines for the operator, with exit code 1.
 */
export async function command(
  name: string,
  tools: readonly ToolName[],
  work: (target: Target, account: string) => Promise<void>,
): Promise<void> {
  const started = performance.now();
  await makeTarget(`make ${name}`, async () => {
    const what = readTarget(process.env);
    // Copilot, the AWS CLI and the SDK of every language read it from here.
    process.env.AWS_REGION = process.env.AWS_DEFAULT_REGION = what.region;
    const account = tools.length === 0 ? '' : await step('tools and credentials', () => prepare(tools));
    const { application, environment, region } = what;
    if (account) remark(`${name}: ${application}/${environment} in ${region}, account ${account}`);
    await work(what, account);
    remark(`${name}: done in ${duration(started)}`);
  });
}

/** Looks for the tools; gives back the account of the credentials if one of the tools is `aws`. */
async function prepare(tools: readonly ToolName[]): Promise<string> {
  await requireTools(tools);
  return tools.includes('aws') ? (await identity()).account : '';
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
    region: regionOf(env),
  };
}

/** Throws Refusal unless the operator types the answer; YES=… in the environment has typed it already. */
export async function confirm(question: string, answer: 'yes' | string): Promise<void> {
  if (process.env.YES === '1' && answer === 'yes') return;
  if (process.env.YES === answer) return;
  if (!process.stdin.isTTY) throw new Refusal(`${question} Not a terminal: set YES=${answer === 'yes' ? '1' : answer}`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const given = await terminal.question(`${question} (${answer}) `);
  terminal.close();
  if (given.trim().toLowerCase() !== answer) throw new Refusal('nothing was changed');
}
