import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { DocumentError, lineAt, nodeAt, parseAny, plain, Scalar, Sequence } from './document.ts';
import type { NotCarried } from './mapping.ts';
import { scheduleProblem } from './schedule.ts';

/** A time at which AWS sets new bounds for the number of tasks. */
export interface ScheduledAction {
  name: string;
  /** `cron(…)` or `rate(…)`, as EventBridge writes them. */
  schedule: string;
  timezone: string;
  min: number | undefined;
  max: number | undefined;
}

/** What a workspace says about a workload in CloudFormation, beside its manifest. */
export interface Overrides {
  /** By the container's place in the task definition: 0 is the service itself. */
  stopTimeouts: ReadonlyMap<number, number>;
  users: ReadonlyMap<number, number>;
  readonlyRoots: ReadonlyMap<number, boolean>;
  /** The names of the volumes that it adds to the task. */
  volumes: string[];
  mounts: { place: number; volume: string; path: string; readOnly: boolean }[];
  scheduledActions: ScheduledAction[];
  notCarried: NotCarried[];
}

const containerField =
  /^\/Resources\/TaskDefinition\/Properties\/ContainerDefinitions\/(\d+)\/(StopTimeout|User|ReadonlyRootFilesystem)$/;

const volumesField = /^\/Resources\/TaskDefinition\/Properties\/Volumes\/(-|\d+)$/;
const mountsField = /^\/Resources\/TaskDefinition\/Properties\/ContainerDefinitions\/(\d+)\/MountPoints\/(-|\d+)$/;

const text = z.instanceof(Scalar).transform(({ text }) => text);
const number = text.pipe(z.coerce.number<string>());
const patch = z.object({ op: text, path: text, value: z.unknown().optional() });
const volume = z.object({ Name: text });
const mountPoint = z.object({ ContainerPath: text, SourceVolume: text, ReadOnly: text.optional() });
const actions = z.array(
  z.object({
    ScheduledActionName: text.default('scheduled-action'),
    Schedule: text,
    Timezone: text.default('UTC'),
    ScalableTargetAction: z.object({ MinCapacity: number.optional(), MaxCapacity: number.optional() }),
  }),
);

/**
 * Reads `overrides/cfn.patches.yml` (https://aws.github.io/copilot-cli/docs/developing/overrides/yamlpatch/), where a
 * workspace says what Copilot's manifest has no field for, and takes from it what a cluster can do as well: the stop
 * time-out, the user, the read-only root and the mounts of containers, volumes, and scheduled scaling. No file is no overrides.
 */
export function readOverrides(file: string, name: string): Overrides {
  const overrides = {
    stopTimeouts: new Map<number, number>(),
    users: new Map<number, number>(),
    readonlyRoots: new Map<number, boolean>(),
    volumes: [] as Overrides['volumes'],
    mounts: [] as Overrides['mounts'],
    scheduledActions: [] as ScheduledAction[],
    notCarried: [] as NotCarried[],
  };
  if (!existsSync(file)) return overrides;
  const root = parseAny(readFileSync(file, 'utf8'), name);
  if (!root) return overrides;
  if (!(root instanceof Sequence))
    throw new DocumentError(name, [{ line: root.line, message: 'expected a list of patches: op, path, value' }]);

  let elsewhere = 0;
  for (const [i, item] of root.items.entries()) {
    const { op, path, value } = read(patch, plain(item), item.line, 'a patch with op, path and value');
    const at = lineAt(item, ['value']);
    const [, index, property] = containerField.exec(op === 'remove' ? '' : path) ?? [];
    const stated = nodeAt(root, [i, 'value']);
    const word = stated instanceof Scalar ? stated.text : '';
    if (property === 'StopTimeout') {
      overrides.stopTimeouts.set(Number(index), read(number, value, at, 'a number of seconds'));
    } else if (property === 'User' && /^\d+$/.test(word)) {
      overrides.users.set(Number(index), Number(word));
    } else if (property === 'ReadonlyRootFilesystem') {
      overrides.readonlyRoots.set(Number(index), word === 'true');
    } else if (volumesField.test(path) && op === 'add') {
      overrides.volumes.push(read(volume, value, at, 'a volume with a Name').Name);
    } else if (mountsField.test(path) && op === 'add') {
      const mount = read(mountPoint, value, at, 'a mount point with ContainerPath and SourceVolume');
      overrides.mounts.push({
        place: Number(mountsField.exec(path)?.[1]),
        volume: mount.SourceVolume,
        path: mount.ContainerPath,
        readOnly: mount.ReadOnly === 'true',
      });
    } else if (path === '/Resources/AutoScalingTarget/Properties/ScheduledActions' && op !== 'remove') {
      for (const action of read(actions, value, at, 'a list of scheduled actions')) {
        const { ScheduledActionName, Schedule, Timezone, ScalableTargetAction } = action;
        const problem = scheduleProblem(Schedule);
        if (problem) throw new DocumentError(name, [{ line: at, message: problem }]);
        const { MinCapacity: min, MaxCapacity: max } = ScalableTargetAction;
        overrides.scheduledActions.push({
          name: ScheduledActionName,
          schedule: Schedule,
          timezone: Timezone,
          min,
          max,
        });
      }
    } else if (/^\/Resources\/(TaskDefinition|Service|AutoScalingTarget)\//.test(path)) {
      overrides.notCarried.push({ path: `${name}:${item.line}`, reason: `${path} has no twin here` });
    } else {
      elsewhere += 1;
    }
  }
  if (elsewhere > 0)
    overrides.notCarried.push({ path: name, reason: `${elsewhere} more for resources that only CloudFormation has` });
  return overrides;

  function read<T>(schema: z.ZodType<T>, input: unknown, line: number, expected: string): T {
    const result = schema.safeParse(input);
    if (result.success) return result.data;
    throw new DocumentError(name, [{ line, message: `expected ${expected}` }]);
  }
}
