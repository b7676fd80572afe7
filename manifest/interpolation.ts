import { type Diagnostic, DocumentError, type Node, Scalar, Sequence, YamlMapping } from './document.ts';

/**
 * The tree with every `${NAME}` in its texts replaced, as Copilot does it before it reads anything else, so also in
 * the sections of other environments: the two predefined names first, else the variable of this process. `\${NAME}`
 * stays `${NAME}`. A text that comes out as a JSON list of strings becomes that list.
 * https://aws.github.io/copilot-cli/docs/developing/manifest-env-var/
 *
 * Throws a DocumentError that names every variable that is not set.
 */
export function interpolate(
  root: YamlMapping,
  file: string,
  predefined: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
): YamlMapping {
  const problems: Diagnostic[] = [];

  function replace(scalar: Scalar): string {
    return scalar.text.replaceAll(/(\\?)\$\{([_a-zA-Z][_a-zA-Z0-9]*)\}/g, (match, backslash: string, name: string) => {
      if (backslash) return match.slice(1);
      const own = predefined[name];
      const value = environment[name];
      if (own !== undefined && value !== undefined && own !== value) {
        const message = `\${${name}} is "${own}" here, but this shell sets ${name} to "${value}": unset it`;
        problems.push({ line: scalar.line, message });
      }
      if (own === undefined && value === undefined) {
        problems.push({ line: scalar.line, message: `\${${name}}: the environment variable ${name} is not set` });
      }
      return own ?? value ?? match;
    });
  }

  function visit(node: Node): Node {
    if (node instanceof YamlMapping) return visitMapping(node);
    if (node instanceof Sequence) return new Sequence(node.items.map(visit), node.line);
    if (node.kind !== 'text' || node.tag !== undefined) return node;
    const text = replace(node);
    const list = node.literal ? undefined : jsonTexts(text);
    if (list)
      return new Sequence(
        list.map((item) => new Scalar(item, 'text', node.line)),
        node.line,
      );
    return new Scalar(text, 'text', node.line, node.literal);
  }

  function visitMapping(node: YamlMapping): YamlMapping {
    const entries = [...node.entries].map(
      ([name, { key, value }]) => [name, { key, value: value && visit(value) }] as const,
    );
    return new YamlMapping(new Map(entries), node.line, node.wrongKeys);
  }

  const replaced = visitMapping(root);
  // The text of an anchor is visited once for each alias.
  const seen = new Map(problems.map((problem) => [`${problem.line} ${problem.message}`, problem]));
  if (seen.size > 0) throw new DocumentError(file, [...seen.values()]);
  return replaced;
}

function jsonTexts(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    const isList = Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string');
    return isList ? value : undefined;
  } catch {
    return undefined;
  }
}
