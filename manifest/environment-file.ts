import { type Diagnostic, DocumentError } from './document.ts';

/**
 * The variables of an env file as ECS reads it: a `NAME=value` on each line; lines that start with `#` are skipped;
 * quotes and spaces are part of the value. Throws a DocumentError for other lines.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html
 */
export function readEnvironmentFile(text: string, file: string): Map<string, string> {
  const variables = new Map<string, string>();
  const problems: Diagnostic[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.startsWith('#') || line.trim() === '') continue;
    const [, name, value] = /^([A-Za-z_][A-Za-z0-9_.-]*)=(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) problems.push({ line: i + 1, message: 'expected NAME=value' });
    else variables.set(name, value);
  }
  if (problems.length > 0) throw new DocumentError(file, problems);
  return variables;
}
