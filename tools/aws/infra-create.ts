import { execFileSync } from 'node:child_process';
import { say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import {
  applicationTags,
  environmentStack,
  hasEnvironment,
  hasPassword,
  hasService,
  loadBalancer,
  requireSettled,
  serviceStack,
} from './cloud.ts';
import { command, confirm, type Target } from './command.ts';
import { copilot } from './copilot.ts';
import { newPassword, putPassword } from './database-password.ts';
import { requireLimits } from './limits.ts';
import { withProfile } from './profile.ts';

// Creates everything that a release needs: the application, the database's password, the environment with its database and
// the image repository. Existing ones are skipped, so that a second run continues where the first one failed.
await command('infra-create', ['copilot', 'aws', 'git'], async (target) => {
  const { application, environment, service } = target;
  requireLimits(target);
  const tags = await step('existing resources', async () => {
    const tags = await applicationTags(target);
    requireOurs(tags, target);
    await requireSettled(environmentStack(target), serviceStack(target));
    return tags;
  });
  await confirm(
    `This creates or updates ${application}/${environment}: a network, a MySQL server, an image ` +
      'repository; docs/operations.md has what it costs. Are you sure?',
    'yes',
  );

  if (!tags) {
    await step(`application ${application}`, async () => {
      const domain = process.env.DOMAIN ? ['--domain', process.env.DOMAIN] : [];
      await copilot(['app', 'init', application, '--resource-tags', `plusone-source=${source()}`, ...domain]);
    });
  }
  if (!(await hasEnvironment(target))) {
    await step(`environment ${environment}: its roles`, () =>
      withProfile(target.region, (profile, env) =>
        copilot(['env', 'init', '--name', environment, '--profile', profile, '--default-config'], env),
      ),
    );
  }
  if (!(await hasPassword(target))) {
    await step("the database's password, generated here and stored in SSM Parameter Store", () =>
      putPassword(target, newPassword()),
    );
  }
  await step(`environment ${environment}: network and database (a new database takes 10 minutes)`, () =>
    copilot(['env', 'deploy', '--name', environment]),
  );
  if (!(await hasService(target))) {
    await step(`service ${service}: its image repository`, () => copilot(['svc', 'init', '--name', service]));
  }

  const url = await loadBalancer(target);
  say(url ? `\nThe service is at ${url}` : `\nNext: AWS_ACCOUNT=… ENV=${environment} make publish`);
});

function requireOurs(tags: Record<string, string> | undefined, { application, region }: Target): void {
  const owner = tags?.['plusone-source'];
  if (tags && owner !== source()) {
    throw new Refusal(
      `the application ${application} in this account (${region}) belongs to ${owner ?? 'another repository'}, not to ${source()}. ` +
        'Use another account or region, or another name in copilot/.workspace',
    );
  }
}

/** Identifies this repository in a tag: host and path of its remote, else its first commit. */
function source(): string {
  const git = (...words: string[]) =>
    execFileSync('git', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const remote = git('remote', 'get-url', 'origin');
    return remote
      .replace(/^\w+:\/\//, '')
      .replace(/^[^@/]*@/, '')
      .replace(/\.git$/, '')
      .replace(/[^\w.:/=+@-]/g, '-')
      .slice(-256);
  } catch {
    return git('rev-list', '--max-parents=0', 'HEAD').split('\n')[0] ?? 'unknown';
  }
}
