/** Addons of a workspace in the local cluster: resources for the emulator, for pods, and those that are left out. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { variableName } from '../manifest/addons.ts';
import { DocumentError } from '../manifest/document.ts';
import { objectName } from '../manifest/names.ts';
import { displayed } from '../manifest/workspace.ts';
import { type Database, databasePort, engineOf, localPassword } from './databases.ts';
import {
  mapIntrinsics,
  mergeTemplates,
  parseTemplate,
  parseYaml,
  type Resource,
  type Template,
  textOf,
} from './template.ts';

/** The emulator's account and region. */
export const AWS_ACCOUNT = '000000000000';
export const AWS_REGION = 'us-east-1';

export interface Addons {
  /** The template that the emulator deploys. */
  template: Template;
  parameters: Record<string, string>;
  databases: Database[];
  /** The variables with known values; the other variables are outputs of the stack. */
  variables: Map<string, string>;
  /** The variables that hold a secret, whole. */
  secrets: Map<string, string>;
  /** The values of exported secrets by the name of the export, and of SSM parameters and secrets by their own name. */
  secretSources: Record<'cloudformation' | 'ssm' | 'secretsmanager', ReadonlyMap<string, string>>;
  exports: Map<string, string>;
  /** The exports whose values are outputs of the stack: the name of the output, by that of the export. */
  stackExports: Map<string, string>;
  /** The resources that are not available locally, and what to do. */
  unavailable: { what: string; remedy: string }[];
}

/** The owner of the addons. */
export interface Owner {
  application: string;
  environment: string;
  /** Undefined for addons of the environment. */
  workload: string | undefined;
  /** The namespace of the databases. */
  namespace: string;
  /** The known values of exports of the environment's addons. */
  exports: ReadonlyMap<string, string>;
  /** The names of its other exports, whose values the emulator knows. */
  stackExports: ReadonlySet<string>;
}

/** Types without effect on a program in a cluster: permissions, networks, alarms, parts of a database. */
const without =
  /^AWS::(IAM|EC2|CloudWatch|Logs|ApplicationAutoScaling|Backup|WAFv2|EFS)::|^AWS::(RDS|ElastiCache|DocDB)::.*(Group|Parameter|Rule)$|^AWS::RDS::(DBProxy\w*|EventSubscription)$|^AWS::SecretsManager::(SecretTargetAttachment|RotationSchedule|ResourcePolicy)$|^AWS::ElastiCache::User(Group)?$|^AWS::Lambda::Permission$|^AWS::S3::BucketPolicy$|^AWS::S(NS|QS)::(Topic|Queue)Policy$/;

/** Services that the emulator supports without starting containers. */
const emulated =
  /^AWS::(DynamoDB|S3|SQS|SNS|Events|Scheduler|SecretsManager|SSM|KMS|Kinesis|StepFunctions|Pipes|SES|AppConfig|Cognito)::/;

const serverTypes = /^AWS::(RDS::DB(Instance|Cluster)|ElastiCache::(CacheCluster|ReplicationGroup|ServerlessCache))$/;

/** The addons in that folder; undefined if there are none. Throws a DocumentError. */
export function readAddons(folder: string, owner: Owner): Addons | undefined {
  const template = readTemplate(folder);
  return template && planAddons(template, readParameters(folder), owner);
}

/** The files of a folder of addons as one template; undefined if there are none. Throws a DocumentError. */
export function readTemplate(folder: string): Template | undefined {
  if (!existsSync(folder)) return undefined;
  const names = readdirSync(folder).filter(
    (name) => /\.ya?ml$/.test(name) && !/^addons\.parameters\.ya?ml$/.test(name),
  );
  if (names.length === 0) return undefined;
  const files = names.toSorted().map((name) => join(folder, name));
  return mergeTemplates(files.map((file) => parseTemplate(readFileSync(file, 'utf8'), displayed(file))));
}

function readParameters(folder: string): Record<string, unknown> {
  const file = ['addons.parameters.yml', 'addons.parameters.yaml'].map((name) => join(folder, name)).find(existsSync);
  if (file === undefined) return {};
  const schema = z.looseObject({ Parameters: z.record(z.string(), z.unknown()).nullish() });
  const parsed = schema.safeParse(parseYaml(readFileSync(file, 'utf8'), displayed(file)) ?? {});
  if (parsed.success) return parsed.data.Parameters ?? {};
  throw new DocumentError(displayed(file), [{ line: 1, message: 'expected a map Parameters' }]);
}

/** How each resource of a template becomes available locally. `given` are the values of addons.parameters.yml. */
export function planAddons(template: Template, given: Record<string, unknown>, owner: Owner): Addons {
  const { application, environment, workload, namespace, exports, stackExports } = owner;
  const scope = workload ?? 'environment';
  const known = new Map<string, string>([
    ['AWS::Region', AWS_REGION],
    ['AWS::AccountId', AWS_ACCOUNT],
    ['AWS::Partition', 'aws'],
    ['AWS::URLSuffix', 'amazonaws.com'],
    ['AWS::StackName', stackName(owner)],
  ]);
  const automatic: Record<string, string> = {
    App: application,
    Env: environment,
    ...(workload === undefined ? {} : { Name: workload }),
  };
  const parameters: Record<string, string> = {};
  for (const [name, { Default: fallback }] of Object.entries(template.Parameters)) {
    // A parameter that only the service's stack knows, such as a security group, has no effect here.
    const value =
      automatic[name] ?? (name in given ? (textOf(given[name], known) ?? `local-${name}`) : textOf(fallback, known));
    if (value === undefined) continue;
    parameters[name] = value;
    known.set(name, value);
  }

  /** The resources that are left out, and the replacement for references to them. */
  const replaced = new Map<string, string>();
  const unavailable: Addons['unavailable'] = [];
  const kept: Record<string, Resource> = {};
  const servers: [string, Resource][] = [];
  for (const [id, resource] of Object.entries(template.Resources)) {
    if (serverTypes.test(resource.Type)) servers.push([id, resource]);
    else if (without.test(resource.Type)) replaced.set(id, `local-${id}`);
    else if (emulated.test(resource.Type)) kept[id] = resource;
    else {
      replaced.set(id, `local-${id}`);
      unavailable.push({ what: `${id} (${resource.Type})`, remedy: remedyFor(resource.Type) });
    }
  }

  const secrets = new Map<string, string>();
  for (const [id, resource] of Object.entries(kept))
    if (resource.Type === 'AWS::SecretsManager::Secret') {
      secrets.set(id, secretText(resource, known, localPassword(application, environment, scope, id)));
      known.set(id, `secret:${id}`);
    }

  const resolved = new Map<string, string>();
  const databases: Database[] = [];
  const ofServer = new Map<string, Database>();
  // A cluster comes before its instances, which are only aliases of it here.
  for (const [id, { Type: type, Properties: properties }] of servers.toSorted(
    ([, a], [, b]) => Number(/Instance$/.test(a.Type)) - Number(/Instance$/.test(b.Type)),
  )) {
    const cluster = z.object({ Ref: z.string() }).safeParse(properties.DBClusterIdentifier);
    const existing = cluster.success ? ofServer.get(cluster.data.Ref) : undefined;
    const database = existing ?? serverOf(id, type, properties);
    if (!database) {
      replaced.set(id, `local-${id}`);
      unavailable.push({
        what: `${id} (${type})`,
        remedy: 'this engine has no local image; declare its address as a secret, and set it in plusone.env',
      });
      continue;
    }
    if (!existing) databases.push(database);
    ofServer.set(id, database);
    const host = `${database.name}.${namespace}.svc.cluster.local`;
    const port = String(databasePort[database.engine]);
    replaced.set(id, database.name);
    for (const endpoint of [
      'Endpoint',
      'ReadEndpoint',
      'ReaderEndpoint',
      'PrimaryEndPoint',
      'ReaderEndPoint',
      'ConfigurationEndPoint',
      'RedisEndpoint',
      'ConfigurationEndpoint',
    ]) {
      replaced.set(`${id}.${endpoint}.Address`, host);
      replaced.set(`${id}.${endpoint}.Port`, port);
    }
    replaced.set(`${id}.ReadEndPoint.Addresses`, host);
    replaced.set(`${id}.ReadEndPoint.Ports`, port);
  }
  for (const [key, value] of replaced) known.set(key, value);

  // https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secrettargetattachment.html
  for (const { Type: type, Properties: properties } of Object.values(template.Resources)) {
    if (type !== 'AWS::SecretsManager::SecretTargetAttachment') continue;
    const secret = textOf(properties.SecretId, known)?.replace(/^secret:/, '') ?? '';
    const target = z.object({ Ref: z.string() }).safeParse(properties.TargetId);
    const database = target.success ? ofServer.get(target.data.Ref) : undefined;
    const text = secrets.get(secret);
    if (!target.success || !database || text === undefined) continue;
    const isCluster = template.Resources[target.data.Ref]?.Type === 'AWS::RDS::DBCluster';
    const identifier = isCluster ? 'dbClusterIdentifier' : 'dbInstanceIdentifier';
    secrets.set(secret, attached(text, database, `${database.name}.${namespace}.svc.cluster.local`, identifier));
  }
  for (const [id, text] of secrets) {
    const { GenerateSecretString: _generated, ...others } = kept[id]?.Properties ?? {};
    kept[id] = { Type: 'AWS::SecretsManager::Secret', Properties: { ...others, SecretString: text } };
  }
  for (const [name, value] of resolved)
    kept[`Parameter${name.replaceAll(/[^A-Za-z0-9]/g, '')}`] = {
      Type: 'AWS::SSM::Parameter',
      Properties: { Name: name, Type: 'String', Value: value },
    };

  const variables = new Map<string, string>();
  const secretVariables = new Map<string, string>();
  const secretExports = new Map<string, string>();
  const ownExports = new Map<string, string>();
  const ownStackExports = new Map<string, string>();
  const outputs: Template['Outputs'] = {};
  for (const [name, output] of Object.entries(template.Outputs)) {
    const id = z.object({ Ref: z.string() }).safeParse(output.Value);
    const type = id.success ? template.Resources[id.data.Ref]?.Type : undefined;
    if (type === 'AWS::IAM::ManagedPolicy' || type === 'AWS::EC2::SecurityGroup') continue;
    const secret = id.success ? secrets.get(id.data.Ref) : undefined;
    const exported = output.Export && textOf(output.Export.Name, known);
    if (secret !== undefined) {
      secretVariables.set(variableName(name), secret);
      if (exported !== undefined) secretExports.set(exported, secret);
      continue;
    }
    const value = textOf(output.Value, known);
    if (value !== undefined && !value.startsWith('secret:')) {
      variables.set(variableName(name), value);
      if (exported !== undefined) ownExports.set(exported, value);
    } else {
      outputs[name] = output;
      if (exported !== undefined) ownStackExports.set(exported, name);
    }
  }

  return {
    template: {
      ...mergeTemplates([]),
      Parameters: template.Parameters,
      Conditions: template.Conditions,
      Mappings: template.Mappings,
      Resources: Object.fromEntries(Object.entries(kept).map(([id, resource]) => [id, localResource(resource)])),
      Outputs: Object.fromEntries(
        Object.entries(outputs).map(([name, output]) => [name, { ...output, Value: localValue(output.Value) }]),
      ),
    },
    parameters,
    databases,
    variables,
    secrets: secretVariables,
    secretSources: {
      cloudformation: secretExports,
      ssm: new Map([...named('AWS::SSM::Parameter', ({ Value }) => textOf(Value, known)), ...resolved]),
      secretsmanager: new Map(named('AWS::SecretsManager::Secret', (_properties, id) => secrets.get(id))),
    },
    exports: ownExports,
    stackExports: ownStackExports,
    unavailable,
  };

  /** The values of the resources of a type that have a name and a known value, by that name. */
  function named(
    type: string,
    valueIn: (properties: Record<string, unknown>, id: string) => string | undefined,
  ): [string, string][] {
    return Object.entries(template.Resources).flatMap(([id, resource]) => {
      const name = resource.Type === type ? textOf(resource.Properties.Name, known) : undefined;
      const value = name === undefined ? undefined : valueIn(resource.Properties, id);
      return name === undefined || value === undefined ? [] : [[name, value]];
    });
  }

  function localResource({ DependsOn: needs, ...resource }: Resource): Resource {
    const all = (Array.isArray(needs) ? needs : needs === undefined ? [] : [needs]).map(String);
    const left = all.filter((id) => id in kept);
    const properties = localValue(resource.Properties);
    return {
      ...resource,
      Properties: z.record(z.string(), z.unknown()).parse(properties),
      ...(left.length > 0 ? { DependsOn: left } : {}),
    };
  }

  /** The value without references to resources that are left out. */
  function localValue(value: unknown): unknown {
    return mapIntrinsics(value, (name, argument) => {
      if (name === 'Ref' && typeof argument === 'string') return replaced.get(argument);
      if (name === 'Fn::GetAtt' && Array.isArray(argument) && replaced.has(String(argument[0])))
        return replaced.get(argument.join('.')) ?? `local-${argument.join('-')}`;
      if (name === 'Fn::ImportValue') {
        const exported = textOf(argument, known) ?? '';
        return stackExports.has(exported) ? undefined : (exports.get(exported) ?? 'local-import');
      }
      if (name === 'Fn::Sub') {
        const [text, ...rest] = Array.isArray(argument) ? argument : [argument];
        const local = String(text).replaceAll(/\$\{([^!}.]+)([^}]*)\}/g, (match, id: string, attribute: string) =>
          replaced.has(id) ? (replaced.get(`${id}${attribute}`) ?? `local-${id}`) : match,
        );
        return { 'Fn::Sub': rest.length > 0 ? [local, ...rest.map(localValue)] : local };
      }
      return undefined;
    });
  }

  function serverOf(id: string, type: string, properties: Record<string, unknown>): Database | undefined {
    const isCache = type.startsWith('AWS::ElastiCache::');
    const stated = textOf(properties.Engine, known) ?? (isCache ? 'redis' : '');
    const engine = engineOf(stated, textOf(properties.EngineVersion, known));
    if (!engine) return undefined;
    const name = objectName(`${scope}-${id}`)
      .replaceAll(/[^a-z0-9-]/g, '-')
      .slice(0, 50);
    const fallback = localPassword(application, environment, scope, id);
    return {
      name,
      ...engine,
      user: credential(properties.MasterUsername) ?? 'admin',
      password: credential(properties.MasterUserPassword) ?? fallback,
      database: isCache ? undefined : (textOf(properties.DBName, known) ?? textOf(properties.DatabaseName, known)),
    };
  }

  /**
   * A user or password with dynamic references resolved: from a secret of the template, or as a generated parameter.
   */
  function credential(value: unknown): string | undefined {
    const text = textOf(value, known);
    return text
      ?.replaceAll(
        /\{\{resolve:secretsmanager:secret:(\w+)(?::(?:SecretString)?(?::(\w*)[^}]*)?)?\}\}/g,
        (_match, id: string, key?: string) => {
          const whole = secrets.get(id) ?? '';
          const parsed = z.record(z.string(), z.unknown()).safeParse(key ? parseJson(whole) : undefined);
          return key ? String((parsed.success ? parsed.data[key] : undefined) ?? '') : whole;
        },
      )
      .replaceAll(/\{\{resolve:ssm(?:-secure)?:([^:}]+)(?::\d+)?\}\}/g, (_match, name: string) => {
        const password = localPassword(application, environment, name);
        resolved.set(name, password);
        return password;
      });
  }
}

/** The name of the stack of addons in the emulator. */
export function stackName({
  application,
  environment,
  workload,
}: Pick<Owner, 'application' | 'environment' | 'workload'>) {
  return [application, environment, workload ?? 'environment', 'addons'].join('-');
}

function secretText(
  { Properties: properties }: Resource,
  known: ReadonlyMap<string, string>,
  password: string,
): string {
  const literal = textOf(properties.SecretString, known);
  if (literal !== undefined) return literal;
  const generated = z
    .looseObject({ SecretStringTemplate: z.unknown().optional(), GenerateStringKey: z.unknown().optional() })
    .safeParse(properties.GenerateSecretString);
  const key = generated.success ? textOf(generated.data.GenerateStringKey, known) : undefined;
  const template = generated.success ? (textOf(generated.data.SecretStringTemplate, known) ?? '{}') : '{}';
  const object = z.record(z.string(), z.unknown()).safeParse(parseJson(template));
  return key === undefined ? password : JSON.stringify({ ...(object.success ? object.data : {}), [key]: password });
}

function attached(text: string, { engine, name, database, user }: Database, host: string, identifier: string): string {
  const parsed = z.record(z.string(), z.unknown()).safeParse(parseJson(text));
  if (!parsed.success) return text;
  return JSON.stringify({
    username: user,
    ...parsed.data,
    engine,
    host,
    port: databasePort[engine],
    [identifier]: name,
    ...(database === undefined ? {} : { dbname: database }),
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function remedyFor(type: string): string {
  if (type.startsWith('AWS::Lambda::')) return 'functions do not run locally; test the function on AWS';
  if (/^AWS::(OpenSearchService|Elasticsearch)::/.test(type))
    return 'declare its address as a secret, and set the address of your own server in plusone.env';
  if (/^(Custom::|AWS::CloudFormation::CustomResource)/.test(type)) return 'custom resources do not run locally';
  return 'it exists on AWS only';
}
