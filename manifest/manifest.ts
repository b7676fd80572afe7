import type { z } from 'zod';
import {
  type Diagnostic,
  DocumentError,
  lineAt,
  type Node,
  nodeAt,
  type Path,
  parse,
  pathText,
  plain,
  replaceAt,
  Scalar,
  Sequence,
  YamlMapping,
} from './document.ts';
import { applyEnvironment } from './environment.ts';
import { everyField, type Fields, schemaOf, type WorkloadType, workloadTypes } from './fields.ts';
import { interpolate } from './interpolation.ts';
import { type NotCarried, nearestField, notCarried } from './mapping.ts';
import { objectName } from './names.ts';
import { violations } from './rules.ts';
import { fillEmptyTexts, toleratedValue } from './tolerance.ts';

/** A manifest as one environment sees it. */
export interface Manifest {
  /** How messages name the file. */
  file: string;
  /** The workload's name as Kubernetes allows it. */
  name: string;
  type: WorkloadType;
  /** Its fields, short forms made long, durations in seconds. */
  fields: Fields;
  /** What it sets that means nothing in a cluster. */
  notCarried: NotCarried[];
  /** Whether it has a section for this environment. */
  namesEnvironment: boolean;
  /** What Copilot takes and hardly anyone means, and problems of other environments, by line. */
  warnings: readonly Diagnostic[];
}

export interface Surroundings {
  application: string;
  environment: string;
  /** The variables of the shell, for `${NAME}`. */
  shell: Readonly<Record<string, string | undefined>>;
  /** The volumes that overrides add to those of the manifest. */
  addedVolumes?: readonly string[];
}

/**
 * Reads a Copilot manifest. `file` is how messages name it. Throws a DocumentError with every problem and its line:
 * invalid YAML, a variable that is not set, a value of a type that Copilot refuses, or a broken rule of Copilot's own
 * validation in this environment. What Copilot ignores, and problems of other environments, are warnings.
 */
export function readManifest(
  text: string,
  file: string,
  { application, environment, shell, addedVolumes = [] }: Surroundings,
): Manifest {
  const predefined = { COPILOT_APPLICATION_NAME: application, COPILOT_ENVIRONMENT_NAME: environment };
  const stated = fillEmptyTexts(interpolate(parse(text, file), file, predefined, shell));
  const type = typeOf(stated, file);
  const { manifest: whole, warnings, errors } = tolerate(type, stated);

  const manifest = applyEnvironment(whole, environment);
  const problems = [...errors, ...problemsOf(type, manifest, addedVolumes)];
  // An ignored field is often the reason why another one is missing.
  if (problems.length > 0) throw new DocumentError(file, unique(problems), unique(warnings));
  const all = unique([...warnings, ...otherEnvironments(type, whole, environment, addedVolumes)]);
  const fields = fieldsOf(type, manifest);
  return {
    file,
    name: objectName(fields.name ?? ''),
    type,
    fields,
    notCarried: notCarried(type, manifest),
    namesEnvironment: nodeAt(whole, ['environments', environment]) !== undefined,
    warnings: all.toSorted((a, b) => a.line - b.line),
  };
}

/** A Request-Driven Web Service comes out as a web service with a route of every path. */
function fieldsOf(type: WorkloadType, manifest: YamlMapping): Fields {
  if (type !== 'Request-Driven Web Service') return everyField.parse(plain(manifest));
  // App Runner knows no health check of containers; the others have another form there than elsewhere.
  const without: Path[] = [['count'], ['network'], ['http', 'private'], ['image', 'healthcheck']];
  const common = without.reduce<Node>((node, path) => replaceAt(node, path, undefined), manifest);
  const fields = everyField.parse(plain(common));
  return { ...fields, http: { ...(typeof fields.http === 'object' ? fields.http : {}), path: '/' } };
}

/** The problems of a manifest as one environment sees it: of its values, else of the rules that tie them together. */
function problemsOf(type: WorkloadType, manifest: YamlMapping, addedVolumes: readonly string[]): Diagnostic[] {
  const schema = schemaFindings(schemaOf(type, 'of one environment'), manifest);
  if (schema.length > 0) return schema.map(({ line, message }) => ({ line, message }));
  const fields = fieldsOf(type, manifest);
  return violations(type, fields, addedVolumes).map(({ path, message }) => ({ line: lineAt(manifest, path), message }));
}

function otherEnvironments(
  type: WorkloadType,
  whole: YamlMapping,
  environment: string,
  addedVolumes: readonly string[],
): Diagnostic[] {
  const environments = whole.get('environments');
  const names = environments instanceof YamlMapping ? [...environments.entries.keys()] : [];
  return names
    .filter((name) => name !== environment)
    .flatMap((name) =>
      problemsOf(type, applyEnvironment(whole, name), addedVolumes).map(({ line, message }) => ({
        line,
        message: `in environment "${name}": ${message}`,
      })),
    );
}

function unique(problems: readonly Diagnostic[]): Diagnostic[] {
  return [...new Map(problems.map((problem) => [`${problem.line} ${problem.message}`, problem])).values()];
}

/** Reads the manifest as Copilot decodes it: without the fields it ignores, and the zero value where it drops an error. */
function tolerate(type: WorkloadType, stated: YamlMapping) {
  let manifest = stated;
  const warnings: Diagnostic[] = [];
  const schema = schemaOf(type, 'whole');
  for (;;) {
    const findings = schemaFindings(schema, manifest);
    const changes = findings.filter(({ repair }) => repair);
    if (changes.length === 0) {
      // Copilot decodes every environment, but checks the values of only one.
      const errors = findings.filter(({ isTypeError }) => isTypeError).map(({ line, message }) => ({ line, message }));
      return { manifest, warnings, errors };
    }
    for (const { line, message, path, repair } of changes) {
      warnings.push({ line, message });
      const changed = replaceAt(manifest, path, repair?.value);
      if (changed instanceof YamlMapping) manifest = changed;
    }
  }
}

function typeOf(manifest: YamlMapping, file: string): WorkloadType {
  const node = manifest.get('type');
  const stated = node instanceof Scalar ? node.text : undefined;
  const type = (Object.keys(workloadTypes) as WorkloadType[]).find((known) => known === stated);
  if (type) return type;
  const known = Object.keys(workloadTypes).join(', ');
  const message = stated ? `type "${stated}" has no meaning in Kubernetes` : 'type is missing';
  throw new DocumentError(file, [
    { line: lineAt(manifest, ['type']), message: `${message}; the types that have: ${known}` },
  ]);
}

interface Finding extends Diagnostic {
  path: Path;
  /** Whether the value is of another type, which Copilot refuses as it decodes, in whichever environment. */
  isTypeError: boolean;
  /** What Copilot reads instead (nothing for a field that it ignores); undefined where it refuses the value. */
  repair: { value: Node | undefined } | undefined;
}

const types = /^(a whole number|a number|true or false|a duration.*|a text|a list|a map)( or (a text|a list|a map))*$/;

function schemaFindings(schema: z.ZodType, manifest: YamlMapping): Finding[] {
  const result = schema.safeParse(plain(manifest));
  if (result.success) return [];

  function findings(issue: z.core.$ZodIssue, at: Path): Finding[] {
    const path = [...at, ...issue.path];
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownField([...path, key]));
    if (issue.code === 'invalid_union') {
      const closer = issue.errors.filter((branch) => !branch.some(isAboutKind)).at(-1);
      if (closer) return closer.flatMap((inner) => findings(inner, path));
      const expected = new Set(issue.errors.flatMap((branch) => branch.filter(isAboutKind).map(expectation)));
      return [misfit(path, [...expected].join(' or '))];
    }
    return [misfit(path, expectation(issue))];
  }

  function unknownField(path: Path): Finding {
    const type = typeOf(manifest, '');
    const name = String(path.at(-1));
    const nearest = nearestField(type, path.slice(0, -1), name);
    const where = path.length > 1 ? ` in ${pathText(path.slice(0, -1))}` : '';
    const hint = nearest ? `; did you mean "${nearest}"?` : '';
    const message = `unknown field "${name}"${where}. Copilot ignores this too: it has never had an effect${hint}`;
    return { line: lineAt(manifest, path), message, path, isTypeError: false, repair: { value: undefined } };
  }

  function misfit(path: Path, expected: string): Finding {
    const node = nodeAt(manifest, path);
    const line = lineAt(manifest, path);
    const tolerated = node instanceof Scalar ? toleratedValue(path, expected, node) : undefined;
    const found =
      node instanceof Scalar ? describe(node) : node instanceof Sequence ? 'a list' : node ? 'a map' : 'nothing';
    const message = `${pathText(path)}: expected ${expected}, found ${found}`;
    if (!tolerated || !(node instanceof Scalar))
      return { line, message, path, isTypeError: types.test(expected), repair: undefined };
    const hint = expected.startsWith('a duration') && /^\d+$/.test(node.text) ? `; did you mean ${node.text}s?` : '';
    const note = `${message}. Copilot takes it and reads ${tolerated.text}${hint}`;
    return { line, message: note, path, isTypeError: false, repair: { value: tolerated } };
  }

  return result.error.issues.flatMap((issue) => findings(issue, []));
}

function describe({ text, kind }: Scalar): string {
  return kind === 'text' ? JSON.stringify(text) : text;
}

/** Whether the value as a whole is of another kind, and not just something inside it wrong. */
function isAboutKind({ code, path }: z.core.$ZodIssue): boolean {
  return path.length === 0 && (code === 'custom' || code === 'invalid_type');
}

function expectation(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') return issue.expected === 'array' ? 'a list' : 'a map';
  return issue.message.replace(/^expected /, '');
}
