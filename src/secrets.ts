import type { Environment } from './config.ts';

/** SSM could not be read. The message has the path and the reason, and no value. */
export class SecretsError extends Error {
  override readonly name = 'SecretsError';
}

const ATTEMPTS = 3;
const CONNECT_MILLISECONDS = 1_000;
const ANSWER_MILLISECONDS = 3_000;

/**
 * The decrypted parameters directly below `path` in SSM Parameter Store, by the last part of their names.
 * The AWS SDK finds region, credentials and endpoint (`AWS_REGION`, the task role, `AWS_ENDPOINT_URL_SSM`). Each request
 * is tried three times, for three seconds each.
 * @throws {SecretsError} when SSM cannot be read
 */
export async function readSecrets(path: string): Promise<Environment> {
  // Loading the SDK takes longer than the rest of the start, so it is loaded only if it is used.
  const { paginateGetParametersByPath, SSMClient } = await import('@aws-sdk/client-ssm');
  const client = new SSMClient({
    maxAttempts: ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_MILLISECONDS,
      requestTimeout: ANSWER_MILLISECONDS,
      throwOnRequestTimeout: true,
    },
  });
  const secrets: Record<string, string> = {};
  try {
    // SSM returns at most ten parameters per page.
    for await (const page of paginateGetParametersByPath({ client }, { Path: path, WithDecryption: true })) {
      for (const { Name, Value } of page.Parameters ?? []) {
        if (Name !== undefined && Value !== undefined) secrets[Name.slice(Name.lastIndexOf('/') + 1)] = Value;
      }
    }
  } catch (error) {
    throw new SecretsError(`SECRETS_PATH: cannot read ${path} from SSM: ${explain(error)}`, { cause: error });
  } finally {
    client.destroy();
  }
  return secrets;
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (/^Region (is missing|not accepted)/.test(error.message)) {
    return 'AWS_REGION is not set or is not a region; set it, for example to us-west-2';
  }
  if (error.name === 'CredentialsProviderError') {
    return 'no AWS credentials found; on ECS they come from the task role, elsewhere from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile';
  }
  return `${error.name}: ${error.message}`;
}
