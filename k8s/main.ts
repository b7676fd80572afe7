import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DocumentError } from '../manifest/document.ts';
import { readEnvironmentFile } from '../manifest/environment-file.ts';
import { type Manifest, readManifest } from '../manifest/manifest.ts';
import { readOverrides } from '../manifest/overrides.ts';
import { displayed, MissingInput, openWorkspace, readText } from '../manifest/workspace.ts';
import { type Synthesis, synthesize } from './chart.ts';
import { secretName } from './names.ts';
import type { Release } from './release.ts';

const defaultKubectlImage = 'registry.k8s.io/kubectl:v1.34.2';

const usage = `Turns a workload of a Copilot workspace into Kubernetes manifests.

Usage: npm run synth -- [options]

  --workspace DIR       the copilot folder, or the one around it (default: copilot)
  --service NAME        the workload (default: the only one there is)
  --environment NAME    whose section of the manifest counts (default: local)
  --output DIR          where NAME.k8s.yaml is written (default: k8s/dist)
  --image IMAGE         the image that stands for image.build (default: NAME:dev)
  --platform-env FILE   variables that the platform gives every container, a NAME=value on each line
  --node-port PORT      the port of the node for a Load Balanced Web Service (default: 30500)
  --reserve PERCENT     how much of cpu and memory a pod reserves; it may use all of it (default: 10)
  --kubectl-image IMAGE the image that scheduled scaling runs kubectl from (default: ${defaultKubectlImage})
  --help                this text

Exit code: 0 done, 64 wrong usage, 65 something wrong in a file, 66 a file is missing, 73 the output can't be written.`;

const exitCodes = { usage: 64, data: 65, noInput: 66, cannotCreate: 73 } as const;

class UsageError extends Error {}

function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      workspace: { type: 'string', default: 'copilot' },
      service: { type: 'string' },
      environment: { type: 'string', default: 'local' },
      output: { type: 'string', default: 'k8s/dist' },
      image: { type: 'string' },
      'platform-env': { type: 'string' },
      'node-port': { type: 'string', default: '30500' },
      'kubectl-image': { type: 'string', default: defaultKubectlImage },
      reserve: { type: 'string', default: '10' },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    ...values,
    // https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport
    nodePort: wholeNumber('node-port', values['node-port'], 30000, 32767),
    reserve: wholeNumber('reserve', values.reserve, 1, 100),
  };
}

function wholeNumber(option: string, text: string, least: number, most: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new UsageError(`--${option} ${text}: expected a whole number from ${least} to ${most}`);
}

type Options = ReturnType<typeof readOptions>;

function readRelease(options: Options): Release {
  const { environment, nodePort, reserve } = options;
  const workspace = openWorkspace(options.workspace);
  const service = options.service ?? onlyOne(workspace.workloads, options.workspace);
  if (!workspace.workloads.includes(service)) {
    throw new MissingInput(
      `no workload "${service}" in ${displayed(workspace.folder)}; there are: ${workspace.workloads.join(', ') || 'none'}`,
    );
  }
  const folder = join(workspace.folder, service);
  const { text, name } = readText(join(folder, 'manifest.yml'));
  const { application } = workspace;
  const manifest = readManifest(text, name, { application, environment, shell: process.env });
  const patches = join(folder, 'overrides', 'cfn.patches.yml');
  return {
    application,
    environment,
    manifest,
    overrides: readOverrides(patches, displayed(patches)),
    cloudFormationOnly: ['addons', join('overrides', 'cdk.json')]
      .map((part) => join(folder, part))
      .filter((part) => existsSync(part))
      .map(displayed),
    image: options.image ?? `${service}:dev`,
    environmentFiles: readEnvironmentFiles(manifest, workspace.root),
    platformVariables: options['platform-env'] ? readVariables(options['platform-env']) : new Map(),
    nodePort,
    kubectlImage: options['kubectl-image'],
    reserve,
  };
}

function onlyOne(workloads: string[], workspace: string): string {
  const [only, ...more] = workloads;
  if (only && more.length === 0) return only;
  if (!only) throw new MissingInput(`no workload in ${workspace}: no folder in it has a manifest.yml`);
  throw new UsageError(`--service is needed: there are ${workloads.join(', ')}`);
}

function readEnvironmentFiles({ fields }: Manifest, root: string) {
  const paths = [fields.env_file, ...Object.values(fields.sidecars ?? {}).map(({ env_file }) => env_file)];
  return new Map(paths.flatMap((path) => (path ? [[path, readVariables(join(root, path))] as const] : [])));
}

function readVariables(path: string): Map<string, string> {
  const { text, name } = readText(path);
  return readEnvironmentFile(text, name);
}

function report(
  { manifest, environment }: Release,
  { namespace, builtImages, secretKeys, notCarried }: Synthesis,
  file: string,
) {
  const lines = [
    `${displayed(file)}: ${manifest.name}, as it runs in "${environment}", for the namespace "${namespace}"`,
  ];
  if (!manifest.namesEnvironment)
    lines.push('', `The manifest has no section for "${environment}": what it says for all environments counts.`);
  if (builtImages.size > 0)
    lines.push(
      '',
      'Images that the cluster has to be given:',
      ...table(builtImages, (dockerfile) => `built from ${dockerfile}`),
    );
  if (secretKeys.size > 0)
    lines.push(
      '',
      `Keys that the Secret "${secretName(manifest.name)}" has to hold:`,
      ...table(secretKeys, (source) => source),
    );
  if (notCarried.length > 0)
    lines.push(
      '',
      'Not carried over:',
      ...table(new Map(notCarried.map(({ path, reason }) => [path, reason])), (reason) => reason),
    );
  console.log(lines.join('\n'));
}

function table(entries: ReadonlyMap<string, string>, tell: (value: string) => string): string[] {
  const width = Math.max(...[...entries.keys()].map((key) => key.length));
  return [...entries].map(([key, value]) => `  ${key.padEnd(width)}  ${tell(value)}`);
}

function write(directory: string, name: string, yaml: string): string {
  const file = join(directory, `${name}.k8s.yaml`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(file, yaml);
  return file;
}

/** Runs the command and gives back the exit code of the process. */
function run(args: string[]): number {
  try {
    const options = readOptions(args);
    if (options.help) {
      console.log(usage);
      return 0;
    }
    const release = readRelease(options);
    const synthesis = synthesize(release);
    const file = write(options.output, release.manifest.name, synthesis.app.synthYaml());
    report(release, synthesis, file);
    return 0;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const code = exitCode(error);
    if (code === undefined) throw error;
    console.error(code === exitCodes.usage ? `${error.message}\n\n${usage}` : error.message);
    return code;
  }
}

function exitCode(error: Error): number | undefined {
  const code = 'code' in error ? String(error.code) : '';
  if (error instanceof UsageError || code.startsWith('ERR_PARSE_ARGS')) return exitCodes.usage;
  if (error instanceof DocumentError) return exitCodes.data;
  if (error instanceof MissingInput) return exitCodes.noInput;
  if (['EACCES', 'EEXIST', 'ENOTDIR', 'EROFS', 'ENOSPC', 'EISDIR'].includes(code)) return exitCodes.cannotCreate;
  return undefined;
}

process.exitCode = run(process.argv.slice(2));
