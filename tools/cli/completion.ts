import { openWorkspace } from '../../manifest/workspace.ts';
import { type Command, command, oneOf, workspaceOptions } from './command.ts';

const shells = ['bash', 'zsh', 'fish'] as const;

/** `plusone completion SHELL`: a script that asks `plusone complete` for each word. */
export const completionCommand = command({
  name: 'completion',
  summary: 'Print the completion script of a shell',
  operands: 'SHELL',
  completes: shells,
  options: { help: workspaceOptions.help },
  examples: [
    ['source <(plusone completion bash)', 'in ~/.bashrc; zsh alike'],
    ['plusone completion fish | source', 'in ~/.config/fish/config.fish'],
  ],
  run(_values, [shell = '']) {
    console.log(scripts[oneOf('SHELL', shell, shells)]);
    return 0;
  },
});

// bash 3.2, which macOS has, has no mapfile.
const scripts: Readonly<Record<(typeof shells)[number], string>> = {
  bash: `_plusone() {
  local IFS=$'\\n'
  COMPREPLY=($(plusone complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}"))
}
complete -o default -F _plusone plusone`,
  zsh: `_plusone() {
  local -a found
  found=("\${(@f)$(plusone complete -- "\${words[@]:1:$((CURRENT - 1))}")}")
  if [[ -n "$found" ]]; then compadd -- "\${found[@]}"; else _files; fi
}
compdef _plusone plusone`,
  fish: `complete -c plusone -f -a '(plusone complete -- (commandline -opc)[2..] (commandline -ct))'`,
};

/** What may stand for the last of these words: names of commands, options, their values, workloads. */
export function completionsOf(commands: readonly Command[], words: readonly string[]): string[] {
  const last = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const found = commands.find(({ name }) => name.split(' ').every((word, i) => before[i] === word));
  return candidates().filter((candidate) => candidate.startsWith(last));

  function candidates(): string[] {
    if (!found) {
      const depth = before.length;
      const fitting = commands.filter(({ name }) => before.every((word, i) => name.split(' ')[i] === word));
      return [...new Set(fitting.flatMap(({ name }) => name.split(' ')[depth] ?? []))];
    }
    const option = found.options[(before.at(-1) ?? '').replace(/^--/, '')];
    if (before.at(-1)?.startsWith('--') && option?.type === 'string') return [...(option.choices ?? [])];
    if (last.startsWith('-')) return Object.keys(found.options).map((name) => `--${name}`);
    return found.completes === 'workloads' ? workloads() : [...(found.completes ?? [])];
  }
}

/** None where there is no workspace: a shell that completes has no place for an error. */
function workloads(): string[] {
  try {
    return openWorkspace().workloads;
  } catch {
    return [];
  }
}
