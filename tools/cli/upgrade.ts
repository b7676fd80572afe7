import { projectFolder } from '../new/project.ts';
import { upgrade } from '../new/upgrade.ts';
import { say } from '../terminal/progress.ts';
import { command } from './command.ts';
import { exitCodes } from './exit.ts';

export const upgradeCommand = command({
  name: 'upgrade',
  summary: 'Bring the service of this folder to the template and packages of this version',
  details:
    'Replaces files that are still as plusone new wrote them. A file that was edited stays as it is: what the template changed in it is shown as a diff. Run it from the newer package; a second run changes nothing.',
  options: { help: { type: 'boolean', short: 'h', help: 'this text' } },
  examples: [['npx --package ./plusone-1.1.0.tgz plusone upgrade', 'to the version in that file']],
  async run() {
    const { from, to, written, kept } = await upgrade(projectFolder());
    say(from === to ? `the service is of version ${to}` : `upgraded from ${from} to ${to}; run npm install`);
    for (const path of written) say(`wrote ${path}`);
    if (written.length === 0 && kept.length === 0) say('no file of the template changed');
    for (const { path, difference } of kept)
      say(`\n${path} was edited, and the edits stay. The template differs:\n${difference}`);
    return exitCodes.done;
  },
});
