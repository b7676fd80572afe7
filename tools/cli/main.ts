import { nearest } from '../../manifest/nearest.ts';
import { stopAll } from '../terminal/programs.ts';
import { version } from '../terminal/version.ts';
import { addResourceCommand } from './add-resource.ts';
import { alarmsCommand } from './alarms.ts';
import { checkCommand } from './check.ts';
import { type Command, helpOf, table } from './command.ts';
import { completionCommand, completionsOf } from './completion.ts';
import { devCommand } from './dev.ts';
import { downCommand } from './down.ts';
import { ejectCommands } from './eject.ts';
import { execCommand } from './exec.ts';
import { exitCodeOf, exitCodes, exitCodeTable } from './exit.ts';
import { jobRunCommand } from './job-run.ts';
import { logsCommand } from './logs.ts';
import { newCommand } from './new.ts';
import { schemaCommand } from './schema.ts';
import { statusCommand } from './status.ts';
import { synthCommand } from './synth.ts';
import { upCommand } from './up.ts';
import { upgradeCommand } from './upgrade.ts';

/** The commands as the help groups them. */
const groups: readonly (readonly [title: string, commands: readonly Command[]])[] = [
  ['A service of your own', [newCommand, devCommand, addResourceCommand, upgradeCommand]],
  [
    'Run on this machine',
    [upCommand, statusCommand, logsCommand, alarmsCommand, execCommand, jobRunCommand, downCommand],
  ],
  ['Check and translate', [checkCommand, synthCommand, schemaCommand]],
  ['Leave Copilot, and stay on AWS', ejectCommands],
  ['Other', [completionCommand]],
];
const commands = groups.flatMap(([, group]) => group);

function help(): string {
  return [
    'Run an AWS Copilot application on your own machine, check it, or take it out of Copilot: to Kubernetes, or to\nplain CloudFormation.',
    '',
    'Usage: plusone <command> [options]',
    ...groups.flatMap(([title, group]) => ['', title, ...table(group.map(({ name, summary }) => [name, summary]))]),
    '',
    'Options',
    ...table([
      ['-h, --help', 'this text; after a command, the help of that command'],
      ['-v, --version', 'the version'],
    ]),
    '',
    'Exit codes',
    ...table(exitCodeTable),
    '',
    'Every command works from any folder of a workspace.',
  ].join('\n');
}

/** Runs a command line, without the program's own name, and gives back the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const [first = ''] = args;
  if (['', 'help', '-h', '--help'].includes(first)) {
    const about = find(args.slice(1));
    console.log(about ? helpOf(about) : help());
    return first === '' ? exitCodes.usage : exitCodes.done;
  }
  const below = commandsBelow(first);
  if (below.length > 0 && ['-h', '--help'].includes(args[1] ?? '')) {
    console.log(['Commands', ...table(below.map(({ name, summary }) => [name, summary]))].join('\n'));
    return exitCodes.done;
  }
  if (['-v', '--version'].includes(first)) {
    console.log(version);
    return exitCodes.done;
  }
  if (first === 'complete') {
    console.log(completionsOf(commands, args.slice(args.indexOf('--') + 1)).join('\n'));
    return exitCodes.done;
  }
  const command = find(args);
  if (!command) {
    console.error(unknown(args));
    return exitCodes.usage;
  }
  const rest = args.slice(command.name.split(' ').length);
  const own = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
  if (own.includes('--help') || own.includes('-h')) {
    console.log(helpOf(command));
    return exitCodes.done;
  }
  try {
    return await command.main(rest);
  } catch (error) {
    // What else runs would go on to the end of its own.
    stopAll();
    const code = exitCodeOf(error);
    if (code === undefined || !(error instanceof Error)) throw error;
    const more = code === exitCodes.usage ? `\n\nUsage: plusone ${command.name} --help explains it` : '';
    // It loads more than most commands need.
    const { withLikelyCause } = await import('../../local-kind/likely-cause.ts');
    console.error(`${code === exitCodes.failed ? withLikelyCause(error.message) : error.message}${more}`);
    return code;
  }
}

function find(args: readonly string[]): Command | undefined {
  return commands.find(({ name }) => name.split(' ').every((word, i) => args[i] === word));
}

/** The commands whose first word of several is this one. */
function commandsBelow(first: string): Command[] {
  return commands.filter(({ name }) => name.startsWith(`${first} `));
}

function unknown(args: readonly string[]): string {
  const names = commands.map(({ name }) => name);
  const [first = ''] = args;
  const below = commandsBelow(first);
  if (below.length > 0)
    return `"${first}" needs one more word: ${below.map(({ name }) => `plusone ${name}`).join(', ')}`;
  const meant = nearest(first, names);
  return `there is no command "${first}"${meant ? `; did you mean "plusone ${meant}"?` : ''}\n\nplusone --help lists them`;
}
