import { ApiObject, type Chart } from 'cdk8s';
import type { Unsupported } from '../manifest/mapping.ts';
import type { SecretInput } from './variables.ts';

/** The ClusterSecretStores that External Secrets reads each of AWS's stores through. */
const stores = { ssm: 'parameter-store', secretsmanager: 'secrets-manager' } as const;

/**
 * Adds the ExternalSecret that creates a Secret of that name; returns the keys that it cannot have, because only
 * CloudFormation knows where their values are in AWS.
 * https://external-secrets.io/latest/api/externalsecret/
 */
export function addExternalSecret(chart: Chart, name: string, secrets: readonly SecretInput[]): Unsupported[] {
  const data = secrets.flatMap(({ key, remote }) => {
    if (remote === undefined) return [];
    const { store, ...remoteRef } = remote;
    return [
      {
        secretKey: key,
        remoteRef,
        sourceRef: { storeRef: { name: stores[store], kind: 'ClusterSecretStore' } },
      },
    ];
  });
  if (data.length > 0)
    new ApiObject(chart, 'external-secret', {
      apiVersion: 'external-secrets.io/v1',
      kind: 'ExternalSecret',
      metadata: { name },
      spec: { refreshInterval: '1h', target: { name }, data },
    });
  return secrets.flatMap(({ key, remote, source }) =>
    remote ? [] : [{ path: `secrets.${key}`, reason: `its name in AWS is unknown: ${source}` }],
  );
}
