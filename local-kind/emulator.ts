/** MiniStack in the cluster, an emulator of DynamoDB, S3, SQS, SNS, EventBridge and other AWS services. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CloudFormationClient,
  CreateStackCommand,
  DeleteStackCommand,
  DescribeStackEventsCommand,
  DescribeStacksCommand,
  UpdateStackCommand,
} from '@aws-sdk/client-cloudformation';
import { z } from 'zod';
import { messageOf } from '../tools/terminal/message.ts';
import { AWS_REGION } from './addons.ts';
import { type KubernetesObject, kubernetesObject } from './objects.ts';
import type { Template } from './template.ts';
import { NotReady } from './wait-for-rollout.ts';

export const EMULATOR_IMAGE = 'ministackorg/ministack:1.5.33';
const STACK_SECONDS = 120;
const PORT = 4566;

/** The emulator accepts any credentials. */
const CREDENTIALS = { accessKeyId: 'local-only', secretAccessKey: 'local-only' };

function hostOf(namespace: string): string {
  return `aws.${namespace}.svc.cluster.local`;
}

/** The variables with which the SDKs in all containers find the emulator. */
export function emulatorVariables(namespace: string): Map<string, string> {
  return new Map([
    ['AWS_ENDPOINT_URL', `http://${hostOf(namespace)}:${PORT}`],
    ['AWS_REGION', AWS_REGION],
    ['AWS_DEFAULT_REGION', AWS_REGION],
    ['AWS_ACCESS_KEY_ID', CREDENTIALS.accessKeyId],
    ['AWS_SECRET_ACCESS_KEY', CREDENTIALS.secretAccessKey],
  ]);
}

/** The emulator's objects; its data outlive its pod. */
export function emulatorObjects(namespace: string): KubernetesObject[] {
  const labels = { 'app.kubernetes.io/name': 'aws', 'app.kubernetes.io/part-of': 'local-kind' };
  const metadata = { name: 'aws', namespace, labels };
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: { 'app.kubernetes.io/name': 'aws' }, ports: [{ name: 'http', port: PORT }] },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata,
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        strategy: { type: 'Recreate' },
        selector: { matchLabels: { 'app.kubernetes.io/name': 'aws' } },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            securityContext: {
              runAsNonRoot: true,
              runAsUser: 1000,
              runAsGroup: 1000,
              fsGroup: 1000,
              seccompProfile: { type: 'RuntimeDefault' },
            },
            containers: [
              {
                name: 'aws',
                image: EMULATOR_IMAGE,
                imagePullPolicy: 'IfNotPresent',
                env: [
                  { name: 'PERSIST_STATE', value: '1' },
                  { name: 'STATE_DIR', value: '/var/lib/ministack' },
                  { name: 'HOME', value: '/tmp' },
                  { name: 'MINISTACK_HOST', value: hostOf(namespace) },
                  { name: 'MINISTACK_REGION', value: AWS_REGION },
                ],
                ports: [{ name: 'http', containerPort: PORT }],
                readinessProbe: {
                  httpGet: { path: '/_ministack/health', port: 'http' },
                  periodSeconds: 1,
                  timeoutSeconds: 5,
                },
                resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
                securityContext: {
                  allowPrivilegeEscalation: false,
                  readOnlyRootFilesystem: true,
                  capabilities: { drop: ['ALL'] },
                },
                volumeMounts: [
                  { name: 'state', mountPath: '/var/lib/ministack' },
                  { name: 'tmp', mountPath: '/tmp' },
                ],
              },
            ],
            volumes: [
              { name: 'state', persistentVolumeClaim: { claimName: 'aws' } },
              { name: 'tmp', emptyDir: {} },
            ],
          },
        },
      },
    },
  ].map((object) => kubernetesObject.parse(object));
}

/**
 * The rule of CoreDNS that resolves the host names of buckets to the emulator: SDKs use `pictures.aws.local-aws…` for the
 * bucket `pictures`.
 */
export function bucketNames(namespace: string): string {
  const host = hostOf(namespace);
  return `rewrite stop name regex (.+)\\.${host.replaceAll('.', '\\.')} ${host} answer auto`;
}

/** A client of the emulator's CloudFormation at that address. */
export class Stacks {
  private readonly client: CloudFormationClient;

  constructor(url: string) {
    this.client = new CloudFormationClient({ endpoint: url, region: AWS_REGION, credentials: CREDENTIALS });
  }

  /**
   * Creates or updates a stack and returns its outputs.
   * @throws {NotReady} with CloudFormation's reason if it refuses or fails
   */
  async deploy(name: string, template: Template, parameters: Record<string, string>): Promise<Map<string, string>> {
    try {
      return await this.createOrUpdate(name, template, parameters);
    } catch (error) {
      if (error instanceof NotReady) throw error;
      throw new NotReady(`the emulator refuses the stack ${name}: ${refusalOf(error)}`, { cause: error });
    }
  }

  end(): void {
    this.client.destroy();
  }

  private async createOrUpdate(
    name: string,
    template: Template,
    parameters: Record<string, string>,
  ): Promise<Map<string, string>> {
    const request = {
      StackName: name,
      TemplateBody: JSON.stringify(bare(template)),
      Parameters: Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({
        ParameterKey,
        ParameterValue,
      })),
      Capabilities: ['CAPABILITY_NAMED_IAM' as const, 'CAPABILITY_AUTO_EXPAND' as const],
    };
    const before = await this.status(name);
    if (before === undefined) await this.client.send(new CreateStackCommand(request));
    else if (/^(ROLLBACK_COMPLETE|CREATE_FAILED|DELETE_FAILED|UPDATE_ROLLBACK_FAILED)$/.test(before)) {
      await this.client.send(new DeleteStackCommand({ StackName: name }));
      await this.settled(name);
      await this.client.send(new CreateStackCommand(request));
    } else {
      try {
        await this.client.send(new UpdateStackCommand(request));
      } catch (error) {
        if (!(error instanceof Error && /No updates/.test(error.message))) throw error;
      }
    }
    const status = await this.settled(name);
    if (status === undefined || !/^(CREATE|UPDATE)_COMPLETE$/.test(status))
      throw new NotReady(`the stack ${name} is ${status ?? 'gone'}: ${await this.reason(name)}`);
    const { Stacks: found = [] } = await this.client.send(new DescribeStacksCommand({ StackName: name }));
    return new Map((found[0]?.Outputs ?? []).map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]));
  }

  private async status(name: string): Promise<string | undefined> {
    try {
      const { Stacks: found = [] } = await this.client.send(new DescribeStacksCommand({ StackName: name }));
      return found[0]?.StackStatus;
    } catch (error) {
      if (error instanceof Error && /does not exist/.test(error.message)) return undefined;
      throw error;
    }
  }

  private async settled(name: string): Promise<string | undefined> {
    for (const deadline = performance.now() + STACK_SECONDS * 1000; ; await sleep(200)) {
      const status = await this.status(name);
      if (status === undefined || !status.endsWith('_IN_PROGRESS') || performance.now() > deadline) return status;
    }
  }

  private async reason(name: string): Promise<string> {
    const { StackEvents: events = [] } = await this.client.send(new DescribeStackEventsCommand({ StackName: name }));
    const failed = events.filter(({ ResourceStatus }) => ResourceStatus?.endsWith('_FAILED')).at(-1);
    return failed ? `${failed.LogicalResourceId}: ${failed.ResourceStatusReason}` : 'no reason given';
  }
}

/** What the emulator answered; the SDK keeps an answer that it cannot read in a hidden field. */
function refusalOf(error: unknown): string {
  const answer = z.object({ $response: z.object({ statusCode: z.number(), body: z.string() }) }).safeParse(error);
  if (answer.success) return `status ${answer.data.$response.statusCode}, ${answer.data.$response.body.slice(0, 500)}`;
  return messageOf(error);
}

/** The template without empty sections, with its original numbers and lists. */
function bare(template: Template): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(template).filter(
      ([, section]) => typeof section !== 'object' || Object.keys(section ?? {}).length > 0,
    ),
  );
}
