import { BlockList, isIP } from 'node:net';
import { type Diagnostic, type Path, pathText } from './document.ts';
import type { Fields, WorkloadType } from './fields.ts';
import { CRON_JOB_NAME, objectName } from './names.ts';
import { scheduleProblem } from './schedule.ts';

export interface Violation extends Omit<Diagnostic, 'line'> {
  path: Path;
}

/** The volumes that overrides add; `unknown` if a program writes the overrides. */
export type AddedVolumes = readonly string[] | 'unknown';

const scalingFields = ['cpu_percentage', 'memory_percentage', 'requests', 'response_time', 'queue_delay'] as const;

/**
 * The rules of Copilot that tie fields together, which it checks once an environment's section is applied; overrides
 * may add volumes to those that the manifest has.
 * https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/manifest/validate.go
 */
export function violations(type: WorkloadType, fields: Fields, addedVolumes: AddedVolumes = []): Violation[] {
  return [
    ...needs(fields.name !== undefined, ['name'], 'name is missing'),
    ...nameViolations(type, fields),
    ...imageViolations(type, fields),
    ...httpViolations(type, fields),
    ...countViolations(type, fields),
    ...volumeViolations(fields, addedVolumes),
    ...sidecarViolations(fields),
    ...portViolations(type, fields),
    ...platformViolations(type, fields),
    ...topicViolations(fields),
    ...connectViolations(type, fields),
    ...overrideViolations(type, fields),
    ...requestDrivenViolations(type, fields),
    ...(type === 'Scheduled Job' ? scheduleViolations(fields) : []),
    ...(fields.files ?? []).flatMap(({ source }, i) =>
      needs(source, ['files', i, 'source'], `files.${i}.source is missing`),
    ),
  ];
}

function needs(condition: unknown, path: Path, message: string): Violation[] {
  return condition ? [] : [{ path, message }];
}

function nameViolations(type: WorkloadType, { name, sidecars = {} }: Fields): Violation[] {
  const named: [Path, string][] = Object.keys(sidecars).map((sidecar) => [['sidecars', sidecar], sidecar]);
  return [[['name'], name ?? 'x'] as [Path, string], ...named].flatMap(([path, value]): Violation[] => {
    const most = type === 'Scheduled Job' && path[0] === 'name' ? CRON_JOB_NAME : 63;
    const message = `"${value}" is not a valid name in Kubernetes: expected a letter, then letters, digits and hyphens, ${most} at most`;
    const isValid = value.length <= most && /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(objectName(value));
    return isValid ? [] : [{ path, message, isOfKubernetes: true }];
  });
}

function imageViolations(type: WorkloadType, { image }: Fields): Violation[] {
  if (type === 'Static Site') return [];
  const needsPort = type === 'Load Balanced Web Service' || type === 'Request-Driven Web Service';
  return [
    ...needs(isBuilt(image?.build) || image?.location, ['image'], 'image.build or image.location is missing'),
    ...needs(
      !(isBuilt(image?.build) && image?.location !== undefined),
      ['image', 'location'],
      'image.build and image.location exclude each other',
    ),
    ...needs(!needsPort || image?.port, ['image', 'port'], 'image.port is missing'),
  ];
}

/** `build: ""` is no build to Copilot. */
function isBuilt(build: NonNullable<Fields['image']>['build']): boolean {
  return Object.entries(build ?? {}).some(([field, value]) => field !== 'dockerfile' || value !== '');
}

function httpViolations(type: WorkloadType, { http, nlb, sidecars = {}, name, image }: Fields): Violation[] {
  const found: Violation[] = [];
  if (type === 'Load Balanced Web Service') {
    found.push(...needs(http !== undefined, ['http'], 'http is missing'));
    found.push(...needs(http !== false || nlb, ['http'], 'http is false, so nlb is required'));
  }

  function target(path: Path, rule: { target_container?: string | undefined }, oldName?: string) {
    const target_container = rule.target_container ?? oldName;
    if (target_container === undefined) return;
    const isMain = target_container === name;
    const exposed = isMain ? image?.port : sidecars[target_container]?.port;
    const problem = isMain || sidecars[target_container] ? 'exposes no port' : 'is not among the sidecars';
    found.push(
      ...needs(exposed, [...path, 'target_container'], `the target container "${target_container}" ${problem}`),
    );
  }
  for (const [at, rule] of typeof http === 'object' ? routingRules(http) : []) {
    const where = at.map(String).join('.');
    found.push(...needs(rule.path !== undefined, [...at, 'path'], `${where}.path is missing`));
    found.push(
      ...needs(
        rule.hosted_zone === undefined || rule.alias?.length,
        [...at, 'hosted_zone'],
        `${where}.hosted_zone needs an alias`,
      ),
    );
    for (const [i, range] of (rule.allowed_source_ips ?? []).entries()) {
      found.push(
        ...needs(
          isCidr(range),
          [...at, 'allowed_source_ips', i],
          `"${range}" is not an address range such as 192.0.2.0/24`,
        ),
      );
    }
    const names = (rule.alias ?? []).length;
    const conditions = names + (rule.allowed_source_ips ?? []).length;
    const tooMany = `${where}: ${conditions} aliases and ranges of addresses; with its path, a load balancer rule takes 4`;
    found.push(...needs(conditions < 5, at, tooMany));
    const old = at.length === 1 && type === 'Load Balanced Web Service' ? http : undefined;
    target(at, rule, typeof old === 'object' ? old.targetContainer : undefined);
  }
  if (typeof http === 'object') {
    found.push(
      ...needs(
        !(http.target_container && http.targetContainer),
        ['http', 'targetContainer'],
        'http.target_container and its old name targetContainer exclude each other',
      ),
    );
    // Copilot accepts this, and CloudFormation refuses the port -1 that it makes of it.
    found.push(
      ...needs(
        type !== 'Backend Service' || image?.port || http.target_container || http.target_port,
        ['http'],
        'http needs an image.port to send requests to',
      ),
    );
  }
  if (nlb) {
    for (const [at, listener] of listeners(nlb)) {
      found.push(...needs(listener.port, [...at, 'port'], `${at.map(String).join('.')}.port is missing`));
      target(at, listener);
    }
    for (const [i, alias] of (nlb.alias ?? []).entries()) {
      const zone = 'hosted_zone' in alias ? alias.hosted_zone : undefined;
      const path = ['nlb', 'alias', i, 'hosted_zone'];
      found.push(...needs(zone === undefined, path, 'a Network Load Balancer supports no hosted_zone: remove it'));
    }
  }
  return type === 'Load Balanced Web Service' ? [...found, ...gracePeriodViolations({ http, nlb })] : found;
}

/** A service has one grace period, which covers all its target groups. */
function gracePeriodViolations({ http, nlb }: Pick<Fields, 'http' | 'nlb'>): Violation[] {
  const rules = typeof http === 'object' ? routingRules(http).filter(([, rule]) => hasGracePeriod(rule)) : [];
  const stated = nlb ? listeners(nlb).filter(([, listener]) => hasGracePeriod(listener)) : [];
  const inMore = [...rules, ...stated].filter(([at]) => at.length > 1);
  return [
    ...inMore.map(([at]) => {
      const message = `grace_period belongs in ${String(at[0])}.healthcheck only: it covers the whole service`;
      return { path: [...at, 'healthcheck', 'grace_period'], message };
    }),
    ...needs(
      !(rules.some(([at]) => at.length === 1) && stated.some(([at]) => at.length === 1)),
      ['nlb', 'healthcheck', 'grace_period'],
      'http.healthcheck.grace_period and nlb.healthcheck.grace_period exclude each other',
    ),
  ];
}

function hasGracePeriod({ healthcheck }: { healthcheck?: object | undefined }): boolean {
  return healthcheck !== undefined && 'grace_period' in healthcheck && healthcheck.grace_period !== undefined;
}

/** The protocol and container of every port, as Copilot collects them; a port has one container and one protocol. */
function portViolations(type: WorkloadType, { name = '', image, sidecars = {}, http, nlb }: Fields): Violation[] {
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
  const taken = new Set<string>();
  for (const [at, { port, target_port, target_container }] of nlb ? listeners(nlb) : []) {
    if (!port) continue;
    const protocol = port.protocol === 'tls' ? 'tcp' : port.protocol;
    const listener = `${port.port}/${protocol}`;
    // Copilot passes it on, and the deployment fails: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html
    if (taken.has(listener)) {
      const message = `port ${port.port} has two listeners: a load balancer takes one a port`;
      found.push({ path: [...at, 'port'], message, isOfKubernetes: true });
    }
    taken.add(listener);
    expose([...at, target_port ? 'target_port' : 'port'], target_port ?? port.port, protocol, target_container);
  }
  if (image?.port) expose(['image', 'port'], image.port, undefined, name);
  function healthcheck(at: Path, check: object | undefined, target: number | undefined) {
    const stated = check && 'port' in check && typeof check.port === 'number' ? check.port : undefined;
    const port = stated ?? target;
    const protocol = port === undefined ? undefined : exposed.get(port)?.protocol;
    const message = `the health check needs TCP, but port ${port} is exposed as ${protocol}: set healthcheck.port to a TCP port`;
    found.push(...needs(protocol === undefined || protocol === 'tcp', [...at, 'healthcheck', 'port'], message));
  }
  if (type === 'Request-Driven Web Service') return found;
  if (typeof http === 'object') {
    for (const [at, rule] of routingRules(http)) healthcheck(at, rule.healthcheck, rule.target_port ?? image?.port);
  }
  for (const [at, { healthcheck: check, target_port, port }] of nlb ? listeners(nlb) : [])
    healthcheck(at, check, target_port ?? port?.port);
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

const WINDOWS = ['windows', 'windows_server_2019_core', 'windows_server_2019_full', 'windows_server_2022_core'];
const OS_FAMILIES: Readonly<Record<string, readonly string[]>> = {
  linux: ['x86_64', 'amd64', 'arm', 'arm64'],
  ...Object.fromEntries([...WINDOWS, 'windows_server_2022_full'].map((family) => [family, ['x86_64', 'amd64']])),
};

/** https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/manifest/validate.go (PlatformArgs, validateWindows) */
function platformViolations(type: WorkloadType, { platform, storage, network }: Fields): Violation[] {
  if (!platform) return [];
  const { osfamily, architecture } = platform;
  if (osfamily === undefined || architecture === undefined)
    return [{ path: ['platform'], message: 'platform needs both osfamily and architecture, or neither' }];
  const allowed = OS_FAMILIES[osfamily.toLowerCase()] ?? [];
  if (!allowed.includes(architecture.toLowerCase())) {
    const message = `platform ${osfamily}/${architecture}: expected linux with x86_64 or arm64, or windows, windows_server_2019_core, …_full, windows_server_2022_core or …_full with x86_64`;
    return [{ path: ['platform'], message }];
  }
  if (!osfamily.toLowerCase().startsWith('windows')) return [];
  const files = Object.entries(storage?.volumes ?? {}).filter(([, { efs }]) => efs !== undefined && efs !== false);
  const isConnected = network?.connect && (type === 'Load Balanced Web Service' || type === 'Backend Service');
  return [
    ...needs(!storage?.readonly_fs, ['storage', 'readonly_fs'], 'storage.readonly_fs is not supported on Windows'),
    ...files.map(([volume]) => {
      return { path: ['storage', 'volumes', volume, 'efs'], message: 'EFS is not supported on Windows' };
    }),
    ...needs(!isConnected, ['network', 'connect'], 'network.connect (Service Connect) is not supported on Windows'),
  ];
}

function connectViolations(type: WorkloadType, { network, http, image }: Fields): Violation[] {
  const alias = typeof network?.connect === 'object' ? network.connect.alias : undefined;
  if (alias === undefined || type === 'Load Balanced Web Service' || type === 'Scheduled Job') return [];
  const isExposed =
    type === 'Backend Service' && (image?.port || (typeof http === 'object' && http.target_container !== undefined));
  return needs(
    isExposed,
    ['network', 'connect', 'alias'],
    'network.connect.alias needs a port that the service exposes',
  );
}

/** https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/template/override/rule.go */
function overrideViolations(type: WorkloadType, { variables = {}, taskdef_overrides = [] }: Fields): Violation[] {
  const found: Violation[] = [];
  for (const [i, { path = '' }] of taskdef_overrides.entries()) {
    const at = ['taskdef_overrides', i, 'path'];
    const isForbidden = /^(Family|ContainerDefinitions\[\d+\].Name)$/.test(path);
    found.push(...needs(!isForbidden, at, `taskdef_overrides can't change ${path}: Copilot sets it`));
    const wrong = path.split('.').find((segment) => !/^[\w-]+(\[(\d+|-)\])?$/.test(segment));
    const message = `"${wrong}": expected a path of keys and places, such as ContainerDefinitions[0].Ulimits[-]`;
    found.push(...needs(wrong === undefined, at, message));
  }
  for (const [name, value] of Object.entries(variables)) {
    const isNamed = typeof value === 'string' || value.from_cfn !== '' || type === 'Request-Driven Web Service';
    found.push(...needs(isNamed, ['variables', name, 'from_cfn'], 'from_cfn is empty: expected the name of an export'));
  }
  return found;
}

/** https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/manifest/validate.go (AppRunnerInstanceConfig) */
function requestDrivenViolations(type: WorkloadType, { platform }: Fields): Violation[] {
  const message = 'Copilot refuses every platform of a Request-Driven Web Service, linux/amd64 too: remove it';
  return needs(type !== 'Request-Driven Web Service' || !platform, ['platform'], message);
}

type Queue = NonNullable<NonNullable<Fields['subscribe']>['queue']>;

/**
 * https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/manifest/validate.go (PublishConfig, SubscribeConfig)
 */
function topicViolations({ publish, subscribe }: Fields): Violation[] {
  const found: Violation[] = [];
  function topicName(at: Path, name: string | undefined) {
    found.push(...needs(name, [...at, 'name'], `${pathText(at)}: the name of the topic is missing`));
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
    found.push(
      ...needs(service, [...at, 'service'], `${pathText(at)}: the service that publishes the topic is missing`),
    );
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
      !((http === false || (!http && type === 'Backend Service')) && (count.requests || count.response_time)),
      ['count'],
      'nothing to scale by requests or response_time without http',
    ),
    ...(['cpu_percentage', 'memory_percentage'] as const).flatMap((field) =>
      needs(
        count[field] === undefined || count[field].value !== undefined,
        ['count', field],
        `count.${field}.value is missing`,
      ),
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

type Volume = NonNullable<NonNullable<Fields['storage']>['volumes']>[string];

function isManaged(efs: Volume['efs']): boolean {
  return efs === true || (typeof efs === 'object' && (efs.uid !== undefined || efs.gid !== undefined));
}

function volumeViolations({ storage, sidecars = {} }: Fields, addedVolumes: AddedVolumes): Violation[] {
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
    const where = `${pathText(at)}.efs:`;
    const managed = efs.uid !== undefined || efs.gid !== undefined;
    const own = efs.id ?? efs.root_dir ?? efs.auth;
    found.push(...needs(!(managed && own), [...at, 'efs'], `${where} uid and gid exclude id, root_dir and auth`));
    found.push(
      ...needs((efs.uid === undefined) === (efs.gid === undefined), [...at, 'efs'], `${where} uid and gid go together`),
    );
    found.push(...needs(efs.uid !== 0, [...at, 'efs', 'uid'], `${where} uid must not be 0`));
    found.push(...accessPointViolations([...at, 'efs'], efs));
  }
  for (const [sidecar, { mount_points = [] }] of Object.entries(sidecars)) {
    for (const [i, { source_volume, path }] of mount_points.entries()) {
      const at = ['sidecars', sidecar, 'mount_points', i];
      const isAdded = addedVolumes === 'unknown' || addedVolumes.includes(source_volume ?? '');
      const known = source_volume !== undefined && (volumes[source_volume] || isAdded);
      found.push(
        ...needs(
          known,
          at,
          `${pathText(at)}: ${source_volume ? `no volume "${source_volume}" in storage.volumes` : 'source_volume is missing'}`,
        ),
      );
      found.push(...needs(path, at, `${pathText(at)}: path is missing`));
    }
  }
  return found;
}

function accessPointViolations(
  at: Path,
  { root_dir = '', auth }: Exclude<Volume['efs'], boolean | undefined>,
): Violation[] {
  const where = `${pathText(at)}:`;
  if (auth?.access_point_id === undefined) {
    const message = `${where} root_dir "${root_dir}": expected a path of letters, digits and - . _ /`;
    return needs(/^[\w\-./]*$/.test(root_dir), [...at, 'root_dir'], message);
  }
  return [
    ...needs(
      root_dir === '' || root_dir === '/',
      [...at, 'root_dir'],
      `${where} root_dir has to be / or absent beside access_point_id`,
    ),
    ...needs(
      auth.iam !== false,
      [...at, 'auth', 'iam'],
      `${where} auth.iam has to be true or absent beside access_point_id`,
    ),
  ];
}

function sidecarViolations({ name = '', image, sidecars = {}, logging }: Fields): Violation[] {
  const found: Violation[] = [];
  const containers = new Map([[name, { at: ['image'], depends_on: image?.depends_on ?? {}, essential: true }]]);
  const { retention: _, ...router } = logging ?? {};
  if (Object.values(router).some((value) => value !== undefined))
    containers.set('firelens_log_router', { at: ['logging'], depends_on: {}, essential: false });
  for (const [sidecar, { depends_on = {}, essential = true }] of Object.entries(sidecars)) {
    containers.set(sidecar, { at: ['sidecars', sidecar], depends_on, essential });
  }
  for (const [sidecar, { image: own }] of Object.entries(sidecars)) {
    const at = ['sidecars', sidecar];
    const stated = [isBuilt(own && 'build' in own ? own.build : undefined), own?.location].filter(Boolean).length;
    found.push(...needs(stated > 0, at, `${at.join('.')}.image is missing`));
    found.push(
      ...needs(stated < 2, [...at, 'image'], `${at.join('.')}: image.build and image.location exclude each other`),
    );
  }
  for (const { at, depends_on } of containers.values()) {
    for (const [dependency, status] of Object.entries(depends_on)) {
      const path = [...at, 'depends_on', dependency];
      const container = containers.get(dependency);
      found.push(
        ...needs(container, path, `${pathText([...at, 'depends_on'])}: there is no container "${dependency}"`),
      );
      const endless = container?.essential && (status === 'success' || status === 'complete');
      found.push(
        ...needs(
          !endless,
          path,
          `${pathText([...at, 'depends_on'])}: "${dependency}" is essential, so it never ends: expected start or healthy, or essential: false`,
        ),
      );
    }
  }
  const cycle = findCycle(
    new Map([...containers].map(([container, { depends_on }]) => [container, Object.keys(depends_on)])),
  );
  if (cycle)
    found.push({
      path: [...(containers.get(cycle[0] ?? '')?.at ?? []), 'depends_on'],
      message: `circular dependency: ${cycle.join(' → ')}`,
    });
  return found;
}

function scheduleViolations({ on }: Fields): Violation[] {
  const path = ['on', 'schedule'];
  if (!on?.schedule) return [{ path, message: 'on.schedule is missing' }];
  const problem = on.schedule === 'none' ? undefined : scheduleProblem(on.schedule);
  return problem ? [{ path, ...problem }] : [];
}

function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  function visit(node: string, trail: readonly string[]): string[] | undefined {
    if (trail.includes(node)) return [...trail.slice(trail.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next, [...trail, node]);
      if (cycle) return cycle;
    }
    done.add(node);
    return undefined;
  }
  for (const node of graph.keys()) {
    const cycle = visit(node, []);
    if (cycle) return cycle;
  }
  return undefined;
}
