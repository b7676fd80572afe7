import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Attributes,
  DiagLogLevel,
  defaultTextMapGetter,
  diag,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { ExportResultCode, setGlobalErrorHandler, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { DatabaseSettings, TracingSettings } from '../config.ts';
import { codeOf } from '../database/errors.ts';
import { Unavailable } from '../unavailable.ts';
import { PROBES } from './health.ts';
import type { Logger } from './logging.ts';
import { KNOWN_METHODS } from './metrics.ts';

declare module 'node:http' {
  interface IncomingMessage {
    /** The request's span; undefined while tracing is off, and for probes. */
    span?: Span;
  }
}

/** As many requests as can share a statement (users/repository.ts); the SDK would keep the links to 128 of them. */
const MOST_LINKS = 256;
/** How long the end of the process waits for a collector. */
const FLUSH_MILLISECONDS = 2_000;
/** The SDK complains of the same thing with every batch. */
const COMPLAINT_MILLISECONDS = 60_000;
/** The name of a span whose method is not to be named: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#name */
const NO_METHOD = 'HTTP';
const NOBODY: readonly Span[] = [];

/** What all statements of the same text have in common. */
interface StatementKind {
  readonly name: string;
  readonly attributes: Attributes;
}

/**
 * OpenTelemetry traces: a span for each request and one for each statement, named and described by the semantic
 * conventions for HTTP and databases. A statement that several requests share is a child of the first of them that is
 * sampled; it and the others link to each other. No span holds a username, a birth date or a value of a statement.
 *
 * This module loads the SDK, so it is itself loaded only when traces are on.
 */
export class Tracing {
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #log: Logger;
  readonly #database: Attributes;
  readonly #propagator = new W3CTraceContextPropagator();
  readonly #causes = new AsyncLocalStorage<readonly Span[]>();
  readonly #kinds = new Map<string, StatementKind>();

  constructor(provider: TracerProvider, database: Attributes, log: Logger) {
    this.#provider = provider;
    this.#tracer = provider.getTracer('plusone');
    this.#database = database;
    this.#log = log;
  }

  /** Begins the span of a request, as a child of its caller's when it brings a `traceparent`. Probes have none. */
  beginRequest(request: IncomingMessage): void {
    if (PROBES.has(request.url)) return;
    const caller = this.#propagator.extract(ROOT_CONTEXT, request.headers, defaultTextMapGetter);
    const name = nameOf(request);
    // url.path would belong here. It has the username in it, so http.route, which comes with the end, has to do.
    const attributes = {
      'http.request.method': name === NO_METHOD ? '_OTHER' : name,
      'url.scheme': 'http',
      'network.protocol.version': request.httpVersion,
    };
    request.span = this.#tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, caller);
  }

  /** Ends a request's span; `route` is the pattern, never the path, and undefined when no route was found. */
  endRequest(request: IncomingMessage, route: string | undefined, status: number, error: unknown): void {
    const { span } = request;
    if (span === undefined) return;
    if (route !== undefined) span.updateName(`${nameOf(request)} ${route}`).setAttribute('http.route', route);
    span.setAttribute('http.response.status_code', status);
    if (status >= 500) {
      span.setAttribute('error.type', kindOf(error) ?? String(status));
      // As in the log: these say what is away, and nothing of the request. What others say is not known.
      const message = error instanceof Unavailable ? { message: error.message } : {};
      span.setStatus({ code: SpanStatusCode.ERROR, ...message });
    }
    span.end();
  }

  /** Runs `work` for a request: statements in it, and in whatever it awaits, are known to be for that one. */
  forRequest<Args extends unknown[], Result>(
    { span }: IncomingMessage,
    work: (...args: Args) => Result,
    ...args: Args
  ): Result {
    return this.#causes.run(span === undefined ? NOBODY : [span], work, ...args);
  }

  /** Runs `work` for all these requests at once. */
  forAll<Result>(causes: readonly Span[], work: () => Result): Result {
    return this.#causes.run(causes, work);
  }

  /** The spans of the requests that the present work is for. */
  causes(): readonly Span[] {
    return this.#causes.getStore() ?? NOBODY;
  }

  /** Begins the span of a statement; undefined when no sampled request is waiting for it. */
  beginStatement(sql: string): Span | undefined {
    const causes = this.causes();
    const [parent, ...others] = causes.filter(isSampled);
    if (parent === undefined) return undefined;
    const { name, attributes } = this.#kindOf(sql);
    const options = {
      kind: SpanKind.CLIENT,
      // To the conventions one statement with many names or rows is no batch, so db.operation.batch.size is not for this.
      attributes: { ...attributes, 'plusone.requests': causes.length },
      links: others.map((other) => ({ context: other.spanContext() })),
    };
    const span = this.#tracer.startSpan(name, options, trace.setSpan(ROOT_CONTEXT, parent));
    const link = { context: span.spanContext() };
    // A request that waited too long was answered before.
    for (const other of others) if (other.isRecording()) other.addLink(link);
    return span;
  }

  /** Ends a statement's span; `error` is undefined when the statement went well. */
  endStatement(span: Span, error: unknown): void {
    if (error !== undefined) {
      // No message: MySQL quotes values in its own.
      span.setAttribute('error.type', kindOf(error) ?? '_OTHER').setStatus({ code: SpanStatusCode.ERROR });
      const isMysqls = error instanceof Error && 'sqlState' in error && 'errno' in error;
      if (isMysqls) span.setAttribute('db.response.status_code', String(error.errno));
    }
    span.end();
  }

  /** Sends the spans that are left, and gives up when that takes long. Spans that end later are lost. */
  async flush(): Promise<void> {
    const sent = this.#provider.shutdown().then(
      () => true,
      // The exporter has told the log.
      () => true,
    );
    const inTime = await Promise.race([sent, sleep(FLUSH_MILLISECONDS, false)]);
    if (!inTime) this.#log.warn(`trace export timed out after ${FLUSH_MILLISECONDS} ms; last spans dropped`);
  }

  #kindOf(sql: string): StatementKind {
    let kind = this.#kinds.get(sql);
    if (kind === undefined) {
      const operation = (/^\w+/.exec(sql)?.[0] ?? 'unknown').toUpperCase();
      const table = /\b(?:from|into) `(\w+)`/.exec(sql)?.[1];
      const name = table === undefined ? operation : `${operation} ${table}`;
      kind = {
        name,
        attributes: {
          ...this.#database,
          'db.operation.name': operation,
          ...(table === undefined ? {} : { 'db.collection.name': table }),
          'db.query.summary': name,
          'db.query.text': collapsed(sql),
        },
      };
      this.#kinds.set(sql, kind);
    }
    return kind;
  }
}

/** Makes traces of this process and sends them as the `OTEL_…` variables say. */
export function startTracing(
  settings: TracingSettings,
  version: string,
  database: Pick<DatabaseSettings, 'host' | 'port' | 'name'>,
  log: Logger,
): Tracing {
  // Before the exporter and the resource are made, which read variables and may complain of them.
  hearComplaints(log);
  const exporter = tellingFailures(new OTLPTraceExporter(), log);
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'plusone', 'service.version': version }))
      .merge(
        detectResources({
          detectors: [serviceInstanceIdDetector, resourceAttributesEnvDetector, serviceNameEnvDetector],
        }),
      ),
    sampler: samplerOf(settings),
    spanLimits: { linkCountLimit: MOST_LINKS },
    spanProcessors: [new BatchSpanProcessor({ exporter, ...settings.batches })],
  });
  log.info({ sampler: settings.sampler }, 'tracing enabled');
  return new Tracing(
    provider,
    {
      'db.system.name': 'mysql',
      'db.namespace': database.name,
      'server.address': database.host,
      'server.port': database.port,
    },
    log,
  );
}

/** The samplers by their names in https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */
function samplerOf({ sampler, sampledShare }: TracingSettings): Sampler {
  switch (sampler) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(sampledShare);
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampledShare) });
  }
}

/** `exporter`, which tells the log when it begins to fail and when it works again. */
function tellingFailures(exporter: SpanExporter, log: Logger): SpanExporter {
  let failing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const failed = result.code === ExportResultCode.FAILED;
        if (failed && !failing) log.warn({ reason: reasonOf(result.error) }, 'trace export failed; spans dropped');
        if (!failed && failing) log.info('trace export recovered');
        failing = failed;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
  };
}

/** Has the SDK's own complaints in the log, one a minute at the most. */
function hearComplaints(log: Logger): void {
  let quietUntil = 0;
  const hear = (reason: string) => {
    if (performance.now() < quietUntil) return;
    quietUntil = performance.now() + COMPLAINT_MILLISECONDS;
    log.warn({ reason }, 'OpenTelemetry SDK warning');
  };
  const ignore = () => {};
  diag.setLogger(
    { error: hear, warn: hear, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  // These are the failures of exports, with nothing that the exporter has not told already.
  setGlobalErrorHandler(ignore);
}

function isSampled(span: Span): boolean {
  return (span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0;
}

function nameOf({ method }: IncomingMessage): string {
  return method !== undefined && KNOWN_METHODS.has(method) ? method : NO_METHOD;
}

/** The code of an error, or else its class. */
function kindOf(error: unknown): string | undefined {
  return codeOf(error) ?? (error instanceof Error ? error.name : undefined);
}

/** A connection that fails has a code alone, a collector that refuses a status as well. */
function reasonOf(error: Error | undefined): string {
  if (error === undefined) return 'unknown';
  const code = 'code' in error ? String(error.code) : '';
  return [code, error.message].filter((word) => word !== '').join(' ');
}

/** A statement with its lists shortened to one element, as the conventions allow; else it would have up to 256. */
function collapsed(sql: string): string {
  return sql.replace(/(\(\?(?:, \?)*\))(?:, \1)+/g, '$1').replace(/ in \(\?(?:, \?)+\)/g, ' in (?)');
}
