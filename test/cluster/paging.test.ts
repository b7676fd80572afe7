import { execFileSync } from 'node:child_process';
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
  payload: z
    .object({
      summary: z.string(),
      custom_details: z.object({ alerts: z.string(), since: z.string(), runbook: z.string() }),
    })
    .optional(),
  links: z.array(z.object({ href: z.string() })).nullish(),
});
type PagerEvent = z.output<typeof pagerEvent> & { readonly at: number };

/** Real Prometheus and Alertmanager beside a real service and MySQL; PagerDuty is a stand-in that keeps what it gets. */
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
    events.push({ ...pagerEvent.parse(await json(request)), at: Date.now() });
    response.writeHead(202, { 'content-type': 'application/json' }).end('{"status":"success"}');
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

  beforeEach(() => {
    events.length = 0;
  });

  after(async () => {
    isOver = true;
    for (const name of containers) docker('rm', '--force', name);
    await service?.stop();
    await database?.stop();
    pager.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('does not page while the service works', async () => {
    await sleep(8_000);
    expect(events).to.deep.equal([]);
  });

  it('pages within 15 s when nothing answers, and resolves under the same key', async () => {
    const began = Date.now();
    service?.child.kill('SIGKILL');
    const page = await until('the page', 15, trigger);
    console.log(`      paged after ${((page.at - began) / 1000).toFixed(1)} s`);
    expect(page.routing_key).to.equal(KEY);
    await serve();
    expect((await until('the resolve', 30, resolve)).dedup_key).to.equal(page.dedup_key);
  });

  it('pages once if MySQL is unavailable and errors and slow responses occur together', async () => {
    await database?.kill();
    await until('the page', 60, trigger);
    // Long enough for the alert on slow answers to join.
    await sleep(10 * MINUTE_SECONDS * 1000);
    await database?.start();
    await until('the resolve', 60, resolve);
    expect(new Set(events.map(({ dedup_key: key }) => key)).size, JSON.stringify(events)).to.equal(1);
  });

  it('includes in a page what is wrong, since when, and the links to dashboard and runbook', async () => {
    service?.child.kill('SIGKILL');
    const { payload, links } = await until('the page', 15, trigger);
    expect(payload?.summary).to.include('plusone has no healthy task');
    expect(payload?.custom_details).to.include({ alerts: 'NoHealthyTask', runbook: 'docs/runbook.md#nohealthytask' });
    expect(Date.now() - Date.parse(payload?.custom_details.since ?? '')).to.be.within(0, 30_000);
    expect(links?.map(({ href }) => href)).to.deep.equal(['http://localhost:3000/d/plusone']);
    await serve();
  });
});
