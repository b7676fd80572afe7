import { STATUS_CODES } from 'node:http';
import { z } from 'zod';

/** The parts of OpenAPI 3.1 that this document uses: enough to write it and to render it with the types checked. */
export interface OpenApi {
  openapi: string;
  info: { title: string; version: string; summary: string; description: string; license: { name: string } };
  servers: { url: string; description: string }[];
  tags: { name: string; description: string }[];
  paths: Record<string, Partial<Record<Method, Operation>>>;
  components: {
    securitySchemes?: Record<string, { type: 'http'; scheme: 'bearer'; description: string }>;
    schemas: Record<string, Schema>;
    headers: Record<string, Header>;
    parameters: Record<string, Parameter>;
    responses: Record<string, Response>;
    links: Record<string, Link>;
  };
}

export type Method = 'get' | 'put' | 'delete';

export interface Reference {
  $ref: string;
}

export interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  description: string;
  parameters?: (Parameter | Reference)[];
  requestBody?: { required: boolean; description: string; content: Record<string, MediaType> };
  responses: Record<string, Response | Reference>;
  security?: Record<string, string[]>[];
}

export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  description: string;
  schema: Schema | Reference;
  example?: string;
}

export interface Response {
  description: string;
  headers?: Record<string, Header | Reference>;
  content?: Record<string, MediaType>;
  links?: Record<string, Link | Reference>;
}

export interface MediaType {
  schema: Schema | Reference;
  example?: unknown;
  examples?: Record<string, { summary: string; value: unknown }>;
}

export interface Header {
  description: string;
  required?: boolean;
  schema: Schema;
  example?: string;
}

export interface Link {
  operationId: string;
  description: string;
  parameters: Record<string, string>;
}

export type Schema = z.core.JSONSchema.BaseSchema;

/** A reference to a component of the document, such as `schemas/Problem`. */
export const ref = (path: string): Reference => ({ $ref: `#/components/${path}` });

const failures: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  408: 'RequestTimeout',
  413: 'ContentTooLarge',
  415: 'UnsupportedMediaType',
  417: 'ExpectationFailed',
  431: 'HeadersTooLarge',
  500: 'InternalServerError',
  503: 'ServiceUnavailable',
};

/** The responses for these failures, and for those that any request can meet. */
export const failing = (...statuses: number[]): Record<string, Reference> =>
  Object.fromEntries(
    [...statuses, 400, 405, 408, 417, 431, 500].map((status) => [status, ref(`responses/${failures[status]}`)]),
  );

/** A zod schema as the JSON Schema that OpenAPI 3.1 takes. */
export function schemaOf(type: z.ZodType): Schema {
  const { $schema: _, ...schema } = z.toJSONSchema(type);
  return schema;
}

/** The headers of every response. */
export const everywhere = { 'x-request-id': ref('headers/RequestId') };

function problemAt(
  path: string,
  status: number,
  description: string,
  detail: string,
  more: { headers?: Record<string, Reference>; errors?: { pointer: string; detail: string }[] } = {},
): Response {
  return {
    description,
    headers: { ...everywhere, ...more.headers },
    content: {
      'application/problem+json': {
        schema: ref('schemas/Problem'),
        example: {
          type: 'about:blank',
          title: STATUS_CODES[status],
          status,
          detail,
          instance: path,
          ...(more.errors && { errors: more.errors }),
        },
      },
    },
  };
}

const file = (description: string, contentType: string, schema: Schema | Reference, example?: unknown): Response => ({
  description,
  headers: { ...everywhere, etag: ref('headers/ETag') },
  content: { [contentType]: { schema, ...(example !== undefined && { example }) } },
});

/** What a service says about its own API; `describeApi` adds all that services have in common. */
export interface Api {
  readonly name: string;
  readonly title: string;
  readonly version: string;
  readonly summary: string;
  readonly description: string;
  readonly license: string;
  /** Whether changes need a token. */
  readonly closed: boolean;
  readonly tags: readonly OpenApi['tags'][number][];
  readonly paths: OpenApi['paths'];
  /** What `GET /` answers; its page is described by `home`. */
  readonly index: object;
  readonly home: {
    readonly description: string;
    readonly parameters?: readonly Parameter[];
    readonly fails?: readonly number[];
  };
  readonly schemas: Readonly<Record<string, Schema>>;
  readonly parameters: Readonly<Record<string, Parameter>>;
  readonly links?: Readonly<Record<string, Link>>;
  /** A path that problems are about in examples. */
  readonly examplePath: string;
  readonly badRequest: {
    readonly description: string /** A field that is missing in the example. */;
    readonly field: string;
  };
  readonly notFound: { readonly description: string; readonly detail: string };
}

const notModified = ref('responses/NotModified');
const ifNoneMatch = ref('parameters/IfNoneMatch');

/** What the operation of a change has if changes need a token: `security`, and 401 beside these failures. */
export function change(closed: boolean, ...statuses: number[]) {
  return {
    security: closed ? { security: [{ writeToken: [] }] } : {},
    failures: failing(...statuses, ...(closed ? [401] : [])),
  };
}

/** The whole HTTP surface of the public port as an OpenAPI 3.1 document, ready for `JSON.stringify`. */
export function describeApi(api: Api): OpenApi {
  const { closed } = api;
  const problem = (...about: Tail<Parameters<typeof problemAt>>) => problemAt(api.examplePath, ...about);
  return {
    openapi: '3.1.1',
    info: {
      title: api.title,
      version: api.version,
      summary: api.summary,
      description: api.description,
      license: { name: api.license },
    },
    servers: [{ url: '/', description: 'The service that serves this document' }],
    tags: [
      ...api.tags,
      { name: 'Health', description: 'What a load balancer and an orchestrator ask.' },
      { name: 'Pages', description: 'What the service says about itself.' },
    ],
    paths: {
      ...api.paths,
      '/livez': {
        get: {
          operationId: 'getLiveness',
          tags: ['Health'],
          summary: 'Is the process alive?',
          description: 'Answers while the event loop turns. Never looks at the database.',
          responses: {
            '200': {
              description: 'Alive.',
              headers: everywhere,
              content: { 'application/json': { schema: ref('schemas/Health'), example: { status: 'alive' } } },
            },
            ...failing(),
          },
        },
      },
      '/readyz': {
        get: {
          operationId: 'getReadiness',
          tags: ['Health'],
          summary: 'Should traffic be sent here?',
          description:
            'Ready once configuration, schema and a first connection were good; not ready before that and from the ' +
            'moment a shutdown starts. A later outage of the database does not change it.',
          responses: {
            '200': {
              description: 'Ready.',
              headers: everywhere,
              content: { 'application/json': { schema: ref('schemas/Health'), example: { status: 'ready' } } },
            },
            ...failing(503),
          },
        },
      },
      '/': {
        get: {
          operationId: 'getIndex',
          tags: ['Pages'],
          summary: 'The page for people, an index for programs',
          description: api.home.description,
          parameters: [...(api.home.parameters ?? []), ifNoneMatch],
          responses: {
            '200': {
              description: 'The page or the index.',
              headers: { ...everywhere, etag: ref('headers/ETag') },
              content: {
                'application/json': { schema: ref('schemas/Index'), example: api.index },
                'text/html': { schema: { type: 'string' } },
              },
            },
            '304': notModified,
            ...failing(...(api.home.fails ?? [])),
          },
        },
      },
      '/openapi.json': {
        get: {
          operationId: 'getOpenApi',
          tags: ['Pages'],
          summary: 'This document',
          description: 'The contract, as OpenAPI 3.1.',
          parameters: [ifNoneMatch],
          responses: {
            '200': file('The OpenAPI document.', 'application/json', { type: 'object', required: ['openapi'] }),
            '304': notModified,
            ...failing(406),
          },
        },
      },
      '/docs': {
        get: {
          operationId: 'getDocs',
          tags: ['Pages'],
          summary: 'This document as a page',
          description: 'To read and to try it in the browser. Nothing on it comes from another host.',
          parameters: [ifNoneMatch],
          responses: {
            '200': file('The page.', 'text/html', { type: 'string' }),
            '304': notModified,
            ...failing(406),
          },
        },
      },
    },
    components: {
      ...(closed && {
        securitySchemes: {
          writeToken: { type: 'http', scheme: 'bearer', description: 'WRITE_TOKEN of this service.' },
        },
      }),
      schemas: {
        ...api.schemas,
        Health: {
          type: 'object',
          description: 'The answer of a health check.',
          required: ['status'],
          additionalProperties: false,
          properties: {
            status: {
              type: 'string',
              description: 'What was asked for; anything else is a problem.',
              enum: ['alive', 'ready'],
            },
          },
        },
        Index: {
          type: 'object',
          description: 'The service, for programs.',
          required: ['name', 'version', 'links'],
          additionalProperties: false,
          properties: {
            name: { type: 'string', description: 'The name of the service.', const: api.name },
            version: { type: 'string', description: 'The version that is running.' },
            links: {
              type: 'object',
              description: 'Paths of this service, by name.',
              additionalProperties: { type: 'string' },
            },
          },
        },
        Problem: {
          type: 'object',
          description: 'An error, as RFC 9457 has it.',
          required: ['type', 'title', 'status', 'detail'],
          additionalProperties: false,
          properties: {
            type: {
              type: 'string',
              description: 'about:blank: the status says which kind of problem it is.',
              format: 'uri-reference',
            },
            title: { type: 'string', description: 'The kind of problem.' },
            status: { type: 'integer', description: 'The HTTP status.', minimum: 400, maximum: 599 },
            detail: { type: 'string', description: 'What was wrong this time, and what would be right.' },
            instance: { type: 'string', description: 'The path that was asked for.', format: 'uri-reference' },
            errors: {
              type: 'array',
              description: 'The fields that were wrong.',
              items: {
                type: 'object',
                required: ['pointer', 'detail'],
                additionalProperties: false,
                properties: {
                  pointer: { type: 'string', description: 'Which one, as a JSON Pointer into the body.' },
                  detail: { type: 'string', description: 'What was wrong with it.' },
                },
              },
            },
          },
        },
      },
      headers: {
        RequestId: {
          description: 'Names this request in the logs. The one the caller sent, if it is a sane one, else a new one.',
          required: true,
          schema: { type: 'string', pattern: '^[A-Za-z0-9_.:-]{1,128}$' },
        },
        ETag: {
          description: 'Send it back as If-None-Match to get 304 while nothing changed.',
          schema: { type: 'string' },
        },
        Allow: {
          description: 'The methods that this path has.',
          required: true,
          schema: { type: 'string' },
          example: 'GET, HEAD',
        },
        ...(closed && {
          WwwAuthenticate: {
            description: 'How to prove that one may.',
            required: true,
            schema: { type: 'string' },
            example: 'Bearer realm="changes"',
          },
        }),
        RetryAfter: {
          description: 'How many seconds to wait before asking again.',
          required: true,
          schema: { type: 'string', pattern: '^[0-9]+$' },
          example: '1',
        },
      },
      parameters: {
        ...api.parameters,
        IfNoneMatch: {
          name: 'If-None-Match',
          in: 'header',
          description: 'An etag that was received before.',
          schema: { type: 'string' },
        },
      },
      responses: {
        NotModified: {
          description: 'What the caller has is still right.',
          headers: { ...everywhere, etag: ref('headers/ETag') },
        },
        BadRequest: problem(400, api.badRequest.description, `${api.badRequest.field} is missing.`, {
          errors: [{ pointer: `#/${api.badRequest.field}`, detail: 'is missing' }],
        }),
        ...(closed && {
          Unauthorized: problem(
            401,
            'The token for changes is missing, or is another one.',
            'Changes need the header Authorization: Bearer, with the token of this service.',
            { headers: { 'www-authenticate': ref('headers/WwwAuthenticate') } },
          ),
        }),
        NotFound: problem(404, api.notFound.description, api.notFound.detail),
        MethodNotAllowed: problem(
          405,
          'This path does not have that method.',
          'Method not allowed: POST. The Allow header lists those that are.',
          { headers: { allow: ref('headers/Allow') } },
        ),
        NotAcceptable: problem(
          406,
          'The Accept header leaves nothing that can be sent.',
          'The Accept header does not allow what can be had here: application/json.',
        ),
        RequestTimeout: problem(
          408,
          'The request took longer than 20 seconds to arrive, or its headers longer than 10.',
          'The request did not arrive in time.',
        ),
        ContentTooLarge: problem(
          413,
          'The body is larger than 16 KiB.',
          'The body must not be larger than 16384 bytes.',
        ),
        UnsupportedMediaType: problem(
          415,
          'The body is not application/json, or it is compressed.',
          'The body must be JSON, with the header Content-Type: application/json.',
        ),
        ExpectationFailed: problem(
          417,
          'The Expect header asks for something else than 100-continue.',
          'The only supported expectation is 100-continue.',
        ),
        HeadersTooLarge: problem(
          431,
          'The request line and the headers are larger than 16 KiB together.',
          'The head of the request is larger than 16 KiB.',
        ),
        InternalServerError: problem(
          500,
          'The service failed. Its log has the reason, under the request id.',
          'The service failed; its log has the reason under the request id.',
        ),
        ServiceUnavailable: problem(
          503,
          'Too many requests at once, no database, or not ready. Ask again: every request here may be repeated.',
          'The service cannot answer this at the moment; please try again.',
          { headers: { 'retry-after': ref('headers/RetryAfter') } },
        ),
      },
      links: { ...api.links },
    },
  };
}

type Tail<Arguments extends unknown[]> = Arguments extends [unknown, ...infer Rest] ? Rest : never;
