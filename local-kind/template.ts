/** CloudFormation templates as plain values, and the intrinsic functions that can be evaluated locally. */
import { isMap, isScalar, isSeq, parseDocument, type Node as YamlNode } from 'yaml';
import { z } from 'zod';
import { DocumentError } from '../manifest/document.ts';

const section = z
  .record(z.string(), z.unknown())
  .nullish()
  .transform((value) => value ?? {});
const resource = z.looseObject({ Type: z.string(), Properties: section });
const templateSchema = z.looseObject({
  Parameters: z
    .record(z.string(), z.looseObject({ Default: z.unknown().optional() }))
    .nullish()
    .transform((value) => value ?? {}),
  Conditions: section,
  Mappings: section,
  Metadata: section,
  Resources: z
    .record(z.string(), resource)
    .nullish()
    .transform((value) => value ?? {}),
  Outputs: z
    .record(z.string(), z.looseObject({ Value: z.unknown(), Export: z.looseObject({ Name: z.unknown() }).optional() }))
    .nullish()
    .transform((value) => value ?? {}),
});
export type Template = z.infer<typeof templateSchema>;
export type Resource = z.infer<typeof resource>;

/**
 * A YAML file of CloudFormation as plain values, its short tags (`!Ref`) in their long form. Throws a DocumentError.
 */
export function parseYaml(text: string, file: string): unknown {
  const document = parseDocument(text, { logLevel: 'silent', prettyErrors: false });
  if (document.errors.length > 0)
    throw new DocumentError(
      file,
      document.errors.map(({ message }) => ({ line: 1, message })),
    );
  return plainValue(document.contents);
}

/** A template of CloudFormation, with all of its sections. Throws a DocumentError. */
export function parseTemplate(text: string, file: string): Template {
  const result = templateSchema.safeParse(parseYaml(text, file) ?? {});
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new DocumentError(file, [{ line: 1, message: `${issue?.path.join('.')}: ${issue?.message}` }]);
}

/** Merges several files into one template, as Copilot does for the addons of a workload. */
export function mergeTemplates(templates: readonly Template[]): Template {
  const merged = templateSchema.parse({});
  for (const template of templates) {
    Object.assign(merged.Parameters, template.Parameters);
    Object.assign(merged.Conditions, template.Conditions);
    Object.assign(merged.Mappings, template.Mappings);
    Object.assign(merged.Resources, template.Resources);
    Object.assign(merged.Outputs, template.Outputs);
  }
  return merged;
}

function plainValue(node: unknown): unknown {
  if (!isMap(node) && !isSeq(node) && !isScalar(node)) return undefined;
  const value = isMap(node)
    ? Object.fromEntries(
        node.items.map(({ key, value }) => [isScalar(key) ? String(key.value) : '', plainValue(value)]),
      )
    : isSeq(node)
      ? node.items.map(plainValue)
      : (node as YamlNode & { value: unknown }).value;
  const name = node.tag?.startsWith('!') ? node.tag.slice(1) : '';
  if (name === '' || name.startsWith('!')) return value;
  if (name === 'Ref' || name === 'Condition') return { [name]: value };
  if (name === 'GetAtt' && typeof value === 'string') {
    const [logicalId, ...attribute] = value.split('.');
    return { 'Fn::GetAtt': [logicalId, attribute.join('.')] };
  }
  return { [`Fn::${name}`]: value };
}

/** A value of a template with `replace` applied to each intrinsic function, from the outside in. */
export function mapIntrinsics(value: unknown, replace: (name: string, argument: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => mapIntrinsics(item, replace));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const [only] = entries;
  if (entries.length === 1 && only && (only[0] === 'Ref' || only[0].startsWith('Fn::'))) {
    const replaced = replace(only[0], only[1]);
    if (replaced !== undefined) return replaced;
  }
  return Object.fromEntries(entries.map(([key, item]) => [key, mapIntrinsics(item, replace)]));
}

/**
 * The text of a value, evaluated with the known parameters, pseudo parameters and attributes (`Db.Port`). Undefined if
 * only CloudFormation knows it.
 */
export function textOf(value: unknown, known: ReadonlyMap<string, string>): string | undefined {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const [[name, argument] = ['', undefined]] = Object.entries(value);
  if (name === 'Ref' && typeof argument === 'string') return known.get(argument);
  if (name === 'Fn::GetAtt' && Array.isArray(argument)) return known.get(argument.join('.'));
  if (name === 'Fn::Join' && Array.isArray(argument) && Array.isArray(argument[1])) {
    const parts = argument[1].map((part) => textOf(part, known));
    return parts.every((part) => part !== undefined) ? parts.join(String(argument[0])) : undefined;
  }
  if (name === 'Fn::Sub') {
    const [text, extra = {}] = Array.isArray(argument) ? argument : [argument];
    if (typeof text !== 'string') return undefined;
    const own = new Map(
      Object.entries(extra).flatMap(([key, item]) => {
        const found = textOf(item, known);
        return found === undefined ? [] : [[key, found] as const];
      }),
    );
    let complete = true;
    const replaced = text.replaceAll(/\$\{(!?)([^}]+)\}/g, (_match, literal: string, key: string) => {
      if (literal !== '') return `\${${key}}`;
      const found = own.get(key) ?? known.get(key);
      if (found === undefined) complete = false;
      return found ?? '';
    });
    return complete ? replaced : undefined;
  }
  return undefined;
}
