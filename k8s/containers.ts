import type { Fields } from '../manifest/fields.ts';
import { containersInTask } from '../manifest/task-overrides.ts';
import { listenersOf, rulesOf } from './ports.ts';

type Sidecar = NonNullable<Fields['sidecars']>[string];

/**
 * How a container runs. A sidecar runs to its end `before` the rest starts, `along` with the service from before its
 * start to after its end, or `after` the service has started.
 */
type Role = 'main' | 'before' | 'along' | 'after';

/** A container of a task: the service itself, or a sidecar. */
export interface Container
  extends Pick<
    Sidecar,
    'variables' | 'secrets' | 'env_file' | 'entrypoint' | 'command' | 'healthcheck' | 'image' | 'depends_on'
  > {
  /** Its name in the manifest. */
  name: string;
  role: Role;
  /** Whether it runs once: it is neither essential nor reachable. */
  oneShot: boolean;
  /** Where the manifest describes it. */
  at: string;
  mounts: { volume: string; path: string; readOnly: boolean }[];
  /** Its index in the task definition on AWS. */
  place: number;
}

/** The containers of a workload: the service first, then its sidecars, each after those that it depends on. */
export function containersOf(fields: Fields): Container[] {
  const { name = '', image, storage, sidecars = {} } = fields;
  const places = containersInTask(fields);
  const main: Container = {
    ...fields,
    name,
    role: 'main',
    oneShot: false,
    at: '',
    healthcheck: image?.healthcheck,
    depends_on: image?.depends_on,
    mounts: Object.entries(storage?.volumes ?? {}).map(([volume, mount]) => mounted(volume, mount)),
    place: 0,
  };
  const others = startOrder(sidecars).flatMap((sidecar) => {
    const { mount_points = [], ...own } = sidecars[sidecar] ?? {};
    const mounts = mount_points.map(({ source_volume = '', ...mount }) => mounted(source_volume, mount));
    const stated = roleOf(sidecar, fields);
    const oneShot = stated !== 'before' && endsByItself(sidecar, fields);
    const awaited = conditionsOn(sidecar, fields).length > 0;
    const role: Role = oneShot && stated === 'along' && !awaited ? 'before' : stated;
    return { ...own, name: sidecar, role, oneShot, at: `sidecars.${sidecar}.`, mounts, place: places.indexOf(sidecar) };
  });
  return [main, ...others];
}

/** Copilot's default is a read-only mount. */
function mounted(
  volume: string,
  { path = '', read_only = true }: { path?: string | undefined; read_only?: boolean | undefined },
) {
  return { volume, path, readOnly: read_only };
}

function roleOf(sidecar: string, fields: Fields): Role {
  if (needs(sidecar, fields.name ?? '', fields.sidecars ?? {})) return 'after';
  const awaited = conditionsOn(sidecar, fields);
  return awaited.includes('success') || awaited.includes('complete') ? 'before' : 'along';
}

/**
 * Whether a sidecar runs once. On ECS a container that is not essential may end; a pod would restart it again and
 * again. A sidecar that others connect to, check or wait to be healthy keeps running, and so does a known agent image.
 */
function endsByItself(sidecar: string, fields: Fields): boolean {
  return mayEnd(sidecar, fields) && !looksLikeAgent(sidecar, fields);
}

/** Whether nothing but its name and image says that a sidecar keeps running. */
export function isTakenForAgent(sidecar: string, fields: Fields): boolean {
  return mayEnd(sidecar, fields) && looksLikeAgent(sidecar, fields);
}

function mayEnd(sidecar: string, fields: Fields): boolean {
  const { essential, port, healthcheck } = fields.sidecars?.[sidecar] ?? {};
  return (
    essential === false &&
    !port &&
    !healthcheck &&
    !isTarget(sidecar, fields) &&
    !conditionsOn(sidecar, fields).includes('healthy')
  );
}

function looksLikeAgent(sidecar: string, { sidecars }: Fields): boolean {
  const agent =
    /agent|daemon|collector|exporter|fluent|vector|proxy|envoy|otel|telegraf|statsd|xray|cloudflared|tunnel/i;
  return agent.test(`${sidecar} ${sidecars?.[sidecar]?.image?.location ?? ''}`);
}

function isTarget(sidecar: string, fields: Fields): boolean {
  return [...rulesOf(fields), ...listenersOf(fields)].some(({ target_container }) => target_container === sidecar);
}

/** The condition that other containers wait for: this container has started, is healthy, or has ended. */
export function conditionsOn(container: string, { image, sidecars = {} }: Fields): string[] {
  const dependencies = [image?.depends_on, ...Object.values(sidecars).map(({ depends_on }) => depends_on)];
  return dependencies.flatMap((conditions) => conditions?.[container] ?? []);
}

function needs(sidecar: string, wanted: string, sidecars: Record<string, Sidecar>): boolean {
  const dependencies = Object.keys(sidecars[sidecar]?.depends_on ?? {});
  return dependencies.some((dependency) => dependency === wanted || needs(dependency, wanted, sidecars));
}

function startOrder(sidecars: Record<string, Sidecar>): string[] {
  const ordered = new Set<string>();
  function visit(sidecar: string) {
    const dependencies = Object.keys(sidecars[sidecar]?.depends_on ?? {}).toSorted();
    for (const dependency of dependencies) if (sidecars[dependency]) visit(dependency);
    ordered.add(sidecar);
  }
  for (const sidecar of Object.keys(sidecars).toSorted()) visit(sidecar);
  return [...ordered];
}
