import { z } from 'zod';
import { type Node, type Path, pathText, plain, Scalar, Sequence, YamlMapping } from './document.ts';
import { type Mapping, mappings, schemaOf, type WorkloadType } from './fields.ts';
import { nearest } from './nearest.ts';

type Schema = z.core.$ZodType;

/** The table of a type of workload as rows, one for each field of its manifest; `<name>` is a free key. */
export function rows(type: WorkloadType): { path: string; mapping: Mapping | undefined }[] {
  const all = new Map<string, Mapping | undefined>();
  function visit(schema: Schema, path: string, inherited: Mapping | undefined) {
    const own = mappings.get(schema);
    const mapping = inherited && 'absent' in inherited ? inherited : (own ?? inherited);
    if (path && !all.has(path)) all.set(path, mapping);
    for (const [step, child] of children(schema))
      visit(child, `${path}${path && step && !step.startsWith('[') ? '.' : ''}${step}`, mapping);
  }
  visit(schemaOf(type, 'of one environment'), '', undefined);
  return [...all].map(([path, mapping]) => ({ path, mapping }));
}

export interface Unsupported {
  path: string;
  reason: string;
}

/** The fields of a manifest that are not supported in the cluster, each with its reason from the table. */
export function unsupported(type: WorkloadType, manifest: YamlMapping): Unsupported[] {
  const found: Unsupported[] = [];
  function visit(schema: Schema, node: Node, path: Path) {
    const mapping = mappings.get(schema);
    if (mapping && 'absent' in mapping) {
      const isSame = node instanceof Scalar && mapping.except?.includes(node.text);
      if (!isSame) found.push({ path: pathText(path), reason: mapping.absent });
      return;
    }
    const inner = chosen(schema, node);
    if (inner !== schema) visit(inner, node, path);
    else if (node instanceof Sequence) {
      for (const [i, item] of node.items.entries())
        for (const [, child] of children(schema)) visit(child, item, [...path, i]);
    } else if (node instanceof YamlMapping) {
      const fields = new Map(children(schema));
      for (const [key, { value }] of node.entries) {
        const child = fields.get(key) ?? fields.get('<name>');
        if (child && value) visit(child, value, [...path, key]);
      }
    }
  }
  visit(schemaOf(type, 'of one environment'), manifest, []);
  return found;
}

/** Fields of the same meaning: of routing, and in the health checks of load balancers and of containers. */
const synonyms: Readonly<Record<string, string>> = {
  port: 'target_port',
  retries: 'unhealthy_threshold',
  unhealthy_threshold: 'retries',
  start_period: 'grace_period',
  grace_period: 'start_period',
};

/**
 * The field that was probably meant by an unknown one: the nearest name or the synonym at the same place, else the same
 * name one level below or in a parent map. Undefined if no field is similar in both name and place.
 */
export function nearestField(type: WorkloadType, path: Path, name: string): string | undefined {
  const places = path[0] === 'environments' ? path.slice(2) : path;
  const here = schemasAt(type, places);
  const fields = new Map(here.flatMap((schema) => [...fieldsOf(schema)]));
  const similar = nearest(name, [...fields.keys()]);
  if (similar) return similar;
  const synonym = synonyms[name];
  if (synonym && fields.has(synonym)) return synonym;
  // Old manifests begin with a version of their format.
  if (name === 'version' && places.length === 0) return undefined;
  // First what is around: a line that is indented too far is more frequent than one that lacks its parent.
  const around = places.map((_step, i) => places.slice(0, i)).toReversed();
  const outer = around.find((place) => schemasAt(type, place).some((schema) => fieldsOf(schema).has(name)));
  if (outer) return pathText([...outer, name]);
  const below = [...fields].find(([, schema]) => fieldsOf(schema).has(name));
  return below && pathText([...places, below[0], name].filter((step) => step !== '[]'));
}

function schemasAt(type: WorkloadType, places: Path): Schema[] {
  return places.reduce<Schema[]>((at, step) => at.flatMap((schema) => below(schema, step)), [schemaOf(type, 'whole')]);
}

function below(schema: Schema, step: PropertyKey): Schema[] {
  const fields = fieldsOf(schema);
  const child = fields.get(String(step)) ?? fields.get('<name>') ?? fields.get('[]');
  return child ? [child] : [];
}

/** The direct child fields, through optional parts and short forms. */
function fieldsOf(schema: Schema): Map<string, Schema> {
  return new Map(children(schema).flatMap(([step, child]) => (step ? [[step, child] as const] : [...fieldsOf(child)])));
}

/**
 * The parts of a schema: by the name of a field, `<name>` for any, `[]` for an item, '' for the same value seen closer.
 */
function children(schema: Schema): [string, Schema][] {
  if (schema instanceof z.ZodObject) return Object.entries<Schema>(schema.shape);
  if (schema instanceof z.ZodRecord) return [['<name>', schema.valueType]];
  if (schema instanceof z.ZodArray) return [['[]', schema.element]];
  if (schema instanceof z.ZodOptional) return [['', schema.unwrap()]];
  if (schema instanceof z.ZodUnion) return schema.options.map((option: Schema) => ['', option]);
  if (schema instanceof z.ZodPipe) return children(schema.in).length > 0 ? [['', schema.in]] : [['', schema.out]];
  return [];
}

/** The option of a union that reads this value, or the schema itself if it is not a union. */
function chosen(schema: Schema, node: Node): Schema {
  const closer = children(schema).flatMap(([step, child]) => (step === '' ? [child] : []));
  return closer.find((option) => closer.length === 1 || z.safeParse(option, plain(node)).success) ?? schema;
}
