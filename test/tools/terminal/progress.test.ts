import { spawnSync } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { expect } from 'chai';
import { runScript } from './script.ts';

const TALKER = `await step('talk', () => run('sh', ['-c', 'echo to stdout; echo to stderr >&2']));`;
const TERMINAL = 'process.stderr.isTTY = true; process.stderr.columns = 40';
const ESCAPE = '\u001b[';

describe('a step of a command', () => {
  it('is one line without a terminal: at its end, with its duration and what it reports', async () => {
    const { stdout, stderr } = await runScript(`await step('image', async (tell) => tell('plusone:dev'));`);
    expect(stderr).to.match(/^✓ +\d+\.\d s {2}image, plusone:dev\n$/);
    expect(stdout).to.equal('');
  });

  it('is marked when it fails', async () => {
    const { code, stderr } = await runScript(
      `await step('image', async () => { throw new Error('no room') }).catch(() => {});`,
    );
    expect(code).to.equal(0);
    expect(stderr).to.match(/^✗ +\d+\.\d s {2}image\n$/);
  });

  it('hides the output of its tools', async () => {
    const { stderr } = await runScript(TALKER);
    expect(stderr).not.to.include('to stdout').and.not.to.include('to stderr');
  });

  it('shows all output of its tools with VERBOSE=1, each line with its step', async () => {
    const { stderr } = await runScript(TALKER, { VERBOSE: '1' });
    expect(stderr).to.include('talk | $ sh -c').and.include('talk | to stdout').and.include('talk | to stderr');
    expect(stderr).not.to.include(ESCAPE);
  });

  it('ends without an error when what reads the result has ended, such as head', () => {
    const { href } = new URL('../../../tools/terminal/progress.ts', import.meta.url);
    const script = `import { say } from '${href}'; setInterval(() => say('a line'), 1);`;
    const pipe = '"$0" --input-type=module --eval "$1" | head -n 1';
    const words = ['-o', 'pipefail', '-c', pipe, process.execPath, script];
    const { status, stdout, stderr } = spawnSync('bash', words, { encoding: 'utf8' });
    expect({ status, stdout, stderr }).to.deep.equal({ status: 141, stdout: 'a line\n', stderr: '' });
  });

  it('never shows the stdout of a queried program, which may be a secret', async () => {
    const script = `await step('ask', () => output('sh', ['-c', 'echo answer$((40 + 2))']));`;
    const { stderr } = await runScript(script, { VERBOSE: '1' });
    expect(stderr).to.include('ask | $ sh').and.not.to.include('answer42');
  });

  it('shows its duration and the latest line of its tool on a terminal', async () => {
    const script = `await step('wait', () => run('sh', ['-c', 'echo half of it; sleep 0.5']));`;
    const { stderr } = await runScript(script, { TERM: 'xterm' }, TERMINAL);
    expect(stripVTControlCharacters(stderr)).to.match(/→ +0\.[1-9] s {2}wait {2}half of it/);
    const afterwards = stderr.slice(stderr.lastIndexOf(`${ESCAPE}0J`) + `${ESCAPE}0J`.length);
    expect(afterwards).to.match(/^✓ +\d+\.\d s {2}wait\n$/);
  });

  it('never wraps on a narrow terminal, where a second line would remain', async () => {
    const script = `await step('wait', () => run('sh', ['-c', 'printf "%0100d\\\\n" 7; sleep 0.3']));`;
    const { stderr } = await runScript(script, { TERM: 'xterm' }, TERMINAL);
    for (const line of stripVTControlCharacters(stderr).split('\n')) expect(line.length).to.be.below(40);
  });

  it('leaves stdout to results', async () => {
    const { stdout } = await runScript(`await step('plan', async () => say('2 changes'));`, {}, TERMINAL);
    expect(stdout).to.equal('2 changes\n');
  });
});
