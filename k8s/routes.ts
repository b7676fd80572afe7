import { ApiObject, type Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { rulesOf, servicePorts, targetPort } from './ports.ts';
import type { Workload } from './workload.ts';

/** A rule of the load balancer of an application: the workload for a host and path. */
export interface Route {
  /** Undefined for any host. */
  host: string | undefined;
  path: string;
  service: string;
  port: number;
}

/**
 * The routes of all these workloads, in the order of Copilot's load balancer: those with a host first, then longer
 * paths first, so that `/` comes last. Workloads that have a domain of their own on AWS follow those of the load
 * balancer. Internal load balancers and private services are left out, because they are not reachable from outside.
 * https://github.com/aws/copilot-cli/blob/v1.34.1/cf-custom-resources/lib/alb-rule-priority-generator.js
 */
export function routesOf(workloads: readonly Workload[]): Route[] {
  const hasDomain = ({ manifest }: Workload) => ['Request-Driven Web Service', 'Static Site'].includes(manifest.type);
  const ordered = workloads.toSorted((a, b) => Number(hasDomain(a)) - Number(hasDomain(b)));
  return ordered.flatMap(routesOfOne).toSorted((a, b) => {
    const byHost = Number(a.host === undefined) - Number(b.host === undefined);
    return byHost || (a.host ?? '').localeCompare(b.host ?? '') || b.path.length - a.path.length;
  });
}

/** The first route for each host and path, and those that it hides. */
export function withoutHidden(all: readonly Route[]): { routes: Route[]; hidden: Route[] } {
  // A final slash makes no difference to a load balancer or an Ingress.
  const key = ({ host = '', path }: Route) => `${host}${path.replace(/\/+$/, '')}`;
  const firsts = new Map(all.toReversed().map((route) => [key(route), route]));
  const isFirst = (route: Route) => firsts.get(key(route)) === route;
  return { routes: all.filter(isFirst), hidden: all.filter((route) => !isFirst(route)) };
}

function routesOfOne({ manifest }: Workload): Route[] {
  const { name, fields, type } = manifest;
  const [entry] = servicePorts(fields);
  if (!entry || type === 'Backend Service' || fields.isPrivate) return [];
  return rulesOf(fields).flatMap((rule) => {
    const path = routePath(rule.path);
    const port = targetPort(fields, rule) ?? fields.image?.port ?? entry.port;
    const hosts = rule.alias?.map((alias) => alias.name.toLowerCase()).filter(isHost) ?? [undefined];
    return hosts.map((host) => ({ host, path, service: name, port }));
  });
}

/** Whether a route may name that host: https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-v1/ */
export function isHost(name: string): boolean {
  const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
  return name.length <= 253 && new RegExp(`^(\\*\\.)?${label}(\\.${label})*$`).test(name);
}

/** The path prefix of a route. A trailing `/*` means the same. */
export function routePath(stated = '/'): string {
  return `/${stated}`
    .replaceAll(/\/+/g, '/')
    .replace(/(?<=.)\/\*$/, '')
    .replace(/^\/\*$/, '/');
}

/** Adds an Ingress of that name with all routes. */
export function addIngress(chart: Chart, name: string, routes: readonly Route[]) {
  new k8s.KubeIngress(chart, 'ingress', {
    metadata: { name },
    spec: {
      rules: [...byHost(routes)].map(([host, ofHost]) => ({
        ...(host === undefined ? {} : { host }),
        http: {
          paths: ofHost.map(({ path, service, port }) => ({
            path,
            pathType: 'Prefix',
            backend: { service: { name: service, port: { number: port } } },
          })),
        },
      })),
    },
  });
}

/**
 * Adds an HTTPRoute of the Gateway API for each host, on a Gateway that is named as NAME or NAMESPACE/NAME.
 * https://gateway-api.sigs.k8s.io/reference/api-spec/main/spec/
 */
export function addHttpRoutes(chart: Chart, name: string, routes: readonly Route[], gateway: string) {
  const [parent = '', namespace] = gateway.split('/').toReversed();
  for (const [host, ofHost] of byHost(routes)) {
    const suffix = host === undefined ? '' : `-${host.replace('*', 'any').replaceAll('.', '-')}`;
    new ApiObject(chart, `route${suffix}`, {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: `${name}${suffix}`.slice(0, 253) },
      spec: {
        parentRefs: [{ name: parent, ...(namespace === undefined ? {} : { namespace }) }],
        ...(host === undefined ? {} : { hostnames: [host] }),
        rules: ofHost.map(({ path, service, port }) => ({
          matches: [{ path: { type: 'PathPrefix', value: path } }],
          backendRefs: [{ name: service, port }],
        })),
      },
    });
  }
}

function byHost(routes: readonly Route[]): Map<string | undefined, Route[]> {
  return Map.groupBy(routes, ({ host }) => host);
}
