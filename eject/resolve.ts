import {
  getAttOf,
  isValueMap,
  listOf,
  mapOf,
  subReference,
  type Template,
  textOf,
  type Value,
  type ValueMap,
} from './template.ts';

/** The values that CloudFormation uses to evaluate a template. */
export interface Context {
  readonly parameters: Readonly<Record<string, string>>;
  /** `AWS::Region`, `AWS::AccountId`, `AWS::Partition`, `AWS::StackName`, `AWS::StackId`, `AWS::URLSuffix`. */
  readonly pseudoParameters: Readonly<Record<string, string>>;
  /** By logical id. */
  readonly physicalIds: Readonly<Record<string, string>>;
  /** The values of attributes that are known, by `LogicalId.Attribute`. */
  readonly attributes: Readonly<Record<string, string>>;
  /** The values of exports by their names. */
  readonly exports: Readonly<Record<string, string>>;
}

/** A template with its functions evaluated; those with unknown values, such as attributes, stay. */
export interface Resolved {
  /** Those whose condition is true. */
  readonly resources: ReadonlyMap<string, { readonly type: string; readonly properties: ValueMap }>;
  /** Those whose condition is true. */
  readonly outputs: ReadonlyMap<string, { readonly value: Value; readonly exportName: string | undefined }>;
}

const noValue = Symbol('AWS::NoValue');
type Evaluated = Value | typeof noValue;

/** The resources and outputs of a template as CloudFormation would make them in this context. */
export function resolve(template: Template, context: Context): Resolved {
  const conditions = conditionsOf(template, context);
  const mappings = template.section('Mappings');
  const evaluate = (value: Value) => evaluated(value, { ...context, conditions, mappings });
  const holds = (id: string, value: ValueMap) =>
    value.Condition === undefined || (conditions[String(value.Condition)] ?? id in context.physicalIds);
  const present = (section: string) =>
    Object.entries(template.section(section))
      .map(([id, value]) => [id, mapOf(value)] as const)
      .filter(([id, value]) => holds(id, value));
  const resources = present('Resources').map(([id, value]) => {
    const properties = evaluate(mapOf(value.Properties));
    return [id, { type: textOf(value.Type) ?? '', properties: isEvaluatedMap(properties) ? properties : {} }] as const;
  });
  const outputs = present('Outputs').map(([id, value]) => {
    const name = evaluate(mapOf(value.Export).Name ?? null);
    const result = evaluate(value.Value ?? null);
    const exportName = typeof name === 'string' ? name : undefined;
    return [id, { value: result === noValue ? null : result, exportName }] as const;
  });
  return { resources: new Map(resources), outputs: new Map(outputs) };
}

function isEvaluatedMap(value: Evaluated): value is ValueMap {
  return typeof value !== 'symbol' && isValueMap(value);
}

/** The conditions of a template, each true, false, or undefined if unknown. */
export function conditionsOf(template: Template, context: Context): Record<string, boolean | undefined> {
  const definitions = template.section('Conditions');
  const known: Record<string, boolean | undefined> = {};
  const scope: Scope = { ...context, conditions: known, mappings: template.section('Mappings') };
  function condition(name: string): boolean | undefined {
    if (!(name in known)) {
      known[name] = undefined;
      known[name] = test(definitions[name] ?? null);
    }
    return known[name];
  }
  function test(value: Value): boolean | undefined {
    const map = mapOf(value);
    if (map.Condition !== undefined) return condition(String(map.Condition));
    if (map['Fn::Not'] !== undefined) {
      const inner = test(listOf(map['Fn::Not'])[0] ?? null);
      return inner === undefined ? undefined : !inner;
    }
    if (map['Fn::And'] !== undefined) {
      const parts = listOf(map['Fn::And']).map(test);
      return parts.includes(false) ? false : parts.includes(undefined) ? undefined : true;
    }
    if (map['Fn::Or'] !== undefined) {
      const parts = listOf(map['Fn::Or']).map(test);
      return parts.includes(true) ? true : parts.includes(undefined) ? undefined : false;
    }
    if (map['Fn::Equals'] !== undefined) {
      const [a, b] = listOf(map['Fn::Equals']).map((side) => evaluated(side, scope));
      if (isLiteral(a) && isLiteral(b)) return String(a ?? '') === String(b ?? '');
    }
    return undefined;
  }
  for (const name of Object.keys(definitions)) condition(name);
  return known;
}

interface Scope extends Context {
  readonly conditions: Readonly<Record<string, boolean | undefined>>;
  readonly mappings: ValueMap;
}

function isLiteral(value: Evaluated | undefined): value is string | number | boolean | null {
  return value !== undefined && typeof value !== 'symbol' && (value === null || typeof value !== 'object');
}

function evaluated(value: Value, scope: Scope): Evaluated {
  if (Array.isArray(value)) {
    return value.flatMap((item): Value[] => {
      const result = evaluated(item, scope);
      return result === noValue ? [] : [result];
    });
  }
  if (!isValueMap(value)) return value;
  const entries = Object.entries(value);
  const [only] = entries;
  if (entries.length === 1 && only && (only[0] === 'Ref' || only[0].startsWith('Fn::')))
    return call(only[0], only[1], scope);
  return Object.fromEntries(
    entries.flatMap(([key, item]): [string, Value][] => {
      const result = evaluated(item, scope);
      return result === noValue ? [] : [[key, result]];
    }),
  );
}

function call(name: string, argument: Value, scope: Scope): Evaluated {
  if (name === 'Ref') return reference(String(argument), scope) ?? { Ref: argument };
  if (name === 'Fn::GetAtt') {
    const [id = '', attribute = ''] = getAttOf({ [name]: argument });
    return scope.attributes[`${id}.${attribute}`] ?? { [name]: argument };
  }
  if (name === 'Fn::If') {
    const [condition, yes = null, no = null] = listOf(argument);
    const holds = scope.conditions[String(condition)];
    if (holds !== undefined) return evaluated(holds ? yes : no, scope);
    return { [name]: [condition ?? null, plainOf(evaluated(yes, scope)), plainOf(evaluated(no, scope))] };
  }
  if (name === 'Fn::Sub') return substitute(argument, scope);
  const arguments_ = plainOf(evaluated(argument, scope));
  if (name === 'Fn::ImportValue' && typeof arguments_ === 'string')
    return scope.exports[arguments_] ?? { [name]: arguments_ };
  if (name === 'Fn::Join') {
    const [separator, items] = listOf(arguments_);
    if (Array.isArray(items) && items.every(isLiteral))
      return items.map((item) => String(item ?? '')).join(String(separator ?? ''));
  }
  if (name === 'Fn::Split') {
    const [separator, text] = listOf(arguments_);
    if (typeof text === 'string') return text.split(String(separator ?? ''));
  }
  if (name === 'Fn::Select') {
    const [index, items] = listOf(arguments_);
    const item = Array.isArray(items) ? items[Number(index)] : undefined;
    if (item !== undefined) return item;
  }
  if (name === 'Fn::FindInMap') {
    const [map, first, second] = listOf(arguments_).map(String);
    const found = mapOf(mapOf(scope.mappings[map ?? ''])[first ?? ''])[second ?? ''];
    if (found !== undefined) return found;
  }
  return { [name]: arguments_ };
}

function plainOf(value: Evaluated): Value {
  return typeof value === 'symbol' ? { Ref: 'AWS::NoValue' } : value;
}

function reference(name: string, scope: Scope): Evaluated | undefined {
  if (name === 'AWS::NoValue') return noValue;
  return scope.parameters[name] ?? scope.pseudoParameters[name] ?? scope.physicalIds[name];
}

function substitute(argument: Value, scope: Scope): Value {
  const [text, variables] = Array.isArray(argument) ? argument : [argument];
  const own = mapOf(variables);
  const unknown: [string, Value][] = [];
  const result = String(text ?? '').replaceAll(subReference, (match, name: string) => {
    const definition = own[name];
    const value =
      definition !== undefined
        ? evaluated(definition, scope)
        : name.includes('.')
          ? scope.attributes[name]
          : reference(name, scope);
    if (isLiteral(value)) return String(value ?? '');
    unknown.push([name, value === undefined || typeof value === 'symbol' ? null : value]);
    return match;
  });
  if (unknown.length > 0) return { 'Fn::Sub': [result, Object.fromEntries(unknown)] };
  return result.replaceAll('${!', '${');
}
