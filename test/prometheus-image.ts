import { readFileSync } from 'node:fs';
import { output } from '../tools/terminal/programs.ts';
import { skipWithout } from './skip.ts';

/**
 * Loads the image of prom/prometheus into the node of a kind cluster, under the tag that the manifests name: which version
 * this machine has is of no importance. Skips without one.
 */
export async function loadPrometheus(context: Mocha.Context, cluster: string): Promise<void> {
  const words = ['image', 'ls', '--format', '{{.Repository}}:{{.Tag}}', 'prom/prometheus'];
  const images = (await output('docker', words).catch(() => '')).split('\n');
  const [present = ''] = images;
  if (present === '') skipWithout(context, 'prom/prometheus', 'it needs Docker and an image of prom/prometheus');
  const manifest = readFileSync('tools/dashboard/kubernetes/prometheus.yaml', 'utf8');
  const [, wanted = ''] = /image: (prom\/prometheus:\S+)/.exec(manifest) ?? [];
  if (images.includes(wanted)) return;
  const node = `${cluster}-control-plane`;
  await output('kind', ['load', 'docker-image', '--name', cluster, '--nodes', node, present]);
  const names = [present, wanted].map((image) => `docker.io/${image}`);
  await output('docker', ['exec', node, 'ctr', '-n', 'k8s.io', 'images', 'tag', '--force', ...names]);
}
