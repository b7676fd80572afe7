import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Inventory, workloadStacks } from './inventory.ts';
import { type Change, stepNames } from './steps.ts';

/** The output formats of `write`. */
export const formats = ['cloudformation', 'cdk'] as const;

/** Writes a file, and creates its parent folders. */
export function writeText(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** The files of all steps by their paths: the templates, the expected changes, and the undo. */
export function stepFiles(changes: readonly Change[]): Map<string, string> {
  const files = new Map<string, string>();
  for (const { step, stack, from, to, expected } of changes) {
    const folder = `${stepNames.indexOf(step) + 1}-${step}`;
    files.set(join('steps', folder, stack.name, 'template.yml'), to.text());
    files.set(join('steps', folder, stack.name, 'expected.json'), json(expected));
    files.set(join('undo', folder, stack.name, 'template.yml'), from.text());
  }
  return files;
}

/** The files of the stacks as they are when all steps are done. */
export function stackFiles(inventory: Inventory, changes: readonly Change[]): Map<string, string> {
  const files = new Map<string, string>();
  for (const stack of inventory.stacks.filter(({ kind }) => kind !== 'nested')) {
    const last = changes.findLast((change) => change.stack.name === stack.name);
    if (!last) continue;
    const names = Object.keys(last.to.section('Parameters'));
    const parameters = names.flatMap((ParameterKey) => {
      const ParameterValue = stack.parameters[ParameterKey];
      return ParameterValue === undefined ? [] : [{ ParameterKey, ParameterValue }];
    });
    const tags = Object.entries(stack.tags).map(([Key, Value]) => ({ Key, Value }));
    files.set(join('stacks', stack.name, 'template.yml'), last.to.text());
    files.set(join('stacks', stack.name, 'parameters.json'), json(parameters));
    files.set(join('stacks', stack.name, 'tags.json'), json(tags));
  }
  return files;
}

/**
 * The buildspec of a CodeBuild project that releases every service and job of the environment without Copilot
 * (https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html). Docker needs privileged mode there.
 */
export function buildspec(inventory: Inventory): string {
  const { environment } = inventory;
  const releases = workloadStacks(inventory).map(
    ({ workload }) =>
      `      - plusone eject deploy --environment ${environment} --service ${workload} --tag "\${CODEBUILD_RESOLVED_SOURCE_VERSION:0:12}" --yes`,
  );
  return `version: 0.2
env:
  shell: bash
phases:
  install:
    runtime-versions:
      nodejs: 22
    commands:
      - npm install --global plusone@1
  build:
    commands:
${releases.join('\n')}
`;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** The paths of those files that exist with other contents. */
export function edited(folder: string, files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) => {
    const file = join(folder, path);
    return existsSync(file) && readFileSync(file, 'utf8') !== text ? [file] : [];
  });
}
