import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { paginateDescribeStacks } from '@aws-sdk/client-cloudformation';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { readManifest } from '../manifest/manifest.ts';
import { logicalName } from '../manifest/names.ts';
import { MissingInput, type Workspace } from '../manifest/workspace.ts';
import { Refusal } from '../tools/terminal/refusal.ts';
import type { Clients } from './aws.ts';

type Fields = ReturnType<typeof readManifest>['fields'];

/**
 * Uploads the environment files whose contents have changed, to the bucket and with the key that Copilot uses
 * (https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/template/artifactpath/artifactpath.go), and returns
 * the parameters that change. `known` are the parameters of the stack. Throws MissingInput and Refusal.
 */
export async function environmentFiles(
  clients: Pick<Clients, 'cloudFormation' | 's3'>,
  workspace: Workspace,
  fields: Fields,
  known: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const wanted: [parameter: string, file: string | undefined][] = [
    ['EnvFileARN', fields.env_file],
    ...(fields.logging ? [['LoggingEnvFileARN', fields.logging.env_file] as [string, string | undefined]] : []),
    ...Object.entries(fields.sidecars ?? {}).map(([name, { env_file: file }]): [string, string | undefined] => [
      `EnvFileARNFor${logicalName(name)}`,
      file,
    ]),
  ];
  const changed: Record<string, string> = {};
  let bucket: string | undefined;
  for (const [parameter, file] of wanted) {
    const before = known[parameter] ?? '';
    if (file === undefined) {
      if (before !== '') changed[parameter] = '';
      continue;
    }
    const content = contentOf(workspace, file);
    const key = environmentFileKey(file, content);
    if (before.endsWith(`/${key}`)) continue;
    bucket ??= await artifactBucket(clients, workspace.application);
    await clients.s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: content }));
    const [, partition = 'aws'] = (known.ArtifactKeyARN ?? '').split(':');
    changed[parameter] = `arn:${partition}:s3:::${bucket}/${key}`;
  }
  return changed;
}

/** Where Copilot keeps an environment file, by its path and contents. */
export function environmentFileKey(file: string, content: Uint8Array): string {
  const hash = createHash('sha256').update(content).digest('hex');
  return posix.join('manual', 'env-files', file, `${hash}.env`);
}

function contentOf({ root }: Workspace, file: string): Uint8Array {
  try {
    return readFileSync(join(root, file));
  } catch {
    throw new MissingInput(`env_file: ${join(root, file)} does not exist`);
  }
}

/** The bucket of an application's artifacts in this region, as its stack set makes it. */
async function artifactBucket(
  { cloudFormation }: Pick<Clients, 'cloudFormation'>,
  application: string,
): Promise<string> {
  for await (const { Stacks = [] } of paginateDescribeStacks({ client: cloudFormation }, {})) {
    for (const { StackName, Outputs = [] } of Stacks) {
      if (!StackName?.startsWith(`StackSet-${application}-infrastructure-`)) continue;
      const bucket = Outputs.find(({ OutputKey }) => OutputKey === 'PipelineBucket')?.OutputValue;
      if (bucket !== undefined) return bucket;
    }
  }
  throw new Refusal(`env_file: no stack StackSet-${application}-infrastructure-… with a PipelineBucket to upload to`);
}
