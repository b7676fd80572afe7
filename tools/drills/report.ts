import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { hasPassed, type Result, type Target } from './drill.ts';
import { timeline } from './timeline.ts';

const DIRECTORY = 'docs/reliability';

/** The last run of a drill, as it is kept in docs/reliability/<target>.json. */
const record = z.object({
  name: z.string(),
  fault: z.string(),
  ran: z.string(),
  on: z.string(),
  skipped: z.string().optional(),
  assertions: z.array(z.object({ description: z.string(), measured: z.string(), passed: z.boolean() })),
  requests: z.number().optional(),
  longestOutage: z.number().optional(),
  slowest: z.number().optional(),
});
type Record = z.infer<typeof record>;

/** Describes a result for the terminal: a line for each assertion. */
export function describe({ name, fault, skipped, assertions, figures, recording }: Result): string {
  const head = `${name}: ${fault}`;
  if (skipped !== undefined) return `${head}\n  – not run: ${skipped}`;
  const widest = Math.max(...assertions.map(({ description }) => description.length));
  const lines = assertions.map(
    ({ description, measured, passed }) => `  ${passed ? '✓' : '✗'} ${description.padEnd(widest)}  ${measured}`,
  );
  const outage =
    figures === undefined
      ? ''
      : `  longest outage ${figures.longestOutage.toFixed(2)} s, slowest answer ${figures.slowest.toFixed(2)} s, ${figures.requests} requests`;
  return [head, ...lines, outage, ...examples(recording)].join('\n');
}

const EXAMPLES = 3;

/** A few failures, for finding the reason. */
function examples(recording: Result['recording']): string[] {
  const failures = recording?.answers.filter(({ verdict }) => verdict === 'wrong' || verdict === 'aborted') ?? [];
  const reasons = failures.map(({ method, reason, sent }) => `${(sent / 1000).toFixed(2)} s ${method} ${reason}`);
  return [...reasons.slice(0, EXAMPLES), ...(recording?.audit.lost.slice(0, EXAMPLES) ?? [])].map(
    (line) => `    ${line}`,
  );
}

/** Adds results to those of earlier runs: <target>.json, <target>.md and one picture for each drill. */
export function writeReport(target: Target, on: string, order: readonly string[], results: readonly Result[]): void {
  mkdirSync(`${DIRECTORY}/${target}`, { recursive: true });
  const file = `${DIRECTORY}/${target}.json`;
  const known = existsSync(file) ? z.array(record).parse(JSON.parse(readFileSync(file, 'utf8'))) : [];
  const records = new Map(known.map((one) => [one.name, one]));
  const ran = new Date().toISOString().slice(0, 10);
  for (const { name, fault, skipped, assertions, figures, recording } of results) {
    records.set(name, {
      ...{ name, fault, ran, on },
      ...(skipped === undefined ? {} : { skipped }),
      assertions: [...assertions],
      ...(figures === undefined
        ? {}
        : { requests: figures.requests, longestOutage: figures.longestOutage, slowest: figures.slowest }),
    });
    if (recording !== undefined)
      writeFileSync(`${DIRECTORY}/${target}/${name}.svg`, timeline(`${target}: ${name}`, recording));
  }
  const inOrder = order.flatMap((name) => records.get(name) ?? []);
  writeFileSync(file, `${JSON.stringify(inOrder, null, 2)}\n`);
  writeFileSync(`${DIRECTORY}/${target}.md`, page(target, inOrder));
}

const TITLES: { readonly [target in Target]: string } = {
  process: 'Drills on the process',
  kind: 'Drills in the kind cluster',
  aws: 'Drills on AWS',
};

function page(target: Target, records: readonly Record[]): string {
  const summary = records.map(({ name, assertions, skipped, longestOutage, slowest, requests }) => {
    if (skipped !== undefined) return `| [${name}](#${name}) | not run: ${skipped} | | | |`;
    const passed = assertions.filter((assertion) => assertion.passed).length;
    const verdict =
      passed === assertions.length ? `${passed} of ${passed} passed` : `**${passed} of ${assertions.length} passed**`;
    return `| [${name}](#${name}) | ${verdict} | ${longestOutage?.toFixed(2)} s | ${slowest?.toFixed(2)} s | ${requests} |`;
  });
  const machines = [...new Set(records.map(({ on }) => on))].join('; ');
  return `# ${TITLES[target]}

Written by \`npm run drill -- all --target ${target}\`; how to read it is in [README.md](README.md). Measured on: ${machines}.

| drill | assertions | longest outage | slowest answer | requests |
| --- | --- | --- | --- | --- |
${summary.join('\n')}
${records.map((one) => section(target, one)).join('')}`;
}

function section(target: Target, { name, fault, ran, assertions, skipped }: Record): string {
  const head = `\n## ${name}\n\n${fault}.\n\n`;
  if (skipped !== undefined) return `${head}Not run on ${ran}: ${skipped}.\n`;
  const rows = assertions.map(
    ({ description, measured, passed }) => `| ${description} | ${measured} | ${passed ? 'passed' : '**failed**'} |`,
  );
  return `${head}| assertion | measured on ${ran} | |\n| --- | --- | --- |\n${rows.join('\n')}\n\n![Answers over time](${target}/${name}.svg)\n`;
}

/** One line for the end: how many drills ran, and which failed. */
export function summary(results: readonly Result[]): string {
  const run = results.filter(({ skipped }) => skipped === undefined);
  const failed = run.filter((result) => !hasPassed(result)).map(({ name }) => name);
  const skipped = results.length - run.length;
  const end = failed.length === 0 ? 'every assertion passed' : `failed: ${failed.join(', ')}`;
  return `${run.length} drills run${skipped > 0 ? `, ${skipped} not` : ''}; ${end}`;
}
