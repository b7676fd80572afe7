import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { startPrivateDatabase } from '../../../tools/process/database.ts';
import { eventually } from '../../../tools/process/eventually.ts';
import { isRefused } from '../../process/requests.ts';

const MODULE = fileURLToPath(new URL('../../../tools/process/database.ts', import.meta.url));

describe('the private database', function () {
  this.timeout(60_000);
  let temporary: string;

  beforeEach(() => {
    temporary = mkdtempSync(join(tmpdir(), 'plusone-test-'));
  });
  afterEach(() => {
    rmSync(temporary, { recursive: true, force: true });
  });

  /** Another process that starts a database in `temporary`, prints its port and then runs `then`. */
  function start(then: string, env: NodeJS.ProcessEnv = {}) {
    const script = `import { startDatabase } from ${JSON.stringify(MODULE)};
      const database = await startDatabase();
      console.log(database.env.DATABASE_PORT);
      ${then}`;
    const { DATABASE_HOST: _, ...outer } = process.env;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      env: { ...outer, TMPDIR: temporary, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = once(child, 'exit').then(([code]: (number | null)[]) => code);
    const port = once(createInterface(child.stdout), 'line').then(([line]) => Number(line));
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    return { child, exited, port, stderr: () => stderr };
  }

  async function untilGone(port: number): Promise<void> {
    await eventually(() => isRefused(`http://127.0.0.1:${port}`));
    await eventually(async () => readdirSync(temporary).length === 0);
  }

  it('is removed with its data when it is stopped', async () => {
    const owner = start('await database.stop();');
    const port = await owner.port;
    expect(await owner.exited).to.equal(0);
    expect(await isRefused(`http://127.0.0.1:${port}`)).to.equal(true);
    expect(readdirSync(temporary)).to.deep.equal([]);
  });

  it('is removed when its owner is killed', async () => {
    const owner = start('setInterval(() => {}, 1_000);');
    const port = await owner.port;
    expect(readdirSync(temporary)).to.have.length(1);
    owner.child.kill('SIGKILL');
    await untilGone(port);
  });

  it('keeps its data when it is killed and started again', async () => {
    const database = await startPrivateDatabase();
    try {
      await database.query('CREATE TABLE plusone.kept (id INT PRIMARY KEY)');
      await database.query('INSERT INTO plusone.kept VALUES (1)');
      await database.kill();
      await database.start();
      expect(await database.query('SELECT id FROM plusone.kept')).to.have.length(1);
    } finally {
      await database.stop();
    }
  });

  it('removes the directories of earlier ones, unless they are in use', async () => {
    const ended = spawn('true');
    await once(ended, 'exit');
    const abandoned = join(temporary, `plusone-database-${ended.pid}-0123abcd`);
    const inUse = join(temporary, `plusone-database-${process.pid}-0123abcd`);
    for (const directory of [abandoned, inUse]) mkdirSync(join(directory, 'data'), { recursive: true });
    await start('await database.stop();').exited;
    expect(existsSync(abandoned)).to.equal(false);
    expect(existsSync(inUse)).to.equal(true);
  });

  it('names the directory that is not writable, and what to do', async () => {
    const owner = start('', { TMPDIR: join(temporary, 'missing') });
    expect(await owner.exited).not.to.equal(0);
    expect(owner.stderr()).to.include(join(temporary, 'missing')).and.include('Set TMPDIR');
  });

  it('is not started if DATABASE_HOST names another', async () => {
    const owner = start('', { DATABASE_HOST: 'db.example.org', DATABASE_PORT: '3307' });
    expect(await owner.port).to.equal(3307);
    expect(await owner.exited).to.equal(0);
    expect(readdirSync(temporary)).to.deep.equal([]);
  });
});
