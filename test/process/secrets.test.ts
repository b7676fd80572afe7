import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect } from 'chai';
import { type PrivateDatabase, startPrivateDatabase } from '../../tools/process/database.ts';
import { eventually } from '../../tools/process/eventually.ts';
import { freePort } from '../../tools/process/free-port.ts';
import { NoProgram } from '../../tools/process/pypi.ts';
import { killAll, migrate, type ServiceProcess, startProcess, startServing } from '../../tools/process/service.ts';
import { type ParameterStore, startParameterStore } from '../../tools/process/ssm.ts';
import { skipWithout } from '../skip.ts';
import { find, save } from './requests.ts';

const CONFIG = 78;

describe('secrets from SSM', function () {
  this.timeout(90_000);
  let database: PrivateDatabase;
  let store: ParameterStore;
  const started: ServiceProcess[] = [];
  let paths = 0;
  /** It takes long to time out, so it runs while the other tests run. */
  let unanswered: { process: ServiceProcess; milliseconds: Promise<number> };
  const silent = createServer();

  before(async function () {
    this.timeout(300_000);
    try {
      store = await startParameterStore();
    } catch (error) {
      if (!(error instanceof NoProgram)) throw error;
      skipWithout(this, 'python3', error.message);
    }
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const from = performance.now();
    const { port } = silent.address() as AddressInfo;
    const endpoint = { AWS_ENDPOINT_URL_SSM: `http://127.0.0.1:${port}` };
    const process = startProcess('serve', { ...store.env, ...endpoint, SECRETS_PATH: '/silent' });
    unanswered = { process, milliseconds: process.exited.then(() => performance.now() - from) };
    // A separate database, because these tests change its password.
    database = await startPrivateDatabase();
    await migrate(database.env);
  });
  afterEach(async () => {
    await killAll(started.splice(0));
  });
  after(async () => {
    await database?.stop();
    await store?.stop();
    unanswered?.process.child.kill('SIGKILL');
    silent.close();
  });

  /** A new path that holds `parameters`. */
  async function pathWith(parameters: NodeJS.ProcessEnv): Promise<string> {
    paths += 1;
    const path = `/copilot/plusone/test${paths}/secrets`;
    for (const [name, value] of Object.entries(parameters)) await store.put(`${path}/${name}`, value ?? '');
    return path;
  }

  async function run(env: NodeJS.ProcessEnv): Promise<ServiceProcess> {
    const ports = { PORT: String(await freePort()), METRICS_PORT: String(await freePort()) };
    const process = startProcess('serve', { ...ports, ...store.env, ...env });
    started.push(process);
    return process;
  }

  async function serve(env: NodeJS.ProcessEnv) {
    const service = await startServing({ ...store.env, ...env });
    started.push(service);
    return service;
  }

  it('are all read if there are more than ten, on several pages', async () => {
    const others = Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`A_${at}`, 'of no use here']));
    const path = await pathWith({ ...others, ...database.env });
    const page = await store.page(path);
    const names = page.Parameters?.map(({ Name }) => Name) ?? [];
    expect(page.NextToken, 'the store pages').to.be.a('string');
    expect(names, 'what is needed is not on the first page').not.to.include(`${path}/DATABASE_PASSWORD`);

    const service = await serve({ SECRETS_PATH: path });
    expect((await save(service.url, 'ann', '2000-01-01')).status).to.equal(204);
  });

  it('are decrypted', async () => {
    const path = await pathWith(database.env);
    const page = await store.page(path);
    const password = page.Parameters?.find(({ Name }) => Name?.endsWith('/DATABASE_PASSWORD'));
    expect(password?.Type).to.equal('SecureString');
    expect(password?.Value, 'the store encrypts').not.to.equal(database.env.DATABASE_PASSWORD);

    const service = await serve({ SECRETS_PATH: path });
    expect((await find(service.url, 'nobody')).status).to.equal(404);
  });

  it('end the process with 78 and the name of a missing one', async () => {
    const { DATABASE_PASSWORD: _, ...others } = database.env;
    const path = await pathWith(others);
    const process = await run({ SECRETS_PATH: path });
    expect((await process.exited).code).to.equal(CONFIG);
    expect(process.stderr()).to.equal(
      `plusone: DATABASE_PASSWORD is missing: it is not in the environment, and there is no SSM parameter ${path}/DATABASE_PASSWORD\n`,
    );
  });

  it('end the process with 1 and the reason if SSM is unreachable', async () => {
    const process = await run({ SECRETS_PATH: '/nowhere', AWS_ENDPOINT_URL_SSM: 'http://127.0.0.1:9' });
    expect((await process.exited).code).to.equal(1);
    expect(process.stderr().trimEnd().split('\n')).to.have.length(1);
    expect(process.stderr()).to.match(/^plusone: SECRETS_PATH: cannot read \/nowhere from SSM: .*ECONNREFUSED/);
  });

  it('end the process with a line that names AWS_REGION if it is empty', async () => {
    const process = await run({ SECRETS_PATH: '/nowhere', AWS_REGION: '' });
    expect((await process.exited).code).to.equal(1);
    expect(process.stderr()).to.match(/^plusone: SECRETS_PATH: .*AWS_REGION is not set/);
  });

  it('are requested again if SSM does not answer in time', async () => {
    const path = await pathWith(database.env);
    store.freeze();
    const process = await run({ SECRETS_PATH: path });
    // Longer than the timeout of a request, three seconds.
    await new Promise((resolve) => setTimeout(resolve, 4_500));
    expect(process.child.exitCode, 'it has not given up').to.equal(null);
    store.thaw();
    await eventually(async () => process.stdout().includes('"ready"'), 20);
  });

  it('end the process after three attempts of three seconds if SSM never answers', async () => {
    expect(await unanswered.milliseconds).to.be.within(8_000, 20_000);
    expect((await unanswered.process.exited).code).to.equal(1);
    expect(unanswered.process.stderr()).to.match(/^plusone: SECRETS_PATH: cannot read \/silent from SSM: TimeoutError/);
  });

  it('are read again without a restart if MySQL refuses the password', async () => {
    const path = await pathWith(database.env);
    const service = await serve({ SECRETS_PATH: path });
    await save(service.url, 'rotated', '2000-01-01');

    await database.changePassword('rotated-password');
    await closeSessions();
    // Not in SSM yet: the service cannot know it.
    expect((await find(service.url, 'rotated')).status).to.equal(503);
    await store.put(`${path}/DATABASE_PASSWORD`, 'rotated-password');
    const milliseconds = await eventually(async () => (await find(service.url, 'rotated')).status === 200);
    expect(milliseconds).to.be.below(2_000);
    expect(service.child.exitCode).to.equal(null);
    expect(service.stdout() + service.stderr()).not.to.include('rotated-password');
  });

  it('can change without a failed request if SSM has the new password first', async () => {
    const path = await pathWith(database.env);
    const service = await serve({ SECRETS_PATH: path });
    await save(service.url, 'seamless', '2000-01-01');

    await store.put(`${path}/DATABASE_PASSWORD`, 'seamless-password');
    await database.changePassword('seamless-password');
    await closeSessions();
    // The next requests find the sessions closed; new sessions need the new password.
    await eventually(async () => (await find(service.url, 'seamless')).status === 200, 2);
    const answers = await Promise.all(Array.from({ length: 50 }, () => find(service.url, 'seamless')));
    expect(new Set(answers.map(({ status }) => status))).to.deep.equal(new Set([200]));
  });

  /** Ends the sessions of the service, as MySQL does not when a password changes. */
  async function closeSessions(): Promise<void> {
    const user = database.env.DATABASE_USERNAME ?? '';
    const rows = await database.query('SELECT id FROM information_schema.processlist WHERE user = ?', [user]);
    for (const { id } of rows) await database.query(`KILL ${id}`);
  }
});
