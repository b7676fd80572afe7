/** Checks a workspace without deploying it. */
import { existsSync, globSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { addonProblems } from './addons.ts';
import { addedVolumesOf, readOverrides } from './cfn-patches.ts';
import { type Diagnostic, DocumentError, type Node, parseAny, Scalar, Sequence, YamlMapping } from './document.ts';
import { readManifest } from './manifest.ts';
import { runtimeProblem } from './runtimes.ts';
import { missingContainers, withTaskOverrides } from './task-overrides.ts';
import { MissingInput, namesIn, readText, type Workspace } from './workspace.ts';

export type Level = 'error' | 'warning' | 'note';

/** The rules of the check, each with its level and summary. */
export const rules = {
  'copilot-refuses': { level: 'error', summary: 'Copilot refuses to deploy this' },
  'copilot-ignores': { level: 'warning', summary: 'Copilot accepts this and ignores it, or reads another value' },
  'not-in-kubernetes': { level: 'warning', summary: 'Copilot accepts this, but Kubernetes has no equivalent' },
  'lambda-runtime': { level: 'warning', summary: 'AWS Lambda refuses this runtime, or will soon' },
  'copilots-functions': {
    level: 'note',
    summary: 'Copilot creates Lambda functions with a runtime that AWS will soon refuse',
  },
} as const satisfies Record<string, { level: Level; summary: string }>;

export type Rule = keyof typeof rules;

export interface Finding extends Diagnostic {
  rule: Rule;
  level: Level;
  /** The absolute path. */
  file: string;
}

/**
 * The findings in a workspace, by file and line: what Copilot 1.34.1 refuses in any environment, what it ignores, and
 * Lambda runtimes that AWS refuses or will soon refuse. `shell` has the variables for `${NAME}`.
 */
export function checkWorkspace(workspace: Workspace, shell: NodeJS.ProcessEnv): Finding[] {
  const deployed = folders(join(workspace.folder, 'environments'));
  const found = [
    ...workspace.workloads.flatMap((name) => checkWorkload(workspace, name, deployed, shell)),
    ...nestedManifests(workspace.folder),
    ...globSync('{environments,pipelines}/*/manifest.yml', { cwd: workspace.folder }).flatMap((path) =>
      checkYaml(join(workspace.folder, path)),
    ),
    ...['environments', ...workspace.workloads].flatMap((part) => checkRuntimes(join(workspace.folder, part))),
    ...checkAddons(workspace.folder, 'environments', 'environments'),
    ...workspace.workloads.flatMap((name) => checkAddons(workspace.folder, name, 'workload')),
  ];
  const unique = new Map(found.map((finding) => [`${finding.file}:${finding.line}: ${finding.message}`, finding]));
  return [...unique.values()].toSorted((a, b) => a.file.localeCompare(b.file) || a.line - b.line);
}

function refusal(file: string, problem: Diagnostic): Finding {
  return finding(problem.isOfKubernetes ? 'not-in-kubernetes' : 'copilot-refuses', file, problem);
}

function finding(rule: Rule, file: string, { line, message }: Diagnostic): Finding {
  return { rule, level: rules[rule].level, file, line, message };
}

function checkWorkload(
  { folder, application }: Workspace,
  name: string,
  deployed: readonly string[],
  shell: NodeJS.ProcessEnv,
): Finding[] {
  const file = join(folder, name, 'manifest.yml');
  const overrides = join(folder, name, 'overrides');
  const patches = join(overrides, 'cfn.patches.yml');
  const manifest = attempt(() => readText(file));
  if (manifest instanceof DocumentError) return manifest.problems.map((problem) => refusal(file, problem));
  const { text } = manifest;
  const found: Finding[] = [];
  const overriding = attempt(() => namesIn(overrides));
  if (existsSync(overrides) && !(overriding instanceof DocumentError) && overriding.length === 0)
    found.push(finding('copilot-refuses', overrides, { line: 1, message: 'the overrides folder is empty' }));
  const added = attempt(() => readOverrides(patches, patches));
  if (added instanceof DocumentError) found.push(...added.problems.map((problem) => refusal(patches, problem)));
  const addedVolumes = added instanceof DocumentError ? [] : addedVolumesOf(overrides, added);

  // Each environment separately: Copilot checks only the one that it deploys.
  const environments = [...new Set([...statedEnvironments(text), ...deployed])];
  const inAll = new Map<string, { finding: Finding; environments: string[] }>();
  for (const environment of environments.length > 0 ? environments : ['test']) {
    const surroundings = { application, environment, shell, addedVolumes, folder: name, alone: true };
    const read = attempt(() => readManifest(text, file, surroundings));
    const errors = read instanceof DocumentError ? read.problems : [];
    const missing =
      read instanceof DocumentError || added instanceof DocumentError
        ? []
        : missingContainers(read.type, withTaskOverrides(read.fields, added.task), added.task);
    const all = [
      ...missing.map((problem) => refusal(patches, problem)),
      ...errors.map((problem) => refusal(file, problem)),
      ...read.warnings.map((problem) => finding('copilot-ignores', file, problem)),
    ];
    for (const one of all) {
      const key = `${one.line} ${one.message}`;
      const known = inAll.get(key) ?? { finding: one, environments: [] };
      inAll.set(key, { finding: known.finding, environments: [...known.environments, environment] });
    }
  }
  for (const { finding: one, environments: where } of inAll.values()) {
    const everywhere = where.length === Math.max(1, environments.length);
    found.push(everywhere ? one : { ...one, message: `in environment "${where.join('", "')}": ${one.message}` });
  }
  const patched = attempt(() => (existsSync(patches) ? readText(patches).text : ''));
  const replaced = typeof patched === 'string' && /Runtime/.test(patched);
  const type = /^type:\s*["']?([A-Z][A-Za-z -]+?)["']?\s*(#.*)?$/m.exec(text)?.[1] ?? '';
  if (!replaced && !existsSync(join(overrides, 'cdk.json')) && functionsOf[type]) {
    const message = `Copilot 1.34.1 writes ${functionsOf[type]} on nodejs20.x, on which AWS Lambda creates no function from 2027-02-01: patch their Runtime in overrides/cfn.patches.yml`;
    found.push(finding('copilots-functions', file, { line: 1, message }));
  }
  return found;
}

/**
 * Copilot's own functions in the stack of each type of workload: internal/pkg/template/templates/workloads of v1.34.1.
 */
const functionsOf: Readonly<Record<string, string>> = {
  'Load Balanced Web Service': 'EnvControllerFunction, RulePriorityFunction and DynamicDesiredCountFunction',
  'Backend Service': 'EnvControllerFunction and DynamicDesiredCountFunction',
  'Worker Service':
    'EnvControllerFunction, DynamicDesiredCountFunction and, for a queue, BacklogPerTaskCalculatorFunction',
  'Request-Driven Web Service': 'EnvControllerFunction and CustomDomainFunction',
};

function attempt<T>(read: () => T): T | DocumentError {
  try {
    return read();
  } catch (error) {
    if (error instanceof DocumentError) return error;
    if (error instanceof MissingInput) return new DocumentError('', [{ line: 1, message: error.message }]);
    throw error;
  }
}

/** Manifests in nested folders, where Copilot looks only for those of environments and pipelines. */
function nestedManifests(folder: string): Finding[] {
  const nested = globSync('*/*/manifest.yml', { cwd: folder }).filter(
    (path) => !/^(environments|pipelines)\W/.test(path),
  );
  return nested.map((path) => {
    const message = `Copilot finds no workload here: expected ${basename(dirname(path))}/manifest.yml in the copilot folder itself`;
    return finding('copilot-ignores', join(folder, path), { line: 1, message });
  });
}

/** Whether a manifest that is not translated is YAML at all. */
function checkYaml(file: string): Finding[] {
  const root = attempt(() => parseAny(readText(file).text, file));
  return root instanceof DocumentError ? root.problems.map((problem) => refusal(file, problem)) : [];
}

function statedEnvironments(text: string): string[] {
  const root = attempt(() => parseAny(text, ''));
  const environments = root instanceof YamlMapping ? root.get('environments') : undefined;
  return environments instanceof YamlMapping ? [...environments.entries.keys()] : [];
}

function folders(path: string): string[] {
  return namesIn(path).filter((name) => existsSync(join(path, name, 'manifest.yml')));
}

/** Whether Copilot can merge the templates of addons, and has values for their parameters. */
function checkAddons(folder: string, name: string, of: 'environments' | 'workload'): Finding[] {
  const found = attempt(() => addonProblems(join(folder, name, 'addons'), of));
  const problems =
    found instanceof DocumentError ? found.problems.map((problem) => ({ ...problem, file: found.file })) : found;
  // A file in place of the folder has no name here, and is reported with the runtimes.
  return problems
    .filter(({ file }) => file !== '')
    .map(({ file, ...problem }) => finding('copilot-refuses', file, problem));
}

/** The runtimes of functions in addons and overrides. */
function checkRuntimes(folder: string): Finding[] {
  return [join(folder, 'addons'), join(folder, 'overrides')].flatMap((part) => {
    const names = attempt(() => namesIn(part));
    if (names instanceof DocumentError)
      return names.problems.map((problem) => finding('copilot-refuses', part, problem));
    return names.flatMap((name) => {
      if (!/\.ya?ml$/.test(name)) return [];
      const file = join(part, name);
      const root = attempt(() => parseAny(readText(file).text, file));
      if (root instanceof DocumentError)
        return root.problems.map((problem) => finding('copilot-refuses', file, problem));
      return root ? runtimesIn(root).map((problem) => finding('lambda-runtime', file, problem)) : [];
    });
  });
}

function runtimesIn(node: Node): Diagnostic[] {
  if (node instanceof Scalar) return [];
  if (node instanceof Sequence) return node.items.flatMap(runtimesIn);
  const path = node.get('path');
  return [...node.entries].flatMap(([key, { key: line, value }]) => {
    const isRuntime = key === 'Runtime' || (key === 'value' && path instanceof Scalar && /\/Runtime$/.test(path.text));
    const message = isRuntime && value instanceof Scalar ? runtimeProblem(value.text) : undefined;
    return message === undefined ? (value ? runtimesIn(value) : []) : [{ line, message }];
  });
}
