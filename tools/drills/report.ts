import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { isKept, type Result, type Target } from './drill.ts';
import { timeline } from './timeline.ts';

const DIRECTORY = 'docs/reliability';

/** The last run of a drill, as it is kept in docs/reliability/<target>.json. */
const record = z.object({
  name: z.string(),
  fault: z.string(),
  ran: z.string(),
  on: z.string(),
  skipped: z.string().optional(),
  promises: z.array(z.object({ words: z.string(), measured: z.string(), kept: z.boolean() })),
  requests: z.number().optional(),
  longestOutage: z.number().optional(),
  slowest: z.number().optional(),
});
type Record = z.infer<typeof record>;

/** A result for the terminal: a line for each promise. */
export function describe({ name, fault, skipped, promises, figures, course }: Result): string {
  const head = `${name}: ${fault}`;
  if (skipped !== undefined) return `${head}\n  – not run: ${skipped}`;
  const widest = Math.max(...promises.map(({ words }) => words.length));
  const lines = promises.map(
    ({ words, measured, kept }) => `  ${kept ? '✓' : '✗'} ${words.padEnd(widest)}  ${measured}`,
  );
  const outage =
    figures === undefined
      ? ''
      : `  longest outage ${figures.longestOutage.toFixed(2)} s, slowest answer ${figures.slowest.toFixed(2)} s, ${figures.requests} requests`;
  return [head, ...lines, outage, ...examples(course)].join('\n');
}

const EXAMPLES = 3;

/** What a person has to see to find the reason. */
function examples(course: Result['course']): string[] {
  const failures = course?.answers.filter(({ verdict }) => verdict === 'wrong' || verdict === 'cut') ?? [];
  const reasons = failures.map(({ method, reason, sent }) => `${(sent / 1000).toFixed(2)} s ${method} ${reason}`);
  return [...reasons.slice(0, EXAMPLES), ...(course?.audit.lost.slice(0, EXAMPLES) ?? [])].map((line) => `    ${line}`);
}

/** Puts results among those of the last runs: <target>.json, <target>.md and one picture for each drill. */
export function writeReport(target: Target, on: string, order: readonly string[], results: readonly Result[]): void {
  mkdirSync(`${DIRECTORY}/${target}`, { recursive: true });
  const file = `${DIRECTORY}/${target}.json`;
  const known = existsSync(file) ? z.array(record).parse(JSON.parse(readFileSync(file, 'utf8'))) : [];
  const records = new Map(known.map((one) => [one.name, one]));
  const ran = new Date().toISOString().slice(0, 10);
  for (const { name, fault, skipped, promises, figures, course } of results) {
    records.set(name, {
      ...{ name, fault, ran, on },
      ...(skipped === undefined ? {} : { skipped }),
      promises: [...promises],
      ...(figures === undefined
        ? {}
        : { requests: figures.requests, longestOutage: figures.longestOutage, slowest: figures.slowest }),
    });
    if (course !== undefined)
      writeFileSync(`${DIRECTORY}/${target}/${name}.svg`, timeline(`${target}: ${name}`, course));
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
  const summary = records.map(({ name, promises, skipped, longestOutage, slowest, requests }) => {
    if (skipped !== undefined) return `| [${name}](#${name}) | not run: ${skipped} | | | |`;
    const kept = promises.filter((promise) => promise.kept).length;
    const verdict = kept === promises.length ? `${kept} of ${kept} kept` : `**${kept} of ${promises.length} kept**`;
    return `| [${name}](#${name}) | ${verdict} | ${longestOutage?.toFixed(2)} s | ${slowest?.toFixed(2)} s | ${requests} |`;
  });
  const machines = [...new Set(records.map(({ on }) => on))].join('; ');
  return `# ${TITLES[target]}

Written by \`npm run drill -- all --target ${target}\`; how to read it is in [README.md](README.md). Measured on: ${machines}.

| drill | promises | longest outage | slowest answer | requests |
| --- | --- | --- | --- | --- |
${summary.join('\n')}
${records.map((one) => section(target, one)).join('')}`;
}

function section(target: Target, { name, fault, ran, promises, skipped }: Record): string {
  const head = `\n## ${name}\n\n${fault}.\n\n`;
  if (skipped !== undefined) return `${head}Not run on ${ran}: ${skipped}.\n`;
  const rows = promises.map(
    ({ words, measured, kept }) => `| ${words} | ${measured} | ${kept ? 'kept' : '**broken**'} |`,
  );
  return `${head}| promise | measured on ${ran} | |\n| --- | --- | --- |\n${rows.join('\n')}\n\n![Answers over time](${target}/${name}.svg)\n`;
}

/** One line for the end: how many drills kept all of their promises. */
export function summary(results: readonly Result[]): string {
  const run = results.filter(({ skipped }) => skipped === undefined);
  const broken = run.filter((result) => !isKept(result)).map(({ name }) => name);
  const skipped = results.length - run.length;
  const end = broken.length === 0 ? 'every promise was kept' : `broken: ${broken.join(', ')}`;
  return `${run.length} drills run${skipped > 0 ? `, ${skipped} not` : ''}; ${end}`;
}
