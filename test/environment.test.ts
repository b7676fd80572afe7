import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse } from 'yaml';
import { VARIABLES } from '../src/config.ts';
import { cleanEnvironment } from '../tools/process/clean-environment.ts';

const SURPRISING = {
  YES: '1',
  ENV: 'prod',
  EJECTED: '1',
  COPILOT_ENVIRONMENT_NAME: 'elsewhere',
  DATABASE_HOST: 'nowhere',
  TZ: 'Pacific/Kiritimati',
  NODE_OPTIONS: '--zero-fill-buffers',
};

describe('the environment of the tests', () => {
  /** The variables of a process in which Mocha's preparation ran, of which these were set in its shell. */
  function prepared(env: NodeJS.ProcessEnv): unknown {
    const script = `await import('./test/environment.ts'); console.log(JSON.stringify(process.env))`;
    const args = ['--input-type=module', '--eval', script];
    const { stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
    return stdout === '' ? stderr : JSON.parse(stdout);
  }

  it('has none of the variables that this project reads', () => {
    const kept = { PATH: '/bin', AWS_REGION: 'us-west-2', HTTPS_PROXY: 'http://127.0.0.1:9' };
    expect(prepared({ ...kept, ...SURPRISING })).to.deep.equal(kept);
  });

  it('keeps the token of a service that is tested at BASE_URL, and no other', () => {
    const token = { WRITE_TOKEN: 'a'.repeat(24) };
    expect(prepared(token)).to.deep.equal({});
    const given = { ...token, BASE_URL: 'http://localhost:1' };
    expect(prepared(given)).to.deep.equal(given);
  });

  it('is prepared before every run of Mocha', () => {
    expect(parse(readFileSync('.mocharc.yml', 'utf8')).require).to.equal('./test/environment.ts');
  });

  it('has no variable of the service', () => {
    const env = Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, 'x']));
    expect(cleanEnvironment(env)).to.deep.equal({});
  });
});
