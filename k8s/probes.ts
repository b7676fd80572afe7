import { k8s } from 'cdk8s-plus-27';
import {
  APP_RUNNER_DEFAULTS,
  CONTAINER_CHECK_DEFAULTS,
  GRACE_PERIOD,
  TARGET_GROUP_DEFAULTS,
} from '../manifest/defaults.ts';
import type { Fields } from '../manifest/fields.ts';
import { type Container, conditionsOn } from './containers.ts';
import { listenerPorts, servicePorts } from './ports.ts';

/** A word of a command as the pod has it. */
type Word = (stated: string) => string;

type Probes = Pick<k8s.Container, 'startupProbe' | 'readinessProbe' | 'livenessProbe'>;
type Http = Exclude<NonNullable<Fields['http']>, boolean>;
type HttpHealthcheck = Extract<NonNullable<Http['healthcheck']>, { port?: unknown }>;

/**
 * The probes of the service: readiness is the health check of the load balancer, liveness that of ECS. Neither counts
 * until the first success or the end of the grace period.
 */
export function serviceProbes(fields: Fields, word: Word): Probes {
  const { http, nlb, image } = fields;
  const [entry] = servicePorts(fields);
  const own = image?.healthcheck && execProbe(image.healthcheck, word);
  if (http && entry) return balancedProbes(fields, http === true ? {} : http, entry.targetPort, own);
  // A UDP port cannot be probed.
  const listener = listenerPorts(fields).find(({ protocol }) => protocol === 'TCP');
  if (nlb && listener) {
    const readinessProbe = { tcpSocket: { port: k8s.IntOrString.fromNumber(listener.targetPort) }, periodSeconds: 10 };
    return { readinessProbe, ...(own ? { livenessProbe: own } : {}) };
  }
  // Without a port, only the container's own check shows when it is ready.
  return own ? { livenessProbe: own, ...(entry ? { readinessProbe: own } : {}) } : {};
}

/**
 * The defaults are those of a target group, or of App Runner, which connects by TCP when there is no check at all; the
 * grace period is Copilot's.
 */
function balancedProbes(
  { type }: Fields,
  http: Http | Record<string, never>,
  targetPort: number,
  own: k8s.Probe | undefined,
): Probes {
  const isAppRunner = type === 'Request-Driven Web Service';
  const defaults = isAppRunner ? APP_RUNNER_DEFAULTS : TARGET_GROUP_DEFAULTS;
  const check: HttpHealthcheck = http.healthcheck ?? {};
  const {
    path = '/',
    port = targetPort,
    interval = defaults.interval,
    timeout = defaults.timeout,
    unhealthy_threshold = defaults.unhealthyThreshold,
    grace_period = GRACE_PERIOD,
  } = check;
  const at = { port: k8s.IntOrString.fromNumber(port) };
  const scheme = port === 443 ? { scheme: 'HTTPS' } : {};
  const action =
    http.version === 'grpc'
      ? grpcAction(path, port)
      : acceptsOtherCodes(http) || (isAppRunner && !http.healthcheck)
        ? { tcpSocket: at }
        : { httpGet: { path: absolute(path), ...at, ...scheme } };
  const ask = { ...action, timeoutSeconds: wholeSeconds(timeout) };
  const readinessProbe = { ...ask, periodSeconds: wholeSeconds(interval), failureThreshold: unhealthy_threshold };
  const patient = grace_period > 0;
  return {
    ...(patient ? { startupProbe: { ...ask, periodSeconds: 1, failureThreshold: wholeSeconds(grace_period) } } : {}),
    readinessProbe,
    ...(own ? { livenessProbe: patient ? withoutDelay(own) : own } : {}),
  };
}

/**
 * A call of gRPC's health service if the check names it, else a TCP connect, because any status may be the right one.
 */
function grpcAction(path: string, port: number): Pick<k8s.Probe, 'grpc' | 'tcpSocket'> {
  if (/^\/?grpc\.health\.v1\.Health\/Check$/.test(path)) return { grpc: { port } };
  return { tcpSocket: { port: k8s.IntOrString.fromNumber(port) } };
}

/**
 * Whether the load balancer accepts a status that an HTTP probe does not, as in `200,404` or `200-499`, or a redirect,
 * as in `200,301`: a probe follows it, and a redirect to HTTPS would lead to a port without TLS.
 */
export function acceptsOtherCodes(http: Fields['http']): boolean {
  const check = typeof http === 'object' ? http.healthcheck : undefined;
  const codes = check && 'success_codes' in check ? check.success_codes : undefined;
  return (codes ?? '').split(',').some((part) => {
    const [first = '', last] = part.split('-');
    return Number(first) > 299 || Number(last ?? 0) > 399;
  });
}

/** A path with its leading slash, as a load balancer reads it. */
function absolute(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

/** The probes of a sidecar that keeps running; with a startup probe if another container waits until it is healthy. */
export function sidecarProbes({ name, role, healthcheck }: Container, fields: Fields, word: Word): Probes {
  const probe = healthcheck && execProbe(healthcheck, word);
  if (!probe || role === 'before') return {};
  if (!conditionsOn(name, fields).includes('healthy')) return { livenessProbe: probe };
  return { startupProbe: { ...probe, failureThreshold: 30 }, livenessProbe: withoutDelay(probe) };
}

/** A health check of ECS, with Copilot's defaults, as a probe; undefined for `NONE`. */
function execProbe(check: NonNullable<Container['healthcheck']>, word: Word): k8s.Probe | undefined {
  const defaults = CONTAINER_CHECK_DEFAULTS;
  const { command = defaults.command, interval = defaults.interval, timeout = defaults.timeout } = check;
  const { retries = defaults.retries, start_period = defaults.start_period } = check;
  const [kind, ...rest] = command;
  if (kind === 'NONE' || kind === undefined) return undefined;
  const line = kind === 'CMD-SHELL' ? ['/bin/sh', '-c', rest.join(' ')] : kind === 'CMD' ? rest : command;
  return {
    exec: { command: line.map(word) },
    ...(start_period > 0 ? { initialDelaySeconds: wholeSeconds(start_period) } : {}),
    periodSeconds: wholeSeconds(interval),
    timeoutSeconds: wholeSeconds(timeout),
    failureThreshold: retries,
  };
}

function withoutDelay({ initialDelaySeconds, ...probe }: k8s.Probe): k8s.Probe {
  return probe;
}

/** Kubernetes needs whole seconds, at least one. */
function wholeSeconds(duration: number): number {
  return Math.max(1, Math.ceil(duration));
}
