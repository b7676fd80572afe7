import { type DeployedStack, type Inventory, workloadType } from './inventory.ts';
import type { Change } from './steps.ts';
import { getAttOf, isValueMap, listOf, mapOf, type Template, textOf, type Value, type ValueMap } from './template.ts';

/**
 * A CDK app of the ejected stacks, by paths: one class per stack, whose construct ids are the logical ids, so that CDK
 * writes the same templates. It needs no bootstrapped environment as long as its templates are below 50 KiB.
 */
export function cdkFiles(inventory: Inventory, changes: readonly Change[]): Map<string, string> {
  const files = new Map<string, string>();
  const stacks = inventory.stacks.flatMap((stack) => {
    const last = changes.findLast((change) => change.stack.name === stack.name);
    return last && stack.kind !== 'nested' ? [{ stack, template: last.to }] : [];
  });
  for (const { stack, template } of stacks) files.set(`cdk/${stack.name}.ts`, stackFile(stack, template));
  files.set('cdk/cloudformation.ts', helpers);
  files.set('cdk/app.ts', appFile(inventory, stacks));
  files.set('cdk/package.json', packageFile);
  files.set(
    'cdk/cdk.json',
    `${JSON.stringify({ app: 'node app.ts', versionReporting: false, pathMetadata: false, assetMetadata: false }, null, 2)}\n`,
  );
  return files;
}

function className(stack: DeployedStack): string {
  return stack.name
    .split('-')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}

const packageFile = `${JSON.stringify(
  {
    private: true,
    type: 'module',
    engines: { node: '>=22.18' },
    scripts: { synth: 'node app.ts', diff: 'cdk diff', deploy: 'cdk deploy' },
    dependencies: { 'aws-cdk-lib': '^2.200.0', constructs: '^10.4.2' },
    devDependencies: { 'aws-cdk': '^2.1000.0', typescript: '^5.9.0' },
  },
  null,
  2,
)}\n`;

function appFile({ account, region }: Inventory, stacks: readonly { stack: DeployedStack }[]): string {
  const imports = stacks.map(({ stack }) => `import { ${className(stack)} } from './${stack.name}.ts';`);
  const made = stacks.map(({ stack }) => {
    const options = `{ env, synthesizer, stackName: ${code(stack.name)}, tags: ${code(stack.tags, 0)} }`;
    return `new ${className(stack)}(app, ${code(stack.name)}, ${options});`;
  });
  return `import { App, BootstraplessSynthesizer } from 'aws-cdk-lib';
${imports.join('\n')}

const app = new App({ analyticsReporting: false, outdir: 'cdk.out' });
const env = { account: ${code(account)}, region: ${code(region)} };
const synthesizer = new BootstraplessSynthesizer();
// The tags belong to the stacks: IAM policies depend on them.
${made.join('\n')}
app.synth();
`;
}

/** The functions that the files of stacks use, in the words of CloudFormation. */
const helpers = `import { CfnCondition, CfnDeletionPolicy, CfnMapping, CfnOutput, CfnResource, type Stack, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';

export const ref = (name: string) => ({ Ref: name });
export const getAtt = (name: string, attribute: string) => ({ 'Fn::GetAtt': [name, attribute] });
export const sub = (text: string, variables?: object) => ({ 'Fn::Sub': variables ? [text, variables] : text });
export const importValue = (name: unknown) => ({ 'Fn::ImportValue': name });
export const join = (separator: string, parts: unknown) => ({ 'Fn::Join': [separator, parts] });
export const noValue = ref('AWS::NoValue');

export interface Definition {
  type: string;
  condition?: string;
  dependsOn?: string | string[];
  deletionPolicy?: 'Retain' | 'Delete' | 'Snapshot';
  updateReplacePolicy?: 'Retain' | 'Delete' | 'Snapshot';
  metadata?: Record<string, unknown>;
  properties?: Record<string, unknown>;
}

const policies = { Retain: CfnDeletionPolicy.RETAIN, Delete: CfnDeletionPolicy.DELETE, Snapshot: CfnDeletionPolicy.SNAPSHOT };

/** A resource; its logical id is its id. */
export function resource(stack: Stack, id: string, definition: Definition): void {
  const { type, properties, metadata, condition, dependsOn, deletionPolicy, updateReplacePolicy } = definition;
  const made = new CfnResource(stack, id, { type, ...(properties ? { properties } : {}) });
  if (metadata) made.cfnOptions.metadata = metadata;
  if (deletionPolicy) made.cfnOptions.deletionPolicy = policies[deletionPolicy];
  if (updateReplacePolicy) made.cfnOptions.updateReplacePolicy = policies[updateReplacePolicy];
  // As texts, because an object of CDK would have to exist before this one.
  if (condition) made.addOverride('Condition', condition);
  if (dependsOn) made.addOverride('DependsOn', dependsOn);
}

function place(stack: Stack, section: string): Construct {
  const found = stack.node.tryFindChild(section);
  return found instanceof Construct ? found : new Construct(stack, section);
}

export function condition(stack: Stack, id: string, expression: object): void {
  const made = new CfnCondition(place(stack, '(conditions)'), id);
  made.expression = Token.asAny(expression) as unknown as NonNullable<typeof made.expression>;
  made.overrideLogicalId(id);
}

export function mapping(stack: Stack, id: string, values: Record<string, Record<string, unknown>>): void {
  new CfnMapping(place(stack, '(mappings)'), id, { mapping: values }).overrideLogicalId(id);
}

export interface Output {
  value: unknown;
  description?: string;
  exportName?: unknown;
  condition?: string;
}

/** An output: it may have the name of a resource. */
export function output(stack: Stack, id: string, { value, description, exportName, condition: name }: Output): void {
  const made = new CfnOutput(place(stack, '(outputs)'), id, {
    value: typeof value === 'string' ? value : Token.asString(value),
    ...(description ? { description } : {}),
    ...(exportName ? { exportName: typeof exportName === 'string' ? exportName : Token.asString(exportName) } : {}),
  });
  if (name) made.condition = place(stack, '(conditions)').node.findChild(name) as CfnCondition;
  made.overrideLogicalId(id);
}
`;

function stackFile(stack: DeployedStack, template: Template): string {
  const sections = template.value();
  const parameters = Object.entries(mapOf(sections.Parameters)).map(
    ([id, value]) => `    new CfnParameter(this, ${code(id)}, ${code(camel(mapOf(value)), 2)});`,
  );
  const mappings = Object.entries(mapOf(sections.Mappings)).map(
    ([id, value]) => `    mapping(this, ${code(id)}, ${code(value, 2)});`,
  );
  const conditions = Object.entries(mapOf(sections.Conditions)).map(
    ([id, value]) => `    condition(this, ${code(id)}, ${code(value, 2)});`,
  );
  const resources = Object.entries(mapOf(sections.Resources)).map(
    ([id, value]) => `    resource(this, ${code(id)}, ${code(definition(mapOf(value)), 2)});`,
  );
  const outputs = Object.entries(mapOf(sections.Outputs)).map(
    ([id, value]) => `    output(this, ${code(id)}, ${code(outputOf(mapOf(value)), 2)});`,
  );
  const body = [parameters, mappings, conditions, resources, outputs].filter((lines) => lines.length > 0);
  const text = body.map((lines) => lines.join('\n')).join('\n\n');
  const names = [
    'condition',
    'getAtt',
    'importValue',
    'join',
    'mapping',
    'noValue',
    'output',
    'ref',
    'resource',
    'sub',
  ];
  const used = names.filter((name) => new RegExp(`\\b${name}(?=\\(|,|\\b[^:'\\w])`).test(text));
  const what = workloadType(template);
  return `import { ${parameters.length > 0 ? 'CfnParameter, ' : ''}Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { ${used.join(', ')} } from './cloudformation.ts';

/** ${what ? `${stack.workload}: ${what}` : 'Shared by the services of the environment'}. Each construct id is the logical id: a new id means a new resource. */
export class ${className(stack)} extends Stack {
  constructor(scope: Construct, id: string, props: StackProps) {
    super(scope, id, props);
${header(sections)}
${text}
  }
}
`;
}

function header({ AWSTemplateFormatVersion, Description, Metadata }: ValueMap): string {
  return [
    ...(AWSTemplateFormatVersion
      ? [`    this.templateOptions.templateFormatVersion = ${code(AWSTemplateFormatVersion)};`]
      : []),
    ...(Description ? [`    this.templateOptions.description = ${code(Description)};`] : []),
    ...(Metadata ? [`    this.templateOptions.metadata = ${code(Metadata, 2)};`] : []),
    '',
  ].join('\n');
}

/** The keys of a parameter as CDK has them. */
function camel(value: ValueMap): ValueMap {
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.charAt(0).toLowerCase() + key.slice(1),
      key === 'AllowedValues' ? listOf(item).map((one) => String(one)) : item,
    ]),
  );
}

function definition(value: ValueMap): ValueMap {
  const { Type, Condition, DependsOn, DeletionPolicy, UpdateReplacePolicy, Metadata, Properties } = value;
  const known = {
    type: Type,
    condition: Condition,
    dependsOn: DependsOn,
    deletionPolicy: DeletionPolicy,
    updateReplacePolicy: UpdateReplacePolicy,
    metadata: Metadata,
    properties: Properties,
  };
  return present(known);
}

function outputOf({ Value: value, Description, Export, Condition }: ValueMap): ValueMap {
  return present({ value, description: Description, exportName: mapOf(Export).Name, condition: Condition });
}

function present(values: Readonly<Record<string, Value | undefined>>): ValueMap {
  return Object.fromEntries(
    Object.entries(values).flatMap(([key, value]): [string, Value][] =>
      value === undefined || value === null ? [] : [[key, value]],
    ),
  );
}

/** Longer than this, a list or a map has a line for each entry. */
const longestLine = 100;

/** A value as TypeScript source, with helper functions for intrinsic ones. */
function code(value: Value, depth = 0): string {
  if (Array.isArray(value))
    return between(
      '[',
      ']',
      value.map((item) => code(item, depth + 1)),
      depth,
      '',
    );
  if (!isValueMap(value)) return literal(value);
  const call = callOf(value, depth);
  if (call !== undefined) return call;
  const entries = Object.entries(value).map(([key, item]) => {
    return `${/^[A-Za-z_]\w*$/.test(key) ? key : literal(key)}: ${code(item, depth + 1)}`;
  });
  return between('{', '}', entries, depth, ' ');
}

function between(open: string, close: string, items: readonly string[], depth: number, space: string): string {
  if (items.length === 0) return `${open}${close}`;
  const line = `${open}${space}${items.join(', ')}${space}${close}`;
  const indent = '  '.repeat(depth);
  if (!line.includes('\n') && line.length + indent.length <= longestLine) return line;
  return `${open}\n${items.map((item) => `${indent}  ${item},`).join('\n')}\n${indent}${close}`;
}

function literal(value: Value): string {
  if (typeof value !== 'string') return String(value);
  if (value.includes('\n')) return `\`${value.replaceAll(/[\\`]/g, '\\$&').replaceAll('${', '\\${')}\``;
  return `'${value.replaceAll(/[\\']/g, '\\$&')}'`;
}

function callOf(map: ValueMap, depth: number): string | undefined {
  const entries = Object.entries(map);
  const [only] = entries;
  if (entries.length !== 1 || !only) return undefined;
  const [name, argument] = only;
  if (name === 'Ref') return argument === 'AWS::NoValue' ? 'noValue' : `ref(${code(argument)})`;
  if (name === 'Fn::GetAtt') {
    const [id = '', attribute = ''] = getAttOf(map);
    return `getAtt(${literal(id)}, ${literal(attribute)})`;
  }
  if (name === 'Fn::Sub') {
    const [text, variables] = Array.isArray(argument) ? argument : [argument];
    return `sub(${code(text ?? '')}${variables === undefined ? '' : `, ${code(variables, depth)}`})`;
  }
  if (name === 'Fn::ImportValue') return `importValue(${code(argument, depth)})`;
  if (name === 'Fn::Join' && Array.isArray(argument) && textOf(argument[0]) !== undefined)
    return `join(${code(argument[0] ?? '')}, ${code(argument[1] ?? [], depth)})`;
  return undefined;
}
