import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type Block, commands, parseMarkdown } from './markdown.ts';

/** Each test that runs commands of the README, and the sections in which it runs every command. */
export const TYPED_BY = {
  'test/readme/commands.test.ts': [
    'Plusone',
    'Run it locally',
    'The API',
    'Performance and reliability',
    'Leaving Copilot',
  ],
  'test/cluster/readme.test.ts': ['In a kind cluster'],
  'test/rehearsal/rehearsal.test.ts': ['On AWS'],
} as const;

/** Commands that the test of their section does not run, and what covers them instead. */
export const PROVED_OTHERWISE: Readonly<Record<string, string>> = {
  'make test': 'it runs this test',
  'make dashboard': 'test/cluster/dashboard.test.ts runs it, and stops it with Ctrl-C',
  'make down': 'test/cluster/cluster.ts runs it after the last test',
};

export const README = parseMarkdown(readFileSync('README.md', 'utf8'));

/**
 * The program that a command runs, with its arguments: `make publish` is `tools/aws/publish.ts`, other commands are
 * themselves. Throws when a target of the Makefile runs none of tools/aws/.
 */
export function programOf(command: string): string {
  const [, target] = /^(?:[A-Z_]+=\w+ )*make (\S+)$/.exec(command) ?? [];
  if (target === undefined) return command;
  const recipe = execFileSync('make', ['--dry-run', target], { encoding: 'utf8' });
  const [program] = /tools\/aws\/[\w-]+\.ts/.exec(recipe) ?? [];
  if (program === undefined) throw new Error(`make ${target} runs none of tools/aws/: ${recipe}`);
  return program;
}

/** The shell blocks of the README. */
export const shellBlocks: readonly Block[] = README.blocks.filter(({ language }) => language === 'sh');

/** The commands that a test has to run, in the README's order, without those covered elsewhere. */
export function commandsTypedBy(test: keyof typeof TYPED_BY): string[] {
  const sections: readonly string[] = TYPED_BY[test];
  return shellBlocks
    .filter(({ heading }) => sections.includes(heading))
    .flatMap(commands)
    .filter((command) => !(command in PROVED_OTHERWISE));
}
