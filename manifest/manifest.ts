import type { z } from 'zod';
import { type AddedVolumes, violations } from './cross-field-rules.ts';
import { decode, describe } from './decode.ts';
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
  YamlMapping,
} from './document.ts';
import { applyEnvironment } from './environment.ts';
import { everyField, type Fields, schemaOf, type WorkloadType, workloadTypes } from './fields.ts';
import { interpolate } from './interpolation.ts';
import { nearestField, type Unsupported, unsupported } from './mapping.ts';
import { objectName } from './names.ts';
import { scheduleNote } from './schedule.ts';
import {
  missingContainers,
  readTaskChanges,
  segmentsOf,
  type TaskOverrides,
  withTaskOverrides,
} from './task-overrides.ts';

/** A manifest as one environment sees it. */
export interface Manifest {
  /** The name of the file in messages. */
  file: string;
  /** The workload's name as Kubernetes allows it. */
  name: string;
  type: WorkloadType;
  /** Its fields, short forms made long, durations in seconds. */
  fields: Fields;
  /** What its `taskdef_overrides` change. */
  taskOverrides: TaskOverrides;
  /** The fields that it sets and Kubernetes does not support. */
  unsupported: Unsupported[];
  /** Whether it has a section for this environment. */
  namesEnvironment: boolean;
  /** The line of a field, or that of the nearest field around it that exists. */
  lineOf: (path: Path) => number;
  /** Probable mistakes that Copilot accepts, and problems of other environments, by line. */
  warnings: readonly Diagnostic[];
}

export interface Surroundings {
  application: string;
  environment: string;
  /** The variables of the shell, for `${NAME}`. */
  shell: Readonly<Record<string, string | undefined>>;
  addedVolumes?: AddedVolumes;
  /** The name of the manifest's folder, which must be that of the workload. */
  folder?: string;
  /** Whether this environment is checked alone, without the others that the manifest names. */
  alone?: boolean;
}

/**
 * Reads a Copilot manifest. `file` is its name in messages. Throws a DocumentError with every problem and its line:
 * invalid YAML, a variable that is not set, a value of a type that Copilot refuses, or a broken rule of Copilot's own
 * validation in this environment. What Copilot ignores, and problems of other environments, are warnings.
 */
export function readManifest(
  text: string,
  file: string,
  { application, environment, shell, addedVolumes = [], folder, alone = false }: Surroundings,
): Manifest {
  const predefined = { COPILOT_APPLICATION_NAME: application, COPILOT_ENVIRONMENT_NAME: environment };
  const ignored: Diagnostic[] = [];
  const stated = interpolate(
    parse(text, file, (note) => ignored.push(note)),
    file,
    predefined,
    shell,
  );
  const type = typeOf(stated, file);
  const decoded = decode(schemaOf(type, 'whole'), stated, (path) => unknownField(type, path));
  const { manifest: whole, errors } = decoded;
  const warnings = [...ignored, ...decoded.notes];

  const manifest = applyEnvironment(whole, environment);
  const refused = [...errors, ...exclusiveForms(whole), ...emptySizes(type, stated), ...otherName(stated, folder)];
  const problems = refused.length > 0 ? refused : problemsOf(type, manifest, addedVolumes);
  // An ignored field is often the reason why another one is missing.
  if (problems.length > 0) throw new DocumentError(file, unique(problems), unique(warnings));
  const others = alone ? [] : otherEnvironments(type, whole, environment, addedVolumes);
  const fields = fieldsOf(type, manifest);
  const all = unique([
    ...warnings,
    ...others,
    ...namelessSecrets(fields, manifest),
    ...changedSchedule(fields, manifest),
  ]);
  const taskOverrides = taskOverridesOf(fields, manifest);
  return {
    file,
    name: objectName(fields.name ?? ''),
    type,
    fields: withTaskOverrides(fields, taskOverrides),
    taskOverrides,
    unsupported: unsupported(type, manifest),
    lineOf: (path) => lineAt(manifest, path),
    namesEnvironment: nodeAt(whole, ['environments', environment]) !== undefined,
    warnings: all.toSorted((a, b) => a.line - b.line),
  };
}

/** Copilot runs some schedules at other times than cron does. */
function changedSchedule({ on }: Fields, manifest: YamlMapping): Diagnostic[] {
  const message = scheduleNote(on?.schedule ?? '');
  return message === undefined ? [] : [{ line: lineAt(manifest, ['on', 'schedule']), message }];
}

/** Copilot accepts a secret without a value. */
function namelessSecrets({ secrets, sidecars = {} }: Fields, manifest: YamlMapping): Diagnostic[] {
  const all: [Path, Fields['secrets']][] = [
    [['secrets'], secrets],
    ...Object.entries(sidecars).map(([name, sidecar]): [Path, Fields['secrets']] => [
      ['sidecars', name, 'secrets'],
      sidecar.secrets,
    ]),
  ];
  return all.flatMap(([at, named = {}]) =>
    Object.entries(named).flatMap(([name, source]) => {
      const path = [...at, name];
      const message = `${pathText(path)} has no value: Copilot accepts it, but ECS cannot start a task whose secret has no parameter name`;
      return source === '' ? [{ line: lineAt(manifest, path), message }] : [];
    }),
  );
}

function taskOverridesOf({ taskdef_overrides = [] }: Fields, manifest: YamlMapping): TaskOverrides {
  return readTaskChanges(
    taskdef_overrides.map(({ path = '', value }, i) => {
      const at = `taskdef_overrides[${i}]`;
      const line = lineAt(manifest, ['taskdef_overrides', i, 'path']);
      return { segments: segmentsOf(path), isRemoval: false, isInsertion: false, value, at, line, path };
    }),
  );
}

/** A Request-Driven Web Service comes out as a web service with a route of every path, and so does a Static Site. */
function fieldsOf(type: WorkloadType, manifest: YamlMapping): Fields {
  if (type === 'Static Site') {
    const { http, ...fields } = everyField.parse(plain(replaceAt(manifest, ['http', 'certificate'], undefined)));
    return { ...fields, http: { ...(typeof http === 'object' ? http : {}), path: '/' } };
  }
  if (type !== 'Request-Driven Web Service') return everyField.parse(plain(manifest));
  // App Runner starts one container; the other fields have another form there than elsewhere.
  const without: Path[] = [['count'], ['network'], ['http', 'private'], ['image', 'depends_on']];
  const common = without.reduce<Node>((node, path) => replaceAt(node, path, undefined), manifest);
  const fields = everyField.parse(plain(common));
  const stated = nodeAt(manifest, ['http', 'private']);
  const isPrivate = stated instanceof Scalar ? stated.text === 'true' : nodeAt(stated, ['endpoint']) !== undefined;
  return { ...fields, isPrivate, http: { ...(typeof fields.http === 'object' ? fields.http : {}), path: '/' } };
}

/** The problems of a manifest in one environment: invalid values, else violated rules between fields. */
function problemsOf(type: WorkloadType, manifest: YamlMapping, addedVolumes: AddedVolumes): Diagnostic[] {
  const values = [
    ...emptyMaps(manifest),
    ...certificateProblems(type, manifest),
    ...schemaProblems(schemaOf(type, 'of one environment'), manifest),
  ];
  if (values.length > 0) return values;
  const fields = fieldsOf(type, manifest);
  const overrides = taskOverridesOf(fields, manifest);
  const own = overrides.volumes.map(({ name }) => name);
  const volumes = addedVolumes === 'unknown' ? addedVolumes : [...addedVolumes, ...own];
  return [
    ...violations(type, fields, volumes).map(({ path, ...problem }) => ({ ...problem, line: lineAt(manifest, path) })),
    ...missingContainers(type, withTaskOverrides(fields, overrides), overrides),
  ];
}

/** Fields that exclude each other in every environment: Copilot refuses them when it decodes. */
function exclusiveForms(manifest: YamlMapping): Diagnostic[] {
  const environments = manifest.get('environments');
  const sections = environments instanceof YamlMapping ? [...environments.entries.values()] : [];
  return [manifest, ...sections.map(({ value }) => value)].flatMap((section) => {
    const volumes = nodeAt(section, ['storage', 'volumes']);
    const systems = volumes instanceof YamlMapping ? [...volumes.entries.keys()] : [];
    return [
      ...excluding(section, ['image'], [['build'], ['location']]),
      ...systems.flatMap((volume) =>
        excluding(
          section,
          ['storage', 'volumes', volume, 'efs'],
          [
            ['uid', 'gid'],
            ['id', 'root_dir', 'auth'],
          ],
        ),
      ),
    ];
  });
}

/** `cpu:` without a value removes the default that App Runner needs. */
function emptySizes(type: WorkloadType, stated: YamlMapping): Diagnostic[] {
  if (type !== 'Request-Driven Web Service') return [];
  return ['cpu', 'memory'].flatMap((field) => {
    const entry = stated.entries.get(field);
    const message = `${field}: expected a whole number, found nothing: give it a value or remove it`;
    return entry && !entry.value ? [{ line: entry.key, message }] : [];
  });
}

function otherName(stated: YamlMapping, folder: string | undefined): Diagnostic[] {
  const name = stated.get('name');
  if (folder === undefined || !(name instanceof Scalar) || name.text === folder) return [];
  const message = `name "${name.text}" is not that of its folder: expected "${folder}", or rename the folder`;
  return [{ line: lineAt(stated, ['name']), message }];
}

function excluding(section: Node | undefined, path: Path, sides: readonly (readonly string[])[]): Diagnostic[] {
  const node = nodeAt(section, path);
  if (!(node instanceof YamlMapping)) return [];
  const stated = sides.map((side) => side.filter((field) => !isEmptyText(node.get(field))));
  const [first = [], second = []] = stated;
  if (first.length === 0 || second.length === 0) return [];
  const line = node.entries.get(second[0] ?? '')?.key ?? node.line;
  const names = (fields: readonly string[]) => fields.map((field) => pathText([...path, field])).join(', ');
  return [{ line, message: `${names(first)} and ${names(second)} exclude each other` }];
}

function isEmptyText(node: Node | undefined): boolean {
  return node === undefined || (node instanceof Scalar && node.text === '');
}

/** https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/manifest/validate.go (StaticSiteHTTP) */
function certificateProblems(type: WorkloadType, manifest: YamlMapping): Diagnostic[] {
  const stated = nodeAt(manifest, ['http', 'certificate']);
  if (type !== 'Static Site' || isEmptyText(stated) || !(stated instanceof Scalar)) return [];
  const line = lineAt(manifest, ['http', 'certificate']);
  if (isEmptyText(nodeAt(manifest, ['http', 'alias']))) return [{ line, message: 'http.certificate needs an alias' }];
  const [, region] = /^arn:[^:]*:[^:]*:([^:]*):[^:]*:/.exec(stated.text) ?? [];
  const message = `http.certificate "${stated.text}": expected the ARN of a certificate in us-east-1`;
  return region === 'us-east-1' ? [] : [{ line, message }];
}

/** Copilot itself crashes on a sidecar or a volume without a value. */
function emptyMaps(manifest: YamlMapping): Diagnostic[] {
  return [['sidecars'], ['storage', 'volumes']].flatMap((path) => {
    const maps = nodeAt(manifest, path);
    const entries = maps instanceof YamlMapping ? [...maps.entries] : [];
    return entries
      .filter(([, { value }]) => value === undefined)
      .map(([name, { key }]) => ({
        line: key,
        message: `${pathText([...path, name])}: expected a map, found nothing`,
      }));
  });
}

function otherEnvironments(
  type: WorkloadType,
  whole: YamlMapping,
  environment: string,
  addedVolumes: AddedVolumes,
): Diagnostic[] {
  const environments = whole.get('environments');
  const names = environments instanceof YamlMapping ? [...environments.entries.keys()] : [];
  return names
    .filter((name) => name !== environment)
    .flatMap((name) =>
      problemsOf(type, applyEnvironment(whole, name), addedVolumes).map(({ message, ...problem }) => ({
        ...problem,
        message: `in environment "${name}": ${message}`,
      })),
    );
}

function unique(problems: readonly Diagnostic[]): Diagnostic[] {
  return [...new Map(problems.map((problem) => [`${problem.line} ${problem.message}`, problem])).values()];
}

function typeOf(manifest: YamlMapping, file: string): WorkloadType {
  const node = manifest.get('type');
  const stated = node instanceof Scalar ? node.text : undefined;
  const type = (Object.keys(workloadTypes) as WorkloadType[]).find((known) => known === stated);
  if (type) return type;
  const known = Object.keys(workloadTypes).join(', ');
  const message = stated ? `type "${stated}" has no equivalent in Kubernetes` : 'type is missing';
  throw new DocumentError(file, [
    { line: lineAt(manifest, ['type']), message: `${message}; supported types: ${known}` },
  ]);
}

function unknownField(type: WorkloadType, path: Path): string {
  const name = String(path.at(-1));
  const nearest = nearestField(type, path.slice(0, -1), name);
  const where = path.length > 1 ? ` in ${pathText(path.slice(0, -1))}` : '';
  const place = nearest === name ? ' at the top of the manifest' : '';
  const hint = nearest ? `; did you mean "${nearest}"${place}?` : '';
  return `unknown field "${name}"${where}. Copilot ignores this too: it has never had an effect${hint}`;
}

/** Values that Copilot decodes and then refuses: not one of those allowed, or out of range. */
function schemaProblems(schema: z.ZodType, manifest: YamlMapping): Diagnostic[] {
  const result = schema.safeParse(plain(manifest));
  if (result.success) return [];

  function problems(issue: z.core.$ZodIssue, at: Path): Diagnostic[] {
    const path = [...at, ...issue.path];
    if (issue.code === 'invalid_union') {
      const closer = issue.errors.filter((branch) => !branch.some(isAboutKind)).at(-1);
      if (closer) return closer.flatMap((inner) => problems(inner, path));
      const expected = new Set(issue.errors.flatMap((branch) => branch.filter(isAboutKind).map(expectation)));
      return [misfit(path, [...expected].join(' or '))];
    }
    return [misfit(path, expectation(issue))];
  }

  function misfit(path: Path, expected: string): Diagnostic {
    const message = `${pathText(path)}: expected ${expected}, found ${describe(nodeAt(manifest, path))}`;
    return { line: lineAt(manifest, path), message };
  }

  return result.error.issues.flatMap((issue) => problems(issue, []));
}

/** Whether the value itself has the wrong type, not only a part of it. */
function isAboutKind({ code, path }: z.core.$ZodIssue): boolean {
  return path.length === 0 && (code === 'custom' || code === 'invalid_type');
}

function expectation(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') return issue.expected === 'array' ? 'a list' : 'a map';
  return issue.message.replace(/^expected /, '');
}
