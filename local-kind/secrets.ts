import { readFileSync } from 'node:fs';
import { GetParameterCommand, ParameterNotFound, SSMClient } from '@aws-sdk/client-ssm';
import { readManifest } from '../manifest/manifest.ts';
import { Refusal } from '../tools/terminal/refusal.ts';
import type { Cluster } from './cluster.ts';
import { portForward } from './port-forward.ts';

const MANIFEST = 'copilot/plusone/manifest.yml';

/** A variable of a container with its value in a Secret. */
export interface SecretVariable {
  container: string;
  variable: string;
  /** The key in the Secret. */
  key: string;
}

/**
 * The values of the `secrets` in the manifest, by their key in the Secret, from the SSM emulator; ECS reads them from SSM.
 * @throws {Refusal} if there is no such parameter, or if the value comes from a service that exists only on AWS
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
  // The emulator accepts any credentials.
  const credentials = { accessKeyId: 'local-only', secretAccessKey: 'local-only' };
  const client = new SSMClient({ endpoint: forward.url, region: 'us-west-2', credentials });
  try {
    const values = variables.map(async ({ container, variable, key }) => {
      const source = (fields.sidecars?.[container] ?? fields).secrets?.[variable];
      if (typeof source !== 'string')
        throw new Refusal(
          `${MANIFEST}: the secret ${variable} is not an SSM parameter; only those are available in the kind cluster`,
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
      `${MANIFEST}: the secret ${variable} is the SSM parameter ${name}, which does not exist; add it to local-kind/seed.yaml`,
    );
  }
}
