import { readFileSync } from 'node:fs';
import { type Block, commands, parseMarkdown } from './markdown.ts';

/** Each test that types commands of the README, and the sections in which it types every one. */
export const TYPED_BY = {
  'test/readme/commands.test.ts': [
    'Plusone',
    'Run it locally',
    'The API',
    'How fast it is, and what it survives',
    'The way out of Copilot',
  ],
  'test/cluster/readme.test.ts': ['In a kind cluster'],
  'test/tools/aws/rehearsal.test.ts': ['On AWS'],
} as const;

/** Commands that the test of their section does not type, and what proves them instead. */
export const PROVED_OTHERWISE: Readonly<Record<string, string>> = {
  'make test': 'it is what types the commands',
  'make dashboard': 'test/cluster/dashboard.test.ts types it, and ends it with Ctrl-C',
  'make down': 'test/cluster/cluster.ts types it after the last test',
};

export const README = parseMarkdown(readFileSync('README.md', 'utf8'));

/** The blocks of the README that are for a shell. */
export const shellBlocks: readonly Block[] = README.blocks.filter(({ language }) => language === 'sh');

/** What a test has to type, in the README's order, without what is proved otherwise. */
export function commandsTypedBy(test: keyof typeof TYPED_BY): string[] {
  const sections: readonly string[] = TYPED_BY[test];
  return shellBlocks
    .filter(({ heading }) => sections.includes(heading))
    .flatMap(commands)
    .filter((command) => !(command in PROVED_OTHERWISE));
}
