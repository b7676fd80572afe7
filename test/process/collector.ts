import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** A received span; ids are in hexadecimal. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first span of a trace. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client' | 'other';
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly isError: boolean; readonly message: string };
  readonly milliseconds: number;
  /** The attributes of the process that sent it. */
  readonly resource: Readonly<Record<string, string | number | boolean>>;
}

/** A collector of traces by OTLP over HTTP, in protobuf. */
export interface Collector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly endpoint: string;
  readonly spans: readonly ReceivedSpan[];
  /** The headers of every export, including rejected ones. */
  readonly exports: readonly IncomingHttpHeaders[];
  /** Everything received, unparsed. */
  readonly bytes: () => Buffer;
  /** Sets the response to exports; with `never` there is none. */
  answer(status: number | 'never'): void;
  stop(): void;
}

/** Starts a collector on a free port. */
export async function startCollector(): Promise<Collector> {
  const spans: ReceivedSpan[] = [];
  const exports: IncomingHttpHeaders[] = [];
  const bodies: Buffer[] = [];
  let status: number | 'never' = 200;
  const server = createServer(async (request, response) => {
    const sent = Buffer.concat(await request.toArray());
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
    exports.push(request.headers);
    if (status === 'never') return;
    response.statusCode = request.url === '/v1/traces' ? status : 404;
    if (response.statusCode === 200) {
      bodies.push(body);
      spans.push(...spansIn(body));
    }
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    exports,
    bytes: () => Buffer.concat(bodies),
    answer(how) {
      status = how;
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

// The numbers of fields are those of https://github.com/open-telemetry/opentelemetry-proto (v1).
const KINDS: readonly ReceivedSpan['kind'][] = ['other', 'internal', 'server', 'client'];
const ERROR = 2;

function spansIn(body: Buffer): ReceivedSpan[] {
  return new Message(body).all(1).flatMap((ofResource) => {
    const resource = attributesIn(ofResource.first(1)?.all(1) ?? []);
    return ofResource
      .all(2)
      .flatMap((ofScope) => ofScope.all(2))
      .map((span) => ({
        traceId: span.bytes(1).toString('hex'),
        spanId: span.bytes(2).toString('hex'),
        parentSpanId: span.bytes(4).toString('hex'),
        name: span.bytes(5).toString(),
        kind: KINDS[span.number(6)] ?? 'other',
        milliseconds: Number(span.bytes(8).readBigUInt64LE() - span.bytes(7).readBigUInt64LE()) / 1e6,
        attributes: attributesIn(span.all(9)),
        links: span.all(13).map((link) => ({
          traceId: link.bytes(1).toString('hex'),
          spanId: link.bytes(2).toString('hex'),
        })),
        status: {
          isError: span.first(15)?.number(3) === ERROR,
          message: span.first(15)?.bytes(2).toString() ?? '',
        },
        resource,
      }));
  });
}

function attributesIn(pairs: readonly Message[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const value = pair.first(2);
      const read = value?.has(3)
        ? value.number(3)
        : value?.has(2)
          ? value.number(2) === 1
          : (value?.bytes(1).toString() ?? '');
      return [pair.bytes(1).toString(), read];
    }),
  );
}

/** The fields of a protobuf message: https://protobuf.dev/programming-guides/encoding/ */
class Message {
  readonly #fields = new Map<number, (Buffer | number)[]>();

  constructor(buffer: Buffer) {
    let at = 0;
    const varint = (): number => {
      let value = 0;
      for (let factor = 1; ; factor *= 128) {
        const byte = buffer.readUInt8(at);
        at += 1;
        value += (byte % 128) * factor;
        if (byte < 128) return value;
      }
    };
    const take = (length: number): Buffer => {
      at += length;
      return buffer.subarray(at - length, at);
    };
    while (at < buffer.length) {
      const tag = varint();
      const field = Math.floor(tag / 8);
      const type = tag % 8;
      const value = type === 0 ? varint() : take(type === 1 ? 8 : type === 5 ? 4 : varint());
      this.#fields.set(field, [...(this.#fields.get(field) ?? []), value]);
    }
  }

  has(field: number): boolean {
    return this.#fields.has(field);
  }

  number(field: number): number {
    return Number(this.#fields.get(field)?.at(-1) ?? 0);
  }

  bytes(field: number): Buffer {
    const value = this.#fields.get(field)?.at(-1);
    return value instanceof Buffer ? value : Buffer.alloc(0);
  }

  first(field: number): Message | undefined {
    return this.all(field)[0];
  }

  all(field: number): Message[] {
    const values = this.#fields.get(field) ?? [];
    return values.flatMap((value) => (value instanceof Buffer ? [new Message(value)] : []));
  }
}
