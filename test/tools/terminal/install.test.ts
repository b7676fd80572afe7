import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { findProgram } from '../../../tools/process/server-program.ts';
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
