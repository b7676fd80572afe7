/** MySQL of `make up`, in place of RDS: one server, or three that replicate. */
import { readFileSync } from 'node:fs';
import { Refusal } from '../tools/terminal/refusal.ts';
import type { Cluster } from './cluster.ts';
import { type KubernetesObject, parseObjects } from './objects.ts';

/** The values of DATABASE: one server, or three with Group Replication and an endpoint that leads to the primary. */
export const DATABASES = ['single', 'cluster'] as const;
export type Database = (typeof DATABASES)[number];

const FILES: { readonly [database in Database]: URL } = {
  single: new URL('./mysql.yaml', import.meta.url),
  cluster: new URL('./mysql-cluster.yaml', import.meta.url),
};
/** The Service of the StatefulSet, which differs between the two and cannot change. */
const MEMBERS = 'mysql-members';

/**
 * The database that a cluster has; `wanted` if it has none, by default one server.
 * @throws {Refusal} if it has another one than wanted
 */
export async function chooseDatabase(
  { name, kubectl }: Pick<Cluster, 'name' | 'kubectl'>,
  namespace: string,
  wanted: Database | undefined,
): Promise<Database> {
  const path = 'jsonpath={.spec.serviceName}';
  const service = await kubectl(['get', 'statefulset', 'mysql', '-n', namespace, '--ignore-not-found', '-o', path]);
  if (service === '') return wanted ?? 'single';
  const present = service === MEMBERS ? 'cluster' : 'single';
  if (wanted !== undefined && wanted !== present)
    throw new Refusal(
      `the cluster ${name} has DATABASE=${present}, and a cluster keeps its database with the data: ` +
        `leave DATABASE out, or make down CLUSTER=${name} first, which deletes the data`,
    );
  return present;
}

/** The Kubernetes objects of a database. */
export function databaseObjects(database: Database): KubernetesObject[] {
  return parseObjects(readFileSync(FILES[database], 'utf8'));
}
