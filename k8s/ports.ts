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

interface Target {
  target_container?: string | undefined;
  target_port?: number | undefined;
}

/**
 * The ports of the Service: first where `http` sends its requests (or `image.port` when there is no `http`), then
 * those of the additional rules, then those of `nlb`, then that of the main container. None for a workload that nothing sends to.
 */
export function servicePorts(fields: Fields): ServicePort[] {
  const { image, http, nlb } = fields;
  const ports: ServicePort[] = [];
  function add(port: ServicePort) {
    if (!ports.some((known) => known.port === port.port && known.protocol === port.protocol)) ports.push(port);
  }
  const rules =
    typeof http === 'object'
      ? [{ ...http, target_container: http.target_container ?? http.targetContainer }, ...(http.additional_rules ?? [])]
      : [];
  for (const [i, rule] of (rules.length > 0 || http === false ? rules : [{}]).entries()) {
    const port = targetPort(fields, rule) ?? image?.port;
    if (port) add({ name: i === 0 ? 'http' : `http-${port}`, port, targetPort: port, protocol: 'TCP' });
  }
  for (const listener of nlb ? [nlb, ...(nlb.additional_listeners ?? [])] : []) {
    if (!listener.port) continue;
    const { port } = listener.port;
    const protocol = listener.port.protocol === 'udp' ? 'UDP' : 'TCP';
    add({
      name: `${protocol.toLowerCase()}-${port}`,
      port,
      targetPort: targetPort(fields, listener) ?? port,
      protocol,
    });
  }
  // On ECS other services reach the main container past a sidecar that the load balancer sends to.
  if (image?.port) add({ name: `http-${image.port}`, port: image.port, targetPort: image.port, protocol: 'TCP' });
  return ports;
}

/** Where a rule or a listener sends to, when it says so. A sidecar that is named without a port is meant at its own. */
export function targetPort(
  { name, sidecars = {} }: Fields,
  { target_port, target_container }: Target,
): number | undefined {
  if (target_port) return target_port;
  return target_container && target_container !== name ? sidecars[target_container]?.port?.port : undefined;
}

/** The ports that each container of the workload listens on. */
export function listeningPorts(fields: Fields): ListeningPort[] {
  const { name = '', image, http, nlb, sidecars = {} } = fields;
  const ports: ListeningPort[] = [];
  function add(container: string, port: number | undefined, protocol: string | undefined = 'tcp') {
    const transport = protocol === 'udp' ? 'UDP' : 'TCP';
    const known = ports.some((other) => other.port === port && other.protocol === transport);
    if (port && !known) ports.push({ container, port, protocol: transport });
  }
  for (const [sidecar, { port }] of Object.entries(sidecars)) add(sidecar, port?.port, port?.protocol);
  add(name, image?.port);
  for (const rule of typeof http === 'object' ? [http, ...(http.additional_rules ?? [])] : []) {
    add(rule.target_container ?? name, rule.target_port);
  }
  for (const listener of nlb ? [nlb, ...(nlb.additional_listeners ?? [])] : []) {
    add(listener.target_container ?? name, listener.target_port ?? listener.port?.port, listener.port?.protocol);
  }
  return ports;
}
