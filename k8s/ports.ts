import type { Fields } from '../manifest/fields.ts';

/** A port that a load balancer or another service sends to. */
export interface ServicePort {
  name: string;
  port: number;
  targetPort: number;
  protocol: 'TCP' | 'UDP';
}

/** A port that a container listens on. */
export interface ListeningPort {
  container: string;
  port: number;
  protocol: 'TCP' | 'UDP';
}

export function transportOf(protocol: string | undefined): 'TCP' | 'UDP' {
  return protocol === 'udp' ? 'UDP' : 'TCP';
}

/** Every listener of `nlb`, the main one first. */
export function listenersOf({ nlb }: Fields) {
  return nlb ? [nlb, ...(nlb.additional_listeners ?? [])] : [];
}

interface Target {
  target_container?: string | undefined;
  target_port?: number | undefined;
}

/**
 * The ports of the Service: first that of `http` (or `image.port` without `http`), then those of the additional rules,
 * then that of the main container. Empty for a workload that receives no requests.
 */
export function servicePorts(fields: Fields): ServicePort[] {
  const { image, http } = fields;
  const ports: ServicePort[] = [];
  function add(port: number) {
    if (ports.some((known) => known.port === port)) return;
    // Other services use the first port: it has the name without a number, even if image.port comes later.
    const own = portName(fields, port, 'TCP');
    const later = own === protocolOf(fields) ? `${own}-${port}` : own;
    const name = ports.length === 0 && typeof http === 'object' ? protocolOf(fields) : later;
    ports.push({ name, port, targetPort: port, protocol: 'TCP' });
  }
  for (const rule of http === false
    ? []
    : [typeof http === 'object' ? mainRule(http) : {}, ...additionalRules(fields)]) {
    const port = targetPort(fields, rule) ?? image?.port;
    if (port) add(port);
  }
  // On ECS other services reach the main container directly, even if the load balancer sends to a sidecar.
  if (image?.port) add(image.port);
  return ports;
}

/** The ports of the network load balancer: none without `nlb`. */
export function listenerPorts(fields: Fields): ServicePort[] {
  return listenersOf(fields).flatMap((listener) => {
    if (!listener.port) return [];
    const { port } = listener.port;
    const protocol = transportOf(listener.port.protocol);
    const to = targetPort(fields, listener) ?? port;
    return [{ name: `${listener.port.protocol}-${port}`, port, targetPort: to, protocol }];
  });
}

type Http = Exclude<NonNullable<Fields['http']>, boolean>;

function mainRule(http: Http): Http {
  return { ...http, target_container: http.target_container ?? http.targetContainer };
}

function additionalRules({ http }: Fields) {
  return typeof http === 'object' ? (http.additional_rules ?? []) : [];
}

/** Every rule of `http`, the main one first. */
export function rulesOf({ http, ...fields }: Fields) {
  return typeof http === 'object' ? [mainRule(http), ...additionalRules({ http, ...fields })] : [];
}

function protocolOf({ http }: Fields): string {
  return typeof http === 'object' && http.version === 'grpc' ? 'grpc' : 'http';
}

/** The protocols of well-known ports, as service meshes name them. */
const knownPorts: Readonly<Record<number, string>> = { 3306: 'mysql', 5432: 'postgres', 6379: 'redis', 27017: 'mongo' };

/**
 * A name for a port, unique in the pod: a number may be in use for both TCP and UDP. It starts with `http` if the load
 * balancer sends HTTP to it; otherwise the protocol is known for well-known numbers only.
 */
export function portName(fields: Fields, port: number, protocol: 'TCP' | 'UDP'): string {
  const { image } = fields;
  if (protocol === 'UDP') return `udp-${port}`;
  const balanced = rulesOf(fields).some((rule) => (targetPort(fields, rule) ?? image?.port) === port);
  if (balanced) return port === image?.port ? protocolOf(fields) : `${protocolOf(fields)}-${port}`;
  return `${knownPorts[port] ?? 'tcp'}-${port}`;
}

/**
 * The container and port of a rule or listener, if it has them. For a sidecar without a port, the sidecar's own port.
 */
export function targetPort(
  { name, sidecars = {} }: Fields,
  { target_port, target_container }: Target,
): number | undefined {
  if (target_port) return target_port;
  return target_container && target_container !== name ? sidecars[target_container]?.port?.port : undefined;
}

/** The ports that each container of the workload listens on. */
export function listeningPorts(fields: Fields): ListeningPort[] {
  const { name = '', image, sidecars = {} } = fields;
  const ports: ListeningPort[] = [];
  function add(container: string, port: number | undefined, protocol?: string) {
    const transport = transportOf(protocol);
    const known = ports.some((other) => other.port === port && other.protocol === transport);
    if (port && !known) ports.push({ container, port, protocol: transport });
  }
  for (const [sidecar, { port }] of Object.entries(sidecars)) add(sidecar, port?.port, port?.protocol);
  add(name, image?.port);
  for (const rule of rulesOf(fields)) {
    add(rule.target_container ?? name, rule.target_port);
  }
  for (const listener of listenersOf(fields)) {
    add(listener.target_container ?? name, listener.target_port ?? listener.port?.port, listener.port?.protocol);
  }
  return ports;
}
