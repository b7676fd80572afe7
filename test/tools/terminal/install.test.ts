import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { installedPrometheus, prometheusProgram } from '../../../tools/dashboard/prometheus.ts';
import { requireWrk } from '../../../tools/load/wrk.ts';
import { programFromPyPI } from '../../../tools/process/pypi.ts';
import { findProgram, installServer } from '../../../tools/process/server-program.ts';
import { agreesToInstall } from '../../../tools/terminal/install.ts';
import { skip, skipWithout } from '../../skip.ts';

describe('installing packages', () => {
  const before = { INSTALL: process.env.INSTALL, CI: process.env.CI };
  const { isTTY } = process.stdin;
  beforeEach(() => {
    process.stdin.isTTY = false;
  });
  afterEach(() => {
    process.stdin.isTTY = isTTY;
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  for (const { INSTALL, CI, agrees } of [
    { INSTALL: undefined, CI: undefined, agrees: false },
    { INSTALL: undefined, CI: 'true', agrees: true },
    { INSTALL: '1', CI: undefined, agrees: true },
    { INSTALL: '0', CI: 'true', agrees: false },
  ]) {
    const given = `INSTALL=${INSTALL ?? ''} CI=${CI ?? ''}`;
    it(`is ${agrees ? 'agreed to' : 'refused'} without a terminal by ${given}`, async () => {
      delete process.env.INSTALL;
      delete process.env.CI;
      if (INSTALL !== undefined) process.env.INSTALL = INSTALL;
      if (CI !== undefined) process.env.CI = CI;
      expect(await agreesToInstall('A program is missing.', [['true']])).to.equal(agrees);
    });
  }
});

describe('without consent', () => {
  const before = { ...process.env };
  const { isTTY } = process.stdin;
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'plusone-install-'));
    for (const name of ['apt-get', 'brew', 'sudo', 'python3', 'go', 'wrk']) {
      const exits = name === 'wrk' ? 127 : 0;
      writeFileSync(join(folder, name), `#!/bin/sh\necho ${name} "$@" >> ${folder}/calls\nexit ${exits}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    Object.assign(process.env, { PATH: `${folder}:/bin:/usr/bin`, XDG_CACHE_HOME: folder });
    delete process.env.CI;
    delete process.env.INSTALL;
    process.stdin.isTTY = false;
  });
  afterEach(() => {
    process.stdin.isTTY = isTTY;
    for (const name of ['PATH', 'XDG_CACHE_HOME', 'CI', 'INSTALL'] as const) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
    rmSync(folder, { recursive: true });
  });

  for (const [what, install] of [
    ['the database server', installServer],
    ['wrk', requireWrk],
    ['a program of PyPI', () => programFromPyPI('nothing==1', 'nothing')],
    ['Prometheus', prometheusProgram],
  ] as const) {
    it(`${what} is not installed`, async function () {
      if (what === 'Prometheus' && (await installedPrometheus()) !== undefined) skip(this, 'Prometheus is installed');
      const refusal: unknown = await install().catch((error: unknown) => error);
      expect(refusal).to.be.instanceOf(Error);
      const calls = existsSync(join(folder, 'calls')) ? readFileSync(join(folder, 'calls'), 'utf8') : '';
      expect(calls).not.to.match(/install|venv|download|update/);
    });
  }
});

describe('installing packages on a terminal', () => {
  const INSTALL = new URL('../../../tools/terminal/install.ts', import.meta.url).href;

  before(function () {
    if (process.platform !== 'linux') skip(this, 'script has other options on this system');
    if (findProgram('script') === undefined) skipWithout(this, 'script', 'there is no program script on this machine');
  });

  /** Types an answer to the question; returns the terminal's text, which ends with `agreed: true` or `agreed: false`. */
  async function type(answer: string): Promise<string> {
    const code = `
      const { agreesToInstall } = await import('${INSTALL}');
      const agreed = await agreesToInstall('A program is missing.', [['apt-get', 'install', 'x'], ['y']]);
      console.log('agreed: ' + agreed);`;
    const command = `'${process.execPath}' --input-type=module --eval "$CODE"`;
    const { INSTALL: _, CI: __, ...env } = process.env;
    // script runs a command on a pseudo-terminal and types its stdin there.
    const terminal = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      env: { ...env, CODE: code },
    });
    let shown = '';
    terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (!shown.includes('(yes)') && (shown + text).includes('(yes)')) terminal.stdin.write(`${answer}\r`);
      shown += text;
    });
    await once(terminal, 'close');
    return shown;
  }

  it('shows the reason and the commands, and is agreed to by yes', async () => {
    const shown = await type('yes');
    expect(shown).to.match(/A program is missing\..*\n {2}apt-get install x\r\n {2}y\r\n/s);
    expect(shown).to.contain('agreed: true');
  });

  for (const answer of ['no', '', 'yesterday']) {
    it(`is refused by ${JSON.stringify(answer)}`, async () => {
      expect(await type(answer)).to.contain('agreed: false');
    });
  }
});
