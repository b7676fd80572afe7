import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { output } from '../terminal/programs.ts';
import { say, step } from '../terminal/progress.ts';
import {
  applicationTags,
  aws,
  certificateStack,
  type Database,
  environmentDatabase,
  environmentNames,
  environmentStack,
  hasEnvironment,
  hasPassword,
  hasService,
  passwordParameter,
  requireSettled,
  serviceStack,
  stack,
  UPTIME_REGION,
  uptimeStack,
} from './cloud.ts';
import { command, confirm, type Target } from './command.ts';
import { copilot } from './copilot.ts';

// Deletes an environment and, with the last one, the application. A snapshot of the database remains.
await command('infra-destroy', ['copilot', 'aws'], async (target) => {
  const { application, environment, service } = target;
  const existing = await step('existing resources', async () => {
    if (!(await applicationTags(target))) return undefined;
    await requireSettled(serviceStack(target), environmentStack(target));
    const others = (await environmentNames(target)).filter((name) => name !== environment);
    return { others, database: await environmentDatabase(target) };
  });
  if (!existing) {
    say(`no application ${application} in ${target.region}: nothing to do`);
    return;
  }
  const { others, database } = existing;

  say(`\nThis deletes ${application}/${environment}: the service and its address, the log of its tasks, the network,`);
  say(`the database ${database ? `${database.id} (a final snapshot remains)` : '(none exists)'} and its password.`);
  say(
    others.length > 0
      ? `The application remains, with ${others.join(', ')}.`
      : 'It is the last environment: the application and its images are deleted too.',
  );
  await confirm(
    environment === 'prod' ? 'This is prod. Type its name to destroy it:' : 'Are you sure?',
    environment === 'prod' ? 'prod' : 'yes',
  );

  if (database && environment === 'prod') {
    const name = `${environmentStack(target)}-${new Date().toISOString().slice(0, 16).replace(/\D/g, '-')}`;
    await step(`snapshot ${name} of the database`, async () => {
      const type = snapshotType(database);
      const snapshot = [`--db-${type}-identifier`, name];
      await output('aws', ['rds', `create-db-${type}`, `--db-${database.kind}-identifier`, database.id, ...snapshot]);
      await output('aws', ['rds', 'wait', `db-${type}-available`, ...snapshot]);
    });
  }
  // First, or they would page.
  for (const [name, where] of [
    [uptimeStack(target), UPTIME_REGION],
    [certificateStack(target), target.region],
  ] as const) {
    if (!(await stack(name, where))) continue;
    await step(`the stack ${name} of make uptime, in ${where}`, async () => {
      const words = ['--stack-name', name, '--region', where];
      await output('aws', ['cloudformation', 'delete-stack', ...words]);
      await output('aws', ['cloudformation', 'wait', 'stack-delete-complete', ...words]);
    });
  }
  if (await stack(serviceStack(target))) {
    await step(`service ${service}`, () =>
      copilot(['svc', 'delete', '--name', service, '--env', environment, '--yes']),
    );
  }
  if (database) {
    await step("the database's protection against deletion", () =>
      output('aws', [
        'rds',
        `modify-db-${database.kind}`,
        `--db-${database.kind}-identifier`,
        database.id,
        '--no-deletion-protection',
        '--apply-immediately',
      ]),
    );
  }
  if (await hasEnvironment(target)) {
    await step(`environment ${environment}, with the database's final snapshot`, () =>
      copilot(['env', 'delete', '--name', environment, '--yes']),
    );
  }
  if (await hasPassword(target)) {
    await step("the database's password", () =>
      output('aws', ['ssm', 'delete-parameter', '--name', passwordParameter(target)]),
    );
  }
  if (others.length === 0) {
    await step(`application ${application}`, () =>
      keepingWorkspace(async () => {
        if (await hasService(target)) await copilot(['svc', 'delete', '--name', service, '--yes']);
        await copilot(['app', 'delete', '--name', application, '--yes']);
      }),
    );
  }

  const remaining = await step('remaining resources', () => leftovers(target, database));
  say(`\nThese remain, and cost a little until you delete them:\n${remaining}`);
});

/** Restores copilot/.workspace, a file of this repository, which Copilot deletes together with the application. */
async function keepingWorkspace(work: () => Promise<void>): Promise<void> {
  const file = 'copilot/.workspace';
  const kept = readFileSync(file);
  try {
    await work();
  } finally {
    if (!existsSync(file)) writeFileSync(file, kept);
  }
}

/** In the names of AWS's commands: `create-db-snapshot`, `create-db-cluster-snapshot`. */
function snapshotType({ kind }: Database): 'snapshot' | 'cluster-snapshot' {
  return kind === 'cluster' ? 'cluster-snapshot' : 'snapshot';
}

async function leftovers(target: Target, database: Database | undefined): Promise<string> {
  const lines: string[] = [];
  if (database) {
    const type = snapshotType(database);
    const [list, id] =
      database.kind === 'cluster'
        ? ['DBClusterSnapshots', 'DBClusterSnapshotIdentifier']
        : ['DBSnapshots', 'DBSnapshotIdentifier'];
    const query = ['--query', `${list}[].{id: ${id}, status: Status}`];
    const which = [`--db-${database.kind}-identifier`, database.id, '--snapshot-type', 'manual'];
    const answer = z.array(z.object({ id: z.string(), status: z.string() }));
    const snapshots = await aws(answer, 'rds', `describe-db-${type}s`, ...which, ...query);
    lines.push(
      ...snapshots.map(
        (one) => `snapshot ${one.id} (${one.status}): aws rds delete-db-${type} --db-${type}-identifier ${one.id}`,
      ),
    );
    lines.push(
      `the database's logs: aws logs delete-log-group --log-group-name /aws/rds/${database.kind}/${database.id}/error (and …/slowquery)`,
    );
  }
  const prefix = `${environmentStack(target)}-elbaccesslogsbucket`;
  const { Buckets } = await aws(
    z.object({ Buckets: z.array(z.object({ Name: z.string() })) }),
    's3api',
    'list-buckets',
  );
  lines.push(
    ...Buckets.filter(({ Name }) => Name.startsWith(prefix)).map(
      ({ Name }) => `access logs, for 90 days: aws s3 rb --force s3://${Name}`,
    ),
  );
  return lines.length > 0 ? lines.map((line) => `  ${line}`).join('\n') : '  nothing';
}
