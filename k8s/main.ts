import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DocumentError, located } from '../manifest/document.ts';
import { readEnvironmentFile } from '../manifest/environment-file.ts';
import { type Manifest, readManifest } from '../manifest/manifest.ts';
import type { NotCarried } from '../manifest/mapping.ts';
import { objectName, secretName } from '../manifest/names.ts';
import { readOverrides } from '../manifest/overrides.ts';
import { displayed, MissingInput, openWorkspace, readText, type Workspace } from '../manifest/workspace.ts';
import { type Synthesis, synthesize, synthesizeRoutes } from './chart.ts';
import { containersOf } from './containers.ts';
import { dockerfileUser } from './dockerfile.ts';
import { StrictError, UsageError, WrongFiles } from './errors.ts';
import { buildOf, dockerfileOf } from './images.ts';
import { type Route, routesOf } from './routes.ts';
import { secretSkeleton, secretValues } from './secrets.ts';
import { securityLevel } from './security.ts';
import { type SecurityLevel, securityLevels, type Workload } from './workload.ts';

// A workload's name starts with a letter, so no workload can have these.
const routesFile = '_routes.k8s.yaml';
const skeletonFile = '_secrets.env';
const localNodePort = 30500;
const defaultKubectlImage = 'registry.k8s.io/kubectl:v1.34.2';

/** What can be asked for, as typed: see `synthOptions` in tools/cli/synth.ts. */
export interface SynthValues {
  workspace?: string | undefined;
  service?: string | undefined;
  environment?: string | undefined;
  output?: string | undefined;
  image?: string | undefined;
  'platform-env'?: string | undefined;
  'node-port'?: string | undefined;
  namespace?: string | undefined;
  security?: string | undefined;
  routes?: string | undefined;
  'secrets-from'?: string | undefined;
  'kubectl-image'?: string | undefined;
  reserve?: string | undefined;
  strict?: boolean | undefined;
  json?: boolean | undefined;
}

function readOptions(given: SynthValues) {
  const values = {
    ...given,
    environment: given.environment ?? 'local',
    'kubectl-image': given['kubectl-image'] ?? defaultKubectlImage,
    strict: given.strict ?? false,
    json: given.json ?? false,
  };
  const local = values.environment === 'local';
  const port = values['node-port'];
  if (values.namespace !== undefined && !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(values.namespace))
    throw new UsageError(`--namespace ${values.namespace}: expected at most 63 small letters, digits and "-"`);
  if (values.output === '-' && values['secrets-from'] !== undefined)
    throw new UsageError('--secrets-from with --output -: secrets are written to files only');
  return {
    ...values,
    security: values.security === undefined ? undefined : oneOf('security', values.security, securityLevels),
    routes: oneOf('routes', values.routes ?? (local ? 'none' : 'ingress'), ['ingress', 'none']),
    // https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport
    nodePort: port === undefined ? (local ? localNodePort : undefined) : wholeNumber('node-port', port, 30000, 32767),
    reserve: wholeNumber('reserve', values.reserve ?? '10', 1, 100),
  };
}

function oneOf<const T extends string>(option: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((item) => item === text);
  if (found) return found;
  throw new UsageError(`--${option} ${text}: expected ${allowed.join(' or ')}`);
}

function wholeNumber(option: string, text: string, least: number, most: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new UsageError(`--${option} ${text}: expected a whole number from ${least} to ${most}`);
}

type Options = ReturnType<typeof readOptions>;

function readWorkloads(options: Options): Workload[] {
  const workspace = openWorkspace(options.workspace);
  const { service } = options;
  if (service !== undefined && !workspace.workloads.includes(service)) {
    throw new MissingInput(
      `no workload "${service}" in ${displayed(workspace.folder)}; there are: ${workspace.workloads.join(', ') || 'none'}`,
    );
  }
  const services = service === undefined ? workspace.workloads : [service];
  if (services.length === 0)
    throw new MissingInput(`no workload in ${displayed(workspace.folder)}: no folder in it has a manifest.yml`);
  if (options.image !== undefined && services.length > 1)
    throw new UsageError(`--image needs --service: there are ${services.join(', ')}`);
  const { workloads, problems } = collect(services, (name) => readWorkload(options, workspace, name));
  if (problems.length > 0) throw new WrongFiles(problems.map(({ message }) => message).join('\n'));
  return workloads;
}

/** All problems of all manifests at once. */
function collect(services: readonly string[], read: (service: string) => Workload) {
  const workloads: Workload[] = [];
  const problems: DocumentError[] = [];
  for (const service of services) {
    try {
      workloads.push(read(service));
    } catch (error) {
      if (!(error instanceof DocumentError)) throw error;
      problems.push(error);
    }
  }
  return { workloads, problems };
}

function readWorkload(options: Options, workspace: Workspace, service: string): Workload {
  const { environment, reserve, security } = options;
  const folder = join(workspace.folder, service);
  const { text, name } = readText(join(folder, 'manifest.yml'));
  const { application } = workspace;
  const patches = join(folder, 'overrides', 'cfn.patches.yml');
  const overrides = readOverrides(patches, displayed(patches));
  const surroundings = { application, environment, shell: process.env, addedVolumes: overrides.volumes };
  const manifest = readManifest(text, name, surroundings);
  if (options.strict && manifest.warnings.length > 0)
    throw new StrictError(located(name, manifest.warnings).join('\n'));
  const workload: Workload = {
    application,
    environment,
    namespace: options.namespace ?? objectName(application),
    manifest,
    overrides,
    cloudFormationOnly: ['addons', join('overrides', 'cdk.json')]
      .map((part) => join(folder, part))
      .filter((part) => existsSync(part))
      .map(displayed),
    image: options.image ?? `${objectName(service)}:dev`,
    imageUsers: readImageUsers(manifest, workspace.root),
    security,
    environmentFiles: readEnvironmentFiles(manifest, workspace.root),
    platformVariables: options['platform-env'] ? readVariables(options['platform-env']) : new Map(),
    nodePort: nodePort(options, workspace, service),
    secretValues: undefined,
    kubectlImage: options['kubectl-image'],
    reserve,
  };
  const secretsFrom = options['secrets-from'];
  if (secretsFrom === undefined) return workload;
  const { values, missing } = secretValues(workload, readVariables(secretsFrom));
  if (missing.length > 0)
    throw new WrongFiles(`${displayed(secretsFrom)}: ${service} needs a value for ${missing.join(', ')}`);
  return { ...workload, secretValues: values };
}

/** The place among all workloads gives the port, so that two runs for two of them don't ask for the same one. */
function nodePort({ nodePort: first, ...options }: Options, { workloads }: Workspace, service: string) {
  if (first === undefined) return undefined;
  const port = options.service !== undefined && options['node-port'] ? first : first + workloads.indexOf(service);
  if (port > 32767) throw new UsageError(`--node-port ${first}: ${workloads.length} workloads need as many ports`);
  return port;
}

function readImageUsers({ fields }: Manifest, root: string): Map<string, string> {
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

function report(
  { manifest, environment }: Workload,
  { namespace, builtImages, secretKeys, maybeRoot, adapted, notCarried }: Synthesis,
  level: SecurityLevel,
  file: string,
): string {
  const lines = [`${file}: ${manifest.name}, as it runs in "${environment}", for the namespace "${namespace}"`];
  if (!manifest.namesEnvironment)
    lines.push('', `The manifest has no section for "${environment}": what it says for all environments counts.`);
  if (builtImages.size > 0)
    lines.push(
      '',
      'Images that the cluster has to be given:',
      ...table(builtImages, (dockerfile) => `built from ${dockerfile}`),
    );
  if (maybeRoot.size > 0)
    lines.push(
      '',
      `The namespace enforces "${level}"; for "restricted" these containers need a numeric USER in their Dockerfile, or a`,
      'User in overrides/cfn.patches.yml:',
      ...table(maybeRoot, (reason) => reason),
    );
  if (secretKeys.size > 0)
    lines.push(
      '',
      `Keys that the Secret "${secretName(manifest.name)}" has to hold:`,
      ...table(secretKeys, (source) => source),
    );
  if (adapted.length > 0) lines.push('', 'Carried over otherwise:', ...reasons(adapted));
  if (notCarried.length > 0) lines.push('', 'Not carried over:', ...reasons(notCarried));
  return lines.join('\n');
}

function reasons(entries: readonly NotCarried[]): string[] {
  return table(new Map(entries.map(({ path, reason }) => [path, reason])), (reason) => reason);
}

function reportRoutes(routes: readonly Route[], file: string): string {
  const hosts = [...new Set(routes.flatMap(({ host }) => host ?? []))];
  const rows = new Map(
    routes.map(({ host, path, service, port }) => [`${host ?? '*'}${path}`, `${service}:${port}`] as const),
  );
  const tls = `No TLS yet: add spec.tls with a certificate for ${hosts.join(', ')}.`;
  return [
    `${file}: the routes, as an Ingress`,
    '',
    ...table(rows, (service) => service),
    ...(hosts.length ? ['', tls] : []),
  ].join('\n');
}

function table(entries: ReadonlyMap<string, string>, tell: (value: string) => string): string[] {
  const width = Math.max(...[...entries.keys()].map((key) => key.length));
  return [...entries].map(([key, value]) => `  ${key.padEnd(width)}  ${tell(value)}`);
}

/** Writes a file that holds secrets, or is going to, for its owner alone. */
function write(directory: string, name: string, text: string, secret = false) {
  const file = join(directory, name);
  mkdirSync(directory, { recursive: true });
  writeFileSync(file, text, secret ? { mode: 0o600 } : {});
  if (secret) chmodSync(file, 0o600);
}

/**
 * Turns the workloads of a workspace into Kubernetes objects: a file for each, and one for the routes, or all of it on
 * stdout. Throws a UsageError, WrongFiles, StrictError, DocumentError or MissingInput before anything is written.
 */
export function synth(values: SynthValues) {
  const options = readOptions(values);
  const output = options.output ?? join(openWorkspace(options.workspace).root, 'k8s', 'dist');
  const workloads = readWorkloads(options);
  for (const { manifest } of workloads)
    for (const warning of located(manifest.file, manifest.warnings)) console.error(`warning: ${warning}`);
  const level = securityLevel(workloads);
  const routes = options.routes === 'ingress' ? routesOf(workloads) : [];
  const outputs = workloads.map((workload) => {
    const synthesis = synthesize(workload, { level, routed: routes.length > 0 });
    return { workload, synthesis, name: `${workload.manifest.name}.k8s.yaml`, yaml: synthesis.app.synthYaml() };
  });
  const [first] = workloads;
  const ingress = first && routes.length > 0 ? synthesizeRoutes(first, routes, level).synthYaml() : undefined;
  const skeleton = options['secrets-from'] === undefined ? secretSkeleton(workloads) : undefined;

  const toFile = output !== '-';
  const path = (name: string) => (toFile ? displayed(join(output, name)) : name);
  const reports = outputs.map(({ workload, synthesis, name }) => report(workload, synthesis, level, path(name)));
  if (ingress) reports.push(reportRoutes(routes, path(routesFile)));
  if (!toFile) {
    console.log([...outputs.map(({ yaml }) => yaml), ...(ingress ? [ingress] : [])].join('---\n').trimEnd());
    console.error(reports.join('\n\n'));
    return;
  }
  for (const { name, yaml, workload } of outputs) write(output, name, yaml, workload.secretValues !== undefined);
  if (ingress) write(output, routesFile, ingress);
  if (skeleton) {
    // Someone may have filled it in.
    if (!existsSync(join(output, skeletonFile))) write(output, skeletonFile, skeleton, true);
    reports.push(`${path(skeletonFile)}: the keys of the Secrets, to be filled in for --secrets-from`);
  }
  console.log(options.json ? JSON.stringify(outputs.map(jsonReport), undefined, 2) : reports.join('\n\n'));

  function jsonReport({ workload, synthesis, name }: (typeof outputs)[number]) {
    const { namespace, builtImages, secretKeys, adapted, notCarried } = synthesis;
    return {
      workload: workload.manifest.name,
      file: path(name),
      namespace,
      images: Object.fromEntries(builtImages),
      secrets: Object.fromEntries(secretKeys),
      adapted,
      notCarried,
    };
  }
}
