import type { Fields } from '../manifest/fields.ts';
import { servicePorts, targetPort } from './ports.ts';
import type { Workload } from './workload.ts';

/** Where the load balancer of an application sends a request. */
export interface Route {
  /** Undefined for any host. */
  host: string | undefined;
  path: string;
  service: string;
  port: number;
}

type Rule = Pick<Exclude<NonNullable<Fields['http']>, boolean>, 'path' | 'alias' | 'target_container' | 'target_port'>;

/**
 * The routes of all these workloads, in the order in which a load balancer of Copilot's asks for them: what names a
 * host before what doesn't, then longer paths first, so that `/` comes last. An internal load balancer is no way in from outside.
 * https://github.com/aws/copilot-cli/blob/v1.34.1/cf-custom-resources/lib/alb-rule-priority-generator.js
 */
export function routesOf(workloads: readonly Workload[]): Route[] {
  return workloads.flatMap(routesOfOne).toSorted((a, b) => {
    const byHost = Number(a.host === undefined) - Number(b.host === undefined);
    return byHost || (a.host ?? '').localeCompare(b.host ?? '') || b.path.length - a.path.length;
  });
}

function routesOfOne({ manifest }: Workload): Route[] {
  const { name, fields, type } = manifest;
  const [entry] = servicePorts(fields);
  if (!entry || type === 'Backend Service') return [];
  return rulesOf(fields).flatMap((rule) => {
    const path = `/${(rule.path ?? '/').replace(/^\//, '')}`;
    const port = targetPort(fields, rule) ?? fields.image?.port ?? entry.port;
    const hosts = rule.alias?.map((alias) => alias.name) ?? [undefined];
    return hosts.map((host) => ({ host, path, service: name, port }));
  });
}

function rulesOf({ http }: Fields): Rule[] {
  if (typeof http !== 'object') return [];
  const main = { ...http, target_container: http.target_container ?? http.targetContainer };
  return [main, ...(http.additional_rules ?? [])];
}
