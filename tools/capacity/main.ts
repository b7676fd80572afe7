/** `npm run capacity`: what a number of users and requests needs, what it costs and which limit comes next. */
import { parseArgs } from 'node:util';
import { makeTarget } from '../terminal/make-target.ts';
import { say } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { MEASURED } from './measured.ts';
import { type Demand, type Plan, plan } from './plan.ts';

const USAGE = 'usage: npm run capacity -- --users 1e8 --rps 20000 [--writes 0.1]';

await makeTarget('npm run capacity', async () => {
  const args = process.argv.slice(2);
  if (args.includes('--help')) return say(USAGE);
  const demand = readDemand(args);
  const result = plan(demand, MEASURED);
  say(text(demand, result));
});

function readDemand(args: string[]): Demand {
  try {
    const { users, rps, writes } = parseArgs({
      args,
      options: {
        users: { type: 'string', default: '1e6' },
        rps: { type: 'string', default: '100' },
        writes: { type: 'string', default: '0.1' },
      },
    }).values;
    return {
      users: within('--users', users, 1, 1e11),
      peak: within('--rps', rps, 1, 1e8),
      writes: within('--writes', writes, 0, 1),
    };
  } catch (error) {
    if (error instanceof Refusal || !(error instanceof Error)) throw error;
    throw new Refusal(`${error.message}\n\n${USAGE}`);
  }
}

function within(option: string, given: string, least: number, most: number): number {
  const number = given.trim() === '' ? Number.NaN : Number(given);
  if (number >= least && number <= most) return number;
  throw new Refusal(
    `${option} ${given}: expected a number from ${least.toLocaleString('en')} to ${most.toLocaleString('en')}`,
  );
}

function text(
  { users, peak, writes }: Demand,
  { tasks, instance, data, storage, operations, connections, cost, limits }: Plan,
): string {
  const number = (value: number) => value.toLocaleString('en', { maximumSignificantDigits: 3 });
  const total = Object.values(cost).reduce((sum, one) => sum + one, 0);
  const [next] = limits;
  const rows: [string, string][] = [
    ['tasks', `${number(tasks)} of 1 vCPU and 2 GB`],
    ['database', `${instance.name} in two zones: ${instance.processors} vCPU, ${instance.gibibytes} GiB`],
    ['data', `${number(data / 1e9)} GB, on ${number(storage)} GB of gp3`],
    ['disk', `${number(operations)} operations per second`],
    ['connections', number(connections)],
    ...Object.entries(cost).map(([part, dollars]): [string, string] => [`$ ${part}`, number(dollars)]),
    ['$ a month', number(total)],
  ];
  return [
    `${number(users)} users, ${number(peak)} requests per second at the peak, ${number(writes * 100)} % of them write`,
    '',
    ...rows.map(([name, value]) => `  ${name.padEnd(16)}${value}`),
    '',
    ...(next === undefined ? [] : [limitText(next)]),
    ...limits.slice(1, 3).map(limitText),
  ].join('\n');

  function limitText({ what, used, available, remedy }: Plan['limits'][number]): string {
    const share = used / available;
    const when = share > 1 ? `exceeded ${number(share)} times` : `reached at ${number(1 / share)} times this demand`;
    return `${what}: ${when} (${number(used)} of ${number(available)}). Then: ${remedy}`;
  }
}
