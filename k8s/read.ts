import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readAddons } from '../manifest/addons.ts';
import { DocumentError, located } from '../manifest/document.ts';
import { readEnvironmentFile } from '../manifest/environment-file.ts';
import { type Manifest, readManifest } from '../manifest/manifest.ts';
import { objectName } from '../manifest/names.ts';
import { readOverrides } from '../manifest/overrides.ts';
import { displayed, MissingInput, openWorkspace, readText, type Workspace } from '../manifest/workspace.ts';
import { containersOf } from './containers.ts';
import { dockerfileUser } from './dockerfile.ts';
import { StrictError, UsageError, WrongFiles } from './errors.ts';
import { buildOf, dockerfileOf } from './images.ts';
import { type Inputs, inputs, inputValues } from './inputs.ts';
import type { Options } from './options.ts';
import { siteFields, siteFiles, siteUser } from './static-site.ts';
import { secretInputs, valueInputs } from './variables.ts';
import { fileSystemsOf } from './volumes.ts';
import type { Workload } from './workload.ts';

/**
 * The workloads that the options ask for, as they are in the environment. Throws MissingInput, UsageError, StrictError,
 * and WrongFiles with the problems of all manifests.
 */
export function readWorkloads(options: Options): Workload[] {
  const workspace = openWorkspace(options.workspace);
  const { service } = options;
  if (service !== undefined && !workspace.workloads.includes(service)) {
    throw new MissingInput(
      `no workload "${service}" in ${displayed(workspace.folder)}; found: ${workspace.workloads.join(', ') || 'none'}`,
    );
  }
  const services = service === undefined ? workspace.workloads : [service];
  if (services.length === 0)
    throw new MissingInput(`no workload in ${displayed(workspace.folder)}: none of its folders has a manifest.yml`);
  if (options.image !== undefined && services.length > 1)
    throw new UsageError(`--image needs --service: the workspace has ${services.join(', ')}`);
  const { workloads, problems } = collect(services, (name) => readWorkload(options, workspace, name));
  if (problems.length > 0) throw new WrongFiles(problems.map(({ message }) => message).join('\n'));
  return amongEachOther(workloads, [...workloads, ...othersOf(options, workspace)]);
}

/** What is wrong in the files of a workload that could not be read. */
export interface BrokenWorkload {
  name: string;
  /** A line `file:line: what` for each problem. */
  message: string;
}

/** As readWorkloads, but with what is wrong in some beside the others. Throws MissingInput and UsageError. */
export function readWhatCanBe(options: Options): { workloads: Workload[]; broken: BrokenWorkload[] } {
  const workspace = openWorkspace(options.workspace);
  const broken: BrokenWorkload[] = [];
  const workloads = workspace.workloads.flatMap((name) => {
    const { workloads: read, problems } = collect([name], (service) => readWorkload(options, workspace, service));
    broken.push(...problems.map(({ message }) => ({ name, message })));
    return read;
  });
  return { workloads: amongEachOther(workloads, workloads), broken };
}

/** The workloads with what they and all of these have in common. */
function amongEachOther(workloads: readonly Workload[], all: readonly Workload[]): Workload[] {
  const mounted = all.map(fileSystemsOf);
  const sharedFileSystems = new Set(
    mounted.flat().filter((claim) => mounted.filter((claims) => claims.includes(claim)).length > 1),
  );
  const dottedAliases = new Map(all.flatMap(dottedAlias));
  return workloads.map((workload) => ({ ...workload, sharedFileSystems, dottedAliases }));
}

function dottedAlias({ manifest }: Workload): [string, string][] {
  const { connect } = manifest.fields.network ?? {};
  return typeof connect === 'object' && connect.alias.includes('.') ? [[connect.alias, manifest.name]] : [];
}

/** The workloads that were not asked for, but may mount the same file systems or be named; what is wrong in them is not reported. */
function othersOf(options: Options, workspace: Workspace): Workload[] {
  if (options.service === undefined) return [];
  const others = workspace.workloads.filter((name) => name !== options.service);
  const { values, 'secrets-from': secrets, ...rest } = options;
  const lenient = { ...rest, strict: false };
  return collect(others, (name) => readWorkload(lenient, workspace, name)).workloads;
}

/** All problems of all manifests at once. */
function collect(services: readonly string[], read: (service: string) => Workload) {
  const workloads: Workload[] = [];
  const problems: Error[] = [];
  for (const service of services) {
    try {
      workloads.push(read(service));
    } catch (error) {
      if (!(error instanceof DocumentError || error instanceof WrongFiles)) throw error;
      problems.push(error);
    }
  }
  return { workloads, problems };
}

function readWorkload(options: Options, workspace: Workspace, service: string): Workload {
  const { environment, reserve, security } = options;
  const { application, root } = workspace;
  const folder = join(workspace.folder, service);
  const { text, name } = readText(join(folder, 'manifest.yml'));
  const patches = join(folder, 'overrides', 'cfn.patches.yml');
  const overrides = readOverrides(patches, displayed(patches));
  const surroundings = {
    application,
    environment,
    shell: process.env,
    addedVolumes: overrides.task.volumes,
    folder: service,
  };
  const stated = readManifest(text, name, surroundings);
  const isSite = stated.type === 'Static Site';
  const manifest = isSite ? { ...stated, fields: siteFields(stated.fields) } : stated;
  if (options.strict && manifest.warnings.length > 0)
    throw new StrictError(located(name, manifest.warnings).join('\n'));
  const workload: Workload = {
    application,
    environment,
    namespace: options.namespace ?? defaultNamespace(application, environment),
    manifest,
    overrides,
    cloudFormationOnly: ['addons', join('overrides', 'cdk.json')]
      .map((part) => join(folder, part))
      .filter((part) => existsSync(part))
      .map(displayed),
    image: options.image ?? `${objectName(service)}:dev`,
    imageUsers: readImageUsers(manifest, root),
    siteFiles: isSite ? siteFiles(manifest.fields, root) : new Map(),
    security,
    environmentFiles: readEnvironmentFiles(manifest, root),
    platformVariables: options['platform-env'] ? readVariables(options['platform-env']) : new Map(),
    addons: readAddons(join(folder, 'addons')),
    environmentAddons: readAddons(join(workspace.folder, 'environments', 'addons')),
    values: {},
    secretValues: undefined,
    externalSecrets: options['external-secrets'],
    nodePorts: nodePorts(options, workspace, service),
    sharedFileSystems: new Set(),
    dottedAliases: new Map(),
    volumeSize: options['volume-size'],
    accessMode: options.accessMode,
    pullSecret: options['pull-secret'],
    kubectlImage: options['kubectl-image'],
    reserve,
  };
  return {
    ...workload,
    values: given(workload, inputs(valueInputs(workload)), options.values) ?? {},
    secretValues: given(workload, inputs(secretInputs(workload)), options['secrets-from']),
  };
}

/** The values that a file gives a workload; undefined without a file. Throws where one is missing. */
function given({ manifest }: Workload, wanted: Inputs, file: string | undefined) {
  if (file === undefined) return undefined;
  const { values, missing } = inputValues(manifest, wanted, readVariables(file));
  if (missing.length > 0)
    throw new WrongFiles(`${displayed(file)}: ${manifest.fields.name} needs a value for ${missing.join(', ')}`);
  return values;
}

/**
 * A namespace for each environment, so that several can run on one cluster. The application's name is that of `test`,
 * which Copilot creates first, and of `local`, which has a cluster of its own.
 */
function defaultNamespace(application: string, environment: string): string {
  const own = ['local', 'test'].includes(environment);
  const name = objectName(own ? application : `${application}-${environment}`);
  if (name.length <= 63) return name;
  throw new UsageError(`the namespace ${name} has more than 63 characters: name another one by --namespace`);
}

/**
 * The node ports of a workload, the next one for each port of its Service. Its place among all workloads gives them, so
 * that separate runs for two of them don't give one port twice.
 */
function nodePorts({ nodePort: first, ...options }: Options, { workloads }: Workspace, service: string) {
  if (first === undefined) return undefined;
  const alone = options.service !== undefined && options['node-port'] !== undefined;
  const step = alone ? 1 : workloads.length;
  return { first: alone ? first : first + workloads.indexOf(service), step };
}

function readImageUsers({ fields, type }: Manifest, root: string): Map<string, string> {
  if (type === 'Static Site') return new Map([[fields.name ?? '', siteUser]]);
  return new Map(
    containersOf(fields).flatMap((container) => {
      const file = join(root, dockerfileOf(container));
      if (container.image?.location || !existsSync(file)) return [];
      const build = buildOf(container) ?? {};
      const target = 'target' in build ? build.target : undefined;
      const args = 'args' in build ? build.args : undefined;
      const user = dockerfileUser(readText(file).text, target, args);
      return user === undefined ? [] : [[container.name, user] as const];
    }),
  );
}

function readEnvironmentFiles({ fields }: Manifest, root: string) {
  const paths = [fields.env_file, ...Object.values(fields.sidecars ?? {}).map(({ env_file }) => env_file)];
  return new Map(paths.flatMap((path) => (path ? [[path, readVariables(join(root, path))] as const] : [])));
}

function readVariables(path: string): Map<string, string> {
  const { text, name } = readText(path);
  return readEnvironmentFile(text, name);
}
