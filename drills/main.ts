/** `npm run drill`: faults on purpose, and whether the service keeps what it promises. */
import { parseArgs } from 'node:util';
import { conduct, type Drill, isKept, type OpenScene, type Place, type Result, TARGETS } from './drill.ts';
import { kindDrills } from './kind/drills.ts';
import { openKindPlace } from './kind/scene.ts';
import { processDrills } from './process/drills.ts';
import { openProcessPlace } from './process/scene.ts';
import { describe, summary, writeReport } from './report.ts';

const USAGE = `usage: npm run drill -- NAME… [--target process|kind|aws] [--quick]

  NAME      one or more of the drills, or all
  --target  where; process unless you say otherwise
  --quick   short faults, and docs/reliability/ stays as it is
`;
/** As in sysexits.h. */
const USAGE_ERROR = 64;

class UsageError extends Error {}

async function main(): Promise<number> {
  const { positionals, values } = read();
  const target = TARGETS.find((one) => one === values.target);
  if (target === undefined) throw new UsageError(`--target is ${values.target}; it must be ${TARGETS.join(', ')}`);
  switch (target) {
    case 'process':
      return await runAll(processDrills, openProcessPlace, positionals, values.quick);
    case 'kind':
      return await runAll(kindDrills, openKindPlace, positionals, values.quick);
    default:
      throw new UsageError(`there are no drills for ${target} yet`);
  }
}

function read() {
  try {
    const options = {
      target: { type: 'string', default: 'process' },
      quick: { type: 'boolean', default: false },
    } as const;
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Runs the drills of these names, one after the other, and gives back the exit code. */
async function runAll<Scene extends OpenScene>(
  drills: readonly Drill<Scene>[],
  open: () => Promise<Place<Scene>>,
  names: readonly string[],
  quick: boolean,
): Promise<number> {
  if (names.length === 0) {
    process.stdout.write(`${USAGE}\n${drills.map(({ name, fault }) => `  ${name.padEnd(20)} ${fault}`).join('\n')}\n`);
    return 0;
  }
  const unknown = names.filter((name) => name !== 'all' && !drills.some((drill) => drill.name === name));
  if (unknown.length > 0) {
    throw new UsageError(
      `there is no drill ${unknown.join(', ')}; there are ${drills.map(({ name }) => name).join(', ')}`,
    );
  }
  const place = await open();
  const results: Result[] = [];
  try {
    for (const drill of drills) {
      if (!names.includes('all') && !names.includes(drill.name)) continue;
      const result = await conduct(drill, place, { quick });
      results.push(result);
      process.stdout.write(`${describe(result)}\n\n`);
      // At once: what was measured is there, whatever becomes of the next one.
      if (!quick)
        writeReport(
          place.target,
          place.description,
          drills.map(({ name }) => name),
          [result],
        );
    }
  } finally {
    await place.close();
  }
  process.stdout.write(`${summary(results)}\n`);
  return results.every(isKept) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`drill: ${error.message}\n\n${USAGE}`);
  process.exitCode = USAGE_ERROR;
}
