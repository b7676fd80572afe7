import { readFileSync } from 'node:fs';
import { applyServerSide, type Cluster, loadImages } from './cluster.ts';
import { imagesOf, parseObjects } from './objects.ts';

/** Starts metrics-server, from which autoscalers read the load; kind has none. It is not waited for. */
export async function startMetricsServer(cluster: Cluster): Promise<void> {
  const objects = parseObjects(readFileSync(new URL('./metrics-server.yaml', import.meta.url), 'utf8'));
  await loadImages(cluster, imagesOf(objects));
  await applyServerSide(cluster.kubectl, objects);
}
