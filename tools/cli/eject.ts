import { z } from 'zod';
import { stepNames } from '../../eject/steps.ts';
import { TemplateError } from '../../eject/template.ts';
import { formats } from '../../eject/write.ts';
import { UsageError } from '../../k8s/errors.ts';
import { Refusal } from '../terminal/refusal.ts';
import { type Command, command, oneOf, workspaceOptions } from './command.ts';
import { exitCodeOf, exitCodes } from './exit.ts';

// What each of them does is in eject/; it is loaded when it is needed, since it brings the AWS SDK.

const common = {
  workspace: workspaceOptions.workspace,
  environment: { type: 'string', short: 'e', value: 'NAME', help: 'the environment (required)' },
  output: {
    type: 'string',
    short: 'o',
    value: 'DIR',
    help: 'where the files are (default: ejected/NAME beside the copilot folder)',
  },
  help: workspaceOptions.help,
} as const;
const service = { type: 'string', value: 'NAME', help: 'the service or job (required)' } as const;
const onStep = {
  ...common,
  service: { type: 'string', value: 'NAME', help: 'only this service or job (default: all)' },
} as const;
const yes = { type: 'boolean', help: 'do not ask' } as const;
const details = `The steps, in this order: ${stepNames.join(', ')}.`;

function required(option: string, given: string | undefined): string {
  if (given === undefined) throw new UsageError(`--${option} is missing`);
  return given;
}

interface Given {
  readonly workspace?: string | undefined;
  readonly environment?: string | undefined;
  readonly output?: string | undefined;
}

function optionsOf({ workspace, environment, output }: Given) {
  return { workspace, environment: required('environment', environment), output };
}

/** Gives the exit code of errors that say what AWS, a template or this program refuses; throws all others. */
async function ended(work: Promise<void>): Promise<number> {
  try {
    await work;
    return exitCodes.done;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const isRefusal = error instanceof Refusal;
    if (!isRefusal && exitCodeOf(error) !== undefined) throw error;
    const isData = error instanceof TemplateError || error instanceof z.ZodError;
    // AWS's own errors have their meaning in the name.
    const isKnown = isRefusal || isData || '$metadata' in error || error.name === 'CredentialsProviderError';
    if (!isKnown) throw error;
    console.error(isRefusal || isData ? error.message : `${error.name}: ${error.message}`);
    return isData ? exitCodes.data : exitCodes.failed;
  }
}

const plan = command({
  name: 'eject plan',
  summary: 'Read the deployed stacks of an environment, and report how they can leave Copilot',
  details:
    'Writes inventory.json and REPORT.md: what each step changes, what removing the custom resources by hand would destroy, and what stays. Refuses what it does not know, naming the stack and the resource. AWS is only read.',
  options: common,
  examples: [['plusone eject plan -e test', 'writes ejected/test/REPORT.md']],
  run: async (values) => {
    const options = optionsOf(values);
    const { plan } = await import('../../eject/commands.ts');
    return await ended(plan(options));
  },
});

const write = command({
  name: 'eject write',
  summary: 'Write the templates of all steps, and of the stacks after them',
  details: 'From inventory.json; AWS is not called.',
  options: {
    ...common,
    to: {
      type: 'string',
      value: 'FORMAT',
      choices: formats,
      help: 'cdk also writes a CDK app whose templates are the same (default: cloudformation)',
    },
  },
  run: async (values) => {
    const options = optionsOf(values);
    const format = oneOf('--to', values.to ?? 'cloudformation', formats);
    const { write } = await import('../../eject/commands.ts');
    return await ended((async () => write(options, format))());
  },
});

const check = command({
  name: 'eject check',
  summary: 'Make and judge the change sets of a step, and remove them',
  details,
  operands: 'STEP',
  completes: stepNames,
  options: onStep,
  run: async (values, [step = '']) => {
    const options = { ...optionsOf(values), service: values.service, yes: false };
    const name = oneOf('STEP', step, stepNames);
    const { runStep } = await import('../../eject/commands.ts');
    return await ended(runStep('check', name, options));
  },
});

function changing(word: 'apply' | 'undo', summary: string): Command {
  return command({
    name: `eject ${word}`,
    summary,
    details: `${details} It can be interrupted at any moment and started again.`,
    operands: 'STEP',
    completes: stepNames,
    options: { ...onStep, yes },
    run: async (values, [step = '']) => {
      const options = { ...optionsOf(values), service: values.service, yes: values.yes ?? false };
      const name = oneOf('STEP', step, stepNames);
      const { runStep } = await import('../../eject/commands.ts');
      return await ended(runStep(word, name, options));
    },
  });
}

const deploy = command({
  name: 'eject deploy',
  summary: 'Release a service from its edited manifest, without Copilot',
  details:
    'Maps the edits since the last release onto the deployed template, builds and pushes the images, and updates the stack. An edit that it does not map is refused, with file and line.',
  options: {
    ...common,
    service,
    tag: { type: 'string', value: 'TAG', help: 'the tag of the images that are built (default: the commit)' },
    image: { type: 'string', value: 'IMAGE', help: 'the image of the service, instead of building one' },
    yes,
  },
  examples: [['plusone eject deploy -e test --service web', 'instead of copilot svc deploy']],
  run: async (values) => {
    const { tag, image } = values;
    const options = { ...optionsOf(values), service: required('service', values.service), tag, image };
    const { release } = await import('../../eject/commands.ts');
    return await ended(release({ ...options, yes: values.yes ?? false }));
  },
});

const status = command({
  name: 'eject status',
  summary: 'Show how many tasks of a service run, its deployments and the last events of ECS',
  options: { ...common, service },
  run: async (values) => {
    const options = { ...optionsOf(values), service: required('service', values.service) };
    const { status } = await import('../../eject/running-tasks.ts');
    return await ended(status(options));
  },
});

const logs = command({
  name: 'eject logs',
  summary: 'Print what a service or job logs',
  options: {
    ...common,
    service,
    since: { type: 'string', value: 'TIME', help: 'from when: 30s, 10m, 2h, 1d, or a time in ISO 8601 (default: 10m)' },
    follow: { type: 'boolean', short: 'f', help: 'also print new lines, until Ctrl-C' },
  },
  run: async (values) => {
    const options = { ...optionsOf(values), service: required('service', values.service) };
    const { logs } = await import('../../eject/running-tasks.ts');
    return await ended(logs(options, values.since ?? '10m', values.follow ?? false));
  },
});

const exec = command({
  name: 'eject exec',
  summary: 'Run a command in a task of a service (needs the AWS CLI and its Session Manager plugin)',
  details: 'The manifest must have exec: true.',
  options: {
    ...common,
    service,
    container: { type: 'string', value: 'NAME', help: 'a sidecar (default: the container of the service)' },
    command: { type: 'string', value: 'COMMAND', help: 'what to run (default: /bin/sh)' },
  },
  run: async (values) => {
    const options = { ...optionsOf(values), service: required('service', values.service) };
    const { exec } = await import('../../eject/running-tasks.ts');
    return await ended(exec(options, values.container ?? options.service, values.command ?? '/bin/sh'));
  },
});

/** The commands that take the deployed stacks of an environment out of Copilot, and those that work on them afterwards. */
export const ejectCommands: readonly Command[] = [
  plan,
  write,
  check,
  changing('apply', 'Carry out a step: asks, and compares the physical resources afterwards'),
  changing('undo', 'Take a step back'),
  deploy,
  status,
  logs,
  exec,
];
