import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type AddonOutput, readAddons } from '../manifest/addons.ts';
import { addedVolumesOf, type Overrides, readOverrides } from '../manifest/cfn-patches.ts';
import { DocumentError, located, type Path, pathText } from '../manifest/document.ts';
import { readEnvironmentFile } from '../manifest/environment-file.ts';
import type { Fields } from '../manifest/fields.ts';
import { type Manifest, readManifest } from '../manifest/manifest.ts';
import { objectName } from '../manifest/names.ts';
import { missingContainers, withTaskOverrides } from '../manifest/task-overrides.ts';
import { displayed, isFile, MissingInput, readText, type Workspace } from '../manifest/workspace.ts';
import { dottedAlias, serviceAlias } from './cluster-names.ts';
import { containersOf } from './containers.ts';
import { dockerfileUser } from './dockerfile.ts';
import { StrictError, UsageError, WrongFiles } from './errors.ts';
import { buildOf, dockerfileOf } from './images.ts';
import { type Inputs, inputs, inputValues } from './inputs.ts';
import type { Options } from './options.ts';
import { servicePorts } from './ports.ts';
import { securityLevel } from './security.ts';
import { siteFields, siteFiles, siteUser } from './static-site.ts';
import { secretInputs, valueInputs } from './variables.ts';
import { fileSystemsOf } from './volumes.ts';
import type { Workload } from './workload.ts';

/**
 * The workloads that the options select, as they are in the environment. Throws UsageError, StrictError, DocumentError,
 * and MissingInput or WrongFiles with the problems of all of them.
 */
export function readWorkloads(workspace: Workspace, options: Options): Workload[] {
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
  const shared = readShared(workspace, options);
  const { workloads, broken } = collect(services, (name) =>
    withInputs(readWorkload(options, workspace, shared, name), shared),
  );
  if (broken.length > 0) {
    const message = broken.map((one) => one.message).join('\n');
    throw broken.every(({ isMissing }) => isMissing) ? new MissingInput(message) : new WrongFiles(message);
  }
  const warnings = warningsOf(workloads);
  if (options.strict && warnings.length > 0) throw new StrictError(warnings.join('\n'));
  const others = service === undefined ? [] : workspace.workloads.filter((name) => name !== service);
  // The other workloads may share file systems or be referred to by name; errors in them do not matter here.
  const unasked = collect(others, (name) => readWorkload(options, workspace, shared, name));
  return amongEachOther(workloads, [...workloads, ...unasked.workloads]);
}

/** The warnings of the manifests, each a line `file:line: message`. */
export function warningsOf(workloads: readonly Workload[]): string[] {
  return workloads.flatMap(({ manifest }) => located(manifest.file, manifest.warnings));
}

/** A workload whose files are invalid. */
export interface BrokenWorkload {
  name: string;
  /** A line `file:line: message` for each problem. */
  message: string;
  /** Whether it names a file that does not exist. */
  isMissing: boolean;
}

/**
 * The workloads of the workspace, and those that are invalid. Throws MissingInput and DocumentError for other files.
 */
export function readWhatCanBe(
  workspace: Workspace,
  options: Options,
): { workloads: Workload[]; broken: BrokenWorkload[] } {
  const shared = readShared(workspace, options);
  const { workloads, broken } = collect(workspace.workloads, (name) => readWorkload(options, workspace, shared, name));
  return { workloads: amongEachOther(workloads, workloads), broken };
}

/** The files that belong to no single workload. */
interface Shared {
  platformVariables: ReadonlyMap<string, string>;
  environmentAddons: readonly AddonOutput[];
  values: VariableFile | undefined;
  secrets: VariableFile | undefined;
}

interface VariableFile {
  path: string;
  variables: ReadonlyMap<string, string>;
}

function readShared({ folder }: Workspace, options: Options): Shared {
  const { 'platform-env': platform, values, 'secrets-from': secrets } = options;
  const fileAt = (path: string | undefined) =>
    path === undefined ? undefined : { path, variables: readVariables(path) };
  return {
    platformVariables: fileAt(platform)?.variables ?? new Map(),
    environmentAddons: readAddons(join(folder, 'environments', 'addons')),
    values: fileAt(values),
    secrets: fileAt(secrets),
  };
}

/** The workloads with the settings that they share with all of these. */
function amongEachOther(workloads: readonly Workload[], all: readonly Workload[]): Workload[] {
  const mounted = all.map(fileSystemsOf);
  const sharedFileSystems = new Set(
    mounted.flat().filter((claim) => mounted.filter((claims) => claims.includes(claim)).length > 1),
  );
  const dottedAliases = new Map(
    all.flatMap(({ application, manifest }) => {
      const { name, fields } = manifest;
      const alias = dottedAlias(fields);
      const ofOldEnvironments = servicePorts(fields).length > 0 ? [`${fields.name}.${application}.local`] : [];
      return [...(alias === undefined ? [] : [alias]), ...ofOldEnvironments].map((other) => [other, name] as const);
    }),
  );
  const namespaceLevel = securityLevel(all);
  return workloads.map((workload) => {
    const others = all.filter(({ manifest }) => manifest.name !== workload.manifest.name);
    const takenNames = new Set(others.flatMap(({ manifest }) => namesOf(manifest)));
    return { ...workload, sharedFileSystems, dottedAliases, takenNames, namespaceLevel };
  });
}

/** The names of a workload's Services in the namespace; none without ports. */
function namesOf(manifest: Manifest): string[] {
  const { name, fields } = manifest;
  return servicePorts(fields).length > 0 ? [name, serviceAlias(manifest) ?? name] : [];
}

/** The valid workloads, and the problems of all others. */
function collect(names: readonly string[], read: (name: string) => Workload) {
  const workloads: Workload[] = [];
  const broken: BrokenWorkload[] = [];
  for (const name of names) {
    try {
      workloads.push(read(name));
    } catch (error) {
      const isMissing = error instanceof MissingInput;
      if (!(isMissing || error instanceof DocumentError || error instanceof WrongFiles)) throw error;
      broken.push({ name, message: error.message, isMissing });
    }
  }
  return { workloads, broken };
}

function readWorkload(options: Options, workspace: Workspace, shared: Shared, service: string): Workload {
  const { environment, reserve, security } = options;
  const { application, root } = workspace;
  const folder = join(workspace.folder, service);
  const { text, name } = readText(join(folder, 'manifest.yml'));
  const patches = join(folder, 'overrides', 'cfn.patches.yml');
  const parameters = { AppName: application, EnvName: environment, WorkloadName: service };
  const overrides = readOverrides(patches, displayed(patches), parameters);
  const surroundings = {
    application,
    environment,
    shell: process.env,
    addedVolumes: addedVolumesOf(join(folder, 'overrides'), overrides),
    folder: service,
  };
  const stated = readManifest(text, name, surroundings);
  const isSite = stated.type === 'Static Site';
  const fields = isSite ? siteFields(stated.fields) : overridden(stated.fields, overrides);
  const missing = missingContainers(stated.type, fields, overrides.task);
  if (missing.length > 0) throw new DocumentError(displayed(patches), missing);
  const manifest = { ...stated, fields };
  return {
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
    siteFiles: isSite ? siteFiles(manifest, root) : new Map(),
    security,
    environmentFiles: readEnvironmentFiles(manifest, root),
    platformVariables: shared.platformVariables,
    addons: readAddons(join(folder, 'addons')),
    environmentAddons: shared.environmentAddons,
    values: {},
    secretValues: undefined,
    externalSecrets: options['external-secrets'],
    nodePorts: nodePorts(options, workspace, service),
    sharedFileSystems: new Set(),
    namespaceLevel: 'baseline',
    dottedAliases: new Map(),
    takenNames: new Set(),
    volumeSize: options['volume-size'],
    accessMode: options.accessMode,
    pullSecret: options['pull-secret'],
    kubectlImage: options['kubectl-image'],
    reserve,
  };
}

function overridden(stated: Fields, { task, healthcheck }: Overrides): Fields {
  const fields = withTaskOverrides(stated, task);
  if (typeof fields.http !== 'object' || Object.keys(healthcheck).length === 0) return fields;
  return { ...fields, http: { ...fields.http, healthcheck: { ...fields.http.healthcheck, ...healthcheck } } };
}

/** The workload with its values from files. */
function withInputs(workload: Workload, { values, secrets }: Shared): Workload {
  return {
    ...workload,
    values: given(workload, inputs(valueInputs(workload)), values) ?? {},
    secretValues: given(workload, inputs(secretInputs(workload)), secrets),
  };
}

/** The values of a workload from a file; undefined without a file. Throws if one is missing. */
function given({ manifest }: Workload, wanted: Inputs, file: VariableFile | undefined) {
  if (file === undefined) return undefined;
  const { values, missing } = inputValues(manifest, wanted, file.variables);
  if (missing.length > 0)
    throw new WrongFiles(`${displayed(file.path)}: ${manifest.fields.name} needs a value for ${missing.join(', ')}`);
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
 * The node ports of a workload, consecutive for the ports of its Service. They depend on its position among all
 * workloads, so that separate runs for two workloads do not use the same port.
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
      if (container.image?.location || !isFile(file)) return [];
      const build = buildOf(container) ?? {};
      const target = 'target' in build ? build.target : undefined;
      const args = 'args' in build ? build.args : undefined;
      const user = dockerfileUser(readText(file, true).text, target, args);
      return user === undefined ? [] : [[container.name, user] as const];
    }),
  );
}

function readEnvironmentFiles({ fields, file, lineOf }: Manifest, root: string) {
  const stated: [Path, string | undefined][] = [
    [['env_file'], fields.env_file],
    ...Object.entries(fields.sidecars ?? {}).map(([name, { env_file }]): [Path, string | undefined] => [
      ['sidecars', name, 'env_file'],
      env_file,
    ]),
  ];
  return new Map(
    stated.flatMap(([field, path]) => {
      if (!path) return [];
      const at = join(root, path);
      if (existsSync(at)) return [[path, readVariables(at)] as const];
      throw new MissingInput(`${file}:${lineOf(field)}: ${pathText(field)} ${path}: ${displayed(at)} does not exist`);
    }),
  );
}

function readVariables(path: string): Map<string, string> {
  const { text, name } = readText(path);
  return readEnvironmentFile(text, name);
}
