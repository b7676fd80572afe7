import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import type { AddedVolumes } from './cross-field-rules.ts';
import { DocumentError, lineAt, parseAny, plain, Scalar, Sequence, YamlMapping } from './document.ts';
import { bare } from './fields.ts';
import type { Unsupported } from './mapping.ts';
import { labelName } from './names.ts';
import { scheduleProblem } from './schedule.ts';
import { readTaskChanges, type TaskChange, type TaskOverrides } from './task-overrides.ts';
import { isFile, namesIn, readText } from './workspace.ts';

/** A time at which AWS sets new bounds for the number of tasks. */
export interface ScheduledAction {
  name: string;
  /** `cron(…)` or `rate(…)`, as EventBridge writes them. */
  schedule: string;
  timezone: string;
  min: number | undefined;
  max: number | undefined;
}

/** The fields of `http.healthcheck` that a target group has too; durations in seconds. */
interface Healthcheck {
  path?: string;
  port?: number;
  success_codes?: string;
  interval?: number;
  timeout?: number;
  unhealthy_threshold?: number;
}

/** The overrides of a workload's CloudFormation template. */
export interface Overrides {
  task: TaskOverrides;
  /** What they change of `http.healthcheck`. */
  healthcheck: Healthcheck;
  scheduledActions: ScheduledAction[];
  unsupported: Unsupported[];
}

const taskDefinition = '/Resources/TaskDefinition/Properties/';

/** The volumes that the overrides in that folder add. */
export function addedVolumesOf(folder: string, { task }: Overrides): AddedVolumes {
  return isFile(join(folder, 'cdk.json')) ? 'unknown' : task.volumes.map(({ name }) => name);
}

/** The values of parameters of Copilot's templates, by their names. */
export type TemplateParameters = Readonly<Record<string, string>>;

const whole = z.string().regex(/^\d+$/).transform(Number);
const targetGroup: Readonly<Record<string, z.ZodType<Healthcheck>>> = {
  HealthCheckPath: z.string().transform((path) => ({ path })),
  HealthCheckPort: whole.transform((port) => ({ port })),
  HealthCheckIntervalSeconds: whole.transform((interval) => ({ interval })),
  HealthCheckTimeoutSeconds: whole.transform((timeout) => ({ timeout })),
  UnhealthyThresholdCount: whole.transform((unhealthy_threshold) => ({ unhealthy_threshold })),
  Matcher: z.strictObject({ HttpCode: z.string() }).transform(({ HttpCode }) => ({ success_codes: HttpCode })),
  'Matcher/HttpCode': z.string().transform((success_codes) => ({ success_codes })),
};

/** The fields of the manifest that say the same as a patch. */
const inManifest = [
  { pattern: /\/(DesiredCount|MinCapacity|MaxCapacity)$/, field: 'count' },
  { pattern: /\/TargetGroup\/.*\/(HealthCheck|Matcher|UnhealthyThreshold)/, field: 'http.healthcheck' },
];

const text = z.instanceof(Scalar).transform(({ text }) => text);
const number = text.pipe(z.coerce.number<string>());
const patch = z.object({ op: text, path: text, value: z.unknown().optional() });
const operations = ['add', 'remove', 'replace'];
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
 * the task definition, and scheduled scaling; values that refer to `parameters` are completed. No file is no overrides.
 * Throws a DocumentError for what Copilot refuses.
 */
export function readOverrides(file: string, name: string, parameters: TemplateParameters = {}): Overrides {
  const scheduledActions: ScheduledAction[] = [];
  const unsupported: Unsupported[] = [];
  const changes: TaskChange[] = [];
  let healthcheck: Healthcheck = {};
  const overrides = () => {
    const task = readTaskChanges(changes);
    return { task, healthcheck, scheduledActions, unsupported: [...task.unsupported, ...unsupported] };
  };
  if (!namesIn(dirname(file)).includes(basename(file))) return overrides();
  const root = parseAny(readText(file).text, name);
  if (!root) return overrides();
  if (!(root instanceof Sequence))
    throw new DocumentError(name, [{ line: root.line, message: 'expected a list of patches: op, path, value' }]);

  let elsewhere = 0;
  for (const item of root.items) {
    const { op, path, value } = read(patch, plain(item), item.line, 'a patch with op, path and value');
    const at = lineAt(item, ['value']);
    if (!operations.includes(op)) refuse(lineAt(item, ['op']), `op "${op}": expected add, remove or replace`);
    if (op !== 'remove' && !(item instanceof YamlMapping && item.entries.has('value')))
      refuse(item.line, `${op} ${path}: value is missing`);
    if (op !== 'add' && path.endsWith('/-'))
      refuse(item.line, `${op} ${path}: expected the number of an item instead of "-", which is for add`);
    const [, property = ''] = /^\/Resources\/TargetGroup(?:ForImportedALB)?\/Properties\/(.+)$/.exec(path) ?? [];
    const checked = op === 'remove' ? undefined : targetGroup[property]?.safeParse(bare(value)).data;
    if (checked) healthcheck = { ...healthcheck, ...checked };
    else if (path.startsWith(taskDefinition)) {
      const segments = path.slice(taskDefinition.length).split('/');
      if (segments.at(-1) === 'StopTimeout' && op !== 'remove') read(number, value, at, 'a number of seconds');
      changes.push({
        segments,
        isRemoval: op === 'remove',
        isInsertion: op === 'add',
        value: completed(bare(value), parameters),
        at: `${name}:${item.line}`,
        line: item.line,
        path,
      });
    } else if (path === '/Resources/AutoScalingTarget/Properties/ScheduledActions' && op !== 'remove') {
      // A patch of a list as a whole replaces it.
      scheduledActions.length = 0;
      for (const action of read(actions, value, at, 'a list of scheduled actions')) {
        const { ScheduledActionName, Schedule, Timezone, ScalableTargetAction } = action;
        const problem = scheduleProblem(Schedule);
        if (problem) throw new DocumentError(name, [{ line: at, ...problem }]);
        if (scheduledActions.some((other) => labelName(other.name) === labelName(ScheduledActionName)))
          refuse(
            at,
            `two scheduled actions are named "${ScheduledActionName}": expected a ScheduledActionName for each`,
          );
        const { MinCapacity: min, MaxCapacity: max } = ScalableTargetAction;
        scheduledActions.push({
          name: ScheduledActionName,
          schedule: Schedule,
          timezone: Timezone,
          min,
          max,
        });
      }
    } else if (/^\/Resources\/(Service|AutoScalingTarget|TargetGroup\d*)\//.test(path)) {
      const field = inManifest.find(({ pattern }) => pattern.test(path))?.field;
      const reason = field === undefined ? ' has no equivalent here' : `: write it into the manifest, as ${field}`;
      unsupported.push({ path: `${name}:${item.line}`, reason: `${path}${reason}` });
    } else {
      elsewhere += 1;
    }
  }
  if (elsewhere > 0)
    unsupported.push({ path: name, reason: `${elsewhere} more for resources that only CloudFormation has` });
  return overrides();

  function read<T>(schema: z.ZodType<T>, input: unknown, line: number, expected: string): T {
    const result = schema.safeParse(input);
    if (result.success) return result.data;
    return refuse(line, `expected ${expected}`);
  }

  function refuse(line: number, message: string): never {
    throw new DocumentError(name, [{ line, message }]);
  }
}

/** The value with the `!Ref` and `!Sub` that name parameters alone as the text that they are on AWS. */
function completed(value: unknown, parameters: TemplateParameters): unknown {
  if (Array.isArray(value)) return value.map((item) => completed(item, parameters));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const [[key, argument] = []] = entries;
  if (entries.length === 1 && typeof argument === 'string') {
    if (key === '!Ref' || key === 'Ref') return parameters[argument] ?? value;
    if (key === '!Sub' || key === 'Fn::Sub') {
      const text = argument.replaceAll(/\$\{(\w+)\}/g, (match, name: string) => parameters[name] ?? match);
      return text.includes('${') ? { [key]: text } : text;
    }
  }
  return Object.fromEntries(entries.map(([name, item]) => [name, completed(item, parameters)]));
}
