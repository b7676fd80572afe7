import { dirname, join } from 'node:path';
import type { Unsupported } from '../manifest/mapping.ts';
import { secretName } from '../manifest/names.ts';
import type { Synthesis } from './chart.ts';
import { containersOf } from './containers.ts';
import { imageOf } from './images.ts';
import { pullSecretOf } from './pod.ts';
import type { Route } from './routes.ts';
import { claimsOf } from './volumes.ts';
import type { SecurityLevel, Workload } from './workload.ts';

type Rows = readonly (readonly [string, string])[];

/** The report on a workload for the user who applies its objects: what to provide, and what differs from AWS. */
export function report(
  workload: Workload,
  { namespace, builtImages, secrets, variables, maybeRoot, adapted, unsupported }: Synthesis,
  level: SecurityLevel,
  file: string,
): string {
  const { manifest, environment, secretValues, externalSecrets, values } = workload;
  const pullSecret = pullSecretOf(workload);
  const isSite = manifest.type === 'Static Site';
  const secret = `"${secretName(manifest.name)}"`;
  const origin = secretValues ? 'is written' : externalSecrets ? 'External Secrets creates' : 'must exist';
  const unknown = [...variables].filter(([key]) => values[key] === undefined);
  const sections: [string, Rows][] = [
    [
      'Images to build and load into the cluster:',
      [...builtImages].map(([image, from]) => [image, `built from ${isSite ? join(dirname(file), from) : from}`]),
    ],
    [
      `The namespace enforces "${level}". For "restricted", give these containers a numeric USER in their Dockerfile, or a\nUser in overrides/cfn.patches.yml:`,
      [...maybeRoot],
    ],
    [`Keys of the Secret ${secret}, which ${origin}:`, [...secrets]],
    ['Variables that are left out unless --values sets them:', unknown],
    [
      'Image pull secret, which must exist (kubectl create secret docker-registry):',
      pullSecret ? [[pullSecret, 'the credentials of the registry']] : [],
    ],
    [
      'Images of Amazon ECR, which only the nodes of EKS may pull without a pull secret (--pull-secret NAME):',
      pullSecret ? [] : ecrImages(workload),
    ],
    [
      'Volumes of several pods, which need a storage class with ReadWriteMany (kind has none: --access-mode ReadWriteOnce):',
      claimsOf(workload)
        .filter(({ accessMode }) => accessMode === 'ReadWriteMany')
        .map(({ name, fileSystem }) => [name, fileSystem ? 'represents a file system on AWS' : 'new and empty']),
    ],
    ['Different from AWS:', reasons(adapted)],
    ['Not supported:', reasons(unsupported)],
  ];
  const lines = [`${file}: ${manifest.name} of the environment "${environment}", for the namespace "${namespace}"`];
  if (!manifest.namesEnvironment)
    lines.push('', `The manifest has no section for "${environment}": only its common fields apply.`);
  return [...lines, ...sections.flatMap(([title, rows]) => (rows.length > 0 ? ['', title, ...table(rows)] : []))].join(
    '\n',
  );
}

/** The images of private registries of ECR: on AWS the execution role may pull them. */
function ecrImages(workload: Workload): Rows {
  return containersOf(workload.manifest.fields)
    .map((container) => [container.name, imageOf(workload, container)] as const)
    .filter(([, image]) => /^\d{12}\.dkr\.ecr(-fips)?\./.test(image));
}

function reasons(entries: readonly Unsupported[]): Rows {
  return entries.map(({ path, reason }) => [path, reason]);
}

/** The report on the routes: the Service for each host and path. */
export function reportRoutes(routes: readonly Route[], hidden: readonly Route[], kind: string, file: string): string {
  const hosts = [...new Set(routes.flatMap(({ host }) => host ?? []))];
  const rows = (all: readonly Route[]) =>
    table(all.map(({ host, path, service, port }) => [`${host ?? '*'}${path}`, `${service}:${port}`] as const));
  const tls = `Without TLS: ${kind === 'gateway' ? 'give the Gateway a listener' : 'add spec.tls'} with a certificate for ${hosts.join(', ')}.`;
  return [
    `${file}: the routes, as ${kind === 'gateway' ? 'HTTPRoutes' : 'an Ingress'}`,
    '',
    ...rows(routes),
    ...(hidden.length
      ? ['', 'Left out, because the host and path are taken (an alias gives a host):', ...rows(hidden)]
      : []),
    ...(hosts.length ? ['', tls] : []),
  ].join('\n');
}

/** The summary: the objects, and the commands that apply them. */
export function summary(workloads: readonly Workload[], level: SecurityLevel, output: string): string {
  const [first] = workloads;
  const count = `${workloads.length} ${workloads.length === 1 ? 'workload' : 'workloads'}`;
  const place = `${count} for the namespace "${first?.namespace}", which enforces "${level}"`;
  return output === '-' ? place : `${place}: kubectl apply -f ${output}`;
}

function table(rows: Rows): string[] {
  const width = Math.max(...rows.map(([key]) => key.length));
  return rows.map(([key, value]) => `  ${key.padEnd(width)}  ${value}`);
}
