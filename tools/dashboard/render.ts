/** `npm run dashboard:render`: the panels of the dashboard as a picture, from the metrics of a real run. */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { messageOf } from '../terminal/message.ts';
import { Failed } from '../terminal/programs.ts';
import { say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { PANELS, type Query } from './panels.ts';
import { type DrawnPanel, picture } from './picture.ts';
import { prometheusProgram, queryRange, type Series, startPrometheus } from './prometheus.ts';

const USAGE = `usage: npm run dashboard:render -- [--metrics URL]… [--seconds N] [--output FILE]
       npm run dashboard:render -- --prometheus URL [--until TIME] [--seconds N] [--output FILE]

  --metrics     a /metrics to watch, http://localhost:9464/metrics if none is named; again for each process
  --prometheus  draw what this Prometheus has seen already: http://localhost:9090 while make dashboard runs
  --until       the end of what is drawn, such as 2026-11-24T12:00:00Z; now if it is not named
  --seconds     how long to watch, or how far to look back; at least 30, 60 if it is not named
  --output      where the picture goes; .local/dashboard.svg if it is not named
`;
/** As in sysexits.h. */
const USAGE_ERROR = 64;
const LEAST_SECONDS = 30;

class UsageError extends Error {}

interface Settings {
  readonly metrics: readonly URL[];
  readonly prometheus: URL | undefined;
  readonly until: number | undefined;
  readonly seconds: number;
  readonly output: string;
}

async function render(): Promise<void> {
  const { metrics, prometheus, until, seconds, output } = readSettings();
  if (prometheus !== undefined) {
    const to = until ?? Date.now() / 1000;
    const url = prometheus.href.replace(/\/$/, '');
    writeFileSync(output, picture(await measured(url, to - seconds, to), to - seconds, to));
  } else {
    for (const url of metrics) await requireAnswer(url);
    const program = await prometheusProgram();
    const own = await startPrometheus(program, metrics);
    try {
      const from = Date.now() / 1000;
      await step('watching', async (tell) => {
        tell(metrics.map(({ href }) => href).join(', '));
        await sleep(seconds * 1000);
      });
      const to = Date.now() / 1000;
      writeFileSync(output, picture(await measured(own.url, from, to), from, to));
    } finally {
      await own.stop();
    }
  }
  say(output);
}

/** Every panel of Grafana with the results of its expressions. */
async function measured(url: string, from: number, to: number): Promise<DrawnPanel[]> {
  const panels: DrawnPanel[] = [];
  for (const { section, title, prometheus: graph } of PANELS) {
    if ('missing' in graph) continue;
    const lines = [];
    for (const query of graph.queries) {
      for (const series of await queryRange(url, query.expression, from, to)) {
        lines.push({ name: nameOf(series, query), points: series.points });
      }
    }
    panels.push({ section, title, graph, lines });
  }
  if (panels.every(({ lines }) => lines.length === 0)) {
    throw new Refusal(
      `${url} has nothing of Plusone from that time: is it the right Prometheus, and was there a service?`,
    );
  }
  return panels;
}

function nameOf({ labels }: Series, { legend }: Query): string {
  return legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '');
}

async function requireAnswer(url: URL): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
  await response?.arrayBuffer();
  if (!response?.ok) {
    throw new Refusal(
      `${url.href} answers ${response?.status ?? 'nothing'}: is the service running (make dev)? --metrics names another address`,
    );
  }
}

function readSettings(): Settings {
  const options = {
    metrics: { type: 'string', multiple: true },
    prometheus: { type: 'string' },
    until: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    output: { type: 'string', default: '.local/dashboard.svg' },
  } as const;
  const read = () => {
    try {
      return parseArgs({ options }).values;
    } catch (error) {
      throw new UsageError(messageOf(error));
    }
  };
  const { metrics = ['http://localhost:9464/metrics'], prometheus, until, seconds, output } = read();
  if (!/^\d{1,6}$/.test(seconds) || Number(seconds) < LEAST_SECONDS) {
    throw new UsageError(`--seconds is ${seconds}; it must be a whole number from ${LEAST_SECONDS}`);
  }
  if (until !== undefined && (prometheus === undefined || Number.isNaN(Date.parse(until)))) {
    throw new UsageError(
      `--until is ${until}; it must be a time such as 2026-11-24T12:00:00Z, and goes with --prometheus`,
    );
  }
  return {
    metrics: metrics.map((url) => address('--metrics', url)),
    prometheus: prometheus === undefined ? undefined : address('--prometheus', prometheus),
    until: until === undefined ? undefined : Date.parse(until) / 1000,
    seconds: Number(seconds),
    output,
  };
}

function address(option: string, text: string): URL {
  if (!URL.canParse(text) || !/^https?:/.test(text)) {
    throw new UsageError(`${option} is ${text}; it must be an address such as http://localhost:9464/metrics`);
  }
  return new URL(text);
}

try {
  await render();
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`dashboard:render: ${error.message}\n\n${USAGE}`);
    process.exitCode = USAGE_ERROR;
  } else if (error instanceof Refusal || error instanceof Failed) {
    process.stderr.write(`dashboard:render: ${error.message}\n`);
    process.exitCode = 1;
  } else throw error;
}
