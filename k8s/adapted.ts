import type { Unsupported } from '../manifest/mapping.ts';
import { objectName } from '../manifest/names.ts';
import { awsNames, dottedAlias, serviceAlias } from './cluster-names.ts';
import { type Container, containersOf, isTakenForAgent } from './containers.ts';
import { endsBesideService, waitingAtEnd } from './one-shot.ts';
import { overrideOf } from './overrides.ts';
import { listenersOf, rulesOf, targetPort } from './ports.ts';
import { acceptsOtherCodes } from './probes.ts';
import { isHost, routePath } from './routes.ts';
import { scalingOf } from './scaling.ts';
import { unknownVolumes } from './volumes.ts';
import type { Workload } from './workload.ts';

/** A field whose effect in the cluster differs from its effect on AWS, and the difference. */
export type Adapted = Unsupported;

/** The fields whose Kubernetes objects differ from what the manifest says, because a cluster works differently. */
export function adaptedOf(workload: Workload): Adapted[] {
  const { fields, type } = workload.manifest;
  const { count, http } = fields;
  const found: Adapted[] = [];
  const least = count && 'range' in count ? count.range?.min : undefined;
  if (least === 0 && type !== 'Scheduled Job')
    found.push({ path: 'count.range', reason: 'an autoscaler has at least 1 pod: minReplicas is 1 instead of 0' });
  for (const volume of unknownVolumes(workload))
    found.push({ path: `volume ${volume}`, reason: 'overrides add it: here it is a new, empty volume' });
  const isScaled = scalingOf(fields).metrics.length > 0;
  for (const { name, min, max } of workload.overrides.scheduledActions) {
    if (isScaled && (min === 0 || max === 0))
      found.push({ path: `ScheduledActions.${name}`, reason: 'an autoscaler has at least 1 pod: 1 instead of 0' });
  }
  if (acceptsOtherCodes(http))
    found.push({
      path: 'http.healthcheck.success_codes',
      reason:
        'an HTTP probe fails from status 400 and follows redirects: the probe is a TCP connect and ignores the status',
    });
  for (const [i, listener] of listenersOf(fields).entries()) {
    if (listener.port?.protocol === 'tls')
      found.push({
        path: i === 0 ? 'nlb.port' : `nlb.additional_listeners[${i - 1}].port`,
        reason: `on AWS the load balancer terminates TLS; here port ${listener.port.port} does not: terminate TLS in front of it`,
      });
  }
  for (const [i, rule] of rulesOf(fields).entries()) {
    const at = i === 0 ? 'http' : `http.additional_rules[${i - 1}]`;
    const { path, target_container, target_port, alias = [] } = rule;
    if (/[*?]/.test(routePath(path)))
      found.push({ path: `${at}.path`, reason: `${path}: a route has no wildcards: * and ? match only themselves` });
    for (const { name } of alias) {
      if (!isHost(name.toLowerCase()))
        found.push({ path: `${at}.alias`, reason: `"${name}" is no DNS name: it gets no route` });
    }
    if (type === 'Load Balanced Web Service' && (targetPort(fields, rule) ?? fields.image?.port) === 443)
      found.push({
        path: target_port ? `${at}.target_port` : target_container ? `${at}.target_container` : 'image.port',
        reason:
          'on AWS the load balancer speaks HTTPS to port 443; a route speaks HTTP, unless its controller is told to use HTTPS',
      });
  }
  const { connect } = fields.network ?? {};
  if (typeof connect === 'object' && /^[^.]*_[^.]*$/.test(connect.alias))
    found.push({
      path: 'network.connect.alias',
      reason: `a Service's name has no underscores: use ${objectName(connect.alias)} instead of ${connect.alias}`,
    });
  const alias = dottedAlias(fields);
  if (alias !== undefined)
    found.push({
      path: 'network.connect.alias',
      reason: `a Service's name has no dots: ${alias} is replaced by ${workload.manifest.name} in this workspace`,
    });
  const second = serviceAlias(workload.manifest);
  if (second !== undefined && workload.takenNames.has(second))
    found.push({
      path: 'network.connect.alias',
      reason: `another workload is reached by the name ${second}, and in a cluster it leads to one of them: use ${workload.manifest.name}`,
    });
  for (const container of containersOf(fields)) {
    const reason = ending(workload, container);
    if (reason !== undefined) found.push({ path: `sidecars.${container.name}`, reason });
    found.push(...localNames(workload, container));
  }
  return found;
}

/** How a sidecar that may end runs here; undefined if it runs as on ECS. */
function ending(workload: Workload, container: Container): string | undefined {
  const { name, role, oneShot } = container;
  if (endsBesideService(workload, container)) {
    const why = role === 'along' ? 'not essential, and without a port' : 'not essential, and started after the service';
    if (waitingAtEnd(container))
      return `${why}: its shell waits after its program has ended, because a pod would restart it`;
    return role === 'along'
      ? `${why}: it is restarted when it ends. If it ends by itself, wait for success instead of start`
      : `${why}: it is an init container behind the service, so the pod is ready once it has succeeded, and it runs again until then`;
  }
  if (oneShot && role === 'before')
    return 'not essential, and without a port: it runs to completion before the service starts. If it keeps running, remove "essential: false"';
  if (role === 'along' && isTakenForAgent(name, workload.manifest.fields))
    return 'not essential, but taken for an agent, which keeps running: while it does not run, the pod is not ready. If it ends by itself, wait for success in image.depends_on';
  return undefined;
}

function localNames(workload: Workload, container: Container): Adapted[] {
  const { at, env_file, healthcheck } = container;
  const override = overrideOf(workload, container);
  const variables = { ...container.variables, ...Object.fromEntries(override.environment) };
  const { command = container.command ?? [], entryPoint = container.entrypoint ?? [] } = override;
  const texts = [
    ...[...(workload.environmentFiles.get(env_file ?? '') ?? [])].map(
      ([name, value]) => [`${env_file}: ${name}`, value] as const,
    ),
    ...Object.entries(variables).map(([name, value]) => [`${at}variables.${name}`, value] as const),
    ...command.map((word) => [`${at}command`, word] as const),
    ...entryPoint.map((word) => [`${at}entrypoint`, word] as const),
    ...(healthcheck?.command ?? []).map((word) => [`${at || 'image.'}healthcheck.command`, word] as const),
  ];
  return texts.flatMap(([path, text]) =>
    typeof text !== 'string'
      ? []
      : awsNames(workload, text).map(({ name, becomes }) => ({
          path,
          reason: `${name} resolves on AWS only: it is replaced by ${becomes}`,
        })),
  );
}
