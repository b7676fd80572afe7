import { join } from 'node:path';
import { ECRClient, GetAuthorizationTokenCommand } from '@aws-sdk/client-ecr';
import { output, run } from '../tools/terminal/programs.ts';
import { Refusal } from '../tools/terminal/refusal.ts';
import { handler } from './aws.ts';

/** The build settings of an image in a manifest; the paths are relative to the workspace. */
export interface Build {
  readonly dockerfile?: string | undefined;
  readonly context?: string | undefined;
  readonly target?: string | undefined;
  readonly args?: Readonly<Record<string, string>> | undefined;
  readonly cache_from?: readonly string[] | undefined;
}

/** The registry and the repository of an image in ECR without tag and digest. Throws Refusal. */
export function repositoryOf(image: string): { registry: string; repository: string } {
  const [, registry, name] = /^(\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?)\/([^:@]+)/.exec(image) ?? [];
  if (registry === undefined || name === undefined)
    throw new Refusal(`the deployed image ${image} is not in ECR: nothing says where to push to; use --image`);
  return { registry, repository: `${registry}/${name}` };
}

/** The arguments of `docker build`, with Copilot's defaults. */
export function buildWords(build: Build, platform: string | undefined, tag: string, root: string): string[] {
  const { dockerfile, context, target, args = {}, cache_from: caches = [] } = build;
  const file = join(root, dockerfile ?? (context === undefined ? 'Dockerfile' : join(context, 'Dockerfile')));
  return [
    ...['build', '--tag', tag, '--file', file],
    ...(target === undefined ? [] : ['--target', target]),
    ...(platform === undefined ? [] : ['--platform', platform]),
    ...caches.flatMap((cache) => ['--cache-from', cache]),
    ...Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    // The folder of the Dockerfile is what Copilot builds from when no context is given.
    join(root, context ?? join(dockerfile ?? 'Dockerfile', '..')),
  ];
}

/** Builds an image, pushes it to ECR and returns its name with the tag. */
export async function buildAndPush(
  build: Build,
  {
    platform,
    repository,
    registry,
    tag,
    root,
  }: { platform: string | undefined; repository: string; registry: string; tag: string; root: string },
): Promise<string> {
  const image = `${repository}:${tag}`;
  await run('docker', buildWords(build, platform, image, root));
  const client = new ECRClient({ requestHandler: handler(process.env) });
  const { authorizationData = [] } = await client.send(new GetAuthorizationTokenCommand({}));
  const [user = '', password = ''] = Buffer.from(authorizationData[0]?.authorizationToken ?? '', 'base64')
    .toString()
    .split(':');
  await output('docker', ['login', '--username', user, '--password-stdin', registry], { input: password });
  await run('docker', ['push', image]);
  return image;
}
