import { execFileSync, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type Database, startDatabase } from '../../tools/process/database.ts';
import { migrate, type Service, startServing } from '../../tools/process/service.ts';
import { type Collector, startCollector } from '../process/collector.ts';
import { skipWithout } from '../skip.ts';

const IMAGE = 'otel/opentelemetry-collector-contrib';
const FOLDER = 'copilot/plusone/telemetry';
const KEY = 'key-of-the-vendor';

/** The collector sidecar of copilot/plusone/telemetry as it is built, beside a real service; the vendor is a stand-in. */
describe('the telemetry sidecar', function () {
  this.timeout('3m');
  const containers = new Set<string>();
  let database: Database | undefined;
  let service: Service | undefined;
  let vendor: Collector | undefined;

  const docker = (...words: string[]) => execFileSync('docker', words, { encoding: 'utf8', stdio: 'pipe' }).trim();

  /** Whether something listens on the port of OTLP, which the sidecar takes. */
  async function isTaken(): Promise<boolean> {
    return await new Promise((resolve) => {
      const probe = createServer().once('error', () => resolve(true));
      probe.listen(4318, '127.0.0.1', () => probe.close(() => resolve(false)));
    });
  }

  /** Builds and starts the sidecar for a vendor; gives back its container's name when it takes spans. */
  async function start(name: string, variables: Record<string, string>): Promise<string> {
    const image = `plusone-telemetry:${name}`;
    docker('build', '--quiet', '--build-arg', `TELEMETRY=${name}`, '--tag', image, FOLDER);
    const container = `plusone-telemetry-${name}-${process.pid}`;
    const settings = Object.entries(variables).flatMap(([key, value]) => ['--env', `${key}=${value}`]);
    docker('run', '--detach', '--network', 'host', '--memory', '128m', '--name', container, ...settings, image);
    containers.add(container);
    for (let tries = 0; tries < 100 && !(await isTaken()); tries++) await sleep(100);
    return container;
  }

  function remove(container: string): void {
    docker('rm', '--force', container);
    containers.delete(container);
  }

  /** Calls the service one time after the other; gives back how many calls failed. */
  async function call(times: number): Promise<number> {
    let failures = 0;
    for (let at = 0; at < times; at++) {
      const signal = AbortSignal.timeout(5_000);
      const answer = await fetch(`${service?.url}/hello/Persephone`, { signal }).catch(() => undefined);
      await answer?.arrayBuffer();
      if (answer?.status !== 200) failures += 1;
    }
    return failures;
  }

  before(async function () {
    try {
      if (docker('image', 'ls', '--quiet', IMAGE) === '') throw new Error('no image');
    } catch {
      skipWithout(this, IMAGE, `it needs Docker and an image of ${IMAGE}`);
    }
    if (await isTaken()) throw new Error('port 4318 is in use: stop what listens there');
    database = await startDatabase();
    await migrate(database.env);
    service = await startServing({
      ...database.env,
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318',
      OTEL_BSP_SCHEDULE_DELAY: '200',
    });
    const body = JSON.stringify({ dateOfBirth: '1987-03-14' });
    await fetch(`${service.url}/hello/Persephone`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body,
    });
  });

  beforeEach(async () => {
    vendor = await startCollector();
  });

  afterEach(() => {
    for (const container of containers) remove(container);
    vendor?.stop();
  });

  after(async () => {
    await service?.stop();
    await database?.stop();
  });

  async function arrived(): Promise<Collector> {
    for (let tries = 0; tries < 300; tries++, await sleep(100)) {
      if (vendor?.spans.some(({ kind }) => kind === 'client')) return vendor;
    }
    throw new Error('no span of a statement arrived');
  }

  for (const { name, header, value } of [
    { name: 'newrelic', header: 'api-key', value: KEY },
    { name: 'otlp', header: 'authorization', value: KEY },
  ]) {
    it(`sends spans to ${name} with its header, old and new attribute names for databases, and no user data`, async () => {
      await start(name, { TELEMETRY_KEY: KEY, TELEMETRY_ENDPOINT: vendor?.endpoint ?? '' });
      await call(20);
      const { spans, exports, bytes } = await arrived();
      expect(exports[0]).to.have.property(header, value);
      const statement = spans.find(({ kind }) => kind === 'client');
      const attributes = statement?.attributes ?? {};
      for (const [old, stable] of Object.entries({
        'db.system': 'db.system.name',
        'db.statement': 'db.query.text',
        'db.name': 'db.namespace',
        'db.operation': 'db.operation.name',
      })) {
        expect(attributes[stable], stable).to.be.a('string');
        expect(attributes[old], old).to.equal(attributes[stable]);
      }
      const everything = bytes().toString('latin1');
      for (const secret of ['Persephone', '1987', '03-14', KEY]) expect(everything).to.not.include(secret);
    });
  }

  for (const [what, status] of [
    ['refuses the key', 401],
    ['has no such path', 404],
  ] as const) {
    it(`says in its log that its vendor ${what}, without the key`, async () => {
      const container = await start('newrelic', { TELEMETRY_KEY: KEY, TELEMETRY_ENDPOINT: vendor?.endpoint ?? '' });
      vendor?.answer(status);
      await call(20);
      // docker writes the stderr of the container on its own.
      const log = () => spawnSync('docker', ['logs', container], { encoding: 'utf8' }).stderr;
      for (let tries = 0; tries < 200 && !log().includes(`${status}`); tries++) await sleep(100);
      expect(log()).to.include('Exporting failed').and.include(`responded with HTTP Status Code ${status}`);
      expect(log()).to.not.include(KEY);
    });
  }

  // The drills of kind measure p99 and memory as well.
  it('fails no request if it is killed or suspended, or the vendor does not answer', async () => {
    const container = await start('otlp', { TELEMETRY_KEY: KEY, TELEMETRY_ENDPOINT: vendor?.endpoint ?? '' });
    vendor?.answer('never');
    const slow = await call(500);
    docker('pause', container);
    const frozen = await call(500);
    docker('unpause', container);
    docker('kill', container);
    const killed = await call(500);
    expect({ slow, frozen, killed }).to.deep.equal({ slow: 0, frozen: 0, killed: 0 });
  });

  it('fails to build with the name of an unknown vendor', () => {
    const words = ['build', '--build-arg', 'TELEMETRY=splunk', FOLDER];
    expect(() => execFileSync('docker', words, { encoding: 'utf8', stdio: 'pipe' })).to.throw('splunk.yaml');
  });

  it('has a valid configuration for X-Ray, and never shows its key', async () => {
    docker('build', '--quiet', '--build-arg', 'TELEMETRY=aws', '--tag', 'plusone-telemetry:aws', FOLDER);
    const credentials = ['AWS_REGION=us-west-2', 'AWS_ACCESS_KEY_ID=a', 'AWS_SECRET_ACCESS_KEY=b'];
    const files = ['collector', 'vendor'].map((name) => `--config=/etc/telemetry/${name}.yaml`);
    const variables = credentials.flatMap((one) => ['--env', one]);
    docker('run', '--rm', ...variables, 'plusone-telemetry:aws', 'validate', ...files);
    const container = await start('newrelic', { TELEMETRY_KEY: KEY, TELEMETRY_ENDPOINT: 'http://127.0.0.1:9' });
    await call(20);
    await sleep(2_000);
    const { stdout, stderr } = spawnSync('docker', ['logs', container], { encoding: 'utf8' });
    expect(`${stdout}${stderr}`).to.not.include(KEY);
    expect(docker('top', container)).to.not.include(KEY);
  });
});
