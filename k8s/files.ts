import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type App, Chart, Yaml } from 'cdk8s';
import { z } from 'zod';

/** A file of objects. */
export interface ObjectFile {
  name: string;
  text: string;
  /** Whether it has values of Secrets. */
  secret: boolean;
}

const kubernetesObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});
type KubernetesObject = z.output<typeof kubernetesObject>;

/** The kinds that others depend on, in order; the other kinds follow, sorted by name. */
const order = [
  ...['Namespace', 'ServiceAccount', 'Secret', 'ExternalSecret', 'ConfigMap', 'PersistentVolumeClaim', 'Role'],
  ...['RoleBinding', 'NetworkPolicy', 'Service', 'Deployment', 'CronJob', 'HorizontalPodAutoscaler'],
];

/** The objects of several apps in one file, or one file a kind with a kustomization, each object once. */
export function layOut(apps: readonly App[], layout: 'kind' | 'one'): ObjectFile[] {
  const objects = [...new Map(apps.flatMap(objectsOf).map((object) => [identity(object), object])).values()];
  const sorted = objects.toSorted((a, b) => rank(a) - rank(b) || a.kind.localeCompare(b.kind));
  if (layout === 'one') return [file('all', sorted)];
  const files = [...Map.groupBy(sorted, ({ kind }) => kind)].map(([kind, ofKind]) => file(kind.toLowerCase(), ofKind));
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: files.map(({ name }) => name),
  };
  return [...files, { name: 'kustomization.yaml', text: Yaml.stringify(kustomization), secret: false }];
}

function objectsOf(app: App): KubernetesObject[] {
  const charts = app.node.findAll().filter((node) => node instanceof Chart);
  return charts.flatMap((chart) => z.array(kubernetesObject).parse(chart.toJson()));
}

function identity({ kind, metadata }: KubernetesObject): string {
  return [kind, metadata.namespace, metadata.name].join('/');
}

function rank({ kind }: KubernetesObject): number {
  const index = order.indexOf(kind);
  return index < 0 ? order.length : index;
}

function file(name: string, objects: readonly KubernetesObject[]): ObjectFile {
  return {
    name: `${name}.k8s.yaml`,
    text: Yaml.stringify(...objects),
    secret: objects.some(({ kind }) => kind === 'Secret'),
  };
}

/** Writes a file; only its owner may read one that has secrets or is for secrets. */
export function write(directory: string, { name, text, secret }: ObjectFile) {
  const path = join(directory, name);
  mkdirSync(directory, { recursive: true });
  writeFileSync(path, text, secret ? { mode: 0o600 } : {});
  if (secret) chmodSync(path, 0o600);
}
