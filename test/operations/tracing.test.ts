import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Span } from '@opentelemetry/api';
import {
  AlwaysOnSampler,
  InMemorySpanExporter,
  ParentBasedSampler,
  type ReadableSpan,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { expect } from 'chai';
import { pino } from 'pino';
import { Tracing } from '../../src/operations/tracing.ts';
import { Unavailable } from '../../src/unavailable.ts';

const SELECT_FOUR = 'select `username`, `date_of_birth` from `users` where `username` in (?, ?, ?, ?)';
const UPSERT_TWO =
  'insert into `users` (`date_of_birth`, `username`) values (?, ?), (?, ?) on duplicate key update `date_of_birth` = values(`date_of_birth`)';

describe('tracing', () => {
  let exporter: InMemorySpanExporter;
  let tracing: Tracing;

  beforeEach(() => {
    exporter = new InMemorySpanExporter();
    const provider = new TracerProvider({
      sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
      spanProcessors: [new SimpleSpanProcessor({ exporter })],
    });
    tracing = new Tracing(provider, { 'db.system.name': 'mysql' }, pino({ level: 'silent' }));
  });

  /** A request that has started; its client may have decided that it is not sampled. */
  function begun({ method = 'GET', sampled = true } = {}): IncomingMessage & { span: Span } {
    const request = Object.assign(new IncomingMessage(new Socket()), { method, url: '/hello/ann', httpVersion: '1.1' });
    if (!sampled) request.headers.traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00';
    tracing.beginRequest(request);
    const { span } = request;
    if (span === undefined) throw new Error('it has no span');
    return Object.assign(request, { span });
  }

  /** The span of a statement that ran for these requests. */
  function statementFor(requests: readonly { span: Span }[], sql = SELECT_FOUR): ReadableSpan | undefined {
    const span = tracing.forAll(
      requests.map((request) => request.span),
      () => tracing.beginStatement(sql),
    );
    if (span === undefined) return undefined;
    tracing.endStatement(span, undefined);
    return exporter.getFinishedSpans().at(-1);
  }

  /** The span of a request after its end. */
  function ended(request: IncomingMessage, status: number, error?: unknown): ReadableSpan | undefined {
    tracing.endRequest(request, '/hello/:username', status, error);
    return exporter.getFinishedSpans().at(-1);
  }

  it('has a statement as child of its first sampled request, and linked to the other sampled ones', () => {
    const [unseen, first, second] = [begun({ sampled: false }), begun(), begun()];
    const statement = statementFor([unseen, first, second]);
    expect(statement?.parentSpanContext?.spanId).to.equal(first.span.spanContext().spanId);
    expect(statement?.links.map(({ context }) => context)).to.deep.equal([second.span.spanContext()]);
    expect(statement?.attributes['plusone.requests']).to.equal(3);
  });

  it('has no span for a statement that no sampled request waits for', () => {
    expect(statementFor([begun({ sampled: false })])).to.equal(undefined);
    expect(statementFor([])).to.equal(undefined);
  });

  it('links a statement to a request that timed out before, and not the request to the statement', () => {
    const [first, late] = [begun(), begun()];
    const request = ended(late, 503, new Unavailable('no answer'));
    expect(statementFor([first, late])?.links).to.have.length(1);
    expect(request?.links).to.deep.equal([]);
  });

  it('shortens lists in a statement to one element', () => {
    const textOf = (sql: string) => statementFor([begun()], sql)?.attributes['db.query.text'];
    expect(textOf(SELECT_FOUR)).to.equal('select `username`, `date_of_birth` from `users` where `username` in (?)');
    expect(textOf(UPSERT_TWO)).to.match(/ values \(\?, \?\) on duplicate key /);
  });

  it('has only the code of an error of MySQL, whose messages quote values', () => {
    const span = tracing.forRequest(begun(), () => tracing.beginStatement(SELECT_FOUR));
    if (span === undefined) throw new Error('it has no span');
    const refusal = new Error("Duplicate entry 'ann' for key 'users.PRIMARY'");
    tracing.endStatement(span, Object.assign(refusal, { code: 'ER_DUP_ENTRY', errno: 1062, sqlState: '23000' }));
    const [statement] = exporter.getFinishedSpans();
    expect(statement?.attributes).to.include({ 'error.type': 'ER_DUP_ENTRY', 'db.response.status_code': '1062' });
    expect(statement?.status).to.deep.equal({ code: 2 });
    expect(statement?.events).to.deep.equal([]);
  });

  it('attributes work to its request across awaits', async () => {
    const request = begun();
    const causes = await tracing.forRequest(request, async () => {
      await new Promise(setImmediate);
      return tracing.causes();
    });
    expect(causes).to.deep.equal([request.span]);
    expect(tracing.causes()).to.deep.equal([]);
  });

  it('has only the class of an unexpected error, whose message may contain a value', () => {
    const span = ended(begun(), 500, new RangeError('1987-06-05 is too far'));
    expect(span?.attributes['error.type']).to.equal('RangeError');
    expect(span?.status).to.deep.equal({ code: 2 });
  });

  it("does not mark a client's error as a failure", () => {
    expect(ended(begun(), 404)?.status).to.deep.equal({ code: 0 });
  });

  it('does not name an unknown method', () => {
    const span = ended(begun({ method: 'PROPFIND' }), 405);
    expect(span?.name).to.equal('HTTP /hello/:username');
    expect(span?.attributes['http.request.method']).to.equal('_OTHER');
  });
});
