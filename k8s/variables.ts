import type { k8s } from 'cdk8s-plus-27';
import { variableName } from '../manifest/addons.ts';
import { secretName, topicQueueKey } from '../manifest/names.ts';
import { withClusterNames } from './cluster-names.ts';
import { type Container, containersOf } from './containers.ts';
import { withoutExpansion } from './expansion.ts';
import { overrideOf } from './overrides.ts';
import { servicePorts } from './ports.ts';
import type { Workload } from './workload.ts';

/**
 * The environment of a container. If several sources set a variable, the last one wins: the platform, the env file,
 * values that CloudFormation knows on AWS, the manifest, Copilot's own variables, secrets.
 */
export function variablesOf(workload: Workload, container: Container): k8s.EnvVar[] {
  const { manifest, platformVariables, environmentFiles, values: known } = workload;
  const stated = Object.entries(container.variables ?? {}).flatMap(([name, value]) =>
    typeof value === 'string' && !dynamicReference.test(value) ? [[name, value] as const] : [],
  );
  const inputs = valueInputs(workload).filter(({ of }) => of === undefined || of === container.name);
  const values = new Map([
    ...platformVariables,
    ...(environmentFiles.get(container.env_file ?? '') ?? []),
    ...inputs.flatMap(({ key, name }) => (known[key] === undefined ? [] : [[name, known[key]] as const])),
    ...stated,
    ...addedByCopilot(workload, container),
    ...overrideOf(workload, container).environment,
  ]);
  const secrets = secretsOf(workload, container);
  for (const { name } of secrets) values.delete(name);
  const names = new Set([...values.keys(), ...secrets.map(({ name }) => name)]);
  return [
    ...[...values].map(([name, value]) => ({
      name,
      value: withoutExpansion(withClusterNames(workload, value), names),
    })),
    ...secrets.map(({ name, key }) => ({
      name,
      valueFrom: { secretKeyRef: { name: secretName(manifest.name), key } },
    })),
  ];
}

/**
 * https://aws.github.io/copilot-cli/docs/developing/environment-variables/#what-are-the-default-environment-variables
 */
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
  const [entry] = servicePorts(fields);
  // On AWS its ports are those of HTTP and HTTPS; in the cluster it is the port of the Service.
  if (balanced && entry) added.push(['COPILOT_LB_DNS', `${manifest.name}.${endpoint}:${entry.port}`]);
  return added;
}

/** A variable that comes from the Secret of the workload. */
export interface SecretInput {
  name: string;
  /** Its key in the Secret. */
  key: string;
  /** The source of the value in AWS, as text for users. */
  source: string;
  /** The same for a program; undefined if only CloudFormation knows it. */
  remote: RemoteSecret | undefined;
  /** The name of the CloudFormation export that has the value, if it comes from one. */
  exported?: string;
}

/** A value in Systems Manager, or in Secrets Manager: a whole secret, or a property of its JSON. */
interface RemoteSecret {
  store: 'ssm' | 'secretsmanager';
  key: string;
  property?: string;
  version?: string;
}

/** The variables of a container that come from the workload's Secret: those of the manifest, and of addons. */
function secretsOf({ manifest, addons }: Workload, container: Container): SecretInput[] {
  const stated = Object.entries(container.secrets ?? {}).map(([name, source]) => ({
    name,
    key: keyOf(container, name),
    source: sourceText(source),
    remote: remoteSecret(source),
    ...(typeof source === 'object' && 'from_cfn' in source ? { exported: source.from_cfn } : {}),
  }));
  const resolved = Object.entries(container.variables ?? {}).flatMap(([name, value]) => {
    const remote = typeof value === 'string' ? wholeReference(value) : undefined;
    return remote ? [{ name, key: keyOf(container, name), source: sourceOf(remote), remote }] : [];
  });
  const isMain = container.name === manifest.fields.name;
  const outputs = isMain ? addons.filter(({ isSecret }) => isSecret) : [];
  return [
    ...stated,
    ...resolved,
    ...outputs
      .map(({ name, at }) => ({ name: variableName(name), source: `the whole secret of the output ${name} of ${at}` }))
      .filter(({ name }) => !stated.some((secret) => secret.name === name))
      .map((secret) => ({ ...secret, key: keyOf(container, secret.name), remote: undefined })),
  ];
}

/** The values that the Secret of the workload needs, by key. */
export function secretInputs(workload: Workload): SecretInput[] {
  return containersOf(workload.manifest.fields).flatMap((container) => secretsOf(workload, container));
}

/** Two containers may have different values for the same name. */
function keyOf({ role, name }: Pick<Container, 'role' | 'name'>, variable: string): string {
  // https://kubernetes.io/docs/concepts/configuration/secret/#restriction-names-data
  const key = variable.replaceAll(/[^-._a-zA-Z0-9]/g, '_');
  return role === 'main' ? key : `${name}.${key}`;
}

function sourceText(source: Source): string {
  if (source === '') return 'none: the manifest has no value for it';
  if (typeof source === 'string')
    return `${remoteSecret(source)?.store === 'ssm' ? 'SSM' : 'Secrets Manager'} ${source}`;
  return 'from_cfn' in source ? `CloudFormation export ${source.from_cfn}` : `Secrets Manager ${source.secretsmanager}`;
}

/** A value that CloudFormation fetches: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html */
const dynamicReference = /\{\{resolve:(ssm|ssm-secure|secretsmanager):(.+?)\}\}/;

/** Parses a text that is exactly one such value; undefined for other texts. */
function wholeReference(text: string): RemoteSecret | undefined {
  const [whole, store, name = ''] = dynamicReference.exec(text) ?? [];
  if (whole !== text) return undefined;
  if (store !== 'secretsmanager') return { store: 'ssm', key: name.replace(/:\d+$/, '') };
  const [, id = '', ...rest] =
    /^(arn(?::[^:]*){6}|[^:]*)(?::SecretString(?::([^:]*))?(?::([^:]*))?(?::(.*))?)?$/.exec(name) ?? [];
  return remoteSecret({ secretsmanager: [id, ...rest.map((part = '') => part)].join(':') });
}

function sourceOf({ store, key, property }: RemoteSecret): string {
  return store === 'ssm' ? `SSM ${key}` : `Secrets Manager ${key}${property ? `:${property}::` : ''}`;
}

type Source = string | { from_cfn: string } | { secretsmanager: string };

/**
 * https://aws.github.io/copilot-cli/docs/developing/secrets/ and, for what is behind the name of a secret,
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
 */
function remoteSecret(source: Source): RemoteSecret | undefined {
  if (source === '' || (typeof source !== 'string' && 'from_cfn' in source)) return undefined;
  const text = typeof source === 'string' ? source : source.secretsmanager;
  const [, service = '', rest = ''] = /^arn:[^:]*:(ssm|secretsmanager):[^:]*:[^:]*:(.*)$/.exec(text) ?? [];
  if (service === 'ssm') return { store: 'ssm', key: rest.replace(/^parameter/, '') };
  if (typeof source === 'string' && service === '') return { store: 'ssm', key: text };
  const [named = '', property, stage, id] = (service === '' ? text : rest.replace(/^secret:/, '')).split(':');
  // An ARN ends with a hyphen and six random characters, which GetSecretValue does not accept as part of the name.
  const key = service === '' ? named : named.replace(/-[A-Za-z0-9]{6}$/, '');
  const version = id ? `uuid/${id}` : stage;
  return { store: 'secretsmanager', key, ...(property ? { property } : {}), ...(version ? { version } : {}) };
}

/** A variable whose value only CloudFormation knows. */
export interface ValueInput {
  /** Its key in a file of values. */
  key: string;
  name: string;
  source: string;
  /** The container that has it; undefined for all of them. */
  of: string | undefined;
}

/** The variables of a workload that need a value: outputs of addons, topics, queues, and exports of other stacks. */
export function valueInputs(workload: Workload): ValueInput[] {
  const { manifest, platformVariables } = workload;
  const containers = containersOf(manifest.fields);
  const [main] = containers;
  const everywhere = [...outputInputs(workload), ...messagingInputs(workload)]
    .filter(({ name }) => main?.variables?.[name] === undefined)
    .map((input) => ({ ...input, key: input.name, of: undefined }));
  const own = containers.flatMap((container) =>
    Object.entries(container.variables ?? {}).flatMap(([name, value]) =>
      isGivenText(value)
        ? []
        : [{ key: keyOf(container, name), name, source: valueText(workload, value), of: container.name }],
    ),
  );
  return [...everywhere, ...own].filter(({ name }) => !platformVariables.has(name));
}

/** Whether the manifest or the Secret has the value. */
function isGivenText(value: string | { from_cfn: string }): boolean {
  return typeof value === 'string' && (!dynamicReference.test(value) || wholeReference(value) !== undefined);
}

function valueText(workload: Workload, value: string | { from_cfn: string }): string {
  return typeof value === 'string' ? `${value}, which CloudFormation completes` : exportText(workload, value.from_cfn);
}

function outputInputs({ manifest, addons }: Workload): { name: string; source: string }[] {
  return addons.flatMap(({ name, at, isSecret }) => {
    if (!isSecret) return [{ name: variableName(name), source: `output ${name} of ${at}` }];
    // https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/template/templates/workloads/services/rd-web/cf.yml
    const arn = { name: `${variableName(name)}_ARN`, source: `the ARN of the secret that ${at} outputs as ${name}` };
    return manifest.type === 'Request-Driven Web Service' ? [arn] : [];
  });
}

/** https://aws.github.io/copilot-cli/docs/developing/publish-subscribe/ */
function messagingInputs({ manifest }: Workload): { name: string; source: string }[] {
  const { type, fields } = manifest;
  const topics = (fields.publish?.topics ?? []).flatMap(({ name }) => name ?? []);
  const queues = (fields.subscribe?.topics ?? [])
    .filter(({ queue }) => queue)
    .map(({ name = '', service = '' }) => topicQueueKey(service, name));
  const json = (names: readonly string[], value: string) =>
    JSON.stringify(Object.fromEntries(names.map((name) => [name, value])));
  return [
    ...(topics.length > 0
      ? [{ name: 'COPILOT_SNS_TOPIC_ARNS', source: `the ARNs of its SNS topics, as JSON: ${json(topics, 'ARN')}` }]
      : []),
    ...(type === 'Worker Service' ? [{ name: 'COPILOT_QUEUE_URI', source: 'the URL of its SQS queue' }] : []),
    ...(queues.length > 0
      ? [
          {
            name: 'COPILOT_TOPIC_QUEUE_URIS',
            source: `the URLs of its SQS queues for one topic each, as JSON: ${json(queues, 'URL')}`,
          },
        ]
      : []),
  ];
}

function exportText({ application, environment, environmentAddons }: Workload, name: string): string {
  const parameters: Readonly<Record<string, string>> = { App: application, Env: environment };
  const substituted = (text: string) =>
    text.replaceAll(/\$\{(\w+)\}/g, (match, parameter) => parameters[parameter] ?? match);
  const output = environmentAddons.find(({ exportName }) => exportName && substituted(exportName) === name);
  return `CloudFormation export ${name}${output ? `, output ${output.name} of ${output.at}` : ''}`;
}
