import { basename, join } from 'node:path';
import {
  type Diagnostic,
  DocumentError,
  type Node,
  nodeAt,
  parseAny,
  Scalar,
  Sequence,
  YamlMapping,
} from './document.ts';
import { namesIn, readText } from './workspace.ts';

/** An output of the CloudFormation templates in an `addons` folder. */
export interface AddonOutput {
  name: string;
  /** Whether it is the ARN of a Secrets Manager secret, whose whole text containers get. */
  isSecret: boolean;
  /** Where it is: `file:line`. */
  at: string;
  /** What it exports its value as: a text or the text of a `!Sub`; undefined where it exports nothing. */
  exportName: string | undefined;
}

/** Outputs of these types are attached to the task role and to the service, and become no variable. */
const attached = ['AWS::IAM::ManagedPolicy', 'AWS::EC2::SecurityGroup'];

/**
 * The outputs of the addons of a workload or of the environments that containers see; none without the folder. Throws
 * a DocumentError for a file that is no YAML.
 * https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/addon/output.go
 */
export function readAddons(folder: string): AddonOutput[] {
  const templates = templatesIn(folder).map((name) => parseTemplate(join(folder, name)));
  const types = new Map(templates.flatMap((template) => [...template.types]));
  return templates.flatMap(({ outputs }) =>
    outputs.flatMap(({ reference, ...output }) => {
      const type = types.get(reference ?? '');
      if (type !== undefined && attached.includes(type)) return [];
      return [{ ...output, isSecret: type === 'AWS::SecretsManager::Secret' }];
    }),
  );
}

function templatesIn(folder: string): string[] {
  return namesIn(folder).filter((name) => /\.ya?ml$/.test(name) && !isParametersFile(name));
}

function isParametersFile(name: string): boolean {
  return /^addons\.parameters\.ya?ml$/.test(name);
}

function parseTemplate(path: string) {
  const { text, name: file } = readText(path);
  const root = parseAny(text, file);
  const types = entries(nodeAt(root, ['Resources'])).map(
    ([name, { value }]) => [name, textAt(value, ['Type'])] as const,
  );
  const outputs = entries(nodeAt(root, ['Outputs'])).map(([name, { key, value }]) => ({
    name,
    at: `${file}:${key}`,
    reference: referenceOf(value),
    exportName: textAt(value, ['Export', 'Name']) ?? textAt(value, ['Export', 'Name', 'Fn::Sub']),
  }));
  return { types: new Map(types), outputs };
}

function entries(node: Node | undefined) {
  return node instanceof YamlMapping ? [...node.entries] : [];
}

function textAt(node: Node | undefined, path: readonly string[]): string | undefined {
  const found = nodeAt(node, path);
  return found instanceof Scalar ? found.text : undefined;
}

/** The resource of `!Ref Name` or `Ref: Name`. */
function referenceOf(output: Node | undefined): string | undefined {
  const value = nodeAt(output, ['Value']);
  if (value instanceof Scalar) return value.tag === '!Ref' ? value.text : undefined;
  return textAt(value, ['Ref']);
}

/**
 * The name of the variable that an output becomes: `usersDdbTableName` is USERS_DDB_TABLE_NAME.
 * https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/template/template_functions.go
 */
export function variableName(output: string): string {
  return output
    .replaceAll(/([a-z0-9]+)([A-Z])/g, '$1_$2')
    .replaceAll(/([A-Z0-9])([A-Z][a-z])/g, '$1_$2')
    .toUpperCase();
}

/** The parameters to which Copilot gives values, of the addons of a workload and of the environments. */
const COPILOTS_PARAMETERS = { workload: ['App', 'Env', 'Name'], environments: ['App', 'Env'] } as const;

/** The sections that Copilot merges, and how deep their names are. Transforms it adds up. */
const MERGED = { Metadata: 1, Parameters: 1, Mappings: 2, Conditions: 1, Resources: 1, Outputs: 1 } as const;

/** A problem with the absolute path of its file. */
export interface AddonProblem extends Diagnostic {
  file: string;
}

/**
 * Why Copilot refuses to merge the addons in a folder into one template, or the parameters for it; none without templates.
 * Throws a DocumentError for a file that is no YAML or no map.
 * https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/addon/addons.go
 */
export function addonProblems(folder: string, of: keyof typeof COPILOTS_PARAMETERS): AddonProblem[] {
  const templates = templatesIn(folder).flatMap((name) => rootOf(join(folder, name)));
  const [first] = templates;
  if (first === undefined) return [];
  const problems = templates.flatMap(({ file, root }) => {
    const sections = Object.keys(MERGED).flatMap((name) => root.get(name) ?? []);
    const noMaps = sections.filter((node) => !(node instanceof YamlMapping));
    const wrong = [...root.wrongKeys, ...noMaps.map(({ line }) => ({ line, message: 'expected a map' }))];
    return wrong.map((problem) => ({ file, ...problem }));
  });
  return [...problems, ...conflicts(templates), ...parameterProblems(folder, templates, first, of)];
}

interface Template {
  readonly file: string;
  readonly root: YamlMapping;
}

/** A file as a map; none if it is empty. */
function rootOf(file: string): Template[] {
  const root = parseAny(readText(file).text, file);
  if (root === undefined) return [];
  if (root instanceof YamlMapping) return [{ file, root }];
  throw new DocumentError(file, [{ line: root.line, message: 'expected a map of fields' }]);
}

/** Names that two templates give to different things. */
function conflicts(templates: readonly Template[]): AddonProblem[] {
  const known = new Map<string, { file: string; line: number; value: Node | undefined }>();
  return templates.flatMap(({ file, root }) =>
    Object.entries(MERGED).flatMap(([section, depth]) =>
      named(root.get(section), depth, section).flatMap(({ path, line, value }) => {
        const before = known.get(path);
        if (before === undefined) known.set(path, { file, line, value });
        if (before === undefined || isEqual(before.value, value)) return [];
        const message = `${path}: Copilot merges the templates of a folder, and ${basename(before.file)}:${before.line} has another ${path}: rename one of them, or make them equal`;
        return [{ file, line, message }];
      }),
    ),
  );
}

function named(
  node: Node | undefined,
  depth: number,
  prefix: string,
): { path: string; line: number; value: Node | undefined }[] {
  if (!(node instanceof YamlMapping)) return [];
  return [...node.entries].flatMap(([name, { key: line, value }]) => {
    const path = `${prefix}.${name}`;
    return depth > 1 ? named(value, depth - 1, path) : [{ path, line, value }];
  });
}

function isEqual(a: Node | undefined, b: Node | undefined): boolean {
  if (a instanceof Scalar && b instanceof Scalar) return a.text === b.text && a.kind === b.kind && a.tag === b.tag;
  if (a instanceof Sequence && b instanceof Sequence)
    return a.items.length === b.items.length && a.items.every((item, at) => isEqual(item, b.items[at]));
  if (a instanceof YamlMapping && b instanceof YamlMapping) {
    const [these, others] = [[...a.entries], [...b.entries]];
    // Copilot compares them in order.
    return (
      these.length === others.length &&
      these.every(([key, { value }], at) => key === others[at]?.[0] && isEqual(value, others[at]?.[1].value))
    );
  }
  return a === b;
}

/** What is wrong with the parameters of the merged template and the values for them. */
function parameterProblems(
  folder: string,
  templates: readonly Template[],
  first: Template,
  of: keyof typeof COPILOTS_PARAMETERS,
): AddonProblem[] {
  const reserved: readonly string[] = COPILOTS_PARAMETERS[of];
  const all = new Intl.ListFormat('en-GB').format(reserved);
  const [values, another] = namesIn(folder)
    .filter(isParametersFile)
    .map((name) => join(folder, name));
  if (another !== undefined)
    return [
      { file: another, line: 1, message: `${basename(values ?? '')} is beside it, and Copilot takes only one of them` },
    ];
  const declared = new Map(
    templates.flatMap(({ file, root }) =>
      entries(root.get('Parameters')).map(([name, entry]) => [name, { file, ...entry }] as const),
    ),
  );
  const missing = reserved
    .filter((name) => !declared.has(name))
    .map((name) => {
      const message = `Parameters.${name} is missing: Copilot passes ${all} to these addons. Add "${name}: { Type: String }" to Parameters`;
      return { file: first.file, line: first.root.entries.get('Parameters')?.key ?? 1, message };
    });
  const [given] = values === undefined ? [] : rootOf(values);
  if (values !== undefined && given?.root.entries.has('Parameters') !== true)
    return [
      ...missing,
      {
        file: values,
        line: 1,
        message: 'Parameters is missing: expected "Parameters:" with a value for each parameter below it',
      },
    ];
  const set = entries(given?.root.get('Parameters'));
  const wrong = set.flatMap(([name, { key: line }]) => {
    if (reserved.includes(name))
      return [{ line, message: `Parameters.${name}: Copilot sets ${all} itself. Remove it` }];
    return declared.has(name)
      ? []
      : [{ line, message: `Parameters.${name}: no template beside it has this parameter` }];
  });
  const names = new Set([...reserved, ...set.map(([name]) => name)]);
  const valueless = [...declared].flatMap(([name, { file, key: line, value }]) => {
    if (names.has(name) || (value instanceof YamlMapping && value.entries.has('Default'))) return [];
    const message = `Parameters.${name} has no value: give it a Default, or a value in addons.parameters.yml`;
    return [{ file, line, message }];
  });
  return [...missing, ...wrong.map((problem) => ({ file: values ?? first.file, ...problem })), ...valueless];
}
