import { readFileSync } from 'node:fs';
import { GetParameterCommand, ParameterNotFound, SSMClient } from '@aws-sdk/client-ssm';
import { readManifest } from '../manifest/manifest.ts';
import { Refusal } from '../tools/terminal/refusal.ts';
import type { Cluster } from './cluster.ts';
import { portForward } from './port-forward.ts';

const MANIFEST = 'copilot/plusone/manifest.yml';

/** A variable of a container whose value is in a Secret. */
export interface SecretVariable {
  container: string;
  variable: string;
  /** Where in the Secret. */
  key: string;
}

/**
 * The values of what the manifest lists as `secrets`, by their key in the Secret: read from the SSM stand-in, as
 * Copilot has ECS read them from SSM. Throws a Refusal when there is no such parameter, or when the manifest takes the
 * value from where only AWS has it.
 */
export async function readSecretValues(
  cluster: Cluster,
  namespace: string,
  variables: SecretVariable[],
): Promise<Record<string, string>> {
  if (variables.length === 0) return {};
  const surroundings = { application: 'plusone', environment: 'local', shell: process.env };
  const { fields } = readManifest(readFileSync(MANIFEST, 'utf8'), MANIFEST, surroundings);
  const forward = await portForward(cluster.connection, namespace, 'service/ssm', 4566);
  // The stand-in takes any credentials.
  const credentials = { accessKeyId: 'local-only', secretAccessKey: 'local-only' };
  const client = new SSMClient({ endpoint: forward.url, region: 'us-west-2', credentials });
  try {
    const values = variables.map(async ({ container, variable, key }) => {
      const source = (fields.sidecars?.[container] ?? fields).secrets?.[variable];
      if (typeof source !== 'string')
        throw new Refusal(
          `${MANIFEST}: the secret ${variable} comes from where only AWS has it; here it takes an SSM name`,
        );
      return [key, await read(client, source, variable)] as const;
    });
    return Object.fromEntries(await Promise.all(values));
  } finally {
    client.destroy();
    forward.end();
  }
}

async function read(client: SSMClient, name: string, variable: string): Promise<string> {
  try {
    const { Parameter } = await client.send(new GetParameterCommand({ Name: name, WithDecryption: true }));
    return Parameter?.Value ?? '';
  } catch (error) {
    if (!(error instanceof ParameterNotFound)) throw error;
    throw new Refusal(
      `${MANIFEST}: the secret ${variable} is the SSM parameter ${name}, which is not there: add it to local-kind/seed.yaml`,
    );
  }
}
