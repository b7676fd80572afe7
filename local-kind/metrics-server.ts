import { readFileSync } from 'node:fs';
import { type Cluster, loadImages, presentImages } from './cluster.ts';
import { allContainers, list, parseObjects } from './objects.ts';

/** Starts metrics-server, from which autoscalers read the load; kind has none. It is not waited for. */
export async function startMetricsServer(cluster: Cluster): Promise<void> {
  const objects = parseObjects(readFileSync(new URL('./metrics-server.yaml', import.meta.url), 'utf8'));
  await loadImages(cluster, await presentImages(allContainers(objects).map(({ image }) => image)));
  await cluster.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], list(objects));
}
