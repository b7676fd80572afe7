/** Starts a temporary Prometheus, and queries one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { startCleanupWatchdog } from '../process/cleanup-watchdog.ts';
import { freePort } from '../process/free-port.ts';
import { agreesToInstall } from '../terminal/install.ts';
import { messageOf } from '../terminal/message.ts';
import { output, run } from '../terminal/programs.ts';
import { step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';

/** The scrape interval, here and in kubernetes/prometheus.yml. */
export const SCRAPE_SECONDS = 5;
/** Grafana's value of `$__rate_interval` in a graph of 15 minutes: four scrapes. */
const RATE_SECONDS = 4 * SCRAPE_SECONDS;
/** The version of the image in kubernetes/prometheus.yaml as a Go module: v3.13.5 is v0.313.5. */
const MODULE = { version: 'v0.313.5', path: 'github.com/prometheus/prometheus' } as const;
const START_SECONDS = 30;

/** Series of a metric or an expression: the labels that tell it from others, and its values. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly points: readonly Point[];
}

export interface Point {
  /** Seconds since 1970. */
  readonly at: number;
  /** NaN where there is none, as in 0 / 0. */
  readonly value: number;
}

export interface Prometheus {
  /** Without a slash at the end. */
  readonly url: string;
  stop(): Promise<void>;
}

/** The directory into which Go builds a Prometheus if this machine has none. */
const BUILT = resolve('.local', `prometheus-${MODULE.version}`);

/** The installed Prometheus program, or else the one that was built; undefined without either. */
export async function installedPrometheus(): Promise<string | undefined> {
  if (existsSync(BUILT)) return BUILT;
  return await output('prometheus', ['--version']).then(
    () => 'prometheus',
    () => undefined,
  );
}

/**
 * The installed Prometheus program, or else one that Go builds into .local/ once.
 * @throws {Refusal} with how to get one if neither is possible
 */
export async function prometheusProgram(): Promise<string> {
  const installed = await installedPrometheus();
  if (installed !== undefined) return installed;
  const download = ['go', 'mod', 'download', '-json', `${MODULE.path}@${MODULE.version}`] as const;
  try {
    if (!(await agreesToInstall('This machine has no Prometheus; Go can build one into .local/.', [download])))
      throw new Refusal('nothing was installed; INSTALL=1 agrees');
    return await step('Prometheus', async (tell) => {
      // In its own folder and not with `go install`, which refuses a module with a `replace` in its go.mod.
      const [go, ...args] = download;
      const module = await output(go, args);
      const { Dir: folder } = z.object({ Dir: z.string() }).parse(JSON.parse(module));
      mkdirSync('.local', { recursive: true });
      // Its many ways to find targets are most of it, and a list of addresses is all that is needed.
      const build = ['-C', folder, 'build', '-tags', 'remove_all_sd', '-o', BUILT, './cmd/prometheus'];
      await run('go', build, { env: { ...process.env, GOWORK: 'off' } });
      tell('built with Go; the next time it is there');
      return BUILT;
    });
  } catch (error) {
    const reason = messageOf(error);
    throw new Refusal(
      `there is no prometheus on this machine, and none was built: ${reason}\n` +
        '  Debian, Ubuntu  sudo apt-get install prometheus\n' +
        '  macOS           brew install prometheus\n' +
        '  elsewhere       https://prometheus.io/download/, or Go from https://go.dev/dl/',
    );
  }
}

/** Starts a Prometheus that scrapes these addresses. It ends with this process at the latest, and its files are removed. */
export async function startPrometheus(program: string, addresses: readonly URL[]): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'plusone-prometheus-'));
  const configuration = {
    global: { scrape_interval: `${SCRAPE_SECONDS}s`, scrape_timeout: `${SCRAPE_SECONDS - 1}s` },
    scrape_configs: [
      {
        job_name: 'plusone',
        static_configs: addresses.map(({ protocol, host, pathname }) => ({
          targets: [host],
          labels: { __scheme__: protocol.replace(':', ''), __metrics_path__: pathname },
        })),
      },
    ],
  };
  // JSON is YAML.
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(configuration));
  const url = `http://127.0.0.1:${await freePort()}`;
  const child = spawn(
    program,
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=${new URL(url).host}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const callOff = startCleanupWatchdog('kill -KILL "$1"; rm -rf "$2"', String(child.pid), folder);
  const stop = async () => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
    callOff();
  };
  let written = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    written += text;
  });
  for (const deadline = Date.now() + START_SECONDS * 1000; ; await sleep(50)) {
    const ready = await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
    if (ready?.ok) return { url, stop };
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`Prometheus does not start: ${written.trim() || `no answer within ${START_SECONDS} s`}`);
    }
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

const answer = z.object({
  data: z.object({
    result: z.array(
      z.object({
        metric: z.record(z.string(), z.string()),
        values: z.array(z.tuple([z.number(), z.string()])),
      }),
    ),
  }),
});

/**
 * The results of a panel's expression from `from` to `to` (seconds since the Unix epoch), every five seconds.
 * @throws with Prometheus's message if the expression is invalid
 */
export async function queryRange(url: string, expression: string, from: number, to: number): Promise<Series[]> {
  const query = expression.replaceAll('$__rate_interval', `${RATE_SECONDS}s`);
  const parameters = { query, start: String(from), end: String(to), step: String(SCRAPE_SECONDS) };
  const response = await fetch(`${url}/api/v1/query_range?${new URLSearchParams(parameters)}`, {
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) throw new Error(`Prometheus answers ${response.status} to ${query}: ${await response.text()}`);
  return answer.parse(await response.json()).data.result.map(({ metric, values }) => ({
    labels: metric,
    points: values.map(([at, value]) => ({ at, value: Number(value) })),
  }));
}
