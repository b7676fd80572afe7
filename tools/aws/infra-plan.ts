import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { Failed, output } from '../terminal/programs.ts';
import { say, step } from '../terminal/progress.ts';
import { applicationTags, aws, environmentStack, hasEnvironment, hasService, serviceStack, stack } from './cloud.ts';
import { command } from './command.ts';
import { requireLimits } from './limits.ts';
import { packaged, resources } from './plan.ts';

// Shows what `make infra-create` and `make publish` would create or change. Changes nothing.
await command('infra-plan', ['copilot', 'aws', 'git'], async (target) => {
  const { application, environment, service } = target;
  requireLimits(target);

  const exists = await step('existing resources', async () => {
    return (await applicationTags(target)) !== undefined && (await hasEnvironment(target));
  });
  if (!exists) {
    say(`\n${application}/${environment} does not exist. \`make infra-create\` would create`);
    say(`\nby Copilot: roles for deployments, a bucket and an image repository; a VPC with two public and two private
subnets, security groups, an ECS cluster, a service-discovery namespace, a bucket for the load balancer's access logs`);
    say(`\nby copilot/environments/addons/:\n${listAddons('copilot/environments/addons')}`);
    say(
      '\n`make publish` would add, by Copilot: a public load balancer (and in prod two NAT gateways), a task definition,\nan ECS service with auto scaling, a log group, Lambda functions that set these up',
    );
    say(`\nby copilot/${service}/addons/:\n${listAddons(`copilot/${service}/addons`)}`);
    return;
  }

  say(`\n# The environment ${environment}`);
  const env = await step('its templates, from Copilot', () => packaged('env', target));
  await step('the changes', async () => {
    say(await difference('env', '--name', environment));
    say(await addonsDifference(environmentStack(target), env.addons));
  });

  say(`\n# The service ${service}`);
  if (!(await hasService(target))) {
    say('not initialised: `make infra-create` does that');
    return;
  }
  const svc = await step('its templates, from Copilot', () => packaged('svc', target));
  if (await stack(serviceStack(target))) {
    await step('the changes', async () => {
      say(await difference('svc', '--name', service, '--env', environment));
      say('(UpdateID and Image change with every release.)\n');
      say(await addonsDifference(serviceStack(target), svc.addons));
    });
  } else {
    say(`never deployed: \`make publish\` would create\n${list(svc.stack)}\n${list(svc.addons)}`);
  }
});

function list(template: string): string {
  return resources(template)
    .map((line) => `  ${line}`)
    .join('\n');
}

function listAddons(folder: string): string {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yml') && name !== 'addons.parameters.yml')
    .map((name) => list(readFileSync(join(folder, name), 'utf8')))
    .join('\n');
}

/** Copilot's own diff. It exits with 1 if there are changes. */
async function difference(what: 'env' | 'svc', ...words: string[]): Promise<string> {
  try {
    return await output('copilot', [what, 'package', ...words, '--diff']);
  } catch (error) {
    if (error instanceof Failed && error.code === 1 && error.stdout) return error.stdout;
    throw error;
  }
}

/** The diff between the deployed template of the addons and the one here: Copilot's diff only says that they changed. */
async function addonsDifference(parent: string, here: string): Promise<string> {
  const answer = z.object({ StackResources: z.array(z.object({ PhysicalResourceId: z.string() })) });
  const nested = await aws(
    answer,
    'cloudformation',
    'describe-stack-resources',
    '--stack-name',
    parent,
    '--logical-resource-id',
    'AddonsStack',
  ).catch(() => undefined);
  const [name] = nested?.StackResources ?? [];
  if (!name) return `addons: never deployed\n${list(here)}`;
  const there = await aws(
    z.object({ TemplateBody: z.unknown() }),
    'cloudformation',
    'get-template',
    '--stack-name',
    name.PhysicalResourceId,
  );
  const folder = mkdtempSync(join(tmpdir(), 'plusone-'));
  try {
    const files = [join(folder, 'deployed'), join(folder, 'here')] as const;
    writeFileSync(files[0], withoutCode(String(there.TemplateBody)));
    writeFileSync(files[1], withoutCode(here));
    const { stdout } = spawnSync('git', ['diff', '--no-index', '--no-color', ...files], { encoding: 'utf8' });
    return stdout ? `addons:\n${stdout.split('\n').slice(4).join('\n')}` : 'addons: no changes';
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Copilot uploads the code of a function when it deploys, so only a deployed template has its location in S3. */
function withoutCode(template: string): string {
  return template.replace(/^( *)Code:(?: +\S+|(?:\n\1 +S3\w+: .*)+)$/gm, '$1Code: (uploaded by Copilot)');
}
