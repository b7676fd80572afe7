import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { installedPrometheus, queryRange, startPrometheus } from '../../../tools/dashboard/prometheus.ts';
import { skipWithout } from '../../skip.ts';

describe('npm run dashboard:render', () => {
  for (const [words, complaint] of [
    [['--seconds', '5'], '--seconds is 5; it must be a whole number from 30'],
    [['--metrics', 'localhost'], '--metrics is localhost; it must be an address such as http://localhost:9464/metrics'],
    [['--until', '2026-11-24T12:00:00Z'], 'goes with --prometheus'],
    [['--colour'], "Unknown option '--colour'"],
  ] as const) {
    it(`prints the error and the usage for ${words.join(' ')}`, async () => {
      const { code, stderr } = await render(...words);
      expect(code).to.equal(64);
      expect(stderr).to.contain(complaint).and.contain('usage: npm run dashboard:render');
    });
  }

  it('says what to start if nothing answers', async () => {
    const { code, stderr } = await render('--metrics', 'http://127.0.0.1:1/metrics');
    expect(code).to.equal(1);
    expect(stderr).to.contain('http://127.0.0.1:1/metrics answers nothing: is the service running (make dev)?');
  });
});

describe('a private Prometheus', function () {
  this.timeout(60_000);
  let metrics: Server;
  let count = 0;

  before(async function () {
    if ((await installedPrometheus()) === undefined) {
      skipWithout(this, 'prometheus', 'Prometheus is not installed (npm run dashboard:render builds one)');
    }
    metrics = createServer((_, response) => {
      count += 10;
      response.setHeader('Content-Type', 'text/plain; version=0.0.4');
      response.end(`# TYPE answers_total counter\nanswers_total{route="/"} ${count}\n`);
    });
    await new Promise<void>((listening) => metrics.listen(0, '127.0.0.1', listening));
  });

  after(() => metrics?.close());

  it('scrapes the given address, and returns series with labels', async () => {
    const { port } = metrics.address() as AddressInfo;
    const prometheus = await startPrometheus((await installedPrometheus()) ?? '', [
      new URL(`http://127.0.0.1:${port}/metrics`),
    ]);
    try {
      const from = Date.now() / 1000;
      const deadline = Date.now() + 20_000;
      let series = await queryRange(prometheus.url, 'answers_total', from, Date.now() / 1000 + 5);
      while (series.length === 0 && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        series = await queryRange(prometheus.url, 'answers_total', from, Date.now() / 1000 + 5);
      }
      expect(series[0]?.labels).to.deep.include({ job: 'plusone', route: '/' });
      expect(series[0]?.points.at(-1)?.value).to.be.above(0);
      const refusal = await queryRange(prometheus.url, 'rate(answers_total', from, from + 5).catch(String);
      expect(refusal).to.contain('Prometheus answers 400 to rate(answers_total');
    } finally {
      await prometheus.stop();
    }
  });
});

/** Runs the command to its end. */
function render(...words: string[]): Promise<{ code: number; stderr: string }> {
  return new Promise((resolve) => {
    const folder = mkdtempSync(join(tmpdir(), 'plusone-render-'));
    const command = ['tools/dashboard/render.ts', '--output', join(folder, 'dashboard.svg'), ...words];
    execFile(process.execPath, command, (error, _, stderr) => {
      rmSync(folder, { recursive: true, force: true });
      resolve({ code: error ? Number(error.code) : 0, stderr });
    });
  });
}
