/** Findings as people, programs, code scanning and pull requests read them. */
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Log } from 'sarif';
import { type Finding, rules } from '../../manifest/check.ts';
import { displayed } from '../../manifest/workspace.ts';

export const formats = ['text', 'json', 'sarif', 'github'] as const;
export type Format = (typeof formats)[number];

/** The findings as one text, without the last line end. `root` is the folder of the workspace, `version` that of plusone. */
export function formatFindings(
  findings: readonly Finding[],
  format: Format,
  about: { root: string; version: string },
): string {
  const top = repositoryOf(about.root);
  const named = findings.map((finding) => ({ ...finding, file: relative(top, finding.file) }));
  if (format === 'json') return JSON.stringify(named, undefined, 2);
  if (format === 'sarif') return JSON.stringify(sarif(named, about.version), undefined, 2);
  if (format === 'github') return named.map(annotation).join('\n');
  return text(findings);
}

function text(findings: readonly Finding[]): string {
  const lines = findings.map(
    ({ file, line, level, message, rule }) => `${displayed(file)}:${line}: ${level}: ${message} (${rule})`,
  );
  const count = (level: string, noun: string) => {
    const number = findings.filter((finding) => finding.level === level).length;
    return number === 0 ? [] : [`${number} ${noun}${number === 1 ? '' : 's'}`];
  };
  const counts = [...count('error', 'error'), ...count('warning', 'warning'), ...count('note', 'note')];
  return [...lines, ...(lines.length > 0 ? [''] : []), counts.join(', ') || 'nothing found'].join('\n');
}

/** https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message */
function annotation({ file, line, level, message, rule }: Finding): string {
  const command = level === 'note' ? 'notice' : level;
  const inMessage = (value: string) => value.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  const inProperty = (value: string) => inMessage(value).replaceAll(':', '%3A').replaceAll(',', '%2C');
  const properties = `file=${inProperty(file)},line=${line},title=${inProperty(`plusone: ${rule}`)}`;
  return `::${command} ${properties}::${inMessage(message)}`;
}

/** https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; the types are made of its schema. */
function sarif(findings: readonly Finding[], version: string): Log {
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'plusone',
            version,
            rules: Object.entries(rules).map(([id, { level, summary }]) => ({
              id,
              shortDescription: { text: summary },
              defaultConfiguration: { level },
            })),
          },
        },
        originalUriBaseIds: { SRCROOT: { description: { text: 'The root of the repository' } } },
        results: findings.map(({ rule, level, file, line, message }) => ({
          ruleId: rule,
          level,
          message: { text: message },
          locations: [
            {
              physicalLocation: {
                artifactLocation: { uri: encodeURI(file), uriBaseId: 'SRCROOT' },
                region: { startLine: line },
              },
            },
          ],
        })),
      },
    ],
  };
}

/** The folder that code hosts count paths from: of the Git repository, else of the workspace. */
function repositoryOf(root: string): string {
  for (let folder = root; ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.git'))) return folder;
    if (dirname(folder) === folder) return root;
  }
}
