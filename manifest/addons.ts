import { join } from 'node:path';
import { type Node, nodeAt, parseAny, Scalar, YamlMapping } from './document.ts';
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
  const templates = namesIn(folder)
    .filter((name) => /\.ya?ml$/.test(name) && !/^addons\.parameters\.ya?ml$/.test(name))
    .map((name) => parseTemplate(join(folder, name)));
  const types = new Map(templates.flatMap((template) => [...template.types]));
  return templates.flatMap(({ outputs }) =>
    outputs.flatMap(({ reference, ...output }) => {
      const type = types.get(reference ?? '');
      if (type !== undefined && attached.includes(type)) return [];
      return [{ ...output, isSecret: type === 'AWS::SecretsManager::Secret' }];
    }),
  );
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
