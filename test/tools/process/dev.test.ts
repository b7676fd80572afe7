import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { eventually } from '../../../tools/process/eventually.ts';
import { freePort } from '../../../tools/process/free-port.ts';
import { find, isRefused, save } from '../../process/requests.ts';
import { skipWithout } from '../../skip.ts';

const DEV = fileURLToPath(new URL('../../../tools/process/dev.ts', import.meta.url));

describe('make dev', function () {
  this.timeout(60_000);
  let temporary: string;
  let child: ChildProcess;
  let output: string;
  let port: number;

  beforeEach(async () => {
    temporary = mkdtempSync(join(tmpdir(), 'plusone-test-'));
    port = await freePort();
    output = '';
  });
  afterEach(async () => {
    child.kill('SIGKILL');
    await eventually(async () => readdirSync(temporary).length === 0);
    rmSync(temporary, { recursive: true, force: true });
  });

  async function start(): Promise<void> {
    const { DATABASE_HOST: _, ...env } = process.env;
    const ports = { PORT: String(port), METRICS_PORT: String(await freePort()) };
    child = spawn(process.execPath, [DEV], { env: { ...env, ...ports, TMPDIR: temporary }, stdio: 'pipe' });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
      });
    }
  }

  it('serves with a private database until Ctrl-C, then ends with 0 and removes it', async () => {
    await start();
    await eventually(async () => output.includes('is ready'), 30);
    expect(output).to.include(`http://localhost:${port} is ready`).and.include('Press Ctrl-C to stop');
    const url = `http://127.0.0.1:${port}`;
    expect((await save(url, 'ann', '2000-02-29')).status).to.equal(204);
    expect((await find(url, 'ann')).status).to.equal(200);

    child.kill('SIGINT');
    expect(await once(child, 'exit')).to.deep.equal([0, null]);
    expect(await isRefused(url)).to.equal(true);
    expect(readdirSync(temporary)).to.deep.equal([]);
  });

  it('restarts its database with its data after it was killed', async function () {
    await start();
    await eventually(async () => output.includes('is ready'), 30);
    const url = `http://127.0.0.1:${port}`;
    await save(url, 'ann', '2000-02-29');

    // The directory has a PID file only if the server is a program of this machine.
    const [directory = ''] = readdirSync(temporary);
    const pidFile = join(temporary, directory, 'server.pid');
    if (!existsSync(pidFile)) skipWithout(this, 'mariadb', 'the database runs in Docker');
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
    await eventually(async () => output.includes('the database ended and was restarted'), 30);
    await eventually(async () => (await find(url, 'ann')).status === 200);
  });

  it('ends the service if it is killed', async () => {
    await start();
    await eventually(async () => output.includes('is ready'), 30);
    child.kill('SIGKILL');
    await eventually(() => isRefused(`http://127.0.0.1:${port}`));
  });

  it('ends with 1 and names the port if that is in use', async () => {
    const other = createServer().listen(port);
    await once(other, 'listening');
    await start();
    expect(await once(child, 'exit')).to.deep.equal([1, null]);
    expect(output).to.equal(
      `plusone: port ${port} is in use; end the process that listens on it, or set PORT to a free port\n`,
    );
    other.close();
  });
});
