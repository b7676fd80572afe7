import { z } from 'zod';
import type { NotCarried } from './mapping.ts';

/** What overrides say of one container of the task, in what a container has elsewhere too. */
export interface ContainerOverride {
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

/** What overrides say of the task: its containers by their place in the task definition (0 is the service itself). */
export interface TaskOverrides {
  containers: ReadonlyMap<number, ContainerOverride>;
  /** The names of the volumes that are added. */
  volumes: readonly string[];
  notCarried: readonly NotCarried[];
}

/** One change of a task definition: where below its properties, and the new value as texts, lists and maps of texts. */
export interface TaskChange {
  segments: readonly string[];
  isRemoval: boolean;
  value: unknown;
  /** Where it stands, for people. */
  at: string;
  /** How it writes its place. */
  path: string;
}

const seconds = z.string().regex(/^\d+$/).transform(Number);
const texts = z.array(z.string());
const variable = z.object({ Name: z.string(), Value: z.string() });
const port = z.object({
  ContainerPort: z.string().regex(/^\d+$/).transform(Number),
  Protocol: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['tcp', 'udp']))
    .default('tcp'),
});
const user = z
  .string()
  .regex(/^\d+(:\d+)?$/)
  .transform((text) => {
    const [uid = '', gid] = text.split(':');
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
// More in a volume, such as a file system, is another volume than an empty one.
const volume = z.strictObject({ Name: z.string() });

/**
 * Reads changes of a task definition, in the order in which they are made; what a pod can't take over, or is known to
 * CloudFormation alone (`!Ref`), is named.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-ecs-taskdefinition-containerdefinition.html
 */
export function readTaskChanges(changes: readonly TaskChange[]): TaskOverrides {
  const containers = new Map<number, ContainerOverride>();
  const volumes: string[] = [];
  const notCarried: NotCarried[] = [];
  for (const change of joinItems(changes)) {
    const [field = '', index = '', property = '', ...inner] = change.segments;
    const place = Number(index);
    const known = containers.get(place) ?? { environment: new Map(), ports: [], mounts: [] };
    const changed =
      field === 'ContainerDefinitions' && /^\d+$/.test(index) && !change.isRemoval
        ? changedContainer(known, property, inner, change.value)
        : undefined;
    const added =
      field === 'Volumes' && !change.isRemoval ? listOf(volume, change.segments.slice(1), change.value) : undefined;
    if (changed) containers.set(place, changed);
    else if (added) volumes.push(...added.map(({ Name }) => Name));
    else notCarried.push({ path: change.at, reason: whyNot(change, property) });
  }
  return { containers, volumes, notCarried };
}

/**
 * The changes, of which those that make up one new item, as `PortMappings[-].ContainerPort` and `PortMappings[1].Protocol`
 * do, are one that adds it whole.
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
      !change.isRemoval && /^(ContainerDefinitions\/\d+\/(Environment|PortMappings|MountPoints)|Volumes)$/.test(list);
    if (isItem && place === '-') {
      const fields = { [field]: change.value };
      added.set(list, { fields });
      joined.push({ ...change, segments, value: fields });
    } else if (isItem && known && !(field in known.fields)) known.fields[field] = change.value;
    else joined.push(change);
  }
  return joined;
}

/** The container with the change, or undefined where a pod can't take it over. */
function changedContainer(
  known: ContainerOverride,
  property: string,
  inner: readonly string[],
  value: unknown,
): ContainerOverride | undefined {
  if (property === 'Environment') {
    const added = listOf(variable, inner, value)?.map(({ Name, Value }) => [Name, Value] as const);
    return added && { ...known, environment: new Map([...known.environment, ...added]) };
  }
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
  if (inner.length > 0) return undefined;
  if (property === 'EntryPoint') return withField(known, 'entryPoint', texts, value);
  if (property === 'Command') return withField(known, 'command', texts, value);
  if (property === 'User') return withField(known, 'user', user, value);
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

function whyNot({ path, isRemoval, segments }: TaskChange, property: string): string {
  if (!isRemoval && segments[0] === 'ContainerDefinitions' && segments.length === 2)
    return `${path}: a container that the manifest does not have; write it there, below sidecars`;
  if (property === 'DependsOn') return `${path}: write it into the manifest, as depends_on`;
  if (property === 'LogConfiguration')
    return `${path}: kubectl logs reads what the containers write, without log options`;
  if (isRemoval) return `${path}: what Copilot adds to a task definition is not here to be removed`;
  return `${path} is a field of an ECS task definition`;
}

/** What both say, the later one after the earlier one. */
export function mergeOverride(
  earlier: ContainerOverride | undefined,
  later: ContainerOverride | undefined,
): ContainerOverride {
  return {
    ...earlier,
    ...later,
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
