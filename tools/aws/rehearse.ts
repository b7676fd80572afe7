import { attached } from '../terminal/programs.ts';
import { remark } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { command, confirm } from './command.ts';
import { acceptsAnyone } from './endpoint.ts';

// The commands of this folder, one after the other, as test/tools/aws/rehearsal.test.ts tries them: in a copy of this tree,
// against whatever the environment says is AWS (its proxy, CA bundle, credentials).
await command('rehearse', ['copilot', 'aws', 'docker', 'git'], async (target, account) => {
  if (!(await acceptsAnyone())) {
    const what = `This is AWS itself: it would create, pay for and destroy ${target.application} in account ${account}.`;
    if (process.env.YES !== '1') throw new Refusal(`${what} Only with YES=1, and then you are asked again`);
    await confirm(`${what} Type the account to go on:`, account);
    process.env.REHEARSE_IN_ACCOUNT = account;
  } else {
    remark('What answers for AWS is an emulator: it takes credentials that nobody issued.');
  }
  await attached('npm', ['run', '--silent', 'test:aws']);
});
