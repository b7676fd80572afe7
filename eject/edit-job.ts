import { Scalar } from 'yaml';
import { z } from 'zod';
import { eventBridgeSchedule } from '../manifest/schedule.ts';
import { put, setParameter, type Work } from './edit.ts';
import { textOf } from './template.ts';

/** A rule without a schedule is disabled, and has one that EventBridge takes. */
export function setSchedule(work: Work): string | undefined {
  const { template, touched, parameters, fields } = work;
  const id = 'Rule';
  if (!template.node(['Resources', id])) return `the template has no ${id}`;
  touched.add(id);
  const schedule = eventBridgeSchedule(fields.on?.schedule ?? '');
  const isOff = schedule === 'none';
  put(work, [id, 'ScheduleExpression'], isOff ? 'rate(5 minutes)' : { Ref: 'Schedule' });
  put(work, [id, 'State'], isOff ? 'DISABLED' : 'ENABLED');
  return setParameter(parameters, 'Schedule', schedule);
}

const taskState = 'Run Fargate Task';
const definitionSchema = z.looseObject({ States: z.looseObject({ [taskState]: z.looseObject({}) }) });

/** The retries and the timeout of a job. */
export function setStateMachine({ template, touched, fields }: Work): string | undefined {
  const path = ['Resources', 'StateMachine', 'Properties', 'DefinitionString'];
  const properties = template.resources().get('StateMachine')?.properties;
  const definition = read(textOf(properties?.DefinitionString) ?? '');
  if (!definition) return `the template has no StateMachine with the state "${taskState}" (an override?)`;
  const { TimeoutSeconds: _, ...rest } = definition;
  const { Retry: __, ...task } = definition.States[taskState] ?? {};
  const { timeout, retries } = fields;
  const retry = { ErrorEquals: ['States.ALL'], IntervalSeconds: 10, MaxAttempts: retries, BackoffRate: 1.5 };
  const next = {
    ...rest,
    ...(timeout === undefined ? {} : { TimeoutSeconds: timeout }),
    States: { ...definition.States, [taskState]: { ...task, ...(retries ? { Retry: [retry] } : {}) } },
  };
  const scalar = new Scalar(JSON.stringify(next, null, 2));
  scalar.type = Scalar.BLOCK_LITERAL;
  template.set(path, scalar);
  touched.add('StateMachine');
  return undefined;
}

function read(text: string): z.output<typeof definitionSchema> | undefined {
  try {
    return definitionSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
