import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { alarms } from '../../tools/alerts/alarms.ts';
import { prometheusRules } from '../../tools/alerts/prometheus.ts';
import { type PrivateDatabase, startPrivateDatabase } from '../../tools/process/database.ts';
import { freePort } from '../../tools/process/free-port.ts';
import { migrate, type ServiceProcess, startServing } from '../../tools/process/service.ts';
import { skipWithout } from '../skip.ts';

/** A minute of the rules lasts this long here. */
const MINUTE_SECONDS = 3;
const KEY = 'routing-key-of-the-test';

/** What Alertmanager sends to PagerDuty: https://developer.pagerduty.com/docs/events-api-v2-overview */
const pagerEvent = z.object({
  routing_key: z.string(),
  event_action: z.enum(['trigger', 'resolve']),
  dedup_key: z.string(),
});
type PagerEvent = z.output<typeof pagerEvent>;

/**
 * Real Prometheus and Alertmanager beside a real service and MySQL; PagerDuty is a stand-in that keeps what it gets. It is the
 * drill alarm-storm in short, with rules at twenty times their speed.
 */
describe('paging', function () {
  this.timeout('3m');
  const folder = mkdtempSync(join(tmpdir(), 'plusone-paging-'));
  const containers: string[] = [];
  const events: PagerEvent[] = [];
  let database: PrivateDatabase | undefined;
  let service: (ServiceProcess & { url: string }) | undefined;
  let ports: { PORT: string; METRICS_PORT: string };
  let isOver = false;

  const pager = createServer(async (request, response) => {
    events.push(pagerEvent.parse(await json(request)));
    response.writeHead(202, { 'content-type': 'application/json' });
    response.end('{"status":"success"}');
  });

  const docker = (...words: string[]) => execFileSync('docker', words, { encoding: 'utf8', stdio: 'pipe' }).trim();

  /** An image of a repository that is on this machine. */
  function localImage(context: Mocha.Context, repository: string): string {
    try {
      const [image] = docker('image', 'ls', '--format', '{{.Repository}}:{{.Tag}}', repository).split('\n');
      if (image) return image;
    } catch {
      // Docker does not answer.
    }
    return skipWithout(context, repository, `it needs Docker and an image of ${repository}`);
  }

  function run(image: string, program: string, words: string[]): void {
    const name = `plusone-paging-${program}-${process.pid}`;
    const mounts = [`${folder}:/etc/${program}:ro`, `${folder}/secrets:/etc/pagerduty:ro`].flatMap((mount) => [
      '--volume',
      mount,
    ]);
    docker('run', '--detach', '--rm', '--network', 'host', '--name', name, ...mounts, image, ...words);
    containers.push(name);
  }

  async function serve(): Promise<void> {
    service = await startServing({ ...database?.env, ...ports });
  }

  /** Calls the service twenty times a second, until the end. */
  async function load(): Promise<void> {
    for (; !isOver; await sleep(50)) {
      fetch(`http://127.0.0.1:${ports.PORT}/hello/ann`).then(
        (response) => response.arrayBuffer(),
        () => undefined,
      );
    }
  }

  async function until<T>(what: string, seconds: number, look: () => T | undefined): Promise<T> {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(100)) {
      const found = look();
      if (found !== undefined) return found;
    }
    throw new Error(`${what} did not come within ${seconds} s; what came: ${JSON.stringify(events)}`);
  }

  const trigger = () => events.find(({ event_action: action }) => action === 'trigger');
  const resolve = () => events.find(({ event_action: action }) => action === 'resolve');

  before(async function () {
    const images = {
      prometheus: localImage(this, 'prom/prometheus'),
      alertmanager: localImage(this, 'prom/alertmanager'),
    };
    await once(pager.listen(0, '127.0.0.1'), 'listening');
    database = await startPrivateDatabase();
    await migrate(database.env);
    ports = { PORT: String(await freePort()), METRICS_PORT: String(await freePort()) };
    await serve();

    const [prometheusPort, alertmanagerPort] = [await freePort(), await freePort()];
    const configuration = parse(readFileSync('tools/dashboard/kubernetes/alertmanager.yml', 'utf8'));
    const address = `http://127.0.0.1:${(pager.address() as AddressInfo).port}/v2/enqueue`;
    mkdirSync(join(folder, 'secrets'));
    const files = {
      'secrets/key': KEY,
      'alertmanager.yml': stringify({ global: { pagerduty_url: address }, ...configuration }),
      'alerts.yml': prometheusRules(alarms(3), MINUTE_SECONDS),
      'prometheus.yml': stringify({
        global: { scrape_interval: '500ms', scrape_timeout: '400ms', evaluation_interval: '500ms' },
        rule_files: ['alerts.yml'],
        alerting: { alertmanagers: [{ static_configs: [{ targets: [`127.0.0.1:${alertmanagerPort}`] }] }] },
        scrape_configs: [{ job_name: 'plusone', static_configs: [{ targets: [`127.0.0.1:${ports.METRICS_PORT}`] }] }],
      }),
    };
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
    execFileSync('chmod', ['-R', 'a+rX', folder]);
    run(images.alertmanager, 'alertmanager', [
      '--config.file=/etc/alertmanager/alertmanager.yml',
      '--storage.path=/alertmanager',
      `--web.listen-address=127.0.0.1:${alertmanagerPort}`,
      '--cluster.listen-address=',
    ]);
    run(images.prometheus, 'prometheus', [
      '--config.file=/etc/prometheus/prometheus.yml',
      '--storage.tsdb.path=/prometheus',
      `--web.listen-address=127.0.0.1:${prometheusPort}`,
    ]);
    load();
    // Two minutes of its rules.
    await sleep(2 * MINUTE_SECONDS * 1000);
  });

  after(async () => {
    isOver = true;
    for (const name of containers) docker('rm', '--force', name);
    await service?.stop();
    await database?.stop();
    pager.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('pages once if MySQL is unavailable and errors and slow responses occur together', async () => {
    await database?.kill();
    await until('the page', 60, trigger);
    // Long enough for the alert on slow answers to join.
    await sleep(10 * MINUTE_SECONDS * 1000);
    await database?.start();
    await until('the resolve', 60, resolve);
    expect(events.map(({ routing_key: key }) => key)).to.deep.equal(events.map(() => KEY));
    expect(new Set(events.map(({ dedup_key: key }) => key)).size, JSON.stringify(events)).to.equal(1);
  });
});

/** A simulated day of Prometheus' clock, by promtool: what is ordinary pages nobody, and one thing that is not does. */
describe('a day in the rules of Prometheus', function () {
  this.timeout('5m');
  const minutes = 24 * 60;
  /** A rate over a minute needs several samples of it. */
  const perMinute = 4;
  const samples = Array.from({ length: minutes * perMinute }, (_, at) => Math.floor(at / perMinute));
  let image = '';

  before(function () {
    const found = spawnSync('docker', ['image', 'ls', '--format', '{{.Repository}}:{{.Tag}}', 'prom/prometheus'], {
      encoding: 'utf8',
    });
    [image = ''] = found.stdout?.split('\n') ?? [];
    if (!image) skipWithout(this, 'prom/prometheus', 'it needs Docker and an image of prom/prometheus');
  });

  /** The values of a counter; `growth` is by how much it grows in a minute. */
  const counter = (growth: (minute: number) => number) => {
    let total = 0;
    return samples
      .map((minute) => {
        total += growth(minute) / perMinute;
        return total;
      })
      .join(' ');
  };
  const gauge = (value: (minute: number) => number) => samples.map(value).join(' ');
  const within = (minute: number, from: number, length: number) => minute >= from && minute < from + length;

  /**
   * An ordinary day: 600 requests a minute, more at noon; a slow minute each hour; five errors a minute now and then; a release
   * at 15:00, when each pod is unavailable for two minutes, one after the other; all five pods at noon. `fault` is on top of it.
   */
  function day(fault: (minute: number) => { down?: boolean; errors?: number; slow?: boolean }) {
    const load = (minute: number) => (within(minute, 720, 60) ? 1_200 : 600);
    const isSlow = (minute: number) => minute % 60 === 30 || fault(minute).slow === true;
    const requests = (minute: number) => load(minute) + (fault(minute).errors ?? 0);
    const labels = 'job="plusone",route="/hello/:username",status';
    const bucket = (le: string, of: (minute: number) => number) => ({
      series: `http_request_duration_seconds_bucket{${labels}="200",le="${le}"}`,
      values: counter(of),
    });
    const isUp = (pod: number) => (minute: number) =>
      fault(minute).down === true || within(minute, 900 + 2 * pod, 2) ? 0 : 1;
    return [
      ...[0, 1].map((pod) => ({ series: `up{job="plusone",instance="plusone-${pod}"}`, values: gauge(isUp(pod)) })),
      { series: `http_request_duration_seconds_count{${labels}="200"}`, values: counter(load) },
      {
        series: `http_request_duration_seconds_count{${labels}="503"}`,
        values: counter((minute) => (minute % 10 === 0 ? 5 : 0) + (fault(minute).errors ?? 0)),
      },
      bucket('0.5', (minute) => requests(minute) * (isSlow(minute) ? 0.9 : 1)),
      bucket('1', requests),
      bucket('+Inf', requests),
      {
        series: 'kube_horizontalpodautoscaler_status_current_replicas{horizontalpodautoscaler="plusone"}',
        values: gauge((minute) => (within(minute, 720, 60) ? 5 : 2)),
      },
      {
        series: 'kube_horizontalpodautoscaler_spec_max_replicas{horizontalpodautoscaler="plusone"}',
        values: gauge(() => 5),
      },
      ...['page', 'birthday'].map((check) => ({
        series: `probe_success{job="uptime",check="${check}"}`,
        values: gauge((minute) => (fault(minute).down === true ? 0 : 1)),
      })),
    ];
  }

  /** The alerts that page, or that inform, in such a day; by their names. */
  function firing(series: object[], severity: 'page' | 'inform' | 'page|inform'): string[] {
    const folder = mkdtempSync(join(tmpdir(), 'plusone-day-'));
    try {
      writeFileSync(join(folder, 'alerts.yml'), prometheusRules(alarms(5)));
      const expr = `count by (alertname) (count_over_time(ALERTS{alertstate="firing",severity=~"${severity}"}[1d]))`;
      const test = {
        rule_files: ['alerts.yml'],
        evaluation_interval: '15s',
        tests: [
          {
            interval: '15s',
            input_series: series,
            promql_expr_test: [{ expr, eval_time: `${minutes - 1}m`, exp_samples: [] }],
          },
        ],
      };
      writeFileSync(join(folder, 'day.yml'), stringify(test));
      execFileSync('chmod', ['-R', 'a+rX', folder]);
      const words = ['run', '--rm', '--volume', `${folder}:/day:ro`, '--entrypoint', '/bin/promtool', image];
      const { status, stdout, stderr } = spawnSync('docker', [...words, 'test', 'rules', '/day/day.yml'], {
        encoding: 'utf8',
      });
      const said = `${stdout}${stderr}`;
      const names = [...said.matchAll(/alertname=\\?"(\w+)/g)].map(([, name = '']) => name);
      // What is not an empty answer of the expression is an error of the test itself.
      if ((status === 0) !== (names.length === 0)) throw new Error(said);
      return names;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  it('pages nobody, and informs nobody, when it is ordinary', () => {
    expect(
      firing(
        day(() => ({})),
        'page|inform',
      ),
    ).to.deep.equal([]);
  });

  it('pages when no pod answers for two minutes', () => {
    expect(
      firing(
        day((minute) => ({ down: within(minute, 400, 2) })),
        'page',
      ),
    ).to.have.members(['NoHealthyTask', 'Unreachable']);
  });

  it('pages when errors last, and not when they pass within two minutes', () => {
    expect(
      firing(
        day((minute) => ({ errors: within(minute, 400, 6) ? 30 : 0 })),
        'page',
      ),
    ).to.deep.equal(['Errors']);
    expect(
      firing(
        day((minute) => ({ errors: within(minute, 400, 2) ? 30 : 0 })),
        'page',
      ),
    ).to.deep.equal([]);
  });

  it('pages for slow answers only while all pods run already', () => {
    const slow = (from: number) => day((minute) => ({ slow: within(minute, from, 15) }));
    expect(firing(slow(400), 'page')).to.deep.equal([]);
    expect(firing(slow(400), 'inform')).to.deep.equal(['Slow']);
    expect(firing(slow(735), 'page')).to.deep.equal(['SlowAtMaximumSize']);
  });
});
