import { z } from 'zod';
import { Failed, output } from '../terminal/programs.ts';
import { Refusal } from '../terminal/refusal.ts';
import type { Target } from './command.ts';

/** Route 53 has the metrics of all health checks in this region, so the stack of `make uptime` is there. */
export const UPTIME_REGION = 'us-east-1';

// Reads what is deployed. Copilot records applications, environments and services in SSM.

/** Runs the AWS CLI and parses its JSON output. */
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

/** The tags of the application in Copilot's record in this account and region; undefined if it does not exist. */
export async function applicationTags({ application }: Target): Promise<Record<string, string> | undefined> {
  const record = await parameter(`/copilot/applications/${application}`);
  return record
    ? (z.object({ tags: z.record(z.string(), z.string()).optional() }).parse(JSON.parse(record)).tags ?? {})
    : undefined;
}

export async function hasEnvironment({ application, environment }: Target): Promise<boolean> {
  return (await parameter(`/copilot/applications/${application}/environments/${environment}`)) !== undefined;
}

/** The environments of the application in Copilot's records. */
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

/** The parameter with the database's password; `copilot secret init` uses the same name. */
export function passwordParameter({ application, environment }: Target): string {
  return `/copilot/${application}/${environment}/secrets/DATABASE_PASSWORD`;
}

/** Whether the parameter with the database's password exists; does not read the value. */
export async function hasPassword(target: Target): Promise<boolean> {
  return (await parameter(passwordParameter(target))) !== undefined;
}

/** The value that the environment's stacks export with this name, or undefined. */
export async function environmentExport(target: Target, name: string): Promise<string | undefined> {
  const answer = z.object({ Exports: z.array(z.object({ Name: z.string(), Value: z.string() })) });
  const { Exports } = await aws(answer, 'cloudformation', 'list-exports');
  return Exports.find(({ Name }) => Name === `${environmentStack(target)}-${name}`)?.Value;
}

export interface Database {
  id: string;
  /** In the names of AWS's commands: `modify-db-instance`, `modify-db-cluster`. Aurora is a cluster. */
  kind: 'instance' | 'cluster';
}

/** The environment's database, or undefined if there is none. */
export async function environmentDatabase(target: Target): Promise<Database | undefined> {
  const id = await environmentExport(target, 'Database');
  if (id === undefined) return undefined;
  const dimension = await environmentExport(target, 'DatabaseDimension');
  return { id, kind: dimension === 'DBClusterIdentifier' ? 'cluster' : 'instance' };
}

export interface Stack {
  status: string;
  outputs: Record<string, string>;
}

/** The CloudFormation stack with this name, or undefined; in the region of the environment unless another is named. */
export async function stack(name: string, region?: string): Promise<Stack | undefined> {
  const output = z.object({ OutputKey: z.string(), OutputValue: z.string().optional() });
  const answer = z.object({
    Stacks: z.array(z.object({ StackStatus: z.string(), Outputs: z.array(output).optional() })),
  });
  const where = region === undefined ? [] : ['--region', region];
  try {
    const [found] = (await aws(answer, 'cloudformation', 'describe-stacks', '--stack-name', name, ...where)).Stacks;
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

/** The stack of `make uptime` with the alarm on the certificate, in the region of the service. */
export function certificateStack(target: Target): string {
  return `${serviceStack(target)}-certificate`;
}

/** The ARN of the certificate in ACM that the environment's load balancer has for this host; undefined if it has none. */
export async function certificateOf(target: Target, host: string): Promise<string | undefined> {
  const listener = (await stack(environmentStack(target)))?.outputs.HTTPSListenerArn;
  if (listener === undefined) return undefined;
  const list = z.object({ Certificates: z.array(z.object({ CertificateArn: z.string() })) });
  const described = z.object({ Certificate: z.object({ SubjectAlternativeNames: z.array(z.string()) }) });
  const words = ['elbv2', 'describe-listener-certificates', '--listener-arn', listener];
  for (const { CertificateArn: arn } of (await aws(list, ...words)).Certificates) {
    // IAM has certificates too, which have no metric.
    if (!arn.includes(':acm:')) continue;
    const { Certificate } = await aws(described, 'acm', 'describe-certificate', '--certificate-arn', arn);
    const parent = host.replace(/^[^.]+/, '*');
    if (Certificate.SubjectAlternativeNames.some((name) => name === host || name === parent)) return arn;
  }
  return undefined;
}

/** The stack of `make uptime`, in {@link UPTIME_REGION}. */
export function uptimeStack(target: Target): string {
  return `${serviceStack(target)}-uptime`;
}

/**
 * Checks that these stacks, if they exist, can be deployed to.
 * @throws {Refusal} if one of them is in a state in which no deployment can start
 */
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
        `the stack ${name} is ${status}. First: aws cloudformation continue-update-rollback --stack-name ${name}; if that fails too, with --resources-to-skip and the resource that it names`,
      );
    }
    if (status === 'DELETE_FAILED') {
      throw new Refusal(`the stack ${name} is ${status}. First: aws cloudformation delete-stack --stack-name ${name}`);
    }
  }
}

/** The URL of the environment's load balancer, or undefined before the first service is deployed. */
export async function loadBalancer(target: Target): Promise<string | undefined> {
  const name = (await stack(environmentStack(target)))?.outputs.PublicLoadBalancerDNSName;
  return name && `http://${name}`;
}
