import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { z } from 'zod';
import { PANELS } from '../../tools/dashboard/panels.ts';
import { queryRange } from '../../tools/dashboard/prometheus.ts';
import { linters } from '../rehearsal/linters.ts';
import { skipWithout } from '../skip.ts';
import { ask, CLUSTER, ended, eventually, kubectl, servicePods, url } from './cluster.ts';
import { kubeScore } from './kube-score.ts';

const PULL_SECONDS = 300;
const MANIFESTS = [
  'namespace',
  'prometheus',
  'alertmanager',
  'blackbox',
  'kube-state-metrics',
  'grafana',
  'logs',
  'scaler',
].map((name) => `tools/dashboard/kubernetes/${name}.yaml`);
const INSTANT = z.object({
  data: z.object({ result: z.array(z.object({ metric: z.record(z.string(), z.string()) })) }),
});

describe('make dashboard', function () {
  this.timeout('5m');
  let running: ChildProcess;
  let printed = '';
  const address = (program: string) => new RegExp(`^${program} +(http://\\S+)`, 'm').exec(printed)?.[1] ?? '';

  before(async function () {
    this.timeout('20m');
    const { code: built, stdout: manifests } = await ended('kubectl', ['kustomize', 'tools/dashboard']);
    expect(built).to.equal(0);
    const images = [...manifests.matchAll(/image: (\S+)/g)].map(([, image]) => image ?? '');
    for (const image of images.filter((name) => !name.startsWith('grafana/'))) {
      if ((await ended('docker', ['image', 'inspect', image])).code === 0) continue;
      const { code, stderr } = await ended('timeout', [`${PULL_SECONDS}`, 'docker', 'pull', '--quiet', image]);
      if (code === 0) continue;
      skipWithout(this, image.replace(/:.*/, ''), `${image} cannot be pulled: ${stderr.trim()}`);
    }
    running = spawn('make', ['--no-print-directory', 'dashboard', `CLUSTER=${CLUSTER}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    running.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    await eventually('make dashboard says where it is', 400, async () => {
      if (running.exitCode !== null) throw new Error(`make dashboard ended with ${running.exitCode}`);
      return printed.includes('Ctrl-C');
    });
    await eventually(
      'Prometheus answers',
      30,
      async () => (await fetchQuietly(`${address('Prometheus')}/-/ready`)) === 200,
    );
  });

  after(() => {
    // All of its group, as Ctrl-C does it.
    if (running?.exitCode === null && running.pid !== undefined) process.kill(-running.pid, 'SIGINT');
  });

  it('collects the metrics of every pod of the service, and of no other pod', async () => {
    await eventually('all are up', 60, async () => {
      const up = await instances('up{job="plusone"} == 1');
      return up.length > 0 && up.join() === (await servicePods()).toSorted().join();
    });
  });

  it('asks as a caller does for the page and for a birthday', async () => {
    await eventually('both are answered', 60, async () => (await instances('probe_success == 1')).length === 2);
  });

  it('has a result for every query of every panel', async () => {
    const deadline = Date.now() + 30_000;
    while (Date.now() < deadline) {
      await fetch(url('/hello/dashboard'), {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: '{"dateOfBirth":"1990-05-06"}',
      });
      await fetch(url('/hello/dashboard'));
    }
    const to = Date.now() / 1000;
    for (const { title, prometheus } of PANELS) {
      if ('missing' in prometheus) continue;
      for (const { expression, legend } of prometheus.queries) {
        const series = await queryRange(address('Prometheus'), expression, to - 30, to);
        const values = series.flatMap(({ points }) => points.map(({ value }) => value)).filter(Number.isFinite);
        expect(values, `${title}, ${legend}`).to.not.deep.equal([]);
      }
    }
  });

  it('discovers new pods of the service', async () => {
    await ask('rollout', 'restart', 'deployment/plusone');
    await ask('rollout', 'status', 'deployment/plusone', '--timeout=180s');
    await eventually('the new pods are asked', 90, async () => {
      const up = await instances('up{job="plusone"} == 1');
      return up.join() === (await servicePods()).toSorted().join();
    });
  });

  it('lets Prometheus list pods, but not read secrets', async () => {
    const as = '--as=system:serviceaccount:monitoring:prometheus';
    expect((await kubectl('auth', 'can-i', 'list', 'pods', as)).stdout.trim()).to.equal('yes');
    expect((await kubectl('auth', 'can-i', 'get', 'secrets', as)).stdout.trim()).to.equal('no');
    expect((await kubectl('auth', 'can-i', 'list', 'pods', as, '-n', 'kube-system')).stdout.trim()).to.equal('no');
  });

  it('provisions the dashboard in Grafana, without a login', async function () {
    if (address('Grafana') === '') {
      skipWithout(this, 'grafana/grafana', 'the image of Grafana cannot be pulled');
    }
    const response = await fetch(`${address('Grafana')}/api/dashboards/uid/plusone`);
    const { dashboard } = z
      .object({ dashboard: z.object({ title: z.string(), panels: z.array(z.object({ type: z.string() })) }) })
      .parse(await response.json());
    const graphs = PANELS.filter(({ prometheus }) => !('missing' in prometheus));
    expect(dashboard.panels.filter(({ type }) => type === 'timeseries')).to.have.lengthOf(graphs.length);
    const query = encodeURIComponent('up{job="plusone"}');
    const proxied = await fetch(
      `${address('Grafana')}/api/datasources/proxy/uid/prometheus/api/v1/query?query=${query}`,
    );
    expect(INSTANT.parse(await proxied.json()).data.result).to.not.deep.equal([]);
  });

  it('has manifests that the API server accepts without warnings', async () => {
    const files = MANIFESTS.flatMap((file) => ['-f', file]);
    const apply = ['apply', '--dry-run=server', '--validate=strict', ...files];
    const { code, stderr } = await kubectl(...apply, '--namespace=');
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
  });

  it('has no findings in kube-score', function () {
    const score = kubeScore();
    if (!score) return skipWithout(this, 'go', 'kube-score is built with Go, which is not installed');
    // With the service, whose pods one of the policies is for.
    expect(score(['k8s/dist/plusone.k8s.yaml', ...MANIFESTS])).to.deep.equal([]);
  });

  it('has no findings in checkov', function () {
    const tools = linters();
    if (!tools) return skipWithout(this, 'python3', 'checkov needs python3 with venv');
    const files = MANIFESTS.flatMap((file) => ['-f', file]);
    const words = ['--framework', 'kubernetes', '--quiet', '--compact', '--skip-download', ...files];
    const { code, output } = tools.run('checkov', words);
    expect(code, output).to.equal(0);
  });

  it('ends with Ctrl-C, and Prometheus continues to collect', async () => {
    const exited = once(running, 'exit');
    if (running.pid !== undefined) process.kill(-running.pid, 'SIGINT');
    await exited;
    expect(await fetchQuietly(`${address('Prometheus')}/-/ready`)).to.equal(undefined);
    const ready = ['get', 'deployment', 'prometheus', '-n', 'monitoring', '-o', 'jsonpath={.status.readyReplicas}'];
    expect(await ask(...ready)).to.equal('1');
  });

  /** The pods that a query has series of, in order. */
  async function instances(query: string): Promise<string[]> {
    const answer = await fetch(`${address('Prometheus')}/api/v1/query?${new URLSearchParams({ query })}`);
    return INSTANT.parse(await answer.json())
      .data.result.map(({ metric }) => metric.instance ?? '')
      .toSorted();
  }
});

async function fetchQuietly(address: string): Promise<number | undefined> {
  const response = await fetch(address, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  await response?.arrayBuffer();
  return response?.status;
}
