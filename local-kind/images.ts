/** The images of a workspace: built as Copilot builds them, or pulled, and loaded into the cluster. */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Container, containersOf } from '../k8s/containers.ts';
import { buildOf, dockerfileOf, imageOf } from '../k8s/images.ts';
import { siteFiles, writeSite } from '../k8s/static-site.ts';
import type { Workload } from '../k8s/workload.ts';
import { Failed, output, run } from '../tools/terminal/programs.ts';
import type { Image } from './cluster.ts';
import { NotReady } from './wait-for-rollout.ts';

/** An image in the objects of a workload, and how it is built. */
export interface WantedImage {
  /** Its name in the objects. */
  name: string;
  /** The arguments of `docker build`; undefined for an image that is pulled. */
  build: string[] | undefined;
  /** The files of a Static Site, from {@link siteFiles}, which are the whole build context. */
  site?: ReadonlyMap<string, string>;
}

/**
 * The images of the containers of a workload, each once. Paths are relative to `root`, the folder around `copilot/`.
 * Throws MissingInput for files of a Static Site that do not exist.
 */
export function wantedImages(workload: Workload, root: string): WantedImage[] {
  if (workload.manifest.type === 'Static Site')
    return [{ name: workload.image, build: undefined, site: siteFiles(workload.manifest, root) }];
  const all = containersOf(workload.manifest.fields).map((container) => ({
    name: imageOf(workload, container),
    build: container.image?.location ? undefined : buildArguments(container, root),
  }));
  return [...new Map(all.map((image) => [image.name, image])).values()];
}

/**
 * The arguments with which Copilot calls `docker build`: the default context is the folder of the Dockerfile. The
 * platform is that of this machine and cluster.
 * https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/manifest/workload.go
 */
function buildArguments(container: Container, root: string): string[] {
  const build = buildOf(container) ?? {};
  const dockerfile = dockerfileOf(container);
  const {
    context,
    target,
    args = {},
    cache_from: caches = [],
  } = {
    context: undefined,
    target: undefined,
    ...('args' in build || 'context' in build || 'target' in build ? build : {}),
  };
  return [
    ...['--file', join(root, dockerfile)],
    ...(target === undefined ? [] : ['--target', target]),
    ...Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    ...caches.flatMap((cache) => ['--cache-from', cache]),
    join(root, context ?? dirname(dockerfile)),
  ];
}

/**
 * Builds or pulls an image. Throws with the end of the tool's output, or with the login command of a private registry.
 */
export async function makeImage({ name, build, site }: WantedImage): Promise<Image> {
  if (build) return await buildImage(name, build);
  if (site) return await buildSite(name, site);
  try {
    return { name, id: await idOf(name) };
  } catch {
    await run('docker', ['pull', name]).catch((error: unknown) => {
      throw error instanceof Failed ? new NotReady(`${error.message}\n\n${pullRemedy(name)}`) : error;
    });
    return { name, id: await idOf(name) };
  }
}

const slots = Math.max(1, Math.min(4, availableParallelism()));
let running = 0;
const waiting: (() => void)[] = [];

/** One build per CPU, but at most four, because each needs memory. */
async function buildImage(name: string, build: readonly string[]): Promise<Image> {
  if (running >= slots) await new Promise<void>((resume) => waiting.push(resume));
  running += 1;
  try {
    await run('docker', ['build', '--tag', name, '--provenance=false', ...build]);
    return { name, id: await idOf(name) };
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

async function buildSite(name: string, files: ReadonlyMap<string, string>): Promise<Image> {
  const folder = mkdtempSync(join(tmpdir(), 'site-'));
  try {
    writeSite(folder, files);
    return await buildImage(name, [folder]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function idOf(name: string): Promise<string> {
  return await output('docker', ['image', 'inspect', '--format', '{{.Id}}', name]);
}

/** https://docs.docker.com/reference/cli/docker/login/ */
function pullRemedy(name: string): string {
  const [, registry = ''] = /^([^/]+[.:][^/]+)\//.exec(name) ?? [];
  const [, account, region] = /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com$/.exec(registry) ?? [];
  if (account)
    return `it is in a private registry: aws ecr get-login-password --region ${region} | docker login --username AWS --password-stdin ${registry}`;
  return `check the name and the network; if its registry is private: docker login ${registry || 'docker.io'}`;
}
