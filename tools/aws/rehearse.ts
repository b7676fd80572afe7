import { attached } from '../terminal/programs.ts';
import { remark } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { command, confirm } from './command.ts';
import { isEmulator } from './endpoint.ts';

// Runs the tests of test/rehearsal, such as the commands of this folder, one after the other, in a copy of this working
// tree, against the AWS endpoint that the environment configures (proxy, CA bundle, credentials).
await command('rehearse', ['copilot', 'aws', 'docker', 'git'], async (target, account) => {
  if (!(await isEmulator())) {
    const what = `This is AWS itself: it would create, pay for and destroy ${target.application} in account ${account}.`;
    if (process.env.YES !== '1') throw new Refusal(`${what} It requires YES=1, and asks again`);
    await confirm(`${what} Type the account to continue:`, account);
    process.env.REHEARSE_IN_ACCOUNT = account;
  } else {
    remark('The AWS endpoint is an emulator: it accepts random credentials.');
  }
  await attached('npm', ['run', '--silent', 'test:aws']);
});
