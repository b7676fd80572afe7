/** How a command of `plusone` is declared: the parser, the help and the completion of shells all read the declaration. */
import { parseArgs } from 'node:util';
import { UsageError } from '../../k8s/errors.ts';

export { oneOf, wholeNumber } from '../../k8s/usage.ts';

export interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** Whether it may be given several times. */
  readonly multiple?: boolean;
  /** What stands for the value in the help, such as DIR. */
  readonly value?: string;
  /** The values that there are. */
  readonly choices?: readonly string[];
  readonly help: string;
}

export type Options = Readonly<Record<string, Option>>;

type Config<O extends Options> = { args: string[]; options: O; strict: true; allowPositionals: true };

/** What was given, by the option's name; undefined where nothing was. */
export type Values<O extends Options> = ReturnType<typeof parseArgs<Config<O>>>['values'];

interface Definition<O extends Options> {
  /** One or two words: `check`, `job run`. */
  readonly name: string;
  /** One line that begins with a verb. */
  readonly summary: string;
  readonly details?: string;
  /** The operands as the usage line shows them: `NAME`, `[NAME...]`. */
  readonly operands?: string;
  /** What completes an operand: `workloads`, or nothing. */
  readonly completes?: 'workloads' | readonly string[];
  readonly options: O;
  readonly examples?: readonly (readonly [command: string, what: string])[];
  /** Does it and gives back the exit code. */
  run(values: Values<O>, operands: string[]): Promise<number> | number;
}

export interface Command extends Omit<Definition<Options>, 'run'> {
  /** Parses the arguments and does it. Throws a UsageError, and what the command throws. */
  main(args: string[]): Promise<number>;
}

/** The options that every command on a workspace takes. */
export const workspaceOptions = {
  workspace: {
    type: 'string',
    short: 'w',
    value: 'DIR',
    help: 'the copilot folder or the one around it (default: the workspace that this folder is in)',
  },
  help: { type: 'boolean', short: 'h', help: 'this text' },
} as const satisfies Options;

export const environmentOption = {
  type: 'string',
  short: 'e',
  value: 'NAME',
  help: 'the environment whose section of the manifests applies (default: local)',
} as const satisfies Option;

export const clusterOption = {
  type: 'string',
  short: 'c',
  value: 'NAME',
  help: 'the kind cluster (default: the name of the application)',
} as const satisfies Option;

/** What a message about missing programs ends with: the package has no `make doctor`. */
export const AFTER_INSTALLING = 'Then run the same command again.';

/** A command from its declaration. */
export function command<const O extends Options>(definition: Definition<O>): Command {
  const { run, ...rest } = definition;
  return {
    ...rest,
    async main(args) {
      const config: Config<O> = { args, options: definition.options, strict: true, allowPositionals: true };
      const { values, positionals } = parseArgs(config);
      checkOperands(definition.operands, positionals);
      return await run(values, positionals);
    },
  };
}

function checkOperands(declared: string | undefined, given: readonly string[]) {
  const words = declared?.split(' ') ?? [];
  const required = words.filter((word) => !word.startsWith('['));
  const isOpen = words.some((word) => word.includes('...'));
  const missing = required[given.length];
  if (missing !== undefined) throw new UsageError(`${missing} is missing`);
  const extra = given[words.length];
  if (extra !== undefined && !isOpen) throw new UsageError(`Unexpected argument '${extra}'`);
}

/** The help of one command. */
export function helpOf({ name, summary, details, operands, options, examples = [] }: Command): string {
  const rows = Object.entries(options).map(([option, { short, value, choices, help }]) => {
    const words = `${short ? `-${short}, ` : '    '}--${option}${value ? ` ${value}` : ''}`;
    return [words, choices ? `${choices.join(', ')}: ${help}` : help] as const;
  });
  return [
    `${summary}.`,
    '',
    `Usage: plusone ${[name, operands, '[options]'].filter(Boolean).join(' ')}`,
    ...(details ? ['', ...wrap(details, 100)] : []),
    '',
    'Options',
    ...table(rows),
    ...(examples.length > 0 ? ['', 'Examples', ...table(examples)] : []),
  ].join('\n');
}

/** Two columns; what is too long goes on below itself. */
export function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(32, Math.max(...rows.map(([left]) => left.length)));
  return rows.flatMap(([left, right]) => {
    const [first = '', ...others] = wrap(right, 116 - width);
    const indent = ' '.repeat(width + 4);
    const head = left.length > width ? [`  ${left}`, `${indent}${first}`] : [`  ${left.padEnd(width)}  ${first}`];
    return [...head, ...others.map((line) => `${indent}${line}`)];
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
