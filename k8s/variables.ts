import type { k8s } from 'cdk8s-plus-27';
import type { Fields } from '../manifest/fields.ts';
import type { NotCarried } from '../manifest/mapping.ts';
import { secretName } from '../manifest/names.ts';
import { withClusterNames } from './adapted.ts';
import { type Container, containersOf } from './containers.ts';
import { servicePorts } from './ports.ts';
import type { Workload } from './workload.ts';

/**
 * The environment of a container. Of several that say the same name the later one wins, as on ECS: the platform, the
 * env file, the manifest, what Copilot adds, secrets.
 */
export function variablesOf(workload: Workload, container: Container): k8s.EnvVar[] {
  const { manifest, platformVariables, environmentFiles } = workload;
  const stated = Object.entries(container.variables ?? {}).flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value] as const] : [],
  );
  const values = new Map([
    ...platformVariables,
    ...(environmentFiles.get(container.env_file ?? '') ?? []),
    ...stated,
    ...addedByCopilot(workload, container),
  ]);
  const secrets = Object.keys(container.secrets ?? {});
  for (const secret of secrets) values.delete(secret);
  return [
    ...[...values].map(([name, value]) => ({ name, value: withClusterNames(workload, value) })),
    ...secrets.map((name) => {
      const key = secretKey(container, name);
      return { name, valueFrom: { secretKeyRef: { name: secretName(manifest.name), key } } };
    }),
  ];
}

/** https://aws.github.io/copilot-cli/docs/developing/environment-variables/#what-are-the-default-environment-variables */
function addedByCopilot(
  { manifest, application, environment, namespace }: Workload,
  { mounts }: Container,
): [string, string][] {
  const { type, fields } = manifest;
  const endpoint = `${namespace}.svc.cluster.local`;
  const balanced = type === 'Load Balanced Web Service' ? fields.http !== false : Boolean(fields.http);
  const added: [string, string][] = [
    ['COPILOT_APPLICATION_NAME', application],
    ['COPILOT_SERVICE_DISCOVERY_ENDPOINT', endpoint],
    ['COPILOT_ENVIRONMENT_NAME', environment],
    ['COPILOT_SERVICE_NAME', fields.name ?? ''],
  ];
  if (mounts.length > 0) {
    const paths = Object.fromEntries(mounts.map(({ volume, path }) => [volume, path]));
    added.unshift(['COPILOT_MOUNT_POINTS', JSON.stringify(paths)]);
  }
  if (balanced && servicePorts(fields).length > 0) added.push(['COPILOT_LB_DNS', `${manifest.name}.${endpoint}`]);
  return added;
}

/** The keys that the workload's Secret has to hold, and where AWS keeps the value of each. */
export function secretKeys(fields: Fields): Map<string, string> {
  return new Map(
    containersOf(fields).flatMap((container) =>
      Object.entries(container.secrets ?? {}).map(([name, source]) => [secretKey(container, name), sourceText(source)]),
    ),
  );
}

/** Two containers may mean different values by the same name. */
function secretKey({ role, name }: Container, variable: string): string {
  return role === 'main' ? variable : `${name}.${variable}`;
}

function sourceText(source: string | { from_cfn: string } | { secretsmanager: string }): string {
  if (typeof source === 'string') return `SSM ${source}`;
  return 'from_cfn' in source ? `CloudFormation export ${source.from_cfn}` : `Secrets Manager ${source.secretsmanager}`;
}

/** The variables whose value only CloudFormation knows, unless the platform says what they are here. */
export function unknownVariables({ manifest, platformVariables }: Workload): NotCarried[] {
  return containersOf(manifest.fields).flatMap(({ at, variables = {} }) =>
    Object.entries(variables).flatMap(([name, value]) => {
      if (typeof value === 'string' || platformVariables.has(name)) return [];
      const reason = `the CloudFormation export "${value.from_cfn}" is not here; --platform-env can say what it is`;
      return [{ path: `${at}variables.${name}`, reason }];
    }),
  );
}
