import type { Fields } from '../manifest/fields.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { objectName } from '../manifest/names.ts';
import type { Workload } from './workload.ts';

interface Rewriting {
  pattern: RegExp;
  replacement: (match: string) => string;
}

/**
 * A text in which names that resolve only on AWS are replaced by those of the cluster's Services: of service discovery,
 * `api.test.shop.local`, and the aliases of Service Connect that no Service can have.
 * https://aws.github.io/copilot-cli/docs/developing/svc-to-svc-communication/
 */
export function withClusterNames(workload: Workload, text: string): string {
  return rewritings(workload).reduce(
    (result, { pattern, replacement }) => result.replaceAll(pattern, replacement),
    text,
  );
}

/** The names in a text that resolve only on AWS, each with its replacement. */
export function awsNames(workload: Workload, text: string): { name: string; becomes: string }[] {
  return rewritings(workload).flatMap(({ pattern, replacement }) =>
    [...text.matchAll(pattern)].map(([name]) => ({ name, becomes: replacement(name) })),
  );
}

function rewritings({ environment, application, namespace, dottedAliases }: Workload): Rewriting[] {
  const suffix = `${environment}.${application}.local`;
  const discovery: Rewriting = {
    pattern: whole(`(?:[\\w-]+\\.)?${literal(suffix)}`),
    replacement: (match) => {
      const service = match.slice(0, -suffix.length).toLowerCase().replaceAll('_', '-');
      return `${service}${namespace}.svc.cluster.local`;
    },
  };
  const aliases = [...dottedAliases].map(([alias, service]) => ({
    pattern: whole(literal(alias)),
    replacement: () => service,
  }));
  return [discovery, ...aliases];
}

/** The alias of Service Connect, if it cannot be the name of a Service; undefined if it can, or without an alias. */
export function dottedAlias({ network }: Fields): string | undefined {
  const alias = typeof network?.connect === 'object' ? network.connect.alias : undefined;
  return alias?.includes('.') ? alias : undefined;
}

/** The alias of Service Connect as the name of a second Service; undefined if there is none, or none can have it. */
export function serviceAlias({ name, fields }: Manifest): string | undefined {
  const connect = fields.network?.connect;
  if (typeof connect !== 'object' || dottedAlias(fields) !== undefined) return undefined;
  const alias = objectName(connect.alias);
  return alias === name ? undefined : alias;
}

/** Matches such a name, but not as part of a longer one. */
function whole(pattern: string): RegExp {
  return new RegExp(`(?<![\\w.-])${pattern}(?![\\w-]|\\.\\w)`, 'gi');
}

function literal(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
