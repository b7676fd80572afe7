import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { DocumentError, lineAt, parseAny, plain, Scalar, Sequence } from './document.ts';
import { bare } from './fields.ts';
import type { NotCarried } from './mapping.ts';
import { scheduleProblem } from './schedule.ts';
import { readTaskChanges, type TaskChange, type TaskOverrides } from './task-overrides.ts';

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
  task: TaskOverrides;
  scheduledActions: ScheduledAction[];
  notCarried: NotCarried[];
}

const taskDefinition = '/Resources/TaskDefinition/Properties/';

const text = z.instanceof(Scalar).transform(({ text }) => text);
const number = text.pipe(z.coerce.number<string>());
const patch = z.object({ op: text, path: text, value: z.unknown().optional() });
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
 * workspace says what Copilot's manifest has no field for, and takes from it what a cluster can do as well: changes of
 * the task definition, and scheduled scaling. No file is no overrides.
 */
export function readOverrides(file: string, name: string): Overrides {
  const scheduledActions: ScheduledAction[] = [];
  const notCarried: NotCarried[] = [];
  const changes: TaskChange[] = [];
  const overrides = () => {
    const task = readTaskChanges(changes);
    return { task, scheduledActions, notCarried: [...task.notCarried, ...notCarried] };
  };
  if (!existsSync(file)) return overrides();
  const root = parseAny(readFileSync(file, 'utf8'), name);
  if (!root) return overrides();
  if (!(root instanceof Sequence))
    throw new DocumentError(name, [{ line: root.line, message: 'expected a list of patches: op, path, value' }]);

  let elsewhere = 0;
  for (const item of root.items) {
    const { op, path, value } = read(patch, plain(item), item.line, 'a patch with op, path and value');
    const at = lineAt(item, ['value']);
    if (path.startsWith(taskDefinition)) {
      const segments = path.slice(taskDefinition.length).split('/');
      if (segments.at(-1) === 'StopTimeout' && op !== 'remove') read(number, value, at, 'a number of seconds');
      changes.push({ segments, isRemoval: op === 'remove', value: bare(value), at: `${name}:${item.line}`, path });
    } else if (path === '/Resources/AutoScalingTarget/Properties/ScheduledActions' && op !== 'remove') {
      for (const action of read(actions, value, at, 'a list of scheduled actions')) {
        const { ScheduledActionName, Schedule, Timezone, ScalableTargetAction } = action;
        const problem = scheduleProblem(Schedule);
        if (problem) throw new DocumentError(name, [{ line: at, ...problem }]);
        const { MinCapacity: min, MaxCapacity: max } = ScalableTargetAction;
        scheduledActions.push({
          name: ScheduledActionName,
          schedule: Schedule,
          timezone: Timezone,
          min,
          max,
        });
      }
    } else if (/^\/Resources\/(Service|AutoScalingTarget)\//.test(path)) {
      notCarried.push({ path: `${name}:${item.line}`, reason: `${path} has no equivalent here` });
    } else {
      elsewhere += 1;
    }
  }
  if (elsewhere > 0)
    notCarried.push({ path: name, reason: `${elsewhere} more for resources that only CloudFormation has` });
  return overrides();

  function read<T>(schema: z.ZodType<T>, input: unknown, line: number, expected: string): T {
    const result = schema.safeParse(input);
    if (result.success) return result.data;
    throw new DocumentError(name, [{ line, message: `expected ${expected}` }]);
  }
}
