import { isDeepStrictEqual } from 'node:util';
import { objectName } from '../manifest/names.ts';
import { type Container, containersOf } from './containers.ts';
import type { Workload } from './workload.ts';

/** The image of a container: `image.location` of the manifest, or the name under which the built image is loaded. */
export function imageOf({ manifest, image }: Workload, container: Container): string {
  if (container.image?.location) return container.image.location;
  const sameBuild = isDeepStrictEqual(buildOf(container), buildOf({ image: manifest.fields.image }));
  if (container.role === 'main' || sameBuild) return image;
  const tag = /:[^/:]+$/.exec(image)?.[0] ?? '';
  return `${objectName(`${manifest.name}-${container.name}`)}${tag}`;
}

/** The images to build and load into the cluster, and the Dockerfile of each. */
export function builtImages(workload: Workload): Map<string, string> {
  const built = containersOf(workload.manifest.fields).filter(({ image }) => !image?.location);
  const isSite = workload.manifest.type === 'Static Site';
  const from = (container: Container) => (isSite ? `${siteFolder(workload)}/Dockerfile` : dockerfileOf(container));
  return new Map(built.map((container) => [imageOf(workload, container), from(container)]));
}

/** How the image of a container is built; undefined if it is pulled. */
export function buildOf({ image }: Pick<Container, 'image'>) {
  return image && 'build' in image ? image.build : undefined;
}

/** The path of the Dockerfile of a container that is built, from the root of the workspace. */
export function dockerfileOf(container: Container): string {
  const build = buildOf(container) ?? {};
  const context = 'context' in build ? build.context : undefined;
  return build.dockerfile ?? (context ? `${context}/Dockerfile` : 'Dockerfile');
}

/** The folder beside the objects that the image of a Static Site is built from. */
export function siteFolder({ manifest }: Workload): string {
  return `${manifest.name}.image`;
}
