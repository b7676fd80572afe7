import type { z } from 'zod';
import { objectName } from '../k8s/names.ts';
import {
  DocumentError,
  lineAt,
  type Mapping,
  nodeAt,
  type Path,
  type Problem,
  parse,
  pathText,
  plain,
  Scalar,
  Sequence,
} from './document.ts';
import { applyEnvironment } from './environment.ts';
import { everyField, type Fields, schemaOf, type WorkloadType, workloadTypes } from './fields.ts';
import { interpolate } from './interpolation.ts';
import { type NotCarried, nearestField, notCarried } from './mapping.ts';
import { violations } from './rules.ts';

/** A manifest as one environment sees it. */
export interface Manifest {
  /** The workload's name as Kubernetes allows it. */
  name: string;
  type: WorkloadType;
  /** Its fields, short forms made long, durations in seconds. */
  fields: Fields;
  /** What it sets that means nothing in a cluster. */
  notCarried: NotCarried[];
  /** Whether it has a section for this environment. */
  namesEnvironment: boolean;
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
 * no YAML, a variable that is not set, a field that is not Copilot's or holds what it may not, a rule of Copilot's
 * own validation that is broken.
 */
export function readManifest(
  text: string,
  file: string,
  { application, environment, shell, addedVolumes = [] }: Surroundings,
): Manifest {
  const predefined = { COPILOT_APPLICATION_NAME: application, COPILOT_ENVIRONMENT_NAME: environment };
  const whole = interpolate(parse(text, file), file, predefined, shell);
  const type = typeOf(whole, file);

  // Every environment is checked, so that a slip in `prod` is found before `prod` is.
  refuse(file, schemaProblems(schemaOf(type, 'whole'), whole, type));
  const manifest = applyEnvironment(whole, environment);
  refuse(file, schemaProblems(schemaOf(type, 'of one environment'), manifest, type));

  const fields = everyField.parse(plain(manifest));
  refuse(
    file,
    violations(type, fields, addedVolumes).map(({ path, message }) => ({ line: lineAt(manifest, path), message })),
  );
  return {
    name: objectName(fields.name ?? ''),
    type,
    fields,
    notCarried: notCarried(type, manifest),
    namesEnvironment: nodeAt(whole, ['environments', environment]) !== undefined,
  };
}

function refuse(file: string, problems: readonly Problem[]) {
  if (problems.length > 0) throw new DocumentError(file, problems);
}

function typeOf(manifest: Mapping, file: string): WorkloadType {
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

function schemaProblems(schema: z.ZodType, manifest: Mapping, type: WorkloadType): Problem[] {
  const result = schema.safeParse(plain(manifest));
  if (result.success) return [];

  function problems(issue: z.core.$ZodIssue, at: Path): Problem[] {
    const path = [...at, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => {
        const nearest = nearestField(type, path, key);
        const where = path.length > 0 ? ` in ${pathText(path)}` : '';
        const hint = nearest ? `; did you mean "${nearest}"?` : '';
        return { line: lineAt(manifest, [...path, key]), message: `unknown field "${key}"${where}${hint}` };
      });
    }
    if (issue.code === 'invalid_union') {
      const closer = issue.errors.filter((branch) => !branch.some(isAboutKind)).at(-1);
      if (closer) return closer.flatMap((inner) => problems(inner, path));
      const expected = new Set(issue.errors.flatMap((branch) => branch.filter(isAboutKind).map(expectation)));
      return [{ line: lineAt(manifest, path), message: misfit(path, [...expected].join(' or ')) }];
    }
    return [{ line: lineAt(manifest, path), message: misfit(path, expectation(issue)) }];
  }

  function misfit(path: Path, expected: string): string {
    const node = nodeAt(manifest, path);
    const found =
      node instanceof Scalar ? describe(node) : node instanceof Sequence ? 'a list' : node ? 'a map' : 'nothing';
    return `${pathText(path)}: expected ${expected}, found ${found}`;
  }

  return result.error.issues.flatMap((issue) => problems(issue, []));
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
