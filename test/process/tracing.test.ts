import { expect } from 'chai';
import { type PrivateDatabase, startPrivateDatabase } from '../../tools/process/database.ts';
import { eventually } from '../../tools/process/eventually.ts';
import { freePort } from '../../tools/process/free-port.ts';
import {
  killAll,
  migrate,
  type Service,
  type ServiceProcess,
  startProcess,
  startServing,
} from '../../tools/process/service.ts';
import { type Collector, type ReceivedSpan, startCollector } from './collector.ts';
import { find, letters, save, send } from './requests.ts';
import { sharedDatabase } from './shared-database.ts';

const CALLER = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };
const TRACEPARENT = `00-${CALLER.traceId}-${CALLER.spanId}-01`;

describe('traces', function () {
  this.timeout(60_000);
  let database: PrivateDatabase;
  let collector: Collector;
  const started: ServiceProcess[] = [];

  /** A service that sends its spans to the collector, every 0.1 s unless `env` changes that. */
  async function serve(env: NodeJS.ProcessEnv = {}): Promise<Service> {
    const traces = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint, OTEL_BSP_SCHEDULE_DELAY: '100' };
    const service = await startServing({ ...database.env, ...traces, ...env });
    started.push(service);
    return service;
  }

  /** The spans received by the end of the service. */
  async function spansAtTheEnd(service: Service): Promise<readonly ReceivedSpan[]> {
    expect((await service.stop()).code).to.equal(0);
    return collector.spans;
  }

  before(async () => {
    database = await sharedDatabase();
  });
  beforeEach(async () => {
    collector = await startCollector();
  });
  afterEach(async () => {
    await killAll(started.splice(0));
    collector.stop();
  });

  it('have a span for a request, with a child for its statement', async () => {
    const service = await serve();
    await save(service.url, 'ann', '2000-01-01');
    const spans = await spansAtTheEnd(service);
    const [request, statement] = ['server', 'client'].map((kind) => spans.find((span) => span.kind === kind));
    expect(spans).to.have.length(2);
    expect(request?.name).to.equal('PUT /hello/:username');
    expect(request?.attributes).to.deep.equal({
      'http.request.method': 'PUT',
      'http.route': '/hello/:username',
      'http.response.status_code': 204,
      'url.scheme': 'http',
      'network.protocol.version': '1.1',
    });
    expect(request?.status.isError).to.equal(false);
    expect(request?.resource).to.include({ 'service.name': 'plusone', 'service.version': '1.0.0' });
    expect(statement?.name).to.equal('INSERT users');
    expect(statement?.attributes).to.deep.equal({
      'db.system.name': 'mysql',
      'db.namespace': database.env.DATABASE_NAME,
      'server.address': database.env.DATABASE_HOST,
      'server.port': Number(database.env.DATABASE_PORT),
      'db.operation.name': 'INSERT',
      'db.collection.name': 'users',
      'db.query.summary': 'INSERT users',
      'db.query.text':
        'insert into `users` (`date_of_birth`, `username`) values (?, ?) on duplicate key update `date_of_birth` = values(`date_of_birth`)',
      'plusone.requests': 1,
    });
    expect(statement).to.include({ traceId: request?.traceId, parentSpanId: request?.spanId });
    expect(request?.milliseconds).to.be.at.least(statement?.milliseconds ?? Number.NaN);
  });

  it('continue the trace of the client', async () => {
    const service = await serve();
    await fetch(`${service.url}/hello/ann`, { headers: { traceparent: TRACEPARENT } });
    const spans = await spansAtTheEnd(service);
    const request = spans.find(({ kind }) => kind === 'server');
    expect(request).to.include({ traceId: CALLER.traceId, parentSpanId: CALLER.spanId });
    expect(spans.map(({ traceId }) => traceId)).to.deep.equal([CALLER.traceId, CALLER.traceId]);
  });

  it('have their ids in the log line', async () => {
    const service = await serve();
    await find(service.url, 'ann');
    await send('GET', `${service.url}/nowhere`);
    const spans = await spansAtTheEnd(service);
    const lines = requestLines(service).map(({ traceId, spanId, route }) => ({ traceId, spanId, route }));
    const requests = spans.filter(({ kind }) => kind === 'server');
    expect(requests.map(({ name }) => name)).to.have.members(['GET /hello/:username', 'GET']);
    for (const { traceId, spanId, attributes } of requests) {
      expect(lines).to.deep.include({ traceId, spanId, route: attributes['http.route'] ?? 'none' });
    }
  });

  it('have a span for requests routed by restify too, with the statement', async () => {
    const service = await serve();
    await send('GET', `${service.url}/hello/%61nn`);
    await fetch(`${service.url}/?username=ann`, { headers: { Accept: 'text/html' } });
    const spans = await spansAtTheEnd(service);
    const requests = spans.filter(({ kind }) => kind === 'server');
    expect(requests.map(({ name }) => name)).to.have.members(['GET /hello/:username', 'GET /']);
    for (const { spanId } of requests) {
      expect(spans.filter(({ parentSpanId }) => parentSpanId === spanId)).to.have.length(1);
    }
  });

  it('link a statement and all requests that share it, in both directions', async () => {
    const service = await serve();
    const count = 60;
    await Promise.all(Array.from({ length: count }, (_, at) => find(service.url, letters(at))));
    const spans = await spansAtTheEnd(service);
    const requests = spans.filter(({ kind }) => kind === 'server');
    const statements = spans.filter(({ kind }) => kind === 'client');
    expect(requests).to.have.length(count);
    expect(statements.length, 'they did share').to.be.below(count);

    const servedBy = (statement: ReceivedSpan) => [
      statement.parentSpanId,
      ...statement.links.map((link) => link.spanId),
    ];
    expect(statements.flatMap(servedBy)).to.have.members(requests.map(({ spanId }) => spanId));
    for (const statement of statements) {
      const { traceId, spanId, attributes } = statement;
      const [first, ...others] = servedBy(statement).map((id) => requests.find((request) => request.spanId === id));
      expect(first?.traceId).to.equal(traceId);
      expect(attributes['plusone.requests']).to.equal(1 + others.length);
      for (const other of others) expect(other?.links).to.deep.equal([{ traceId, spanId }]);
    }
  });

  it('contain no name, birthday or password, for all requests and failures', async () => {
    const service = await serve();
    await save(service.url, 'Wilhelmina', '1987-06-05');
    await Promise.all(['Wilhelmina', 'Bartholomew', 'wil-helmina'].map((name) => find(service.url, name)));
    await send('PUT', `${service.url}/hello/Wilhelmina`, ['1987-06-05']);
    await send('GET', `${service.url}/helo/Wilhelmina?dateOfBirth=1987-06-05`);
    await fetch(`${service.url}/?username=Wilhelmina`, { headers: { Accept: 'text/html' } });
    await send('DELETE', `${service.url}/hello/Wilhelmina`);
    const spans = await spansAtTheEnd(service);
    expect(spans.filter(({ kind }) => kind === 'server')).to.have.length(8);
    const sent = collector.bytes().toString('latin1');
    expect(sent).to.include('GET /hello/:username');
    expect(sent).not.to.match(/wilhelmina|bartholomew|wil-helmina|1987/i);
    expect(sent).not.to.include(database.env.DATABASE_PASSWORD);
  });

  it('leave out the probes', async () => {
    const service = await serve();
    await send('GET', `${service.url}/livez`);
    await send('GET', `${service.url}/openapi.json`);
    const spans = await spansAtTheEnd(service);
    expect(spans.map(({ name }) => name)).to.deep.equal(['GET /openapi.json']);
  });

  it('mark failures while the database is unavailable, with the reason', async () => {
    const own = await startPrivateDatabase();
    try {
      await migrate(own.env);
      const service = await serve(own.env);
      await own.kill();
      expect((await find(service.url, 'ann')).status).to.equal(503);
      const spans = await spansAtTheEnd(service);
      const request = spans.find(({ kind }) => kind === 'server');
      expect(request?.status.isError).to.equal(true);
      expect(request?.status.message).to.match(/^database unavailable: /);
      expect(request?.attributes).to.include({ 'http.response.status_code': 503, 'error.type': 'Unavailable' });
      const statement = spans.find(({ kind }) => kind === 'client');
      expect(statement?.status).to.deep.equal({ isError: true, message: '' });
      expect(statement?.attributes['error.type']).to.match(/^[A-Z_]+$/);
    } finally {
      await own.stop();
    }
  });

  it('are exported while the service runs', async () => {
    const service = await serve();
    await find(service.url, 'ann');
    await eventually(async () => collector.spans.length === 2);
  });

  it('are sent before the process ends, before the export interval is over', async () => {
    const service = await serve({ OTEL_BSP_SCHEDULE_DELAY: '3600000' });
    await find(service.url, 'ann');
    expect(collector.spans).to.have.length(0);
    expect(await spansAtTheEnd(service)).to.have.length(2);
  });

  it('follow the standard variables: name, attributes, headers, sampler', async () => {
    const service = await serve({
      OTEL_SERVICE_NAME: 'birthdays',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,team=a%20b',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20x',
      OTEL_TRACES_SAMPLER: 'parentbased_always_off',
    });
    await find(service.url, 'ann');
    await fetch(`${service.url}/hello/ann`, { headers: { traceparent: TRACEPARENT } });
    const spans = await spansAtTheEnd(service);
    expect(spans.map(({ traceId }) => traceId)).to.deep.equal([CALLER.traceId, CALLER.traceId]);
    expect(spans[0]?.resource).to.include({
      'service.name': 'birthdays',
      'deployment.environment.name': 'test',
      team: 'a b',
    });
    expect(collector.exports[0]?.authorization).to.equal('Bearer x');
  });

  for (const [what, answer] of [
    ['never answers', 'never'],
    ['refuses them', 401],
  ] as const) {
    it(`delay nothing and log one line if the collector ${what}`, async () => {
      collector.answer(answer);
      const service = await serve({ OTEL_EXPORTER_OTLP_TIMEOUT: '200', OTEL_BSP_SCHEDULE_DELAY: '20' });
      while (collector.exports.length < 4) {
        const { status, milliseconds } = await find(service.url, 'nobody');
        expect(status).to.equal(404);
        expect(milliseconds).to.be.below(2_000);
      }
      await eventually(async () => service.stdout().includes('trace export failed'));
      const from = performance.now();
      expect((await service.stop()).code).to.equal(0);
      expect(performance.now() - from).to.be.below(5_000);
      expect(service.stdout().match(/trace export failed/g)).to.have.length(1);
      expect(service.stderr()).to.equal('');
    });
  }

  it('are dropped with a log line if the collector does not answer at the end', async () => {
    collector.answer('never');
    const service = await serve();
    await find(service.url, 'ann');
    const from = performance.now();
    expect((await service.stop()).code).to.equal(0);
    expect(performance.now() - from).to.be.within(1_900, 6_000);
    expect(service.stdout()).to.include('trace export timed out after 2000 ms; last spans dropped');
  });

  it('are exported again after the collector has recovered', async () => {
    collector.answer(401);
    const service = await serve();
    await find(service.url, 'ann');
    await eventually(async () => service.stdout().includes('trace export failed; spans dropped'));
    collector.answer(200);
    await eventually(async () => {
      await find(service.url, 'ann');
      return service.stdout().includes('trace export recovered');
    });
    expect(collector.spans).not.to.have.length(0);
  });

  describe('without an endpoint', () => {
    // Writes the address of every module that the process loads.
    const spy = `import { registerHooks } from 'node:module';
      import { writeSync } from 'node:fs';
      // A pipe that is full refuses with EAGAIN.
      const tell = (line) => {
        for (;;) try { return writeSync(2, line); } catch (error) { if (error.code !== 'EAGAIN') throw error; }
      };
      registerHooks({ load(url, context, next) { tell('loads ' + url + '\\n'); return next(url, context); } });`;
    const NODE_OPTIONS = `--import=data:text/javascript;base64,${Buffer.from(spy).toString('base64')}`;
    const ofTraces = /\/operations\/tracing\.ts|\/node_modules\/@opentelemetry\/(?!api\/)/;

    it('load no package of OpenTelemetry except its API, which the metrics load', async () => {
      const service = await startServing({ ...database.env, NODE_OPTIONS });
      started.push(service);
      await find(service.url, 'ann');
      await service.stop();
      expect(service.stderr()).to.include('src/server.ts').and.not.match(ofTraces);
      for (const line of requestLines(service)) expect(line).not.to.have.any.keys('traceId', 'spanId');
    });

    it('(the same check finds the SDK with an endpoint)', async () => {
      const service = await serve({ NODE_OPTIONS });
      expect(service.stderr()).to.match(ofTraces);
    });
  });

  it('end the process with 78 if the endpoint is not a URL', async () => {
    const ports = { PORT: String(await freePort()), METRICS_PORT: String(await freePort()) };
    const process = startProcess('serve', { ...database.env, ...ports, OTEL_EXPORTER_OTLP_ENDPOINT: 'localhost:4318' });
    started.push(process);
    expect((await process.exited).code).to.equal(78);
    expect(process.stderr()).to.equal(
      'plusone: OTEL_EXPORTER_OTLP_ENDPOINT is "localhost:4318"; it must be a URL such as http://localhost:4318\n',
    );
  });
});

/** The lines of the log about requests. */
function requestLines(service: Service): Record<string, unknown>[] {
  return service
    .stdout()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ msg }) => msg === 'request');
}
