import { isMap, isScalar, isSeq, Scalar, type YAMLMap, YAMLSeq } from 'yaml';
import {
  CONTAINER_CHECK_DEFAULTS,
  DEREGISTRATION_DELAY,
  GRACE_PERIOD,
  LOG_RETENTION_DAYS,
  TASK_DEFAULTS,
} from '../manifest/defaults.ts';
import { lineAt, type Path, parse, pathText } from '../manifest/document.ts';
import { applyEnvironment } from '../manifest/environment.ts';
import type { Fields } from '../manifest/fields.ts';
import { logicalName } from '../manifest/names.ts';
import { changedPaths, type Handler, isRecord, nodeOf, put, setParameter, type Work, workOn } from './edit.ts';
import { setSchedule, setStateMachine } from './edit-job.ts';
import { setSubscriptions } from './edit-queues.ts';
import { setCount } from './edit-scaling.ts';
import { isValueMap, listOf, mapOf, referencesOf, type Template, textOf, toValue, type Value } from './template.ts';

/** A release: the template and the parameters for an edited manifest. */
export interface Release {
  readonly template: Template;
  /** The parameters that change. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The resources that may change. */
  readonly touched: readonly string[];
  /** The resources that come, and those that go. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** An edit of the manifest that can't be released; `path` is that of the field. */
export interface Unmapped {
  readonly path: Path;
  readonly reason: string;
}

/**
 * Maps the edits between two versions of a manifest onto a template, as Copilot (1.34.1) writes it. `unmapped` has each
 * edit that can't be mapped; the release is complete only if it is empty.
 */
export function mapRelease(
  deployed: Template,
  old: Fields,
  fields: Fields,
): { release: Release; unmapped: readonly Unmapped[] } {
  const work = workOn(deployed.copy(), old, fields);
  const unmapped: Unmapped[] = [];
  const done = new Set<string>();
  const gone = new Set(Object.keys(old.sidecars ?? {}).filter((name) => !fields.sidecars?.[name]));
  const isGone = ([field, name]: Path) => field === 'sidecars' && gone.has(String(name));
  // Each field is a separate edit: a new container gets them by their rules.
  for (const name of Object.keys(fields.sidecars ?? {}).filter((name) => !old.sidecars?.[name])) addSidecar(work, name);
  for (const name of gone) removeSidecar(work, name);
  for (const path of changedPaths(old, fields).filter((path) => !isGone(path))) {
    const rule = rules.find(({ at }) =>
      at.every((step, i) => (step === '*' ? path[i] !== undefined : step === path[i])),
    );
    if (!rule) {
      unmapped.push({ path, reason: 'this edit is not mapped onto the template' });
      continue;
    }
    // One run of a handler covers all edits below its place.
    const key = pathText(path.slice(0, rule.at.length));
    if (done.has(key)) continue;
    done.add(key);
    const reason = rule.handle(work, path);
    if (reason !== undefined) unmapped.push({ path, reason });
  }
  const { template, parameters } = work;
  const [touched, added, removed] = [[...work.touched], [...work.added], [...work.removed]];
  return { release: { template, parameters, touched, added, removed }, unmapped };
}

/** `file:line: field: reason` for each edit that can't be released. */
export function describeUnmapped(
  unmapped: readonly Unmapped[],
  text: string,
  file: string,
  environment: string,
): string[] {
  const tree = applyEnvironment(parse(text, file), environment);
  return unmapped.map(({ path, reason }) => `${file}:${lineAt(tree, path)}: ${pathText(path)}: ${reason}`);
}

// ---- The rules, from https://github.com/aws/copilot-cli/tree/v1.34.1/internal/pkg/template/templates/workloads

const rules: readonly { at: readonly string[]; handle: Handler }[] = [
  {
    at: ['cpu'],
    handle: ({ parameters, fields }) => setParameter(parameters, 'TaskCPU', fields.cpu ?? TASK_DEFAULTS.cpu),
  },
  {
    at: ['memory'],
    handle: ({ parameters, fields }) => setParameter(parameters, 'TaskMemory', fields.memory ?? TASK_DEFAULTS.memory),
  },
  { at: ['platform'], handle: setPlatform },
  { at: ['exec'], handle: setExec },
  { at: ['count'], handle: setCount },
  { at: ['on', 'schedule'], handle: setSchedule },
  { at: ['retries'], handle: setStateMachine },
  { at: ['timeout'], handle: setStateMachine },
  { at: ['subscribe'], handle: setSubscriptions },
  { at: ['variables'], handle: (work) => setVariables(work, undefined) },
  { at: ['secrets'], handle: (work) => setSecrets(work, undefined) },
  { at: ['entrypoint'], handle: (work) => setWords(work, undefined, 'EntryPoint', work.fields.entrypoint) },
  { at: ['command'], handle: (work) => setWords(work, undefined, 'Command', work.fields.command) },
  { at: ['image', 'build'], handle: () => undefined },
  { at: ['image', 'location'], handle: setLocation },
  {
    at: ['image', 'healthcheck'],
    handle: (work) => setContainerCheck(work, undefined, work.fields.image?.healthcheck),
  },
  { at: ['image', 'depends_on'], handle: (work) => setDependencies(work, undefined, work.fields.image?.depends_on) },
  { at: ['image', 'labels'], handle: (work) => setLabels(work, undefined, work.fields.image?.labels) },
  { at: ['image', 'credentials'], handle: (work) => setCredentials(work, undefined, work.fields.image?.credentials) },
  { at: ['env_file'], handle: touchEnvironmentFiles },
  { at: ['storage', 'volumes'], handle: setVolumes },
  { at: ['storage', 'ephemeral'], handle: setEphemeralStorage },
  {
    at: ['storage', 'readonly_fs'],
    handle: (work) => setProperty(work, undefined, 'ReadonlyRootFilesystem', work.fields.storage?.readonly_fs),
  },
  { at: ['http', 'path'], handle: setPath },
  { at: ['http', 'healthcheck'], handle: setTargetCheck },
  { at: ['http', 'deregistration_delay'], handle: setTargetAttributes },
  { at: ['http', 'stickiness'], handle: setTargetAttributes },
  { at: ['deployment', 'rolling'], handle: setRolling },
  {
    at: ['logging', 'retention'],
    handle: ({ parameters, fields }) =>
      setParameter(parameters, 'LogRetention', fields.logging?.retention ?? LOG_RETENTION_DAYS),
  },
  { at: ['sidecars', '*', 'variables'], handle: (work, path) => setVariables(work, String(path[1])) },
  { at: ['sidecars', '*', 'secrets'], handle: (work, path) => setSecrets(work, String(path[1])) },
  {
    at: ['sidecars', '*', 'entrypoint'],
    handle: (work, path) => setWords(work, String(path[1]), 'EntryPoint', sidecarOf(work, path)?.entrypoint),
  },
  {
    at: ['sidecars', '*', 'command'],
    handle: (work, path) => setWords(work, String(path[1]), 'Command', sidecarOf(work, path)?.command),
  },
  {
    at: ['sidecars', '*', 'essential'],
    handle: (work, path) => setProperty(work, String(path[1]), 'Essential', sidecarOf(work, path)?.essential),
  },
  {
    at: ['sidecars', '*', 'healthcheck'],
    handle: (work, path) => setContainerCheck(work, String(path[1]), sidecarOf(work, path)?.healthcheck),
  },
  {
    at: ['sidecars', '*', 'depends_on'],
    handle: (work, path) => setDependencies(work, String(path[1]), sidecarOf(work, path)?.depends_on),
  },
  {
    at: ['sidecars', '*', 'labels'],
    handle: (work, path) => setLabels(work, String(path[1]), sidecarOf(work, path)?.labels),
  },
  {
    at: ['sidecars', '*', 'image', 'location'],
    handle: (work, path) => setProperty(work, String(path[1]), 'Image', sidecarOf(work, path)?.image?.location),
  },
  // Images that are built are pushed and set later.
  { at: ['sidecars', '*', 'image', 'build'], handle: () => undefined },
  {
    at: ['sidecars', '*', 'credentialsParameter'],
    handle: (work, path) => setCredentials(work, String(path[1]), sidecarOf(work, path)?.credentialsParameter),
  },
  { at: ['sidecars', '*', 'env_file'], handle: touchEnvironmentFiles },
  { at: ['sidecars', '*', 'port'], handle: (work, path) => setSidecarPort(work, String(path[1])) },
  {
    at: ['sidecars', '*', 'mount_points'],
    handle: (work, path) => {
      const points = sidecarOf(work, path)?.mount_points ?? [];
      return setMounts(
        work,
        String(path[1]),
        points.map(({ source_volume: volume = '', ...rest }) => ({ volume, ...rest })),
      );
    },
  },
];

function sidecarOf({ fields }: Work, path: Path) {
  return fields.sidecars?.[String(path[1])];
}

function setLocation({ parameters, fields }: Work): string | undefined {
  const location = fields.image?.location;
  if (location === undefined) return undefined;
  return setParameter(parameters, 'ContainerImage', location);
}

// ---- Sidecars

const policies = ['Resources', 'ExecutionRole', 'Properties', 'Policies'];

/** A container with the properties of every sidecar; the rules of its fields add the others. */
function addSidecar(work: Work, name: string): void {
  const { template, touched, parameters, old, fields } = work;
  const main = containerOf(work, undefined);
  const list = template.node(definitions);
  if (typeof main === 'string' || !isSeq(list)) return;
  const id = logicalName(name);
  const [parameter, condition] = [`EnvFileARNFor${id}`, `HasEnvFileFor${id}`];
  const environment = toValue(main.get('Environment', true));
  const own = new Set([...Object.keys(old.variables ?? {}), mountPoints]);
  const options = {
    'awslogs-region': { Ref: 'AWS::Region' },
    'awslogs-group': { Ref: 'LogGroup' },
    'awslogs-stream-prefix': 'copilot',
  };
  const container = nodeOf({
    Name: name,
    Environment: listOf(environment).filter((item) => !own.has(textOf(mapOf(item).Name) ?? '')),
    EnvironmentFiles: [{ 'Fn::If': [condition, { Type: 's3', Value: { Ref: parameter } }, { Ref: 'AWS::NoValue' }] }],
    LogConfiguration: { LogDriver: 'awslogs', Options: options },
  });
  const names = new Set([...Object.keys(old.sidecars ?? {}), ...Object.keys(fields.sidecars ?? {})]);
  insertBefore(list, container, (item) => {
    const other = textOf(mapOf(toValue(item)).Name);
    return other !== undefined && names.has(other) && other > name;
  });
  const description = `URL of the environment file for the ${name} sidecar.`;
  template.set(['Parameters', parameter], nodeOf({ Type: 'String', Description: description, Default: '' }));
  template.set(['Conditions', condition], nodeOf({ 'Fn::Not': [{ 'Fn::Equals': [{ Ref: parameter }, ''] }] }));
  setParameter(parameters, parameter, '');
  addEnvironmentFilePolicy(work, id);
  touched.add('ExecutionRole');
}

/** The right to read the environment file of a sidecar, like that of the service. */
function addEnvironmentFilePolicy({ template }: Work, id: string): void {
  const list = template.node(policies);
  if (!isSeq(list)) return;
  const conditions = list.items.map((item) => textOf(listOf(mapOf(toValue(item))['Fn::If'])[0]));
  const index = conditions.indexOf('HasEnvFile');
  if (index < 0) return;
  const text = JSON.stringify(toValue(list.items[index])).replaceAll(
    /HasEnvFile|EnvFileARN|GetEnvFilePolicy/g,
    `$&For${id}`,
  );
  const later = conditions.findIndex((name) => name?.startsWith('HasEnvFileFor') && name > `HasEnvFileFor${id}`);
  const last = conditions.findLastIndex((name) => name !== undefined && /^Has(Logging)?EnvFile/.test(name));
  list.items.splice(later < 0 ? last + 1 : later, 0, nodeOf(JSON.parse(text)));
}

function removeSidecar({ template, touched }: Work, name: string): void {
  const id = logicalName(name);
  const condition = `HasEnvFileFor${id}`;
  const list = template.node(definitions);
  if (isSeq(list)) list.items = list.items.filter((item) => textOf(mapOf(toValue(item)).Name) !== name);
  const rights = template.node(policies);
  if (isSeq(rights))
    rights.items = rights.items.filter((item) => textOf(listOf(mapOf(toValue(item))['Fn::If'])[0]) !== condition);
  template.delete(['Parameters', `EnvFileARNFor${id}`]);
  template.delete(['Conditions', condition]);
  touched.add('TaskDefinition').add('ExecutionRole');
}

function insertBefore(list: YAMLSeq, node: unknown, isLater: (item: unknown) => boolean): void {
  const index = list.items.findIndex(isLater);
  list.items.splice(index < 0 ? list.items.length : index, 0, node);
}

/** The port of a sidecar that nothing sends requests to by name. */
function setSidecarPort(work: Work, name: string): string | undefined {
  const ports = [work.old, work.fields].map(({ sidecars }) => sidecars?.[name]?.port?.port);
  for (const { http, nlb } of [work.old, work.fields]) {
    const main = typeof http === 'object' ? http : {};
    const targets = [main, ...(main.additional_rules ?? []), nlb ?? {}, ...(nlb?.additional_listeners ?? [])];
    if (
      targets.some(
        ({ target_container: container, target_port: port }) =>
          container === name || (port !== undefined && ports.includes(port)),
      )
    )
      return 'requests are sent to this container: another port replaces the target group, which is not mapped';
  }
  const port = work.fields.sidecars?.[name]?.port;
  const mapping = port && [{ ContainerPort: port.port, Protocol: port.protocol }];
  return setProperty(work, name, 'PortMappings', mapping);
}

/** Their contents are uploaded with the release; see environment-files.ts. */
function touchEnvironmentFiles({ touched }: Work): undefined {
  touched.add('TaskDefinition').add('ExecutionRole');
}

function setCredentials(work: Work, name: string | undefined, parameter: string | undefined): string | undefined {
  return setProperty(work, name, 'RepositoryCredentials', parameter && { CredentialsParameter: parameter });
}

// ---- Tasks

/** Copilot runs Windows on another version of the platform, in the service or the state machine. */
function setPlatform(work: Work): string | undefined {
  const [before, after] = [platformOf(work.old), platformOf(work.fields)];
  if (before.family !== 'linux' || after.family !== 'linux') return 'a change from or to Windows is not mapped';
  work.touched.add('TaskDefinition');
  const isDefault = after.architecture === 'X86_64';
  const platform = { OperatingSystemFamily: 'LINUX', CpuArchitecture: after.architecture };
  put(work, ['TaskDefinition', 'RuntimePlatform'], isDefault ? undefined : platform);
  return undefined;
}

function platformOf({ platform }: Fields): { family: string; architecture: string } {
  const { osfamily: family = 'linux', architecture = 'amd64' } = platform ?? {};
  return { family, architecture: /^arm/i.test(architecture) ? 'ARM64' : 'X86_64' };
}

const execPolicy = {
  PolicyName: 'ExecuteCommand',
  PolicyDocument: {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: ['CreateControlChannel', 'OpenControlChannel', 'CreateDataChannel', 'OpenDataChannel'].map(
          (action) => `ssmmessages:${action}`,
        ),
        Resource: '*',
      },
      {
        Effect: 'Allow',
        Action: ['CreateLogStream', 'DescribeLogGroups', 'DescribeLogStreams', 'PutLogEvents'].map(
          (action) => `logs:${action}`,
        ),
        Resource: '*',
      },
    ],
  },
};

/** Commands in the containers of a service; Copilot's template of a job has none. */
function setExec(work: Work): string | undefined {
  const { template, touched, fields } = work;
  if (!template.node(['Resources', 'Service'])) return undefined;
  const isEnabled = typeof fields.exec === 'object' ? fields.exec.enable === true : fields.exec === true;
  const list = template.node(['Resources', 'TaskRole', 'Properties', 'Policies']);
  if (!isSeq(list)) return 'the template has no policies of the TaskRole (an override?)';
  touched.add('Service').add('TaskRole');
  const nameOf = (item: unknown) => textOf(mapOf(toValue(item)).PolicyName);
  list.items = list.items.filter((item) => nameOf(item) !== execPolicy.PolicyName);
  const first = list.items.findIndex((item) => nameOf(item) === 'DenyIAM');
  if (isEnabled) list.items.splice(first + 1, 0, nodeOf(execPolicy));
  put(work, ['Service', 'EnableExecuteCommand'], isEnabled || undefined);
  return undefined;
}

// ---- Storage

const mountPoints = 'COPILOT_MOUNT_POINTS';

interface Mount {
  readonly volume: string;
  readonly path?: string | undefined;
  readonly read_only?: boolean | undefined;
}

function setMounts(work: Work, name: string | undefined, mounts: readonly Mount[]): string | undefined {
  const list = mounts.map(({ volume, path = '', read_only: isReadOnly = true }) => ({
    ContainerPath: path,
    ReadOnly: isReadOnly,
    SourceVolume: volume,
  }));
  const problem = setProperty(work, name, 'MountPoints', list.length > 0 ? list : undefined);
  const container = containerOf(work, name);
  if (problem !== undefined || typeof container === 'string') return problem;
  const environment: unknown = container.get('Environment', true);
  if (!isSeq(environment)) return 'the container has no Environment in the template';
  environment.items = environment.items.filter((_, i) => nameAt(environment, i) !== mountPoints);
  const paths = Object.fromEntries(
    mounts
      .filter(({ path }) => path)
      .map(({ volume, path }) => [volume, path] as const)
      .toSorted(byName),
  );
  if (list.length > 0) environment.items.push(nodeOf({ Name: mountPoints, Value: JSON.stringify(paths) }));
  return undefined;
}

/** Volumes of the task; those of EFS need access points and rights, and are refused. */
function setVolumes(work: Work): string | undefined {
  const { template, fields, old } = work;
  const [before = {}, after = {}] = [old.storage?.volumes, fields.storage?.volumes];
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const isChanged = JSON.stringify(before[name]) !== JSON.stringify(after[name]);
    if (isChanged && (isFileSystem(before[name]?.efs) || isFileSystem(after[name]?.efs)))
      return `the volume ${name} is on EFS: its access point and the rights of the task are not mapped`;
  }
  const names = Object.keys(after).toSorted();
  const path = ['Resources', 'TaskDefinition', 'Properties', 'Volumes'];
  const current = template.node(path);
  const list = isSeq(current) ? current : new YAMLSeq();
  list.items = list.items.filter((_, i) => names.includes(nameAt(list, i) ?? ''));
  const managed = list.items.findIndex((item) => referencesOf(toValue(item)).has('AccessPoint'));
  for (const name of names.filter((name) => !list.items.some((_, i) => nameAt(list, i) === name))) {
    const index = list.items.findIndex((_, i) => i !== managed && (nameAt(list, i) ?? '') > name);
    list.items.splice(index < 0 ? list.items.length : index, 0, nodeOf({ Name: name }));
  }
  if (list.items.length > 0) template.set(path, list);
  else template.delete(path);
  return setMounts(
    work,
    undefined,
    names.map((volume) => ({ volume, ...after[volume] })),
  );
}

function isFileSystem(efs: unknown): boolean {
  return isRecord(efs) ? Object.values(efs).some((value) => value !== undefined) : efs === true;
}

function setEphemeralStorage(work: Work): undefined {
  const size = work.fields.storage?.ephemeral ?? TASK_DEFAULTS.ephemeralStorage;
  work.touched.add('TaskDefinition');
  put(
    work,
    ['TaskDefinition', 'EphemeralStorage'],
    size === TASK_DEFAULTS.ephemeralStorage ? undefined : { SizeInGiB: size },
  );
}

// ---- Containers

const definitions = ['Resources', 'TaskDefinition', 'Properties', 'ContainerDefinitions'];

/** The definition of a container: the main one without a name. */
function containerOf({ template, touched }: Work, name: string | undefined): YAMLMap | string {
  touched.add('TaskDefinition');
  const list = template.node(definitions);
  const found = isSeq(list)
    ? list.items.find((item) => {
        const value = isMap(item) ? toValue(item.get('Name', true)) : undefined;
        return name === undefined ? isValueMap(value) && value.Ref === 'WorkloadName' : value === name;
      })
    : undefined;
  if (isMap(found)) return found;
  return `the template has no container ${name ?? 'of the service'} (an override?)`;
}

function setProperty(work: Work, name: string | undefined, property: string, value: unknown): string | undefined {
  const container = containerOf(work, name);
  if (typeof container === 'string') return container;
  if (value === undefined) container.delete(property);
  else container.set(property, nodeOf(value));
  return undefined;
}

function setWords(work: Work, name: string | undefined, property: string, words: readonly string[] | undefined) {
  return setProperty(work, name, property, words && words.length > 0 ? words : undefined);
}

type Dependencies = NonNullable<Fields['image']>['depends_on'];

function setDependencies(work: Work, name: string | undefined, dependencies: Dependencies): string | undefined {
  const list = Object.entries(dependencies ?? {})
    .toSorted(byName)
    .map(([ContainerName, condition]) => ({ Condition: condition.toUpperCase(), ContainerName }));
  return setProperty(work, name, 'DependsOn', list.length > 0 ? list : undefined);
}

function setLabels(work: Work, name: string | undefined, labels: Readonly<Record<string, string>> | undefined) {
  const isEmpty = labels === undefined || Object.keys(labels).length === 0;
  return setProperty(work, name, 'DockerLabels', isEmpty ? undefined : labels);
}

type ContainerCheck = NonNullable<Fields['image']>['healthcheck'];

function setContainerCheck(work: Work, name: string | undefined, check: ContainerCheck): string | undefined {
  if (check === undefined || Object.keys(check).length === 0) return setProperty(work, name, 'HealthCheck', undefined);
  const defaults = CONTAINER_CHECK_DEFAULTS;
  const { command = defaults.command, interval = defaults.interval, timeout = defaults.timeout } = check;
  const { retries = defaults.retries, start_period: start = defaults.start_period } = check;
  return setProperty(work, name, 'HealthCheck', {
    Command: command,
    Interval: Math.trunc(interval),
    Retries: retries,
    StartPeriod: Math.trunc(start),
    Timeout: Math.trunc(timeout),
  });
}

type Variables = Fields['variables'];

function setVariables(work: Work, name: string | undefined): string | undefined {
  const of = (fields: Fields): Variables =>
    name === undefined ? fields.variables : fields.sidecars?.[name]?.variables;
  const entries = Object.entries(of(work.fields) ?? {}).toSorted(byName);
  const next = entries.map(([Name, value]) => ({
    Name,
    Value: typeof value === 'string' ? value : { 'Fn::ImportValue': value.from_cfn },
  }));
  // Copilot writes its own before them, and the mount points after them.
  return replaceNamed(work, name, 'Environment', Object.keys(of(work.old) ?? {}), next, (list) =>
    nameAt(list, list.items.length - 1) === mountPoints ? list.items.length - 1 : list.items.length,
  );
}

function setSecrets(work: Work, name: string | undefined): string | undefined {
  const of = (fields: Fields) => (name === undefined ? fields.secrets : fields.sidecars?.[name]?.secrets);
  const arn = (secret: string) =>
    `arn:\${AWS::Partition}:secretsmanager:\${AWS::Region}:\${AWS::AccountId}:secret:${secret}`;
  const next = Object.entries(of(work.fields) ?? {})
    .toSorted(byName)
    .map(([Name, value]) => {
      if (typeof value === 'string') return { Name, ValueFrom: value };
      if ('from_cfn' in value) return { Name, ValueFrom: { 'Fn::ImportValue': value.from_cfn } };
      return { Name, ValueFrom: { 'Fn::Sub': arn(value.secretsmanager) } };
    });
  // The entries of addons follow.
  const before = Object.keys(of(work.old) ?? {});
  return replaceNamed(work, name, 'Secrets', before, next, () => before.length);
}

/** Replaces the entries of these names that end before `endOf` by others. */
function replaceNamed(
  work: Work,
  container: string | undefined,
  property: string,
  names: readonly string[],
  next: readonly { Name: string }[],
  endOf: (list: YAMLSeq) => number,
): string | undefined {
  const definition = containerOf(work, container);
  if (typeof definition === 'string') return definition;
  const node: unknown = definition.get(property, true);
  const list = isSeq(node) ? node : new YAMLSeq();
  const end = endOf(list);
  const sorted = names.toSorted();
  const found = sorted.map((_, i) => nameAt(list, end - sorted.length + i));
  if (JSON.stringify(found) !== JSON.stringify(sorted))
    return `${property} of the deployed template is not that of the deployed manifest (an override?)`;
  list.items.splice(end - sorted.length, sorted.length, ...next.map((entry) => nodeOf(entry)));
  if (list.items.length === 0) definition.delete(property);
  else definition.set(property, list);
  return undefined;
}

function nameAt(list: YAMLSeq, index: number): string | undefined {
  const item = list.items[index];
  const name = isMap(item) ? toValue(item.get('Name', true)) : undefined;
  return typeof name === 'string' ? name : undefined;
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : Number(a > b);
}

// ---- Load balancer

/** Fields of the first rule; those of further rules are refused. */
function targetGroup({ template, touched }: Work): string | undefined {
  touched.add('TargetGroup').add('Service');
  if (!template.node(['Resources', 'TargetGroup'])) return 'the template has no TargetGroup';
  return undefined;
}

/** The path of the first listener rule. Its priority stays, so a change from or to the root path is refused. */
function setPath(work: Work): string | undefined {
  const { template, touched, parameters } = work;
  const [from, to] = [work.old, work.fields].map((fields) => `/${(httpOf(fields)?.path ?? '').replace(/^\//, '')}`);
  if (from === '/' || to === '/' || to === undefined)
    return 'the root path has a priority in a range of its own, which Copilot computed: not mapped';
  const id = 'HTTPListenerRule';
  const conditions = template.node(['Resources', id, 'Properties', 'Conditions']);
  const index = isSeq(conditions)
    ? conditions.items.findIndex((item) => textOf(mapOf(toValue(item)).Field) === 'path-pattern')
    : -1;
  if (index < 0) return `the template has no ${id} with a path`;
  touched.add(id);
  template.set(
    ['Resources', id, 'Properties', 'Conditions', index, 'PathPatternConfig', 'Values'],
    nodeOf([to, `${to}/*`]),
  );
  const description = `An HTTP listener rule for path \`${to}\` that forwards HTTP traffic to your tasks`;
  template.set(['Resources', id, 'Metadata', 'aws:copilot:description'], nodeOf(description));
  return setParameter(parameters, 'RulePath', httpOf(work.fields)?.path ?? '');
}

function httpOf(fields: Fields) {
  return typeof fields.http === 'object' ? fields.http : undefined;
}

/** All that the forms of the field have. */
interface TargetCheck {
  path?: string | undefined;
  port?: number | undefined;
  success_codes?: string | undefined;
  healthy_threshold?: number | undefined;
  unhealthy_threshold?: number | undefined;
  timeout?: number | undefined;
  interval?: number | undefined;
  grace_period?: number | undefined;
}

function setTargetCheck(work: Work): string | undefined {
  const refusal = targetGroup(work);
  if (refusal) return refusal;
  const check: TargetCheck = httpOf(work.fields)?.healthcheck ?? {};
  const seconds = (value: number | undefined) => (value === undefined ? undefined : Math.trunc(value));
  const path = check.path ?? '/';
  const properties: Record<string, unknown> = {
    HealthCheckPath: path.startsWith('/') ? path : `/${path}`,
    HealthCheckPort: check.port,
    Matcher: check.success_codes ? { HttpCode: check.success_codes } : undefined,
    HealthyThresholdCount: check.healthy_threshold,
    UnhealthyThresholdCount: check.unhealthy_threshold,
    HealthCheckIntervalSeconds: seconds(check.interval),
    HealthCheckTimeoutSeconds: seconds(check.timeout),
  };
  for (const [name, value] of Object.entries(properties)) put(work, ['TargetGroup', name], value);
  put(work, ['Service', 'HealthCheckGracePeriodSeconds'], seconds(check.grace_period ?? GRACE_PERIOD));
  return undefined;
}

function setTargetAttributes(work: Work): string | undefined {
  const refusal = targetGroup(work);
  if (refusal) return refusal;
  const http = httpOf(work.fields);
  put(
    work,
    ['TargetGroup', 'TargetGroupAttributes'],
    [
      {
        Key: 'deregistration_delay.timeout_seconds',
        Value: Math.trunc(http?.deregistration_delay ?? DEREGISTRATION_DELAY),
      },
      { Key: 'stickiness.enabled', Value: http?.stickiness ?? false },
    ],
  );
  return undefined;
}

// ---- Service

function setRolling(work: Work): string | undefined {
  work.touched.add('Service');
  const isRecreated = work.fields.deployment?.rolling === 'recreate';
  put(work, ['Service', 'DeploymentConfiguration', 'MinimumHealthyPercent'], isRecreated ? 0 : 100);
  put(work, ['Service', 'DeploymentConfiguration', 'MaximumPercent'], isRecreated ? 100 : 200);
  return undefined;
}

/** The template with a new manifest in its metadata; the next release compares with it. */
export function withManifest(template: Template, manifest: string): Template {
  const copy = template.copy();
  const scalar = new Scalar(manifest);
  scalar.type = Scalar.BLOCK_LITERAL;
  copy.set(['Metadata', 'Manifest'], scalar);
  return copy;
}

/** The image of each container of a template; undefined for the main one, whose image is a parameter. */
export function imagesOf(template: Template): Map<string | undefined, Value> {
  const list = template.node(definitions);
  const items = isSeq(list) ? list.items.filter(isMap) : [];
  return new Map(
    items.map((item) => {
      const name = item.get('Name', true);
      return [isScalar(name) && name.tag !== '!Ref' ? String(name.value) : undefined, toValue(item.get('Image', true))];
    }),
  );
}

/** Sets the image of a sidecar. */
export function setImage(template: Template, name: string, image: string): void {
  const work = workOn(template, {}, {});
  const problem = setProperty(work, name, 'Image', image);
  if (problem) throw new Error(problem);
}
