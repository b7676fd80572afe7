import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { loadPrometheus } from '../prometheus-image.ts';
import { ask, CLUSTER, ended, eventually, kubectl } from './cluster.ts';

/** Of the scaler and the alerts: a quarter of a real one. */
const MINUTE_SECONDS = 15;

/** The scaler of `make dashboard` in the cluster of the tests, under real load. */
describe('the scaler in the cluster', function () {
  this.timeout('15m');

  before(async function () {
    await loadPrometheus(this, CLUSTER);
    const dashboard = spawn('make', ['--no-print-directory', 'dashboard', `CLUSTER=${CLUSTER}`], {
      env: { ...process.env, SCALER_MINUTE_SECONDS: String(MINUTE_SECONDS) },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    let printed = '';
    dashboard.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    await eventually('make dashboard says where it is', 400, async () => {
      if (dashboard.exitCode !== null) throw new Error(`make dashboard ended with ${dashboard.exitCode}: ${printed}`);
      return printed.includes('Ctrl-C');
    });
    // All of its group, as Ctrl-C does it.
    const exited = once(dashboard, 'exit');
    if (dashboard.pid !== undefined) process.kill(-dashboard.pid, 'SIGINT');
    await exited;
    expect(
      await ask('get', 'deployment', 'scaler', '-n', 'monitoring', '-o', 'jsonpath={.status.readyReplicas}'),
    ).to.equal('1');
  });

  after(async () => {
    // The other tests have pods of their own to count.
    const dashboard = ['deployments', '-n', 'monitoring', '-l', 'app.kubernetes.io/part-of=dashboard'];
    await kubectl('delete', ...dashboard, '--ignore-not-found');
  });

  // The other drills of the scaler take too long for every run: make drill.
  it('adds pods for requests that wait, and removes them afterwards (queue-grows)', async () => {
    const words = ['tools/drills/main.ts', 'queue-grows', '--target', 'kind', '--quick'];
    const { code, stdout, stderr } = await ended('env', [`CLUSTER=${CLUSTER}`, process.execPath, ...words]);
    console.log(stdout.replaceAll(/^/gm, '      '));
    expect(code, `${stdout}${stderr}`).to.equal(0);
  });

  it('may change one autoscaler, and neither others nor the Deployment', async () => {
    const as = '--as=system:serviceaccount:monitoring:scaler';
    const may = async (...words: string[]) => (await kubectl('auth', 'can-i', ...words, as)).stdout.trim();
    expect(await may('patch', 'horizontalpodautoscalers/plusone')).to.equal('yes');
    expect(await may('patch', 'horizontalpodautoscalers/other')).to.equal('no');
    expect(await may('patch', 'deployments/plusone')).to.equal('no');
    expect(await may('get', 'secrets')).to.equal('no');
  });

  it('reports its last runs with their reasons: make scale-status TARGET=kind', async () => {
    const status = await ended('make', ['--no-print-directory', 'scale-status', 'TARGET=kind', `CLUSTER=${CLUSTER}`]);
    expect(status.stdout)
      .to.match(/^desired \d, running \d, from 2 to 3$/m)
      .and.match(/^\d{4}-.*\n {4}\S/m);
  });
});
