import { isScalar, parseDocument, visit, Scalar as YamlScalar } from 'yaml';
import { type Node, parse, Scalar, Sequence, YamlMapping } from '../manifest/document.ts';
import { interpolate } from '../manifest/interpolation.ts';

/** The values of `${NAME}` in a manifest. */
export interface Variables {
  readonly application: string;
  readonly environment: string;
  readonly shell: Readonly<Record<string, string | undefined>>;
}

const variable = /(\\?)\$\{([_a-zA-Z][_a-zA-Z0-9]*)\}/g;

/**
 * A manifest as Copilot keeps it in the metadata of a template: with every `${NAME}` replaced. Throws a DocumentError
 * that names every variable that is not set.
 */
export function manifestToKeep(text: string, file: string, variables: Variables): string {
  if (!text.includes('${')) return text;
  const predefined = predefinedOf(variables);
  // For its errors.
  interpolate(parse(text, file), file, predefined, variables.shell);
  const document = parseDocument(text, { schema: 'failsafe', logLevel: 'silent' });
  visit(document, {
    Scalar(key, node) {
      if (key === 'key' || !isScalar(node) || typeof node.value !== 'string') return;
      const value = node.value.replaceAll(variable, (match, backslash: string, name: string) =>
        backslash ? match.slice(1) : (predefined[name] ?? variables.shell[name] ?? match),
      );
      if (value === node.value) return;
      node.value = value;
      // Without quotes, it could be read as a number or as a comment.
      if (node.type === YamlScalar.PLAIN) node.type = YamlScalar.QUOTE_DOUBLE;
    },
  });
  return document.toString({ lineWidth: 0 });
}

/**
 * A manifest out of the metadata of a template as a reader takes it that replaces `${NAME}`: nothing is left to
 * replace.
 */
export function escaped(kept: string): string {
  return kept.replaceAll(variable, (match, backslash: string) => (backslash ? match : `\\${match}`));
}

/**
 * Whether a manifest of the workspace says what the one in the metadata of a template says. Throws a DocumentError when
 * it has a variable that is not set.
 */
export function isSameManifest(local: string, file: string, kept: string, variables: Variables): boolean {
  const [ours, theirs] = [
    interpolate(parse(local, file), file, predefinedOf(variables), variables.shell),
    parse(kept, 'the deployed manifest'),
  ];
  return JSON.stringify(bare(ours)) === JSON.stringify(bare(theirs));
}

function predefinedOf({ application, environment }: Variables): Record<string, string> {
  return { COPILOT_APPLICATION_NAME: application, COPILOT_ENVIRONMENT_NAME: environment };
}

function bare(node: Node | undefined): unknown {
  if (node instanceof YamlMapping)
    return [...node.entries]
      .map(([key, { value }]) => [key, bare(value)])
      .toSorted((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
  if (node instanceof Sequence) return node.items.map(bare);
  return node instanceof Scalar ? node.text : null;
}
