import { AwsV4Signer } from 'aws4fetch';
import type { DestinationRequest } from './destinations.ts';

/** AWS credentials, as in the environment of a Lambda function. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** The credentials in an environment; undefined if there are none, for example for an OpenSearch without authentication. */
export function credentialsIn(environment: Readonly<Record<string, string | undefined>>): Credentials | undefined {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = environment;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) return undefined;
  return {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    ...(AWS_SESSION_TOKEN ? { sessionToken: AWS_SESSION_TOKEN } : {}),
  };
}

/** The request with the headers of AWS Signature Version 4, which the domain's access policy requires. */
export async function signed(
  request: DestinationRequest,
  credentials: Credentials,
  region: string,
): Promise<DestinationRequest> {
  const signer = new AwsV4Signer({
    ...request,
    headers: { ...request.headers },
    ...credentials,
    region,
    service: 'es',
  });
  const { headers } = await signer.sign();
  return { ...request, headers: Object.fromEntries(headers) };
}
