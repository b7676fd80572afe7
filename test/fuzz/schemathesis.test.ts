import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { NoProgram, programFromPyPI } from '../../tools/process/pypi.ts';
import { type Service, startService } from '../../tools/process/service.ts';
import { skipWithout } from '../skip.ts';
import { SCHEMATHESIS } from './schemathesis.ts';

const CONFIG = fileURLToPath(new URL('./schemathesis.toml', import.meta.url));
const HOOKS = fileURLToPath(new URL('./hooks.py', import.meta.url));
const CASES = Number(process.env.FUZZ_CASES ?? 2_000);
const SEED = process.env.FUZZ_SEED ?? '1';
/** Schemathesis makes that many for each operation and phase. */
const CASES_EACH = Math.ceil(CASES / 4);

describe('fuzzing with Schemathesis', function () {
  this.timeout(Math.max(180_000, CASES * 50));
  let program: string;
  let service: Service;

  before(async function () {
    try {
      program = await programFromPyPI(SCHEMATHESIS, 'st');
    } catch (error) {
      if (!(error instanceof NoProgram)) throw error;
      skipWithout(this, 'python3', error.message);
    }
  });
  afterEach(async () => {
    await service?.stop();
  });

  it(`finds only documented answers in ${CASES} requests of every kind, stateful ones included`, async () => {
    service = await startService({ LOG_LEVEL: 'error' });
    expect(await casesWithoutFailure(CASES_EACH)).to.be.at.least(CASES);
  });

  it('finds no way to write without the token', async () => {
    const token = randomBytes(20).toString('hex');
    service = await startService({ LOG_LEVEL: 'error', WRITE_TOKEN: token });
    expect(await casesWithoutFailure(50, '--header', `Authorization: Bearer ${token}`)).to.be.at.least(200);
  });

  /** Runs all checks; fails with their report, or with what the service itself saw as an error. */
  async function casesWithoutFailure(casesEach: number, ...options: string[]): Promise<number> {
    const all = ['--seed', SEED, '--max-examples', String(casesEach), '--checks', 'all'];
    const { code, output } = await run([...all, ...options]);
    expect(code, output).to.equal(0);
    expect(service.child.exitCode, 'the service lives').to.equal(null);
    expect(service.stdout(), 'errors that the service logged').to.equal('');
    return Number(/(\d+) generated/.exec(output)?.[1]);
  }

  /** Runs it away from the sources, where it leaves its notes. */
  async function run(options: string[]): Promise<{ code: number; output: string }> {
    const directory = mkdtempSync(join(tmpdir(), 'plusone-fuzz-'));
    const args = ['--config-file', CONFIG, 'run', `${service.url}/openapi.json`, ...options];
    try {
      return await new Promise((resolve) => {
        const env = { ...process.env, SCHEMATHESIS_HOOKS: HOOKS, PYTHONDONTWRITEBYTECODE: '1' };
        execFile(program, args, { cwd: directory, env, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
        });
      });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
});
