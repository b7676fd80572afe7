import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { killAll, type Service, startServing } from '../../tools/process/service.ts';
import { sharedDatabase } from './shared-database.ts';

const TOKEN = 'a-token-of-twenty-characters';

describe('make stress_test against a service with WRITE_TOKEN', function () {
  this.timeout(60_000);
  const started: Service[] = [];
  let url = '';

  before(async () => {
    const database = await sharedDatabase();
    const service = await startServing({ ...database.env, WRITE_TOKEN: TOKEN });
    started.push(service);
    url = service.url;
  });
  after(() => killAll(started));

  async function stressTest(env: NodeJS.ProcessEnv) {
    const child = spawn(process.execPath, ['tools/aws/stress-test.ts'], {
      env: { ...process.env, LOAD_BALANCER: url, DURATION: '1', CONNECTIONS: '4', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
    const [code] = await once(child, 'close');
    return { code: Number(code), said };
  }

  it('writes with the token of the environment, and no request fails', async () => {
    const { said } = await stressTest({ WRITE_TOKEN: TOKEN });
    expect(said).to.match(/[1-9]\d* answers, 0 failed/);
  });

  it('reports a missing token', async () => {
    const { code, said } = await stressTest({});
    expect(code).to.equal(1);
    expect(said).to.contain('set WRITE_TOKEN to it');
  });

  it('does not change users with short names', async () => {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ dateOfBirth: '1990-06-15' });
    await fetch(`${url}/hello/stressaa`, { method: 'PUT', headers, body });
    await stressTest({ WRITE_TOKEN: TOKEN });
    expect((await fetch(`${url}/hello/stressaa`)).status).to.equal(200);
    await fetch(`${url}/hello/stressaa`, { method: 'DELETE', headers });
  });
});
