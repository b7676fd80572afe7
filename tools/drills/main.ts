/** `npm run drill`: faults on purpose, and whether the service keeps what it promises. */
import { parseArgs } from 'node:util';
import { step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { awsDrills } from './aws/drills.ts';
import { openAwsPlace } from './aws/scene.ts';
import { conduct, type Drill, isKept, type OpenScene, type Place, type Result, TARGETS, type Target } from './drill.ts';
import { kindDrills } from './kind/drills.ts';
import { isClusterThere, openKindPlace } from './kind/scene.ts';
import { processDrills } from './process/drills.ts';
import { openProcessPlace } from './process/scene.ts';
import { describe, summary, writeReport } from './report.ts';

const USAGE = `usage: npm run drill -- NAME… [--target process|kind|aws] [--quick]

  NAME      one or more of the drills, or all
  --target  where; without it, on the process and in the kind cluster when there is one
            (aws: on the environment ENV, which gets a new release and a bad one; it asks first)
  --quick   short faults, and docs/reliability/ stays as it is
`;
/** As in sysexits.h. */
const USAGE_ERROR = 64;

class UsageError extends Error {}

/** What can be run on one target. */
class Programme<Scene extends OpenScene> {
  readonly target: Target;
  readonly #drills: readonly Drill<Scene>[];
  readonly #open: () => Promise<Place<Scene>>;

  constructor(target: Target, drills: readonly Drill<Scene>[], open: () => Promise<Place<Scene>>) {
    this.target = target;
    this.#drills = drills;
    this.#open = open;
  }

  get names(): string[] {
    return this.#drills.map(({ name }) => name);
  }

  list(): string {
    const lines = this.#drills.map(({ name, fault }) => `  ${name.padEnd(20)} ${fault}`);
    return [`--target ${this.target}`, ...lines, ''].join('\n');
  }

  /** Runs the drills of these names, one after the other, and tells and keeps what came of each. */
  async run(names: readonly string[], quick: boolean): Promise<Result[]> {
    const drills = this.#drills.filter(({ name, lasts }) => {
      return names.includes(name) || (names.includes('all') && !(quick && lasts.quick === undefined));
    });
    if (drills.length === 0) return [];
    const place = await this.#open();
    const results: Result[] = [];
    try {
      process.stdout.write(`On ${place.description}:\n\n`);
      for (const drill of drills) {
        const result = await step(drill.name, () => conduct(drill, place, { quick }));
        results.push(result);
        process.stdout.write(`${describe(result)}\n\n`);
        // At once: what was measured is kept, whatever becomes of the next one.
        if (!quick) writeReport(place.target, place.description, this.names, [result]);
      }
    } finally {
      await place.close();
    }
    return results;
  }
}

const programmes = [
  new Programme('process', processDrills, openProcessPlace),
  new Programme('kind', kindDrills, openKindPlace),
  new Programme('aws', awsDrills, openAwsPlace),
] as const;

async function main(): Promise<number> {
  const { positionals: names, values } = read();
  if (names.length === 0) {
    process.stdout.write(`${USAGE}\n${programmes.map((programme) => programme.list()).join('\n')}`);
    return 0;
  }
  const wanted = programmes.filter(({ target }) => values.target === undefined || values.target === target);
  if (wanted.length === 0) throw new UsageError(`--target is ${values.target}; it must be ${TARGETS.join(' or ')}`);
  const known = wanted.flatMap((programme) => programme.names);
  const unknown = names.filter((name) => name !== 'all' && !known.includes(name));
  if (unknown.length > 0) throw new UsageError(`there is no drill ${unknown.join(', ')}; npm run drill lists them`);

  const results: Result[] = [];
  for (const programme of wanted) {
    if (values.target === undefined && !(await isAtHand(programme.target))) continue;
    results.push(...(await programme.run(names, values.quick)));
  }
  process.stdout.write(`${summary(results)}\n`);
  return results.every(isKept) ? 0 : 1;
}

/** Whether a place is used that nobody asked for. */
async function isAtHand(target: Target): Promise<boolean> {
  if (target === 'kind') return await isClusterThere();
  return target === 'process';
}

function read() {
  const options = { target: { type: 'string' }, quick: { type: 'boolean', default: false } } as const;
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`drill: ${error.message}\n\n${USAGE}`);
    process.exitCode = USAGE_ERROR;
  } else if (error instanceof Refusal) {
    process.stderr.write(`drill: ${error.message}\n`);
    process.exitCode = 1;
  } else throw error;
}
