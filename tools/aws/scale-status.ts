import { describeRun } from '../../functions/scaler-runs.ts';
import { Failed } from '../terminal/programs.ts';
import { say } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { command } from './command.ts';
import { currentScale, scalerFunction, scalerRuns } from './scaling.ts';

const MINUTES = 15;
const RUNS = 10;
const FIXED = 'a fixed count: the scaler changes nothing until count in the manifest has a range';

// Shows the number of tasks and the scaler's last runs: its readings, its decisions and their reasons.
await command('scale-status', ['aws'], async (target) => {
  const scale = await currentScale(target);
  if (scale === undefined) {
    throw new Refusal(
      `${target.application}/${target.environment} has no service ${target.service}: ENV=${target.environment} make publish`,
    );
  }
  const { desired, running, bounds } = scale;
  const range = bounds ? `from ${bounds.min} to ${bounds.max}` : FIXED;
  say(`desired ${desired}, running ${running}, ${range}`);
  const runs = await scalerRuns(target, Date.now() - MINUTES * 60_000).catch((error: unknown) => {
    if (error instanceof Failed && error.stderr.includes('ResourceNotFoundException'))
      throw new Refusal(
        `${scalerFunction(target)} has no log group: it is not deployed. copilot/plusone/addons/scaler.yml deploys it, with make publish`,
      );
    throw error;
  });
  if (runs.length === 0) say(`the scaler did not run in the last ${MINUTES} minutes`);
  for (const one of runs.slice(-RUNS)) say(describeRun(one));
});
