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

/** The maximum number of requests that share a statement (database/store.ts); the SDK's default is 128. */
const MOST_LINKS = 256;
/** How long the process waits for a collector at its end. */
const FLUSH_MILLISECONDS = 2_000;
/** The SDK repeats a warning with every batch. */
const WARNING_INTERVAL_MILLISECONDS = 60_000;
/** The span name for an unknown method: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#name */
const NO_METHOD = 'HTTP';
const NO_SPANS: readonly Span[] = [];

/** What all statements with the same text have in common. */
interface StatementKind {
  readonly name: string;
  readonly attributes: Attributes;
}

/**
 * OpenTelemetry traces: a span for each request and each statement, with names and attributes from the semantic
 * conventions for HTTP and databases. A statement that several requests share is a child of the first sampled one; it and
 * the others link to each other. No span contains a username, a birth date or a value of a statement.
 *
 * This module loads the SDK, so it is loaded only when tracing is on.
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

  /** Starts the span of a request, as a child of the client's span if there is a `traceparent`. Probes have none. */
  beginRequest(request: IncomingMessage): void {
    if (PROBES.has(request.url)) return;
    const caller = this.#propagator.extract(ROOT_CONTEXT, request.headers, defaultTextMapGetter);
    const name = nameOf(request);
    // url.path would contain the username; http.route, set at the end, replaces it.
    const attributes = {
      'http.request.method': name === NO_METHOD ? '_OTHER' : name,
      'url.scheme': 'http',
      'network.protocol.version': request.httpVersion,
    };
    request.span = this.#tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, caller);
  }

  /** Ends a request's span; `route` is the pattern, never the path; undefined without a route. */
  endRequest(request: IncomingMessage, route: string | undefined, status: number, error: unknown): void {
    const { span } = request;
    if (span === undefined) return;
    if (route !== undefined) span.updateName(`${nameOf(request)} ${route}`).setAttribute('http.route', route);
    span.setAttribute('http.response.status_code', status);
    if (status >= 500) {
      span.setAttribute('error.type', kindOf(error) ?? String(status));
      // As in the log: this message contains nothing from the request; other messages may.
      const message = error instanceof Unavailable ? { message: error.message } : {};
      span.setStatus({ code: SpanStatusCode.ERROR, ...message });
    }
    span.end();
  }

  /** Runs `work` for a request: statements in it, and in everything it awaits, are attributed to that request. */
  forRequest<Args extends unknown[], Result>(
    { span }: IncomingMessage,
    work: (...args: Args) => Result,
    ...args: Args
  ): Result {
    return this.#causes.run(span === undefined ? NO_SPANS : [span], work, ...args);
  }

  /** Runs `work` for all these requests at once. */
  forAll<Result>(causes: readonly Span[], work: () => Result): Result {
    return this.#causes.run(causes, work);
  }

  /** The spans of the requests that the current work is for. */
  causes(): readonly Span[] {
    return this.#causes.getStore() ?? NO_SPANS;
  }

  /** Starts the span of a statement; undefined if no sampled request waits for it. */
  beginStatement(sql: string): Span | undefined {
    const causes = this.causes();
    const [parent, ...others] = causes.filter(isSampled);
    if (parent === undefined) return undefined;
    const { name, attributes } = this.#kindOf(sql);
    const options = {
      kind: SpanKind.CLIENT,
      // The conventions do not call one statement with many rows a batch: db.operation.batch.size would be wrong.
      attributes: { ...attributes, 'plusone.requests': causes.length },
      links: others.map((other) => ({ context: other.spanContext() })),
    };
    const span = this.#tracer.startSpan(name, options, trace.setSpan(ROOT_CONTEXT, parent));
    const link = { context: span.spanContext() };
    // A request that waited too long has been answered, and its span has ended.
    for (const other of others) if (other.isRecording()) other.addLink(link);
    return span;
  }

  /** Ends a statement's span; `error` is undefined if the statement succeeded. */
  endStatement(span: Span, error: unknown): void {
    if (error !== undefined) {
      // No message: MySQL quotes values in it.
      span.setAttribute('error.type', kindOf(error) ?? '_OTHER').setStatus({ code: SpanStatusCode.ERROR });
      const isFromMysql = error instanceof Error && 'sqlState' in error && 'errno' in error;
      if (isFromMysql) span.setAttribute('db.response.status_code', String(error.errno));
    }
    span.end();
  }

  /** Sends the remaining spans, within a time limit. Spans that end later are lost. */
  async flush(): Promise<void> {
    const sent = this.#provider.shutdown().then(
      () => true,
      // The exporter has logged it.
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

/** Starts tracing; the `OTEL_…` variables say where spans are sent. */
export function startTracing(
  settings: TracingSettings,
  service: { name: string; version: string },
  database: Pick<DatabaseSettings, 'host' | 'port' | 'name'>,
  log: Logger,
): Tracing {
  // Before the exporter and the resource, which read variables and may warn about them.
  logWarnings(log);
  const exporter = loggingFailures(new OTLPTraceExporter(), log);
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': service.name, 'service.version': service.version }))
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

/** `exporter`, which logs when it starts to fail and when it recovers. */
function loggingFailures(exporter: SpanExporter, log: Logger): SpanExporter {
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

/** Logs the SDK's own warnings, at most one per minute. */
function logWarnings(log: Logger): void {
  let quietUntil = 0;
  const warn = (reason: string) => {
    if (performance.now() < quietUntil) return;
    quietUntil = performance.now() + WARNING_INTERVAL_MILLISECONDS;
    log.warn({ reason }, 'OpenTelemetry SDK warning');
  };
  const ignore = () => {};
  diag.setLogger(
    { error: warn, warn, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  // These are failed exports, which the exporter has logged.
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

/** A failed connection has a code, and a collector's rejection has a status in the code. */
function reasonOf(error: Error | undefined): string {
  if (error === undefined) return 'unknown';
  const code = 'code' in error ? String(error.code) : '';
  return [code, error.message].filter((word) => word !== '').join(' ');
}

/** A statement whose lists are shortened to one element, as the conventions allow; they have up to 256. */
function collapsed(sql: string): string {
  return sql.replace(/(\(\?(?:, \?)*\))(?:, \1)+/g, '$1').replace(/ in \(\?(?:, \?)+\)/g, ' in (?)');
}
