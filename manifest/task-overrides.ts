import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Fields, WorkloadType } from './fields.ts';
import type { Unsupported } from './mapping.ts';

type Sidecar = NonNullable<Fields['sidecars']>[string];

/** The file system of a volume; undefined or false for a volume that exists as long as the task. */
export type FileSystem = NonNullable<NonNullable<Fields['storage']>['volumes']>[string]['efs'];

/** A volume that overrides add to the task. */
export interface AddedVolume {
  name: string;
  efs: FileSystem;
}

type SecretSource = string | { from_cfn: string };

/** What overrides say of one container of the task, in what a container has elsewhere too. */
export interface ContainerOverride {
  /** The line of its first change. */
  line?: number | undefined;
  essential?: boolean;
  dependsOn?: Sidecar['depends_on'];
  healthcheck?: Sidecar['healthcheck'];
  /** The sources of variables that are secrets, by their name. */
  secrets?: Readonly<Record<string, SecretSource>>;
  image?: AddedContainer['image'];
  workingDirectory?: string;
  entryPoint?: string[];
  command?: string[];
  /** Variables that are added, or get another value. */
  environment: ReadonlyMap<string, string>;
  ports: readonly { port: number; protocol: 'tcp' | 'udp' }[];
  user?: { uid: number; gid: number | undefined };
  readonlyRoot?: boolean;
  /** In seconds. */
  stopTimeout?: number;
  mounts: readonly { volume: string; path: string; readOnly: boolean }[];
}

/** A container that overrides add to the task. */
export interface AddedContainer {
  name: string;
  /** Its place in the task definition; undefined for the last one. */
  place: number | undefined;
  /** The image, or that of the service itself. */
  image: { location: string } | 'that of the service';
  override: ContainerOverride;
}

/** What overrides say of the task: its containers by their place in the task definition (0 is the service itself). */
export interface TaskOverrides {
  containers: ReadonlyMap<number, ContainerOverride>;
  added: readonly AddedContainer[];
  volumes: readonly AddedVolume[];
  unsupported: readonly Unsupported[];
}

/**
 * A change of a task definition: the path below its properties, and the new value as texts, lists and maps of texts.
 */
export interface TaskChange {
  segments: readonly string[];
  isRemoval: boolean;
  /** Whether it adds an item where its place is in a list, in front of the one that is there. */
  isInsertion: boolean;
  value: unknown;
  /** Its location in the file, for messages. */
  at: string;
  line?: number;
  /** Its path as written, for messages. */
  path: string;
}

const seconds = z.string().regex(/^\d+$/).transform(Number);
const texts = z.array(z.string());
const variable = z.object({ Name: z.string(), Value: z.string() });
/** An ARN whose partition, region and account CloudFormation completes; that of a parameter is its name. */
const completedArn = z
  .union([z.strictObject({ '!Sub': z.string() }), z.strictObject({ 'Fn::Sub': z.string() })])
  .transform((input) =>
    Object.values(input)
      .join('')
      .replaceAll(/\$\{AWS::\w+\}/g, ''),
  )
  .pipe(z.string().regex(/^arn:[^:$]*:(ssm|secretsmanager):[^$]*$/))
  .transform((arn): SecretSource => arn.replace(/^arn:[^:]*:ssm:[^:]*:[^:]*:parameter/, ''));
const imported = z
  .union([z.strictObject({ '!ImportValue': z.string() }), z.strictObject({ 'Fn::ImportValue': z.string() })])
  .transform((input): SecretSource => ({ from_cfn: Object.values(input).join('') }));
const secret = z.object({ Name: z.string(), ValueFrom: z.union([z.string(), completedArn, imported]) });
const dependency = z.object({
  ContainerName: z.string(),
  Condition: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['start', 'complete', 'success', 'healthy'])),
});
const healthcheck = z
  .object({
    Command: texts.optional(),
    Interval: seconds.optional(),
    Timeout: seconds.optional(),
    Retries: seconds.optional(),
    StartPeriod: seconds.optional(),
  })
  .transform(({ Command, Interval, Timeout, Retries, StartPeriod }) => ({
    command: Command,
    interval: Interval,
    timeout: Timeout,
    retries: Retries,
    start_period: StartPeriod,
  }));
/** The parameter of Copilot's templates that holds the image of the service itself. */
const ownImage = z
  .union([
    z.strictObject({ '!Ref': z.literal('ContainerImage') }),
    z.strictObject({ Ref: z.literal('ContainerImage') }),
  ])
  .transform((): AddedContainer['image'] => 'that of the service');
const image = z.union([ownImage, z.string().transform((location): AddedContainer['image'] => ({ location }))]);
const container = z.looseObject({ Name: z.string().regex(/^[A-Za-z0-9][\w-]*$/), Image: image });
const port = z.object({
  ContainerPort: z.string().regex(/^\d+$/).transform(Number),
  Protocol: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['tcp', 'udp']))
    .default('tcp'),
});
/** Numbers, or root, whose number is the same in every image. */
const user = z
  .string()
  .regex(/^(\d+|root)(:(\d+|root))?$/)
  .transform((text) => {
    const [uid = '', gid] = text.replaceAll('root', '0').split(':');
    return { uid: Number(uid), gid: gid === undefined ? undefined : Number(gid) };
  });
const boolean = z
  .string()
  .toLowerCase()
  .pipe(z.enum(['true', 'false']))
  .transform((text) => text === 'true');
const mount = z
  .object({ ContainerPath: z.string(), SourceVolume: z.string(), ReadOnly: boolean.default(false) })
  .transform(({ ContainerPath, SourceVolume, ReadOnly }) => ({
    volume: SourceVolume,
    path: ContainerPath,
    readOnly: ReadOnly,
  }));
const fileSystem = z.object({
  FilesystemId: z.string(),
  RootDirectory: z.string().optional(),
  AuthorizationConfig: z.object({ AccessPointId: z.string().optional() }).optional(),
});
const volume = z.looseObject({ Name: z.string(), EFSVolumeConfiguration: z.unknown().optional() });

/** A volume, and the reason why it is another one than on AWS. */
const addedVolume = volume.transform(
  ({ Name: name, EFSVolumeConfiguration, ...others }): { volume: AddedVolume; reason?: string } => {
    const isEmpty = Object.values(others).every((part) => isDeepStrictEqual(part, {}));
    const reason = `${name} is a new, empty volume here`;
    if (EFSVolumeConfiguration === undefined)
      return { volume: { name, efs: undefined }, ...(isEmpty ? {} : { reason }) };
    const { data } = fileSystem.safeParse(EFSVolumeConfiguration);
    if (data === undefined) return { volume: { name, efs: true }, reason };
    const { FilesystemId: id, RootDirectory: root_dir, AuthorizationConfig } = data;
    return { volume: { name, efs: { id, root_dir, auth: { access_point_id: AuthorizationConfig?.AccessPointId } } } };
  },
);

/**
 * Reads changes of a task definition, in the order in which they are made; what a pod can't take over, or is known to
 * CloudFormation alone (`!Ref`), is named.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-ecs-taskdefinition-containerdefinition.html
 */
export function readTaskChanges(changes: readonly TaskChange[]): TaskOverrides {
  let containers = new Map<number, ContainerOverride>();
  let added: AddedContainer[] = [];
  const volumes: AddedVolume[] = [];
  const unsupported: Unsupported[] = [];
  for (const change of joinItems(changes)) {
    const [field = '', index = '', property = '', ...inner] = change.segments;
    const { at, value } = change;
    const place = /^\d+$/.test(index) ? Number(index) : undefined;
    const isOfContainer = field === 'ContainerDefinitions' && !change.isRemoval;
    if (isOfContainer && property === '' && (index === '-' || change.isInsertion)) {
      const whole = addedContainer(place, value, change);
      unsupported.push(...whole.unsupported.map((reason) => ({ path: at, reason })));
      if (!whole.container) continue;
      const behind = (other: number) => (place !== undefined && other >= place ? other + 1 : other);
      containers = new Map([...containers].map(([other, known]) => [behind(other), known]));
      added = added.map((known) => (known.place === undefined ? known : { ...known, place: behind(known.place) }));
      added.push(whole.container);
      continue;
    }
    const known = place === undefined ? undefined : (containers.get(place) ?? unchanged);
    const changed = known && isOfContainer ? changedContainer(known, property, inner, value) : undefined;
    const newVolumes =
      field === 'Volumes' && !change.isRemoval ? listOf(addedVolume, change.segments.slice(1), value) : undefined;
    if (changed && place !== undefined) {
      containers.set(place, { ...changed.container, line: known?.line ?? change.line });
      const replaced = inner.length === 0 && LISTS.includes(property) ? [REPLACED] : [];
      const reasons = [...changed.unknown, ...replaced];
      unsupported.push(...reasons.map((reason) => ({ path: at, reason: `${change.path}: ${reason}` })));
    } else if (newVolumes) {
      volumes.push(...newVolumes.map(({ volume }) => volume));
      const reasons = newVolumes.flatMap(({ reason }) => reason ?? []);
      unsupported.push(...reasons.map((reason) => ({ path: at, reason: `${change.path}: ${reason}` })));
    } else unsupported.push({ path: at, reason: whyNot(change, property) });
  }
  return { containers, added, volumes, unsupported };
}

const LISTS = ['Environment', 'Secrets', 'PortMappings', 'MountPoints'];
const REPLACED = 'on AWS it replaces the list, with what the manifest and Copilot add; here it is added to the list';

const unchanged: ContainerOverride = { environment: new Map(), ports: [], mounts: [] };

/** A container that is added as a whole, and why some of it, or all, can't be taken over. */
function addedContainer(place: number | undefined, value: unknown, { path }: TaskChange) {
  const result = container.safeParse(value);
  if (!result.success)
    return {
      unsupported: [`${path}: a container whose name or image only CloudFormation knows: write it below sidecars`],
    };
  const { Name: name, Image: image, ...properties } = result.data;
  const unsupported: string[] = [];
  let override = unchanged;
  for (const [property, stated] of Object.entries(properties)) {
    const changed = changedContainer(override, property, [], stated);
    const own = {
      path: `${path}/${property}`,
      segments: [],
      isRemoval: false,
      isInsertion: false,
      value: stated,
      at: '',
    };
    if (changed) unsupported.push(...changed.unknown.map((reason) => `${own.path}: ${reason}`));
    else unsupported.push(whyNot(own, property));
    override = changed?.container ?? override;
  }
  return { container: { name, place, image, override }, unsupported };
}

/**
 * The changes; those of one new item, such as `PortMappings[-].ContainerPort` and `PortMappings[1].Protocol`, are
 * merged into one that adds the whole item.
 */
function joinItems(changes: readonly TaskChange[]): TaskChange[] {
  const joined: TaskChange[] = [];
  const added = new Map<string, { fields: Record<string, unknown> }>();
  for (const change of changes) {
    const [place = '', field = ''] = change.segments.slice(-2);
    const segments = change.segments.slice(0, -1);
    const list = segments.slice(0, -1).join('/');
    const known = added.get(list);
    const isItem =
      !change.isRemoval &&
      /^(ContainerDefinitions\/\d+\/(Environment|PortMappings|MountPoints|DependsOn|Secrets)|Volumes)$/.test(list);
    if (isItem && place === '-') {
      const fields = { [field]: change.value };
      added.set(list, { fields });
      joined.push({ ...change, segments, value: fields });
    } else if (isItem && known && !(field in known.fields)) known.fields[field] = change.value;
    else joined.push(change);
  }
  return joined;
}

/**
 * The container with the change, and what of it only CloudFormation knows; undefined where a pod can't take it over.
 */
function changedContainer(
  known: ContainerOverride,
  property: string,
  inner: readonly string[],
  value: unknown,
): { container: ContainerOverride; unknown: string[] } | undefined {
  if (property === 'Environment' || property === 'Secrets') return withVariables(known, property, inner, value);
  const container = withProperty(known, property, inner, value);
  return container && { container, unknown: [] };
}

/** A list of variables is taken over item by item: many a value is one of CloudFormation's. */
function withVariables(
  known: ContainerOverride,
  property: 'Environment' | 'Secrets',
  inner: readonly string[],
  value: unknown,
): { container: ContainerOverride; unknown: string[] } | undefined {
  const items = listOf(z.unknown(), inner, value);
  const named = listOf(z.looseObject({ Name: z.string() }), inner, value);
  if (!items || !named) return undefined;
  const key = property === 'Environment' ? 'Value' : 'ValueFrom';
  const unknown = named.flatMap(({ Name, ...item }) => {
    const isKnown = (property === 'Environment' ? variable : secret).safeParse({ Name, ...item }).success;
    if (isKnown || Name.startsWith('COPILOT_')) return [];
    return [key in item ? `the value of ${Name} is known to CloudFormation only` : `${Name} has no ${key}`];
  });
  if (property === 'Environment') {
    const added = items.flatMap((item) => variable.safeParse(item).data ?? []);
    const environment = new Map([...known.environment, ...added.map(({ Name, Value }) => [Name, Value] as const)]);
    return { container: { ...known, environment }, unknown };
  }
  const added = items.flatMap((item) => secret.safeParse(item).data ?? []);
  const secrets = Object.fromEntries(added.map(({ Name, ValueFrom }) => [Name, ValueFrom]));
  return { container: { ...known, secrets: { ...known.secrets, ...secrets } }, unknown };
}

function withProperty(
  known: ContainerOverride,
  property: string,
  inner: readonly string[],
  value: unknown,
): ContainerOverride | undefined {
  if (property === 'PortMappings') {
    const added = listOf(port, inner, value)?.map(({ ContainerPort, Protocol }) => ({
      port: ContainerPort,
      protocol: Protocol,
    }));
    return added && { ...known, ports: [...known.ports, ...added] };
  }
  if (property === 'MountPoints') {
    const added = listOf(mount, inner, value);
    return added && { ...known, mounts: [...known.mounts, ...added] };
  }
  if (property === 'DependsOn') {
    const added = listOf(dependency, inner, value)?.map(({ ContainerName, Condition }) => [ContainerName, Condition]);
    return added && { ...known, dependsOn: { ...known.dependsOn, ...Object.fromEntries(added) } };
  }
  if (inner.length > 0) return undefined;
  if (property === 'Image') return withField(known, 'image', image, value);
  if (property === 'WorkingDirectory') return withField(known, 'workingDirectory', z.string(), value);
  if (property === 'EntryPoint') return withField(known, 'entryPoint', texts, value);
  if (property === 'Command') return withField(known, 'command', texts, value);
  if (property === 'User') return withField(known, 'user', user, value);
  if (property === 'Essential') return withField(known, 'essential', boolean, value);
  if (property === 'HealthCheck') return withField(known, 'healthcheck', healthcheck, value);
  if (property === 'ReadonlyRootFilesystem') return withField(known, 'readonlyRoot', boolean, value);
  return property === 'StopTimeout' ? withField(known, 'stopTimeout', seconds, value) : undefined;
}

function withField<K extends keyof ContainerOverride>(
  known: ContainerOverride,
  field: K,
  schema: z.ZodType<ContainerOverride[K]>,
  value: unknown,
): ContainerOverride | undefined {
  const result = schema.safeParse(value);
  return result.success ? { ...known, [field]: result.data } : undefined;
}

/** The items that are added to a list, or that it consists of; undefined where the change goes into one of them. */
function listOf<T>(item: z.ZodType<T>, inner: readonly string[], value: unknown): T[] | undefined {
  if (inner.length > 1) return undefined;
  const result = z.array(item).safeParse(inner.length === 1 ? [value] : value);
  return result.success ? result.data : undefined;
}

/** The fields of the manifest that say what a property of the task says. */
const ofManifest: Readonly<Record<string, string>> = {
  Cpu: 'cpu',
  Memory: 'memory',
  EphemeralStorage: 'storage.ephemeral',
  RuntimePlatform: 'platform',
  Volumes: 'storage.volumes',
};

function whyNot({ path, isRemoval, segments }: TaskChange, property: string): string {
  if (!isRemoval && segments[0] === 'ContainerDefinitions' && segments.length === 2)
    return `${path}: replaces a container as a whole; write its changes into the manifest`;
  if (property === 'DependsOn') return `${path}: write it into the manifest, as depends_on`;
  const ofTask = isRemoval ? undefined : ofManifest[segments[0] ?? ''];
  if (ofTask !== undefined) return `${path}: write it into the manifest, as ${ofTask}`;
  if (property === 'User' && !isRemoval) return `${path}: Kubernetes needs the number of the user`;
  if (property === 'LogConfiguration')
    return `${path}: kubectl logs reads what the containers write, without log options`;
  if (isRemoval) return `${path}: what Copilot adds to a task definition does not exist here`;
  return `${path} is a field of an ECS task definition`;
}

/** Both merged; the later one wins. */
export function mergeOverride(
  earlier: ContainerOverride | undefined,
  later: ContainerOverride | undefined,
): ContainerOverride {
  return {
    ...earlier,
    ...later,
    dependsOn: { ...earlier?.dependsOn, ...later?.dependsOn },
    secrets: { ...earlier?.secrets, ...later?.secrets },
    environment: new Map([...(earlier?.environment ?? []), ...(later?.environment ?? [])]),
    ports: [...(earlier?.ports ?? []), ...(later?.ports ?? [])],
    mounts: [...(earlier?.mounts ?? []), ...(later?.mounts ?? [])],
  };
}

/** The path of an item of `taskdef_overrides`, such as `ContainerDefinitions[0].Ulimits[-].HardLimit`, in its parts. */
export function segmentsOf(path: string): string[] {
  return path.split('.').flatMap((segment) => {
    const [, key = segment, index] = /^([\w-]+)\[(\d+|-)\]$/.exec(segment) ?? [];
    return index === undefined ? [key] : [key, index];
  });
}

/**
 * The names of the containers of a task in the order of its definition: the service, what Copilot adds, the sidecars by
 * their names, and those that overrides add.
 * https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/template/templates/workloads/partials/cf/sidecars.yml
 */
export function containersInTask({ name = '', logging, observability, sidecars = {}, added = [] }: Fields): string[] {
  const { retention, ...router } = logging ?? {};
  const isAdded = (sidecar: string) => added.some((other) => other.name === sidecar);
  const names = [
    name,
    ...(Object.keys(router).length > 0 ? ['firelens_log_router'] : []),
    ...(observability?.tracing ? ['aws-otel-collector'] : []),
    ...Object.keys(sidecars)
      .filter((sidecar) => !isAdded(sidecar))
      .toSorted(),
  ];
  for (const { name: sidecar, place } of added) names.splice(place ?? names.length, 0, sidecar);
  return names;
}

/** The problem of each container that overrides change and that the task does not have. */
export function missingContainers(
  type: WorkloadType,
  fields: Fields,
  { containers }: TaskOverrides,
): { line: number; message: string }[] {
  if (type === 'Request-Driven Web Service' || type === 'Static Site') {
    const message = `a ${type} has no task definition: there is nothing to change`;
    return [...containers.values()].map(({ line = 1 }) => ({ line, message }));
  }
  const names = containersInTask(fields);
  return [...containers]
    .filter(([place]) => place >= names.length)
    .map(([place, { line = 1 }]) => ({
      line,
      message: `there is no container ${place}: the containers of the task are ${names.map((name, i) => `${i} (${name})`).join(', ')}`,
    }));
}

/**
 * The fields with the containers that overrides add as sidecars, and with what overrides say that a sidecar can say.
 */
export function withTaskOverrides(fields: Fields, { containers, added }: TaskOverrides): Fields {
  if (added.length === 0 && containers.size === 0) return fields;
  const { build, location } = fields.image ?? {};
  const own = location === undefined ? { build } : { location };
  const sidecars = { ...fields.sidecars };
  const others = containersInTask(fields);
  for (const { name, image, override } of added) {
    if (others.includes(name)) continue;
    const [port] = override.ports;
    const stated: Sidecar = { image: image === 'that of the service' ? own : image, port };
    sidecars[name] = withOverride(stated, override);
  }
  const all: Fields = {
    ...fields,
    sidecars,
    added: [...(fields.added ?? []), ...added.filter(({ name }) => sidecars[name] && !others.includes(name))],
  };
  const names = containersInTask(all);
  let { image, secrets } = all;
  for (const [place, override] of containers) {
    const container = names[place] ?? '';
    const sidecar = sidecars[container];
    const stated = override.image === 'that of the service' ? own : override.image;
    if (sidecar) sidecars[container] = { ...withOverride(sidecar, override), image: stated ?? sidecar.image };
    else if (place === 0) {
      const { depends_on, healthcheck } = withOverride({ ...image, image: undefined, port: undefined }, override);
      image = { ...image, ...(stated && { build: undefined, ...stated }), depends_on, healthcheck };
      secrets = { ...secrets, ...override.secrets };
    }
  }
  return { ...all, image, secrets };
}

function withOverride(sidecar: Sidecar, { essential, dependsOn, healthcheck, secrets }: ContainerOverride): Sidecar {
  return {
    ...sidecar,
    essential: essential ?? sidecar.essential,
    depends_on: dependsOn ? { ...sidecar.depends_on, ...dependsOn } : sidecar.depends_on,
    healthcheck: healthcheck ?? sidecar.healthcheck,
    secrets: secrets ? { ...sidecar.secrets, ...secrets } : sidecar.secrets,
  };
}
