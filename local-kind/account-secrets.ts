/** Reads secrets from a real AWS account: `--secrets-from aws`. */
import {
  GetSecretValueCommand,
  ResourceNotFoundException,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { GetParameterCommand, ParameterNotFound, SSMClient } from '@aws-sdk/client-ssm';
import { z } from 'zod';
import { inputs, inputValues, qualified } from '../k8s/inputs.ts';
import { type SecretInput, secretInputs } from '../k8s/variables.ts';
import type { Workload } from '../k8s/workload.ts';
import { Refusal } from '../tools/terminal/refusal.ts';

interface Clients {
  ssm: SSMClient;
  secretsManager: SecretsManagerClient;
}

export interface AccountSecrets {
  /** The values, each by its key with the workload's name: `web.TOKEN`. */
  values: Map<string, string>;
  /** A message for each value that the account does not have. */
  missing: string[];
}

/**
 * Reads the values of the `secrets` in the manifests that `given` does not have, with the credentials and the region of
 * the shell, as the AWS CLI does. The keys in `created`, such as `web.TOKEN`, have values of this machine.
 * @throws {Refusal} when AWS refuses to answer, for example without credentials
 */
export async function readAccountSecrets(
  workloads: readonly Workload[],
  given: ReadonlyMap<string, string>,
  created: ReadonlySet<string>,
  clients: Clients = { ssm: new SSMClient(), secretsManager: new SecretsManagerClient() },
): Promise<AccountSecrets> {
  const found: AccountSecrets = { values: new Map(), missing: [] };
  const reads = workloads.flatMap((workload) => {
    const { manifest } = workload;
    const wanted = secretInputs(workload).filter(({ remote }) => remote !== undefined);
    const open = new Set(inputValues(manifest, inputs(wanted), given).missing);
    return wanted
      .filter(({ key }) => open.has(key) && !created.has(qualified(manifest, key)))
      .map(async (input) => {
        const value = await read(clients, input);
        if (value === undefined) found.missing.push(`${manifest.name}: AWS has no ${input.source} for ${input.name}`);
        else found.values.set(qualified(manifest, input.key), value);
      });
  });
  try {
    await Promise.all(reads);
    return found;
  } finally {
    clients.ssm.destroy();
    clients.secretsManager.destroy();
  }
}

/** The value; undefined when the account has none. */
async function read({ ssm, secretsManager }: Clients, { source, remote }: SecretInput): Promise<string | undefined> {
  if (!remote) return undefined;
  const { store, key, property, version } = remote;
  try {
    if (store === 'ssm') {
      const { Parameter } = await ssm.send(new GetParameterCommand({ Name: key, WithDecryption: true }));
      return Parameter?.Value;
    }
    const [, id] = /^uuid\/(.*)/.exec(version ?? '') ?? [];
    const { SecretString } = await secretsManager.send(
      new GetSecretValueCommand({ SecretId: key, VersionId: id, VersionStage: id ? undefined : version }),
    );
    return property === undefined ? SecretString : propertyOf(SecretString, property);
  } catch (error) {
    if (error instanceof ParameterNotFound || error instanceof ResourceNotFoundException) return undefined;
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    throw new Refusal(
      `cannot read ${source} from AWS: ${reason}\n` +
        'aws sts get-caller-identity shows whose credentials these are; AWS_PROFILE and AWS_REGION choose others',
    );
  }
}

/** The property of an object in JSON as text; undefined if there is none. */
export function propertyOf(text: string | undefined, property: string): string | undefined {
  try {
    const value = z.record(z.string(), z.unknown()).parse(JSON.parse(text ?? ''))[property];
    return value === undefined || typeof value === 'string' ? value : JSON.stringify(value);
  } catch {
    return undefined;
  }
}
