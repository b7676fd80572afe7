/** Programs of functions/ that run in the kind cluster, with the image of the service: it has Node and their packages. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Cluster } from '../../local-kind/cluster.ts';
import { Failed } from '../terminal/programs.ts';
import { Refusal } from '../terminal/refusal.ts';

const NAMESPACE = 'monitoring';

/**
 * The objects of a file in kubernetes/, as YAML: its program's IMAGE is that of the service, and FUNCTIONS is a ConfigMap
 * with the program of functions/ and what it imports.
 * @throws {Refusal} if the cluster has no service
 */
export async function withFunctions(cluster: Cluster, file: string, program: string): Promise<string> {
  const image = await serviceImage(cluster);
  const data = Object.fromEntries(sourcesOf(program));
  const text = readFileSync(`tools/dashboard/kubernetes/${file}.yaml`, 'utf8');
  const [, partOf = ''] = /app\.kubernetes\.io\/part-of: (\w+)/.exec(text) ?? [];
  // A name by its content, so that a change of it is a change of the pod.
  const name = `functions-${createHash('sha256').update(JSON.stringify(data)).digest('hex').slice(0, 10)}`;
  const metadata = { name, namespace: NAMESPACE, labels: { 'app.kubernetes.io/part-of': partOf } };
  const functions = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
  const manifests = text
    .replace('image: IMAGE', () => `image: ${image}`)
    .replace('name: FUNCTIONS', () => `name: ${name}`);
  return `${manifests}\n---\n${functions}\n`;
}

/** The files of functions/ that a program consists of, by name with their text: its own, and those that it imports. */
export function sourcesOf(program: string): Map<string, string> {
  const sources = new Map<string, string>();
  const pending = [`${program}.ts`];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (sources.has(name)) continue;
    const text = readFileSync(`functions/${name}`, 'utf8');
    sources.set(name, text);
    for (const [, imported = ''] of text.matchAll(/ from '\.\/([\w-]+\.ts)'/g)) pending.push(imported);
  }
  return sources;
}

async function serviceImage({ name, kubectl }: Cluster): Promise<string> {
  const path = 'jsonpath={.spec.template.spec.containers[0].image}';
  try {
    return await kubectl(['get', 'deployment', 'plusone', '-n', 'plusone', '-o', path]);
  } catch (error) {
    if (error instanceof Failed) throw new Refusal(`the cluster ${name} has no Plusone yet: make up`);
    throw error;
  }
}
