import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readManifest } from '../manifest/manifest.ts';
import { displayed, readText, type Workspace } from '../manifest/workspace.ts';
import { output } from '../tools/terminal/programs.ts';
import { Refusal } from '../tools/terminal/refusal.ts';
import { addonEdits } from './addons.ts';
import { check, execute, type Session, settledStack, type Update } from './apply.ts';
import { deployedTemplate, parametersOf, readAgain, readStack, tagsOf } from './aws.ts';
import { isCustomResource } from './copilot-resources.ts';
import { escaped, isSameManifest, manifestToKeep } from './deployed-manifest.ts';
import { environmentFiles } from './environment-files.ts';
import { type Build, buildAndPush, repositoryOf } from './images.ts';
import { type Inventory, tagRefusals } from './inventory.ts';
import { difference } from './judge.ts';
import { describeUnmapped, imagesOf, mapRelease, setImage, withManifest } from './release.ts';
import { contextOf, environmentFacts } from './steps.ts';
import { mapOf, Template, textOf } from './template.ts';
import { writeText } from './write.ts';

export interface Wanted {
  readonly workspace: Workspace;
  readonly environment: string;
  readonly service: string;
  /** The tag of images that are built; by default the commit. */
  readonly tag: string | undefined;
  /** An image to use for the service instead of building one. */
  readonly image: string | undefined;
  /** Where `stacks/` is. */
  readonly output: string;
  /** The inventory of the plan; undefined where its folder is not there, such as in a pipeline. */
  readonly planned: Inventory | undefined;
}

/**
 * Releases a service of an environment without Copilot: maps the edits of its manifest since the last release onto the
 * deployed template, builds and pushes images, and updates the stack. Throws Refusal, and DocumentError for a manifest
 * that Copilot would refuse too.
 */
export async function deploy(session: Omit<Session, 'inventory'>, wanted: Wanted): Promise<void> {
  const { workspace, environment, service } = wanted;
  const { clients, say, journal } = session;
  const name = `${workspace.application}-${environment}-${service}`;
  const description = await settledStack(clients.cloudFormation, name, journal.last(name) === 'execute', say);
  const ejected = wanted.planned?.stacks.find((stack) => stack.name === name);
  if (ejected && description.StackId !== ejected.id)
    throw new Refusal(
      `${name} is ${description.StackId}, and the plan was made for ${ejected.id}: use its account and region, or run plan again`,
    );
  const tags = tagsOf(description);
  const lost = tagRefusals(
    { application: workspace.application, environment },
    { name, kind: 'workload', workload: service, tags },
  );
  if (lost.length > 0) throw new Refusal(lost.join('\n'));
  const deployed = new Template(await deployedTemplate(clients.cloudFormation, name), name);
  const custom = [...deployed.resources()].filter(([, { type }]) => isCustomResource(type)).map(([id]) => id);
  if (custom.length > 0)
    throw new Refusal(`${name} still has custom resources of Copilot (${custom.join(', ')}): apply the steps first`);

  const file = join(workspace.folder, service, 'manifest.yml');
  const { text } = readText(file);
  const surroundings = { application: workspace.application, environment, shell: process.env };
  const before = deployed.metadata('Manifest');
  if (before === undefined) throw new Refusal(`${name}: the deployed template has no manifest in its metadata`);
  const old = readManifest(escaped(before), `the deployed manifest of ${service}`, surroundings);
  const manifest = readManifest(text, displayed(file), surroundings);
  for (const warning of manifest.warnings) say(`warning: ${warning}`);
  const { release, unmapped } = mapRelease(deployed, old.fields, manifest.fields);
  if (unmapped.length > 0)
    throw new Refusal(
      [`${name} is not released:`, ...describeUnmapped(unmapped, text, displayed(file), environment)].join('\n'),
    );

  const kept = manifestToKeep(text, displayed(file), surroundings);
  const template = withManifest(release.template, kept);
  const known = parametersOf(description);
  const stack = await readStack(clients, description, 'workload');
  const main = `${workspace.application}-${environment}`;
  const [, partition = '', , region = '', account = ''] = description.StackId?.split(':') ?? [];
  const inventory: Inventory = {
    ...{ application: workspace.application, environment, account, region, partition },
    takenAt: new Date().toISOString(),
    stacks: [{ ...stack, name: main, kind: 'environment' }, stack],
    exports: {},
  };
  const now = await readAgain(clients, inventory, stack);
  await checkSurroundings(session, wanted, deployed, stack.resources.AddonsStack?.physicalId, now);
  const files = await environmentFiles(clients, workspace, manifest.fields, known);
  const { image, sidecars } = await images(wanted, manifest.fields, known.ContainerImage ?? '', release.template);
  for (const [container, built] of sidecars) setImage(template, container, built);
  const parameters = { ...release.parameters, ...files, ...(image === undefined ? {} : { ContainerImage: image }) };

  const context = contextOf(now, stack);
  const after = { ...context, parameters: { ...known, ...parameters } };
  const touched = new Set([
    ...release.touched,
    'TaskDefinition',
    ...(Object.keys(files).length > 0 ? ['ExecutionRole'] : []),
  ]);
  const real = difference(deployed, template, context, after);
  if (real.modified.size === 0 && isSameManifest(text, displayed(file), before, surroundings)) {
    say(`${name}: nothing to release; the manifest and the images are those that run`);
    return;
  }
  const update: Update = {
    name: 'plusone-eject-release',
    from: deployed,
    to: template,
    expected: {
      added: release.added,
      removed: release.removed,
      modified: Object.fromEntries([...real.modified].filter(([id]) => touched.has(id))),
    },
    mayReplace: ['TaskDefinition'],
    parameters,
    defaults: {},
    before: context,
  };
  const { problems, changeSet } = await check(session, stack, description, update);
  if (problems.length > 0)
    throw new Refusal([`${name} is not released:`, ...problems.map((line) => `  ${line}`)].join('\n'));
  for (const [id, properties] of real.modified) say(`${name}: ${id}: ${properties.join(', ')}`);
  await session.confirm(`release ${service} to ${environment} in ${region}, account ${account}?`);
  await execute({ ...session, inventory }, stack, update, changeSet);
  say(`${name}: released`);
  keep(wanted.output, name, template, after.parameters);
}

/** Refuses edits of addons, and warns of other files whose edits have no effect. */
async function checkSurroundings(
  { clients: { cloudFormation }, say }: Pick<Session, 'clients' | 'say'>,
  { workspace, environment, service }: Wanted,
  deployed: Template,
  addonsStack: string | undefined,
  inventory: Inventory,
): Promise<void> {
  const addons = addonsStack === undefined ? undefined : await deployedTemplate(cloudFormation, addonsStack);
  const parameters = mapOf(deployed.resources().get('AddonsStack')?.properties.Parameters);
  const edits = addonEdits(join(workspace.folder, service, 'addons'), addons, parameters, environmentFacts(inventory));
  if (edits.length > 0) {
    const lines = edits.map((edit) => `  ${edit}`);
    throw new Refusal([`${deployed.name} is not released: edits of addons are not mapped:`, ...lines].join('\n'));
  }
  const overrides = join(workspace.folder, service, 'overrides');
  if (existsSync(overrides)) say(`warning: ${displayed(overrides)} is not read: edits of it have no effect`);
  const file = join(workspace.folder, 'environments', environment, 'manifest.yml');
  if (!existsSync(file)) return;
  const main = `${workspace.application}-${environment}`;
  const kept = new Template(await deployedTemplate(cloudFormation, main), main).metadata('Manifest');
  const surroundings = { application: workspace.application, environment, shell: process.env };
  if (kept !== undefined && !isSameManifest(readText(file).text, displayed(file), kept, surroundings))
    say(`warning: ${displayed(file)} is not as deployed: a release of a service does not change the environment`);
}

/** Writes the files of the stack as it is deployed. */
function keep(folder: string, name: string, template: Template, parameters: Readonly<Record<string, string>>): void {
  const path = join(folder, 'stacks', name);
  if (!existsSync(path)) return;
  const list = Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({ ParameterKey, ParameterValue }));
  writeText(join(path, 'template.yml'), template.text());
  writeText(join(path, 'parameters.json'), `${JSON.stringify(list, null, 2)}\n`);
}

type Fields = ReturnType<typeof readManifest>['fields'];

/** Builds the images; that of the service is undefined if the manifest has `image.location`. */
async function images(
  { workspace, service, tag, image }: Wanted,
  fields: Fields,
  deployed: string,
  template: Template,
): Promise<{ image: string | undefined; sidecars: Map<string, string> }> {
  const builds = Object.entries(fields.sidecars ?? {}).flatMap(([name, { image: own }]): [string, Build][] => {
    const build = own && 'build' in own && !own.location ? own.build : undefined;
    return build ? [[name, build]] : [];
  });
  const main = image === undefined && !fields.image?.location ? (fields.image?.build ?? {}) : undefined;
  if (main === undefined && builds.length === 0) return { image, sidecars: new Map() };
  const version = tag ?? (await commit(workspace.root));
  const platform = platformOf(fields);
  const root = workspace.root;
  const current = imagesOf(template);
  const sidecars = new Map<string, string>();
  for (const [name, build] of builds) {
    // The image of a new sidecar goes to the repository of the service.
    const place = repositoryOf(textOf(current.get(name)) ?? deployed);
    sidecars.set(name, await buildAndPush(build, { platform, ...place, tag: `${name}-${version}`, root }));
  }
  if (main === undefined) return { image, sidecars };
  const place = repositoryOf(deployed);
  if (!place.repository.endsWith(`/${service}`))
    throw new Refusal(`the deployed image ${deployed} is not in the repository of ${service}: use --image`);
  return { image: await buildAndPush(main, { platform, ...place, tag: version, root }), sidecars };
}

function platformOf({ platform }: Fields): string | undefined {
  if (platform === undefined) return 'linux/amd64';
  const { osfamily = 'linux', architecture = 'amd64' } = platform;
  return `${osfamily.startsWith('windows') ? 'windows' : osfamily}/${architecture === 'x86_64' ? 'amd64' : architecture}`;
}

/** The commit of a folder, with a suffix if the tree has uncommitted changes. */
async function commit(folder: string): Promise<string> {
  const id = await output('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: folder });
  const changed = await output('git', ['status', '--porcelain'], { cwd: folder });
  return changed === '' ? id : `${id}-dirty`;
}
