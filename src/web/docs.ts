import { STATUS_CODES } from 'node:http';
import type { MediaType, Method, OpenApi, Operation, Parameter, Reference, Response, Schema } from './contract.ts';
import { escapeHtml } from './html.ts';

const text = (plain: string) => escapeHtml(plain);
const code = (plain: string) => `<code>${escapeHtml(plain)}</code>`;
const json = (value: unknown) => `<pre>${escapeHtml(JSON.stringify(value, null, 2))}</pre>`;

/**
 * The OpenAPI document as an HTML page that needs no script to be read; `/assets/docs.js` runs its "Try it" forms.
 *
 * @param port What the examples for the command line have: the port of the service on this machine.
 * @throws Error if a reference in the document cannot be resolved
 */
export function docs(contract: OpenApi, port = 5000): string {
  const operations = Object.entries(contract.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method as Method, operation })),
  );
  const sections = contract.tags.map(({ name, description }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name));
    return `<h2 id="${name.toLowerCase()}">${text(name)}</h2><p class="lead">${text(description)}</p>
      ${own.map(({ path, method, operation }) => section(contract, port, path, method, operation)).join('\n')}`;
  });
  const contents = operations.map(
    ({ path, method, operation }) =>
      `<li><a href="#${operation.operationId}">${verb(method)} ${code(path)}</a> ${text(operation.summary)}</li>`,
  );
  const errors = new Map(operations.flatMap(({ operation }) => failures(contract, operation)));
  const errorRows = [...errors]
    .sort()
    .map(
      ([status, { description, headers }]) =>
        `<dt id="error-${status}">${statusCode(status)} ${text(STATUS_CODES[status] ?? '')}</dt><dd>${text(description)}${withHeaders(headers)}</dd>`,
    );
  const example = errors.get('400')?.content?.['application/problem+json']?.example;
  const schemas = Object.entries(contract.components.schemas).map(
    ([name, schema]) => `<section class="card" id="schema-${name}"><h3>${name}</h3>${fields(schema)}</section>`,
  );
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <meta name="description" content="${text(contract.info.summary)}">
    <title>${text(contract.info.title)} API ${text(contract.info.version)}</title>
    <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/assets/page.css">
    <link rel="stylesheet" href="/assets/docs.css">
    <script type="module" src="/assets/docs.js"></script>
  </head>
  <body class="docs">
    <header>
      <a href="/"><img src="/assets/icon.svg" alt="" width="40" height="40"> <span>${text(contract.info.title)}</span></a>
    </header>
    <main>
      <h1>${text(contract.info.title)} API <small>${text(contract.info.version)}</small></h1>
      <p class="lead">${text(contract.info.summary)}</p>
      <p>${text(contract.info.description)}</p>
      <nav aria-label="Operations"><ul>${contents.join('')}</ul></nav>
      ${sections.join('\n')}
      <h2 id="errors">Errors</h2>
      <p class="lead">Each is a ${schemaLink({ schema: { $ref: '#/components/schemas/Problem' } })}, such as this one.</p>
      <section class="card" aria-labelledby="errors">${json(example)}<dl>${errorRows.join('')}</dl></section>
      <h2 id="schemas">Schemas</h2>
      ${schemas.join('\n')}
    </main>
    <footer><p>The same as <a href="/openapi.json">OpenAPI ${text(contract.openapi)}</a>, for programs.</p></footer>
  </body>
</html>
`;
}

const verb = (method: Method) => `<span class="verb">${method.toUpperCase()}</span>`;

function section(contract: OpenApi, port: number, path: string, method: Method, operation: Operation): string {
  const id = operation.operationId;
  const parameters = (operation.parameters ?? []).map((parameter) => resolve<Parameter>(contract, parameter));
  const body = operation.requestBody && Object.entries(operation.requestBody.content)[0];
  const answers = Object.entries(operation.responses)
    .filter(([status]) => !isFailure(status))
    .map(([status, response]) => answerRow(status, resolve<Response>(contract, response)));
  const errors = failures(contract, operation).map(
    ([status]) => `<a href="#error-${status}">${statusCode(status)}</a>`,
  );
  return `<section class="card" id="${id}" aria-labelledby="${id}-title">
    <h3 id="${id}-title">${verb(method)} ${code(path)}</h3>
    <p><strong>${text(operation.summary)}.</strong> ${text(operation.description)}</p>
    ${parameters.length > 0 ? `<h4>Parameters</h4><dl>${parameters.map(parameterRow).join('')}</dl>` : ''}
    ${body ? `<h4>Body</h4><p>${code(body[0])} ${schemaLink(body[1])} ${text(operation.requestBody?.description ?? '')}</p>` : ''}
    <h4>Answers</h4><dl>${answers.join('')}<dt>Errors</dt><dd>${errors.join(' ')}</dd></dl>
    <h4>With curl</h4><pre>${escapeHtml(curl(port, path, method, parameters, body))}</pre>
    ${tryIt(path, method, operation, parameters, body)}
  </section>`;
}

function parameterRow({ name, in: place, required, description }: Parameter): string {
  return `<dt>${code(name)} <small>${place}${required === true ? ', required' : ''}</small></dt><dd>${text(description)}</dd>`;
}

const isFailure = (status: string) => Number(status) >= 400;

/** The errors of an operation, by status. */
function failures(contract: OpenApi, { responses }: Operation): [status: string, Response][] {
  return Object.entries(responses)
    .filter(([status]) => isFailure(status))
    .map(([status, response]) => [status, resolve<Response>(contract, response)]);
}

function answerRow(status: string, { description, content = {}, headers }: Response): string {
  const types = Object.entries(content).map(([type, media]) => `${code(type)} ${schemaLink(media)}`);
  const examples = Object.values(content).flatMap(({ example, examples }) =>
    examples ? Object.values(examples).map(({ value }) => json(value)) : example === undefined ? [] : [json(example)],
  );
  return `<dt>${statusCode(status)}</dt>
    <dd>${text(description)} ${types.join(' or ')}${withHeaders(headers)}${examples.join('')}</dd>`;
}

const statusCode = (status: string) => `<span class="status" data-kind="${status[0]}">${status}</span>`;

/** The headers of a response other than the request id, which all responses have. */
function withHeaders(headers: Response['headers'] = {}): string {
  const names = Object.keys(headers).filter((name) => name !== 'x-request-id');
  return names.length > 0 ? ` With ${names.map(code).join(', ')}.` : '';
}

function schemaLink({ schema }: MediaType): string {
  if (!('$ref' in schema)) return '';
  const name = schema.$ref.split('/').at(-1) ?? '';
  return `<a href="#schema-${name}">${name}</a>`;
}

function curl(
  port: number,
  path: string,
  method: Method,
  parameters: Parameter[],
  body: [string, MediaType] | undefined,
): string {
  const url = parameters
    .filter((parameter) => parameter.in === 'path')
    .reduce((url, { name, example }) => url.replace(`{${name}}`, example ?? ''), path);
  return [
    `curl -i${method === 'get' ? '' : ` -X ${method.toUpperCase()}`}`,
    ...(body ? [`-H 'content-type: ${body[0]}' -d '${JSON.stringify(body[1].example)}'`] : []),
    `http://localhost:${port}${url}`,
  ].join(' ');
}

function tryIt(
  path: string,
  method: Method,
  { operationId, security }: Operation,
  parameters: Parameter[],
  body: [string, MediaType] | undefined,
): string {
  const inputs = parameters.map((parameter) => {
    const id = `${operationId}-${parameter.name}`;
    const value = parameter.in === 'path' ? (parameter.example ?? '') : '';
    return `<label for="${id}">${text(parameter.name)}</label>
      <input id="${id}" name="${parameter.name}" data-in="${parameter.in}" value="${escapeHtml(value)}" autocomplete="off" autocapitalize="none" spellcheck="false">`;
  });
  const area = body
    ? `<label for="${operationId}-body">Body</label>
      <textarea id="${operationId}-body" data-type="${body[0]}" rows="3" spellcheck="false">${escapeHtml(JSON.stringify(body[1].example, null, 2))}</textarea>`
    : '';
  const token = security
    ? `<label for="${operationId}-token">Token</label>
      <input id="${operationId}-token" name="token" data-in="token" type="password" autocomplete="off">`
    : '';
  return `<details class="scripted"><summary>Try it</summary>
    <form data-method="${method.toUpperCase()}" data-path="${path}">${inputs.join('')}${token}${area}
      <button>Send<span class="sr"> ${method.toUpperCase()} ${escapeHtml(path)}</span></button></form>
    <div class="outcome" role="status"></div></details>`;
}

/** A schema as a list of its fields, or as one line when it has none. */
function fields(schema: Schema): string {
  const line = (name: string, part: Schema | Reference, required: boolean): string => {
    if ('$ref' in part) return `<dt>${code(name)}</dt><dd>${schemaLink({ schema: part })}</dd>`;
    const rules = [
      part.type,
      part.format,
      part.const !== undefined ? `always ${part.const}` : undefined,
      part.enum?.join(' or '),
      part.minLength !== undefined ? `${part.minLength} to ${part.maxLength} characters` : undefined,
      part.minimum !== undefined ? `${part.minimum} to ${part.maximum}` : undefined,
      required ? 'required' : undefined,
    ].filter((rule) => rule !== undefined);
    const pattern = part.pattern === undefined ? '' : ` ${code(part.pattern)}`;
    const inner = isSchema(part.items) && part.items.properties ? fields(part.items) : '';
    return `<dt>${code(name)} <small>${text(rules.join(', '))}</small></dt><dd>${text(part.description ?? '')}${pattern}${inner}</dd>`;
  };
  const about = schema.description === undefined ? '' : `<p>${text(schema.description)}</p>`;
  if (!schema.properties) return `${about}${schema.pattern === undefined ? '' : `<p>${code(schema.pattern)}</p>`}`;
  const rows = Object.entries(schema.properties).map(([name, part]) =>
    isSchema(part) ? line(name, part, schema.required?.includes(name) === true) : '',
  );
  return `${about}<dl>${rows.join('')}</dl>`;
}

function isSchema(part: Schema['items']): part is Schema {
  return typeof part === 'object' && !Array.isArray(part);
}

/** Resolves a `$ref`; this document refers only to its own components. */
function resolve<T extends object>(contract: OpenApi, part: T | Reference): T {
  if (!('$ref' in part)) return part;
  const target = part.$ref
    .split('/')
    .slice(1)
    .reduce<unknown>(
      (node, key) => (typeof node === 'object' && node !== null ? Reflect.get(node, key) : undefined),
      contract,
    );
  if (target === undefined) throw new Error(`openapi.ts refers to ${part.$ref}, which is not there`);
  return target as T;
}
