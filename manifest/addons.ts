import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isScalar, LineCounter, parseDocument, type YAMLMap } from 'yaml';
import { DocumentError } from './document.ts';
import { displayed } from './workspace.ts';

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
  if (!existsSync(folder)) return [];
  const templates = readdirSync(folder)
    .filter((name) => /\.ya?ml$/.test(name) && !/^addons\.parameters\.ya?ml$/.test(name))
    .toSorted()
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
  const file = displayed(path);
  const lines = new LineCounter();
  const document = parseDocument(readFileSync(path, 'utf8'), {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'error',
  });
  const lineAt = (offset = 0) => lines.linePos(offset).line;
  if (document.errors.length > 0)
    throw new DocumentError(
      file,
      document.errors.map(({ pos, message }) => ({ line: lineAt(pos[0]), message })),
    );
  const types = entries(document.get('Resources')).map(
    ({ key, value }) => [key, isMap(value) ? String(value.get('Type')) : ''] as const,
  );
  const outputs = entries(document.get('Outputs')).map(({ key, value, offset }) => ({
    name: key,
    at: `${file}:${lineAt(offset)}`,
    reference: isMap(value) ? referenceOf(value) : undefined,
    exportName: isMap(value) ? exportNameOf(value) : undefined,
  }));
  return { types: new Map(types), outputs };
}

function entries(node: unknown) {
  if (!isMap(node)) return [];
  return node.items.flatMap(({ key, value }) =>
    isScalar(key) ? [{ key: String(key.value), value, offset: key.range?.[0] }] : [],
  );
}

/** The resource of `!Ref Name` or `Ref: Name`. */
function referenceOf(output: YAMLMap): string | undefined {
  const value: unknown = output.get('Value', true);
  if (isScalar(value)) return value.tag === '!Ref' ? String(value.value).trim() : undefined;
  const reference = isMap(value) ? value.get('Ref') : undefined;
  return typeof reference === 'string' ? reference : undefined;
}

function exportNameOf(output: YAMLMap): string | undefined {
  const texts = [['Name'], ['Name', 'Fn::Sub']].map((path) => output.getIn(['Export', ...path]));
  return texts.find((text) => typeof text === 'string');
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
