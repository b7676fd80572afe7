import { z } from 'zod';
import { Failed, output } from '../terminal/programs.ts';
import { Refusal } from '../terminal/refusal.ts';
import type { Target } from './command.ts';

/** The metrics of Route 53's health checks are in this region only, so the stack of `make uptime` is there. */
export const UPTIME_REGION = 'us-east-1';

// What is there, as AWS says. Copilot keeps its own records in SSM: an application, its environments, its services.

/** Calls the AWS command line and reads its JSON. */
export async function aws<T extends z.ZodType>(answer: T, ...words: string[]): Promise<z.output<T>> {
  return answer.parse(JSON.parse((await output('aws', [...words, '--output', 'json'])) || 'null'));
}

async function parameter(name: string): Promise<string | undefined> {
  try {
    const answer = z.object({ Parameter: z.object({ Value: z.string() }) });
    return (await aws(answer, 'ssm', 'get-parameter', '--name', name)).Parameter.Value;
  } catch (error) {
    if (error instanceof Failed && error.stderr.includes('ParameterNotFound')) return undefined;
    throw error;
  }
}

/** The tags of the application as Copilot recorded it in this account and region; undefined when there is none. */
export async function applicationTags({ application }: Target): Promise<Record<string, string> | undefined> {
  const record = await parameter(`/copilot/applications/${application}`);
  return record
    ? (z.object({ tags: z.record(z.string(), z.string()).optional() }).parse(JSON.parse(record)).tags ?? {})
    : undefined;
}

export async function hasEnvironment({ application, environment }: Target): Promise<boolean> {
  return (await parameter(`/copilot/applications/${application}/environments/${environment}`)) !== undefined;
}

/** The environments of the application, by Copilot's records. */
export async function environmentNames({ application }: Target): Promise<string[]> {
  const answer = z.object({ Parameters: z.array(z.object({ Name: z.string() })) });
  const path = `/copilot/applications/${application}/environments`;
  return (await aws(answer, 'ssm', 'get-parameters-by-path', '--path', path)).Parameters.map(({ Name }) =>
    Name.slice(path.length + 1),
  );
}

export async function hasService({ application, service }: Target): Promise<boolean> {
  return (await parameter(`/copilot/applications/${application}/components/${service}`)) !== undefined;
}

/** The parameter that holds the database's password, Copilot's way: `copilot secret init` updates it. */
export function passwordParameter({ application, environment }: Target): string {
  return `/copilot/${application}/${environment}/secrets/DATABASE_PASSWORD`;
}

/** Whether there is a password for the database; its value stays where it is. */
export async function hasPassword(target: Target): Promise<boolean> {
  return (await parameter(passwordParameter(target))) !== undefined;
}

/** What the environment's stacks export under this name, or undefined when they do not. */
export async function environmentExport(target: Target, name: string): Promise<string | undefined> {
  const answer = z.object({ Exports: z.array(z.object({ Name: z.string(), Value: z.string() })) });
  const { Exports } = await aws(answer, 'cloudformation', 'list-exports');
  return Exports.find(({ Name }) => Name === `${environmentStack(target)}-${name}`)?.Value;
}

/** The identifier of the environment's database, or undefined when there is none. */
export function databaseIdentifier(target: Target): Promise<string | undefined> {
  return environmentExport(target, 'Database');
}

export interface Stack {
  status: string;
  outputs: Record<string, string>;
}

/** A CloudFormation stack, or undefined. */
export async function stack(name: string): Promise<Stack | undefined> {
  const output = z.object({ OutputKey: z.string(), OutputValue: z.string().optional() });
  const answer = z.object({
    Stacks: z.array(z.object({ StackStatus: z.string(), Outputs: z.array(output).optional() })),
  });
  try {
    const [found] = (await aws(answer, 'cloudformation', 'describe-stacks', '--stack-name', name)).Stacks;
    if (!found) return undefined;
    const outputs = (found.Outputs ?? []).map(({ OutputKey, OutputValue = '' }) => [OutputKey, OutputValue]);
    return { status: found.StackStatus, outputs: Object.fromEntries(outputs) };
  } catch (error) {
    if (error instanceof Failed && error.stderr.includes('does not exist')) return undefined;
    throw error;
  }
}

export function environmentStack({ application, environment }: Target): string {
  return `${application}-${environment}`;
}

export function serviceStack({ application, environment, service }: Target): string {
  return `${application}-${environment}-${service}`;
}

/** Throws Refusal when a stack is in a state that no deployment can start from. */
export async function requireSettled(...names: string[]): Promise<void> {
  for (const name of names) {
    const status = (await stack(name))?.status ?? '';
    if (/(?<!REVIEW)_IN_PROGRESS$/.test(status)) {
      throw new Refusal(
        `the stack ${name} is ${status}: deployment in progress. Wait for it: aws cloudformation describe-stack-events --stack-name ${name}`,
      );
    }
    if (status === 'UPDATE_ROLLBACK_FAILED') {
      throw new Refusal(
        `the stack ${name} is ${status}. First: aws cloudformation continue-update-rollback --stack-name ${name}`,
      );
    }
    if (status === 'DELETE_FAILED') {
      throw new Refusal(`the stack ${name} is ${status}. First: aws cloudformation delete-stack --stack-name ${name}`);
    }
  }
}

/** The address of the environment's load balancer, or undefined when no service has one yet. */
export async function loadBalancer(target: Target): Promise<string | undefined> {
  const name = (await stack(environmentStack(target)))?.outputs.PublicLoadBalancerDNSName;
  return name && `http://${name}`;
}
