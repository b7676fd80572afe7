import { BlockList, isIP } from 'node:net';
import type { Path } from './document.ts';
import type { Fields, WorkloadType } from './fields.ts';
import { objectName } from './names.ts';
import { scheduleProblem } from './schedule.ts';

export interface Violation {
  path: Path;
  message: string;
}

const scalingFields = ['cpu_percentage', 'memory_percentage', 'requests', 'response_time', 'queue_delay'] as const;

/**
 * The rules of Copilot that tie fields together, which it checks once an environment's section is applied; overrides
 * may add volumes to those that the manifest has.
 * https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/manifest/validate.go
 */
export function violations(type: WorkloadType, fields: Fields, addedVolumes: readonly string[] = []): Violation[] {
  return [
    ...needs(fields.name !== undefined, ['name'], 'name is missing'),
    ...nameViolations(fields),
    ...imageViolations(type, fields),
    ...httpViolations(type, fields),
    ...countViolations(type, fields),
    ...alarmViolations(type, fields),
    ...volumeViolations(fields, addedVolumes),
    ...sidecarViolations(fields),
    ...portViolations(fields),
    ...platformViolations(fields),
    ...topicViolations(fields),
    ...(type === 'Scheduled Job' ? scheduleViolations(fields) : []),
  ];
}

function needs(condition: unknown, path: Path, message: string): Violation[] {
  return condition ? [] : [{ path, message }];
}

function nameViolations({ name, sidecars = {} }: Fields): Violation[] {
  const named: [Path, string][] = Object.keys(sidecars).map((sidecar) => [['sidecars', sidecar], sidecar]);
  return [[['name'], name ?? 'x'] as [Path, string], ...named].flatMap(([path, value]) =>
    needs(
      /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(objectName(value)),
      path,
      `"${value}" can't name anything in Kubernetes: expected a letter, then letters, digits and hyphens, 63 at most`,
    ),
  );
}

function imageViolations(type: WorkloadType, { image }: Fields): Violation[] {
  const needsPort = type === 'Load Balanced Web Service' || type === 'Request-Driven Web Service';
  const withoutPort = type === 'Worker Service' || type === 'Scheduled Job';
  return [
    ...needs(image?.build || image?.location, ['image'], 'image.build or image.location is missing'),
    ...needs(
      !(image?.build && image.location),
      ['image', 'location'],
      'image.build and image.location exclude each other',
    ),
    ...needs(!needsPort || image?.port, ['image', 'port'], 'image.port is missing'),
    ...needs(!(withoutPort && image?.port), ['image', 'port'], `a ${type} has no image.port`),
  ];
}

function httpViolations(type: WorkloadType, { http, nlb, sidecars = {}, name, image }: Fields): Violation[] {
  const found: Violation[] = [];
  if (type === 'Load Balanced Web Service') {
    found.push(...needs(http !== undefined, ['http'], 'http is missing'));
    found.push(...needs(http !== false || nlb, ['http'], 'http is false: then nlb has to be there'));
  }
  if (type === 'Backend Service')
    found.push(...needs(typeof http !== 'boolean', ['http'], 'a Backend Service has no http: true or false'));

  function target(path: Path, { target_container }: { target_container?: string | undefined }) {
    if (target_container === undefined || target_container === name) return;
    const exposed = sidecars[target_container]?.port;
    const problem = sidecars[target_container] ? 'exposes no port' : 'is not among the sidecars';
    found.push(
      ...needs(exposed, [...path, 'target_container'], `the target container "${target_container}" ${problem}`),
    );
  }
  const routes =
    typeof http === 'object'
      ? [
          { at: ['http'] as Path, rule: http },
          ...(http.additional_rules ?? []).map((rule, i) => ({ at: ['http', 'additional_rules', i] as Path, rule })),
        ]
      : [];
  for (const { at, rule } of routes) {
    const where = at.map(String).join('.');
    found.push(...needs(rule.path !== undefined, [...at, 'path'], `${where}.path is missing`));
    found.push(
      ...needs(
        !rule.hosted_zone || rule.alias,
        [...at, 'hosted_zone'],
        `${where}.hosted_zone needs an alias beside it`,
      ),
    );
    for (const [i, range] of (rule.allowed_source_ips ?? []).entries()) {
      found.push(
        ...needs(
          isCidr(range),
          [...at, 'allowed_source_ips', i],
          `"${range}" is no range of addresses such as 192.0.2.0/24`,
        ),
      );
    }
    const names = (rule.alias ?? []).length;
    const conditions = names + (rule.allowed_source_ips ?? []).length;
    const tooMany = `${where}: ${conditions} aliases and ranges of addresses; with its path, a load balancer rule takes 4`;
    found.push(...needs(conditions < 5, at, tooMany));
    target(at, rule);
  }
  if (typeof http === 'object') {
    found.push(
      ...needs(
        !(http.target_container && http.targetContainer),
        ['http', 'targetContainer'],
        'http.target_container and its old name targetContainer exclude each other',
      ),
    );
    found.push(
      ...needs(
        type !== 'Backend Service' || image?.port || http.target_container || http.target_port,
        ['http'],
        'http needs an image.port to send requests to',
      ),
    );
  }
  if (nlb) {
    for (const [at, listener] of [
      [['nlb'], nlb],
      ...(nlb.additional_listeners ?? []).map((item, i) => [['nlb', 'additional_listeners', i], item]),
    ] as [Path, typeof nlb][]) {
      found.push(...needs(listener.port, [...at, 'port'], `${at.map(String).join('.')}.port is missing`));
      target(at, listener);
    }
  }
  return found;
}

/** The protocol and container of every port, as Copilot collects them; a port has one container and one protocol. */
function portViolations({ name = '', image, sidecars = {}, http, nlb }: Fields): Violation[] {
  const found: Violation[] = [];
  const exposed = new Map<number, { container: string; protocol: string }>();
  function expose(path: Path, port: number, protocol: string | undefined, container: string | undefined) {
    const known = exposed.get(port);
    const own = { container: container ?? known?.container ?? name, protocol: protocol ?? known?.protocol ?? 'tcp' };
    if (!known) exposed.set(port, own);
    else if (known.container !== own.container) {
      const message = `port ${port} is exposed by both "${known.container}" and "${own.container}": give one another port`;
      found.push({ path, message });
    } else if (known.protocol !== own.protocol) {
      const message = `port ${port} of "${own.container}" is exposed as both ${known.protocol} and ${own.protocol}: use one protocol`;
      found.push({ path, message });
    }
  }
  for (const [sidecar, { port }] of Object.entries(sidecars)) {
    if (port) expose(['sidecars', sidecar, 'port'], port.port, port.protocol, sidecar);
  }
  if (typeof http === 'object') {
    for (const [at, rule] of routingRules(http)) {
      if (rule.target_port) expose([...at, 'target_port'], rule.target_port, 'tcp', rule.target_container);
    }
  }
  for (const [at, { port, target_port, target_container }] of nlb ? listeners(nlb) : []) {
    if (!port) continue;
    const protocol = port.protocol === 'tls' ? 'tcp' : port.protocol;
    expose([...at, target_port ? 'target_port' : 'port'], target_port ?? port.port, protocol, target_container);
  }
  if (image?.port) expose(['image', 'port'], image.port, undefined, name);
  function healthcheck(path: Path, port: number | undefined) {
    const protocol = port === undefined ? undefined : exposed.get(port)?.protocol;
    const message = `the health check needs TCP, but port ${port} is exposed as ${protocol}`;
    found.push(...needs(protocol === undefined || protocol === 'tcp', path, message));
  }
  if (typeof http === 'object') {
    for (const [at, { healthcheck: check }] of routingRules(http))
      healthcheck([...at, 'healthcheck', 'port'], check && 'port' in check ? check.port : undefined);
  }
  for (const [at, item] of nlb ? listeners(nlb) : [])
    healthcheck([...at, 'healthcheck', 'port'], item.healthcheck?.port);
  return found;
}

type Http = Exclude<NonNullable<Fields['http']>, boolean>;
type Nlb = NonNullable<Fields['nlb']>;

function routingRules(http: Http): [Path, Http | NonNullable<Http['additional_rules']>[number]][] {
  const more = (http.additional_rules ?? []).map((rule, i): [Path, typeof rule] => [
    ['http', 'additional_rules', i],
    rule,
  ]);
  return [[['http'], http], ...more];
}

function listeners(nlb: Nlb): [Path, Nlb | NonNullable<Nlb['additional_listeners']>[number]][] {
  const more = (nlb.additional_listeners ?? []).map((item, i): [Path, typeof item] => [
    ['nlb', 'additional_listeners', i],
    item,
  ]);
  return [[['nlb'], nlb], ...more];
}

/** https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/manifest/validate.go (TaskConfig, validateWindows) */
function platformViolations({ platform, count, storage, network }: Fields): Violation[] {
  const { osfamily = '', architecture = '' } = platform ?? {};
  const isWindows = osfamily.toLowerCase().startsWith('windows');
  const isArm = architecture.toLowerCase().startsWith('arm');
  const spot = count && 'spot' in count ? count.spot : undefined;
  const spotFrom = count && 'range' in count ? count.range : undefined;
  const usesSpot = spot !== undefined || (spotFrom && 'spot_from' in spotFrom && spotFrom.spot_from !== undefined);
  const files = Object.entries(storage?.volumes ?? {}).filter(([, { efs }]) => efs !== undefined && efs !== false);
  return [
    ...needs(
      (platform?.osfamily === undefined) === (platform?.architecture === undefined),
      ['platform'],
      'platform needs both osfamily and architecture, or neither',
    ),
    ...needs(!(isArm && usesSpot), ['count'], 'Fargate Spot is not supported on ARM: remove spot, or use x86_64'),
    ...needs(
      !(isWindows && storage?.readonly_fs),
      ['storage', 'readonly_fs'],
      'storage.readonly_fs is not supported on Windows',
    ),
    ...files.flatMap(([volume]) =>
      needs(!isWindows, ['storage', 'volumes', volume, 'efs'], 'EFS is not supported on Windows'),
    ),
    ...needs(
      !(isWindows && network?.connect),
      ['network', 'connect'],
      'network.connect (Service Connect) is not supported on Windows',
    ),
  ];
}

type Queue = NonNullable<NonNullable<Fields['subscribe']>['queue']>;

/** https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/manifest/validate.go (PublishConfig, SubscribeConfig) */
function topicViolations({ publish, subscribe }: Fields): Violation[] {
  const found: Violation[] = [];
  function topicName(at: Path, name: string | undefined) {
    found.push(...needs(name, [...at, 'name'], 'the name of the topic is missing'));
    const message = `topic name "${name}": expected letters, digits, underscores and hyphens only`;
    found.push(...needs(/^[\w-]*$/.test(name ?? ''), [...at, 'name'], message));
  }
  function queue(at: Path, { fifo }: Queue) {
    if (typeof fifo !== 'object') return;
    const { high_throughput, throughput_limit, deduplication_scope } = fifo;
    const path = [...at, 'fifo'];
    const isSet = high_throughput !== undefined;
    found.push(
      ...needs(
        !(isSet && (throughput_limit !== undefined || deduplication_scope !== undefined)),
        [...path, 'high_throughput'],
        'high_throughput excludes throughput_limit and deduplication_scope',
      ),
      ...needs(
        deduplication_scope === undefined || ['messageGroup', 'queue'].includes(deduplication_scope),
        [...path, 'deduplication_scope'],
        `deduplication_scope "${deduplication_scope}": expected messageGroup or queue`,
      ),
      ...needs(
        throughput_limit === undefined || ['perMessageGroupId', 'perQueue'].includes(throughput_limit),
        [...path, 'throughput_limit'],
        `throughput_limit "${throughput_limit}": expected perMessageGroupId or perQueue`,
      ),
      ...needs(
        !(throughput_limit === 'perMessageGroupId' && deduplication_scope === 'queue'),
        [...path, 'throughput_limit'],
        'throughput_limit has to be perQueue when deduplication_scope is queue',
      ),
    );
  }
  for (const [i, { name }] of (publish?.topics ?? []).entries()) topicName(['publish', 'topics', i], name);
  for (const [i, topic] of (subscribe?.topics ?? []).entries()) {
    const at = ['subscribe', 'topics', i];
    topicName(at, topic.name);
    const { service } = topic;
    found.push(...needs(service, [...at, 'service'], 'the service that publishes the topic is missing'));
    const isName = service === undefined || (/^[a-z][a-z0-9-]+$/.test(service) && !/--|-$/.test(service));
    const message = `service "${service}": expected a lower-case letter, then lower-case letters, digits and single hyphens`;
    found.push(...needs(isName, [...at, 'service'], message));
    if (typeof topic.queue === 'object') queue([...at, 'queue'], topic.queue);
  }
  if (subscribe?.queue) queue(['subscribe', 'queue'], subscribe.queue);
  return found;
}

function isCidr(range: string): boolean {
  const [address = '', bits = '', ...rest] = range.split('/');
  if (rest.length > 0 || !/^\d+$/.test(bits)) return false;
  try {
    new BlockList().addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
    return true;
  } catch {
    return false;
  }
}

function countViolations(type: WorkloadType, { count, http }: Fields): Violation[] {
  if (!count || 'replicas' in count) return [];
  if (type === 'Scheduled Job') return [{ path: ['count'], message: 'a Scheduled Job does not scale' }];
  const set = scalingFields.filter((field) => count[field] !== undefined);
  const wrong = set.filter((field) =>
    (type === 'Worker Service' ? ['requests', 'response_time'] : ['queue_delay']).includes(field),
  );
  const { range, spot, cooldown, queue_delay } = count;
  return [
    ...wrong.map((field) => ({ path: ['count', field], message: `a ${type} does not scale by ${field}` })),
    ...needs(
      spot === undefined || (!range && set.length === 0),
      ['count', 'spot'],
      'count.spot and scaling by count.range exclude each other',
    ),
    ...needs(range || set.length === 0, ['count'], `count.range is missing: ${set.join(', ')} can't scale without it`),
    ...needs(
      !range || set.length > 0,
      ['count', 'range'],
      'count.range needs something to scale by, such as cpu_percentage',
    ),
    ...needs(
      !cooldown || set.length > 0,
      ['count', 'cooldown'],
      'count.cooldown needs something to scale by, such as cpu_percentage',
    ),
    ...needs(
      !range || (range.min !== undefined && range.max !== undefined),
      ['count', 'range'],
      'count.range needs both min and max',
    ),
    ...needs(
      !range || (range.min ?? 0) <= (range.max ?? Infinity),
      ['count', 'range'],
      'count.range: the minimum is above the maximum',
    ),
    ...needs(
      !(http === false && (count.requests || count.response_time)),
      ['count'],
      'http is false: nothing to scale by requests or response_time',
    ),
    ...needs(
      !queue_delay || (queue_delay.acceptable_latency && queue_delay.msg_processing_time),
      ['count', 'queue_delay'],
      'count.queue_delay needs acceptable_latency and msg_processing_time, above 0',
    ),
    ...needs(
      (queue_delay?.msg_processing_time ?? 0) <= (queue_delay?.acceptable_latency ?? Infinity),
      ['count', 'queue_delay', 'msg_processing_time'],
      'count.queue_delay: msg_processing_time is longer than acceptable_latency',
    ),
  ];
}

function alarmViolations(type: WorkloadType, { deployment }: Fields): Violation[] {
  const alarms = deployment?.rollback_alarms;
  const queued = alarms && 'messages_delayed' in alarms;
  const path = ['deployment', 'rollback_alarms', 'messages_delayed'];
  return needs(!queued || type === 'Worker Service', path, `a ${type} has no queue whose messages could be delayed`);
}

type Volume = NonNullable<NonNullable<Fields['storage']>['volumes']>[string];

function isManaged(efs: Volume['efs']): boolean {
  return efs === true || (typeof efs === 'object' && (efs.uid !== undefined || efs.gid !== undefined));
}

function volumeViolations({ storage, sidecars = {} }: Fields, addedVolumes: readonly string[]): Violation[] {
  const found: Violation[] = [];
  const volumes = storage?.volumes ?? {};
  const managed = Object.entries(volumes).filter(([, { efs }]) => isManaged(efs));
  for (const [name] of managed.slice(1)) {
    const message = 'more than one managed volume: Copilot makes one file system for a service';
    found.push({ path: ['storage', 'volumes', name, 'efs'], message });
  }
  for (const [name, { path, efs }] of Object.entries(volumes)) {
    const at = ['storage', 'volumes', name];
    found.push(...needs(path, [...at, 'path'], `${at.join('.')}.path is missing`));
    if (typeof efs !== 'object') continue;
    const managed = efs.uid !== undefined || efs.gid !== undefined;
    const own = efs.id ?? efs.root_dir ?? efs.auth;
    found.push(...needs(!(managed && own), [...at, 'efs'], 'uid and gid exclude id, root_dir and auth'));
    found.push(
      ...needs((efs.uid === undefined) === (efs.gid === undefined), [...at, 'efs'], 'uid and gid go together'),
    );
    found.push(...needs(efs.uid !== 0, [...at, 'efs', 'uid'], 'uid must not be 0'));
  }
  for (const [sidecar, { mount_points = [] }] of Object.entries(sidecars)) {
    for (const [i, { source_volume, path }] of mount_points.entries()) {
      const at = ['sidecars', sidecar, 'mount_points', i];
      const known = source_volume !== undefined && (volumes[source_volume] || addedVolumes.includes(source_volume));
      found.push(
        ...needs(
          known,
          at,
          source_volume ? `no volume "${source_volume}" in storage.volumes` : 'source_volume is missing',
        ),
      );
      found.push(...needs(path, at, 'path is missing'));
    }
  }
  return found;
}

function sidecarViolations({ name = '', image, sidecars = {} }: Fields): Violation[] {
  const found: Violation[] = [];
  const containers = new Map([[name, { at: ['image'], depends_on: image?.depends_on ?? {}, essential: true }]]);
  for (const [sidecar, { depends_on = {}, essential = true }] of Object.entries(sidecars)) {
    containers.set(sidecar, { at: ['sidecars', sidecar], depends_on, essential });
  }
  for (const [sidecar, { image: own }] of Object.entries(sidecars)) {
    const at = ['sidecars', sidecar];
    const stated = [own && 'build' in own && own.build, own?.location].filter(Boolean).length;
    found.push(...needs(stated > 0, at, `${at.join('.')}.image is missing`));
    found.push(...needs(stated < 2, [...at, 'image'], 'image.build and image.location exclude each other'));
  }
  for (const { at, depends_on } of containers.values()) {
    for (const [dependency, status] of Object.entries(depends_on)) {
      const path = [...at, 'depends_on', dependency];
      const container = containers.get(dependency);
      found.push(...needs(container, path, `depends_on: there is no container "${dependency}"`));
      const endless = container?.essential && (status === 'success' || status === 'complete');
      found.push(
        ...needs(
          !endless,
          path,
          `depends_on: "${dependency}" is essential, so it never ends: expected start or healthy, or essential: false`,
        ),
      );
    }
  }
  const circle = findCircle(
    new Map([...containers].map(([container, { depends_on }]) => [container, Object.keys(depends_on)])),
  );
  if (circle)
    found.push({
      path: [...(containers.get(circle[0] ?? '')?.at ?? []), 'depends_on'],
      message: `depends_on goes in a circle: ${circle.join(' → ')}`,
    });
  return found;
}

function scheduleViolations({ on }: Fields): Violation[] {
  const path = ['on', 'schedule'];
  if (!on?.schedule) return [{ path, message: 'on.schedule is missing' }];
  const problem = on.schedule === 'none' ? undefined : scheduleProblem(on.schedule);
  return problem ? [{ path, message: problem }] : [];
}

function findCircle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  function visit(node: string, trail: readonly string[]): string[] | undefined {
    if (trail.includes(node)) return [...trail.slice(trail.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const circle = visit(next, [...trail, node]);
      if (circle) return circle;
    }
    done.add(node);
    return undefined;
  }
  for (const node of graph.keys()) {
    const circle = visit(node, []);
    if (circle) return circle;
  }
  return undefined;
}
