import { openWorkspace } from '../../manifest/workspace.ts';
import { Failed } from '../terminal/programs.ts';
import { say } from '../terminal/progress.ts';
import { requireTools } from '../terminal/requirements.ts';
import { common, help } from './cluster.ts';
import { AFTER_INSTALLING, command } from './command.ts';
import { exitCodes } from './exit.ts';

export const downCommand = command({
  name: 'down',
  summary: 'Remove the cluster of the workspace, with all data in it',
  options: { ...common, help },
  async run(values) {
    const found = openWorkspace(values.workspace);
    await requireTools(['docker', 'kind'], AFTER_INSTALLING);
    const { down } = await import('../../local-kind/application.ts');
    const { name, existed } = await down(found, values.cluster).catch((error: unknown) => {
      throw error instanceof Failed ? new Error(error.message) : error;
    });
    say(existed ? `deleted the cluster ${name}` : `there is no cluster ${name}: nothing was deleted`);
    return exitCodes.done;
  },
});
