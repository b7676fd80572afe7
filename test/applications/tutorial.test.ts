import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { eventually } from '../../tools/process/eventually.ts';
import { loadPrometheus } from '../prometheus-image.ts';
import { parseMarkdown } from '../readme/markdown.ts';
import { needsCluster } from './application.ts';

const URL_OF_IT = 'http://localhost:5080';
const ALARM = '8. See it alarm';
const { blocks } = parseMarkdown(readFileSync('docs/tutorial.md', 'utf8'));

describe('docs/tutorial.md', function () {
  this.timeout(600_000);
  let parent: string;
  let folder: string;
  let dev: ChildProcess | undefined;

  before(() => {
    parent = mkdtempSync(join(tmpdir(), 'tutorial-'));
    folder = join(parent, 'orders');
  });
  after(() => {
    if (dev?.pid !== undefined) process.kill(-dev.pid, 'SIGKILL');
    rmSync(parent, { recursive: true, force: true });
  });

  /** Types the blocks of a section, or these of them, as they are. */
  function run(heading: string, which: readonly number[] | undefined, cwd: string) {
    const found = blocks.filter((block) => block.language === 'sh' && block.heading === heading);
    const script = found
      .filter((_, i) => which?.includes(i) ?? true)
      .map(({ text }) => text.replaceAll('../orders', folder))
      .join('\n');
    expect(script, heading).not.to.equal('');
    return spawnSync('bash', ['-e', '-c', script], { cwd, encoding: 'utf8' });
  }

  /** The same, which must succeed; gives back what they print. */
  function type(heading: string, which?: readonly number[], cwd = folder): string {
    const { status, stdout, stderr } = run(heading, which, cwd);
    expect(status, stdout + stderr).to.equal(0);
    return stdout;
  }

  const alarms = (said: string) => said.match(/[✓✗…] orders (Errors|Slow|Unhealthy)/g);

  it('writes the repository', () => {
    expect(type('1. Write the repository', undefined, process.cwd())).to.contain('the service orders with /orders');
  });

  it('runs it on its own database, saves an order, and refuses a wrong one', async () => {
    dev = spawn('make', ['dev'], { cwd: folder, detached: true, stdio: 'ignore' });
    const isReady = async () => (await fetch(`${URL_OF_IT}/readyz`).catch(() => undefined))?.status === 200;
    await eventually(isReady, 180);
    const said = type('2. Run it', [1, 2]);
    expect(said).to.contain('HTTP/1.1 204');
    expect(said).to.contain('{"id":"o-1","total":"12.50"}{"items":[{"id":"o-1","total":"12.50"}]}');
    expect(said).to.contain('total must be a text with an amount and two decimals');
    const exit = once(dev, 'exit');
    if (dev.pid !== undefined) process.kill(-dev.pid, 'SIGINT');
    await exit;
    dev = undefined;
  });

  it('checks and tests it', () => {
    const said = type('3. Check and test it');
    expect(said).to.contain('nothing found');
    expect(said.match(/\d+ passing/g)).to.have.length(2);
  });

  it('adds a field with a migration, and tests it', () => {
    const said = type('4. Add a field');
    expect(said).to.contain('accept a body without note');
    expect(said.match(/\d+ passing/g)).to.have.length(2);
  });

  it('runs it in a cluster, and tests it there', async function () {
    await needsCluster(this);
    const said = type('5. Run it in a cluster');
    expect(said)
      .to.contain('{"id":"o-1","total":"12.50","note":"from the cluster"}')
      .and.to.match(/\d+ passing/);
  });

  it('scales under load', async function () {
    await needsCluster(this);
    const pods = type('6. See it scale').match(/✓ orders-/g);
    expect(pods?.length).to.be.within(3, 4);
  });

  it('rolls a bad release back', async function () {
    await needsCluster(this);
    const { status, stdout, stderr } = run('7. See a bad release roll back', [0], folder);
    expect(status, stdout + stderr).not.to.equal(0);
    expect(stdout + stderr).to.contain('LOG_LEVEL');
    expect(type('7. See a bad release roll back', [1])).to.contain('"note":"from the cluster"');
  });

  it('alarms while the database is stopped, and no longer', async function () {
    await needsCluster(this);
    await loadPrometheus(this, 'orders');
    expect(alarms(type(ALARM, [0]))).to.deep.equal(['✓ orders Errors', '✓ orders Slow', '✓ orders Unhealthy']);
    const { status, stdout, stderr } = run(ALARM, [1], folder);
    expect(status, stdout + stderr).not.to.equal(0);
    expect(alarms(stdout)).to.include('✗ orders Errors').and.include('✓ orders Unhealthy');
    const after = type(ALARM, [2]);
    expect(alarms(after)).to.deep.equal(['✓ orders Errors', '✓ orders Slow', '✓ orders Unhealthy']);
    expect(after).to.contain('"note":"from the cluster"');
  });

  it('deletes the cluster', async function () {
    await needsCluster(this);
    type(ALARM, [3]);
    expect(spawnSync('kind', ['get', 'clusters'], { encoding: 'utf8' }).stdout.split('\n')).not.to.include('orders');
  });
});
