import { output } from '../terminal/programs.ts';
import { step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { environmentDatabase, hasEnvironment } from './cloud.ts';
import { command, confirm } from './command.ts';
import { awsWithSecret, newPassword, putPassword } from './database-password.ts';

// Changes the database's password: first in SSM, which a task reads again when MySQL refuses its password, then in RDS. Open
// connections stay open. If it fails halfway, it can be run again.
await command('rotate-password', ['aws'], async (target) => {
  const database = (await hasEnvironment(target)) ? await environmentDatabase(target) : undefined;
  if (!database) throw new Refusal(`${target.application}/${target.environment} has no database: make infra-create`);
  await confirm(`This gives ${database.id} a new password. Are you sure?`, 'yes');

  const password = newPassword();
  await step('the parameter in SSM', () => putPassword(target, password, { overwrite: true }));
  await step('the database', async () => {
    const { id, kind } = database;
    const which = kind === 'cluster' ? { DBClusterIdentifier: id } : { DBInstanceIdentifier: id };
    const change = { ...which, MasterUserPassword: password, ApplyImmediately: true };
    await awsWithSecret(change, 'rds', `modify-db-${kind}`);
    await output('aws', ['rds', 'wait', `db-${kind}-available`, `--db-${kind}-identifier`, id]);
  });
});
