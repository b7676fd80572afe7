import { z } from 'zod';
import { booleanTexts, inside, LEAST, MOST } from './decode.ts';
import {
  decodings,
  durationPattern,
  mappings,
  type ScalarType,
  schemaOf,
  type WorkloadType,
  workloadTypes,
} from './fields.ts';

/** A part of a JSON Schema. */
export type JsonSchema = { readonly [keyword: string]: unknown };

type Schema = z.core.$ZodType;

const anyText = { type: ['string', 'number', 'boolean', 'null'] };
/** The JSON Schema of each Go type; a key without a value counts as absent. */
const SCALARS: Record<ScalarType, JsonSchema> = {
  string: anyText,
  int: { type: ['integer', 'null'] },
  uint16: { type: ['integer', 'null'], minimum: LEAST.uint16, maximum: MOST.uint16 },
  uint32: { type: ['integer', 'null'], minimum: LEAST.uint32, maximum: MOST.uint32 },
  float64: { type: ['number', 'null'] },
  bool: { anyOf: [{ type: ['boolean', 'null'] }, { enum: [...booleanTexts.true, ...booleanTexts.false] }] },
  duration: { type: ['string', 'null'], pattern: durationPattern.source },
  any: {},
};

/**
 * The JSON Schema (draft 7) of a Copilot manifest of any type, generated from the table of fields. With
 * `# yaml-language-server: $schema=FILE` in the first line of a manifest, editors complete and explain its fields. The
 * schema has the fields and the types of their values; `plusone check` has the rules between fields.
 */
export function manifestSchema(): JsonSchema {
  const types = Object.keys(workloadTypes) as WorkloadType[];
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'AWS Copilot manifest',
    description: 'The manifest of a service or a job of AWS Copilot 1.34.1.',
    type: 'object',
    required: ['name', 'type'],
    properties: { type: { enum: types, description: 'The type of the workload, which decides on its fields.' } },
    allOf: types.map((type) => {
      // As entries, because the linter reports an object with a property `then`.
      return Object.fromEntries([
        ['if', isOfType(type)],
        ['then', { $ref: `#/definitions/${type.replaceAll(' ', '')}` }],
      ]);
    }),
    definitions: Object.fromEntries(
      types.map((type) => [type.replaceAll(' ', ''), definitionOf(schemaOf(type, 'whole'))]),
    ),
  };
}

function isOfType(type: WorkloadType): JsonSchema {
  return { required: ['type'], properties: { type: { const: type } } };
}

function definitionOf(outer: Schema): JsonSchema {
  const description = descriptionOf(outer);
  const body = bodyOf(inside(outer));
  return description === undefined ? body : { description, ...body };
}

function bodyOf(schema: Schema): JsonSchema {
  const decoding = decodings.get(schema);
  if (decoding && 'type' in decoding) {
    const { allowed } = decoding;
    return allowed
      ? { anyOf: [{ enum: allowed }, { type: ['string', 'null'], pattern: inAnyCase(allowed) }] }
      : SCALARS[decoding.type];
  }
  if (decoding) return { anyOf: [definitionOf(decoding.short), definitionOf(decoding.long)] };
  if (schema instanceof z.ZodObject) {
    const properties = Object.entries(schema.shape).map(([name, field]) => [name, definitionOf(field)]);
    return { type: ['object', 'null'], properties: Object.fromEntries(properties), additionalProperties: false };
  }
  if (schema instanceof z.ZodRecord)
    return { type: ['object', 'null'], additionalProperties: definitionOf(schema.valueType) };
  if (!(schema instanceof z.ZodArray)) return {};
  // A text becomes a list where a variable or the text itself is a JSON list.
  const asText = { type: 'string', pattern: '^\\[|\\$\\{' };
  return { anyOf: [{ type: ['array', 'null'], items: definitionOf(schema.element) }, asText] };
}

function inAnyCase(texts: readonly string[]): string {
  const insensitive = (text: string) => text.replaceAll(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`);
  return `^(${texts.map(insensitive).join('|')})$`;
}

function descriptionOf(schema: Schema): string | undefined {
  const mapping = mappings.get(schema);
  const decoding = decodings.get(inside(schema));
  const expected = decoding && 'expected' in decoding && decoding.type !== 'any' ? `Expects ${decoding.expected}.` : '';
  if (!mapping) return expected || undefined;
  const meaning =
    'becomes' in mapping ? `In Kubernetes: ${mapping.becomes}.` : `Not applicable in Kubernetes: ${mapping.absent}.`;
  return `${meaning}${expected && ` ${expected}`}`;
}
