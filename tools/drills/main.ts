/** `npm run drill`: injects faults and checks what the service guarantees. */
import { parseArgs } from 'node:util';
import { messageOf } from '../terminal/message.ts';
import { step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { awsDrills } from './aws/drills.ts';
import { openAwsEnvironment } from './aws/fixture.ts';
import {
  type Drill,
  type Environment,
  type Fixture,
  hasPassed,
  type Result,
  runDrill,
  TARGETS,
  type Target,
} from './drill.ts';
import { kindDrills } from './kind/drills.ts';
import { isClusterThere, openKindEnvironment } from './kind/fixture.ts';
import { processDrills } from './process/drills.ts';
import { openProcessEnvironment } from './process/fixture.ts';
import { describe, summary, writeReport } from './report.ts';

const USAGE = `usage: npm run drill -- NAME… [--target process|kind|aws] [--quick]

  NAME      one or more drills, or all
  --target  where; by default on the process, and in the kind cluster if there is one
            (aws: in the environment ENV, which gets a new release and a broken one; it asks first)
  --quick   short faults; doesn't change docs/reliability/
`;
/** As in sysexits.h. */
const USAGE_ERROR = 64;

class UsageError extends Error {}

/** The drills of one target. */
class Suite<F extends Fixture> {
  readonly target: Target;
  readonly #drills: readonly Drill<F>[];
  readonly #open: () => Promise<Environment<F>>;

  constructor(target: Target, drills: readonly Drill<F>[], open: () => Promise<Environment<F>>) {
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

  /** Runs the drills of these names, one after the other, and prints and saves each result. */
  async run(names: readonly string[], quick: boolean, signal: AbortSignal): Promise<Result[]> {
    const drills = this.#drills.filter(({ name, duration }) => {
      return names.includes(name) || (names.includes('all') && !(quick && duration.quick === undefined));
    });
    if (drills.length === 0) return [];
    const environment = await this.#open();
    const results: Result[] = [];
    try {
      process.stdout.write(`On ${environment.description}:\n\n`);
      for (const drill of drills) {
        const result = await step(drill.name, () => runDrill(drill, environment, { quick, signal }));
        results.push(result);
        process.stdout.write(`${describe(result)}\n\n`);
        // At once, so that a failure of the next one doesn't lose it.
        if (!quick) writeReport(environment.target, environment.description, this.names, [result]);
      }
    } finally {
      await environment.close();
    }
    return results;
  }
}

const suites = [
  new Suite('process', processDrills, openProcessEnvironment),
  new Suite('kind', kindDrills, openKindEnvironment),
  new Suite('aws', awsDrills, openAwsEnvironment),
] as const;

async function main(): Promise<number> {
  const { positionals: names, values } = read();
  if (names.length === 0 || values.help) {
    process.stdout.write(`${USAGE}\n${suites.map((suite) => suite.list()).join('\n')}`);
    return 0;
  }
  const wanted = suites.filter(({ target }) => values.target === undefined || values.target === target);
  if (wanted.length === 0) throw new UsageError(`--target is ${values.target}; must be ${TARGETS.join(' or ')}`);
  const known = wanted.flatMap((suite) => suite.names);
  const unknown = names.filter((name) => name !== 'all' && !known.includes(name));
  if (unknown.length > 0) throw new UsageError(`unknown drill: ${unknown.join(', ')}; npm run drill lists them`);

  const results: Result[] = [];
  const signal = interruption();
  for (const suite of wanted) {
    if (values.target === undefined && !(await isDefault(suite.target))) continue;
    results.push(...(await suite.run(names, values.quick, signal)));
  }
  process.stdout.write(`${summary(results)}\n`);
  return results.every(hasPassed) ? 0 : 1;
}

class Interrupted extends Error {}

/** Aborts at Ctrl-C, so that a fault does not stay. A second one ends the process at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => {
    process.stderr.write('\ndrill: interrupted; what it changed is restored\n');
    controller.abort(new Interrupted());
  });
  return controller.signal;
}

/** Whether a target is used by default. */
async function isDefault(target: Target): Promise<boolean> {
  if (target === 'kind') return await isClusterThere();
  return target === 'process';
}

function read() {
  const options = {
    target: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  } as const;
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(messageOf(error));
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
  } else if (error instanceof Interrupted) {
    // The load and the fault would go on. As a shell does for SIGINT.
    process.exit(130);
  } else throw error;
}
