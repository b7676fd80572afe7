import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { expect } from 'chai';
import { birthdaySchema, usernameSchema } from '../../src/users/schemas.ts';
import type { MediaType, OpenApi } from '../../src/web/contract.ts';
import { docs } from '../../src/web/docs.ts';
import { openapi } from '../../src/web/openapi.ts';

const document = openapi('1.2.3');
const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));

/** Every body in the document: of requests, of responses and of shared responses. */
function mediaTypes({ components }: OpenApi): MediaType[] {
  const answers = [
    ...operations.flatMap(({ responses }) => Object.values(responses)),
    ...Object.values(components.responses),
  ];
  const contents = [
    ...operations.flatMap(({ requestBody }) => (requestBody ? [requestBody.content] : [])),
    ...answers.flatMap((answer) => ('$ref' in answer || !answer.content ? [] : [answer.content])),
  ];
  return contents.flatMap((content) => Object.values(content));
}

describe('the OpenAPI document', () => {
  it('is valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone({ ...document }));
    expect(errors).to.equal(undefined);
    expect(valid).to.equal(true);
  });

  it('has the version of the service', () => {
    expect(document.info.version).to.equal('1.2.3');
  });

  it('has examples that match its schemas', () => {
    const ajv = new Ajv2020({ strict: false });
    addFormats.default(ajv);
    ajv.addSchema(document, 'openapi');
    for (const { schema, example, examples } of mediaTypes(document)) {
      const validator = ajv.compile('$ref' in schema ? { $ref: `openapi${schema.$ref}` } : schema);
      const values = examples
        ? Object.values(examples).map(({ value }) => value)
        : example === undefined
          ? []
          : [example];
      for (const value of values) expect(validator(value), ajv.errorsText(validator.errors)).to.equal(true);
    }
  });

  it('accepts and refuses usernames and bodies as the checks of the service do', () => {
    const ajv = new Ajv2020({ strict: false });
    addFormats.default(ajv);
    ajv.addSchema(document, 'openapi');
    const cases = [
      { name: 'Username', schema: usernameSchema, values: ['', 'a', 'a'.repeat(64), 'a'.repeat(65), 'a1', 'é', 1] },
      {
        name: 'Birthday',
        schema: birthdaySchema,
        values: [
          { dateOfBirth: '2000-02-29' },
          {},
          { dateOfBirth: 1 },
          { dateOfBirth: '2000-01-01', more: 1 },
          [],
          null,
        ],
      },
    ];
    for (const { name, schema, values } of cases) {
      const documented = ajv.compile({ $ref: `openapi#/components/schemas/${name}` });
      for (const value of values)
        expect(documented(value), JSON.stringify(value)).to.equal(schema.safeParse(value).success);
    }
  });

  it('gives every operation a unique name', () => {
    const names = operations.map(({ operationId }) => operationId);
    expect(new Set(names).size).to.equal(names.length);
  });

  it('links to operations that exist', () => {
    const names = operations.map(({ operationId }) => operationId);
    for (const { operationId } of Object.values(document.components.links)) expect(names).to.include(operationId);
  });
});

describe('the page that renders it', () => {
  const html = docs(document);

  it('has every operation with every status, and every schema', () => {
    for (const { operationId, summary, responses } of operations) {
      const section = html.slice(html.indexOf(`id="${operationId}"`)).split('</section>')[0];
      expect(section).to.contain(summary);
      for (const status of Object.keys(responses)) expect(section).to.contain(`>${status}</span>`);
    }
    for (const name of Object.keys(document.components.schemas)) expect(html).to.contain(`id="schema-${name}"`);
  });

  it('links to anchors that exist', () => {
    for (const [, id] of html.matchAll(/href="#([^"]+)"/g)) expect(html).to.contain(`id="${id}"`);
  });

  it('gives no two elements the same id', () => {
    const ids = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).to.equal(ids.length);
  });

  it('shows text from the document as text', () => {
    const hostile = openapi('<img src=x onerror=alert(1)>');
    expect(docs(hostile)).not.to.contain('<img src=x');
  });

  it('names a reference that cannot be resolved', () => {
    const broken = openapi('1');
    delete broken.components.responses.NotFound;
    expect(() => docs(broken)).to.throw('#/components/responses/NotFound');
  });
});
