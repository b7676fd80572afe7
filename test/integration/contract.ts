import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { expect } from 'chai';
import type { Response as Documented, OpenApi, Operation } from '../../src/web/contract.ts';
import { authorization, serviceUnderTest } from './service.ts';

/** A complete response. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A request: `json` is sent as JSON with its Content-Type, `body` as it is. */
export interface Ask {
  readonly headers?: Record<string, string>;
  readonly json?: unknown;
  readonly body?: string | Uint8Array<ArrayBuffer> | ReadableStream;
}

const TIMEOUT_MILLISECONDS = 8_000;

/**
 * Sends a request to the service and checks the response against the service's `/openapi.json`: status, headers, media
 * type and body.
 * @throws {AssertionError} if they differ
 */
export async function ask(method: string, path: string, { headers, json, body }: Ask = {}): Promise<Answer> {
  const { url } = await serviceUnderTest();
  const response = await fetch(url + path, {
    method,
    headers: { ...authorization(), ...(json !== undefined && { 'content-type': 'application/json' }), ...headers },
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
    ...(json !== undefined && { body: JSON.stringify(json) }),
    ...(body !== undefined && { body }),
    ...(body instanceof ReadableStream && { duplex: 'half' }),
  });
  const answer = { status: response.status, headers: response.headers, text: await response.text() };
  await checkContract(method, path, answer);
  return answer;
}

/** The response's body as JSON. */
export function jsonOf({ text }: Answer): Record<string, unknown> {
  return JSON.parse(text);
}

let reading: Promise<Contract> | undefined;

/** The service's OpenAPI document with its validators. */
export function contract(): Promise<Contract> {
  reading ??= serviceUnderTest()
    .then(({ url }) => fetch(`${url}/openapi.json`))
    .then(async (response) => new Contract((await response.json()) as OpenApi));
  return reading;
}

/** Throws an AssertionError if the OpenAPI document does not have this response to that request. */
export async function checkContract(method: string, path: string, answer: Answer): Promise<void> {
  const api = await contract();
  const { documented, pointer } = api.find(method, path, answer.status);
  const said = `${method} ${path.slice(0, 100)} → ${answer.status} ${answer.text.slice(0, 300)}`;

  for (const [name, header] of Object.entries(documented.headers ?? {})) {
    const value = answer.headers.get(name);
    const required = api.resolve<{ required?: boolean }>(header).required === true;
    if (value === null) expect(required, `${said}: has no ${name}`).to.equal(false);
    else api.check('$ref' in header ? `${header.$ref}/schema` : `${pointer}/headers/${name}/schema`, value, said);
  }
  expect(answer.headers.get('x-content-type-options'), said).to.equal('nosniff');
  expect(answer.headers.get('content-security-policy'), said).to.contain("default-src 'none'");
  expect(answer.headers.get('x-powered-by'), said).to.equal(null);
  expect(answer.headers.get('server') ?? '', said).not.to.match(/restify|node|plusone/i);

  const type = answer.headers.get('content-type')?.replace(/\s*;.*/, '');
  if (documented.content === undefined) {
    expect(answer.text, said).to.equal('');
    return;
  }
  expect(type, said).to.be.oneOf(Object.keys(documented.content));
  if (method === 'HEAD') {
    expect(answer.text, said).to.equal('');
    return;
  }
  const value: unknown = type?.endsWith('json') ? JSON.parse(answer.text) : answer.text;
  api.check(`${pointer}/content/${escapePointer(String(type))}/schema`, value, said);
  if (answer.status >= 400) expect(value, said).to.include({ status: answer.status });
}

class Contract {
  readonly document: OpenApi;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: OpenApi) {
    this.document = document;
    addFormats.default(this.#ajv);
    this.#ajv.addSchema(document, 'openapi');
  }

  /** The operation of this request; for a HEAD, that of GET. */
  operation(method: string, path: string): { operation: Operation; pointer: string } | undefined {
    const own = method === 'HEAD' ? 'get' : method.toLowerCase();
    const plain = path.replace(/\?.*$/s, '');
    for (const [template, methods] of Object.entries(this.document.paths)) {
      if (!new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]*')}$`).test(plain)) continue;
      for (const [name, operation] of Object.entries(methods)) {
        if (name === own) return { operation, pointer: `#/paths/${escapePointer(template)}/${name}` };
      }
    }
    return undefined;
  }

  /** The documented response with this status; for a request without an operation, the shared response. */
  find(method: string, path: string, status: number) {
    const known = this.operation(method, path);
    const own = known?.operation.responses[status];
    if (known !== undefined && own !== undefined && !('$ref' in own)) {
      return { documented: own, pointer: `${known.pointer}/responses/${status}` };
    }
    const $ref = own !== undefined && '$ref' in own ? own.$ref : this.#failure(status);
    expect(
      known === undefined || own !== undefined,
      `${method} ${path} has no answer ${status} in /openapi.json`,
    ).to.equal(true);
    expect($ref, `/openapi.json has no answer ${status} at all`).to.be.a('string');
    return { documented: this.resolve<Documented>({ $ref: String($ref) }), pointer: String($ref) };
  }

  /** Throws an AssertionError if the value does not match the schema at the pointer. */
  check(pointer: string, value: unknown, said: string): void {
    const validator = this.#validators.get(pointer) ?? this.#ajv.compile({ $ref: `openapi${pointer}` });
    this.#validators.set(pointer, validator);
    expect(validator(value), `${said}: ${this.#ajv.errorsText(validator.errors)}`).to.equal(true);
  }

  resolve<T>(part: T | { $ref: string }): T {
    if (typeof part !== 'object' || part === null || !('$ref' in part)) return part as T;
    const keys = part.$ref.split('/').slice(1);
    return keys.reduce<unknown>((node, key) => Reflect.get(Object(node), key), this.document) as T;
  }

  #failure(status: number): string | undefined {
    for (const methods of Object.values(this.document.paths)) {
      for (const { responses } of Object.values(methods)) {
        const response = responses[status];
        if (status >= 400 && response !== undefined && '$ref' in response) return response.$ref;
      }
    }
    return undefined;
  }
}

const escapePointer = (part: string) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
