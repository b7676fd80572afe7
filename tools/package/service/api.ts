import type { z } from 'zod';
import {
  change,
  describeApi,
  everywhere,
  failing,
  type OpenApi,
  type Parameter,
  ref,
  type Schema,
  schemaOf,
} from '../../../src/web/contract.ts';
import { idSchema } from './fields.ts';
import { LARGEST_LIMIT } from './paging.ts';

/** A resource as the OpenAPI document describes it. */
export interface ResourceApi {
  /** The path of the list; the path of one has the id after it. */
  readonly path: string;
  /** One of them, such as `Order`, and several. */
  readonly name: string;
  readonly plural: string;
  readonly schema: z.ZodObject;
}

/** The service and its resources. */
interface Description {
  readonly name: string;
  readonly version: string;
  readonly summary: string;
  readonly closed: boolean;
  readonly resources: readonly ResourceApi[];
}

/** What the service answers to programs at `/`, and its OpenAPI document. */
export function describeService({ name, version, summary, closed, resources }: Description): {
  index: object;
  contract: OpenApi;
} {
  const [first] = resources;
  if (first === undefined) throw new Error('a service has at least one resource');
  const links = { openapi: '/openapi.json', docs: '/docs', live: '/livez', ready: '/readyz' };
  const paths = Object.fromEntries(resources.map(({ plural, path }) => [plural.toLowerCase(), path]));
  const index = { name, version, links: { ...paths, ...links } };
  const described = resources.map((resource) => describe(resource, closed));
  const contract = describeApi({
    name,
    title: name,
    version,
    summary,
    description:
      'Every GET can be asked as HEAD. Every answer carries an x-request-id. ' +
      'Every error is application/problem+json (RFC 9457); a path that is not listed here answers 404, ' +
      'a method that a path does not have answers 405 with Allow.',
    license: 'UNLICENSED',
    closed,
    tags: resources.map(({ plural }) => ({ name: plural, description: `Save, read, list and delete ${plural}.` })),
    paths: Object.assign({}, ...described.map((one) => one.paths)),
    index,
    home: { description: 'A browser (Accept: text/html) gets the page, everything else gets JSON.' },
    schemas: Object.assign({}, ...described.map((one) => one.schemas)),
    parameters: { Id: idParameter, After: afterParameter, Limit: limitParameter },
    examplePath: `${first.path}/example-1`,
    badRequest: {
      description: 'The id, the query, the body or the request itself is not right.',
      field: Object.keys(first.schema.shape)[0] ?? 'id',
    },
    notFound: { description: 'Nothing has that id.', detail: `There is no ${first.name} example-1.` },
  });
  return { index, contract };
}

const idParameter: Parameter = {
  name: 'id',
  in: 'path',
  required: true,
  description: String(idSchema.description),
  schema: schemaOf(idSchema),
  example: 'example-1',
};
const afterParameter: Parameter = {
  name: 'after',
  in: 'query',
  description: 'The list begins after this id.',
  schema: schemaOf(idSchema),
  example: 'example-1',
};
const limitParameter: Parameter = {
  name: 'limit',
  in: 'query',
  description: 'At most so many of them.',
  schema: { type: 'integer', minimum: 1, maximum: LARGEST_LIMIT, default: 20 },
};

/** The operations on one resource, and the schemas that they use. */
function describe({ path, name, plural, schema }: ResourceApi, closed: boolean): Pick<Parts, 'paths' | 'schemas'> {
  const put = change(closed, 413, 415, 503);
  const remove = change(closed, 404, 503);
  const json = (about: string) => ({ 'application/json': { schema: ref(`schemas/${about}`) } });
  const fields = schemaOf(schema);
  const example = Object.fromEntries(
    Object.entries(fields.properties ?? {}).map(([field, type]) => [
      field,
      typeof type === 'object' ? type.examples?.[0] : undefined,
    ]),
  );
  const withId: Schema = {
    ...fields,
    description: `One of the ${plural}, with its id.`,
    properties: { id: schemaOf(idSchema), ...fields.properties },
    required: ['id', ...(fields.required ?? [])],
  };
  const list: Schema = {
    type: 'object',
    description: `${plural} in the order of their ids.`,
    required: ['items'],
    additionalProperties: false,
    properties: {
      items: {
        type: 'array',
        description: 'At most as many as `limit`.',
        items: { $ref: `#/components/schemas/${name}` },
      },
      next: {
        type: 'string',
        description: 'The path of the next page; absent on the last one.',
        format: 'uri-reference',
      },
    },
  };
  return {
    schemas: {
      [name]: withId,
      [`${name}Fields`]: { ...fields, description: `What is saved of one of the ${plural}.` },
      [`${name}List`]: list,
    },
    paths: {
      [path]: {
        get: {
          operationId: `list${plural}`,
          tags: [plural],
          summary: `List ${plural}`,
          description: 'In the order of their ids, page by page.',
          parameters: [ref('parameters/After'), ref('parameters/Limit')],
          responses: {
            '200': { description: 'One page.', headers: everywhere, content: json(`${name}List`) },
            ...failing(406, 503),
          },
        },
      },
      [`${path}/{id}`]: {
        get: {
          operationId: `get${name}`,
          tags: [plural],
          summary: `Read one of the ${plural}`,
          description: 'With all of its fields.',
          parameters: [ref('parameters/Id')],
          responses: {
            '200': { description: 'There is one.', headers: everywhere, content: json(name) },
            ...failing(404, 406, 503),
          },
        },
        put: {
          operationId: `put${name}`,
          tags: [plural],
          summary: `Create or replace one of the ${plural}`,
          description: 'Sending the same request again changes nothing. Once 204 has arrived, the next GET sees it.',
          parameters: [ref('parameters/Id')],
          ...put.security,
          requestBody: {
            required: true,
            description: 'At most 16 KiB, not compressed. Unknown fields are refused.',
            content: { 'application/json': { schema: ref(`schemas/${name}Fields`), example } },
          },
          responses: { '204': { description: 'Saved.', headers: everywhere }, ...put.failures },
        },
        delete: {
          operationId: `delete${name}`,
          tags: [plural],
          summary: `Delete one of the ${plural}`,
          description: 'With all of its fields.',
          parameters: [ref('parameters/Id')],
          ...remove.security,
          responses: { '204': { description: 'Deleted.', headers: everywhere }, ...remove.failures },
        },
      },
    },
  };
}

interface Parts {
  readonly paths: OpenApi['paths'];
  readonly schemas: OpenApi['components']['schemas'];
}
