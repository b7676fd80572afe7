import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { delivery, requestLine } from './log-delivery.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** An HTTP server that answers as `reply` says, and keeps what it was sent. */
async function listen(reply: (seen: Seen) => { status: number; body: object; location?: string }) {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const { method = '', url = '', headers } = request;
    const one = { method, url, headers, body: await text(request) };
    seen.push(one);
    const { status, body, location } = reply(one);
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', ...(location && { location }) });
    response.end(JSON.stringify(body));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, close };
}

const CONTEXT = { getRemainingTimeInMillis: () => 5_000 };
const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'secret-of-aws', AWS_REGION: 'us-west-2' };

describe('the function that ships logs', () => {
  const before = { ...process.env };
  let server: Awaited<ReturnType<typeof listen>> | undefined;
  let turn = 0;

  afterEach(() => {
    server?.close();
    process.env = { ...before };
  });

  /** A fresh function, as after a cold start, with these variables, and what it writes on stdout. */
  async function invoke(variables: Record<string, string>, event: unknown) {
    Object.assign(process.env, variables);
    // A profile of the shell would have precedence over the credentials of the function.
    delete process.env.AWS_PROFILE;
    const { handler } = await import(`../../functions/ship.ts?turn=${turn++}`);
    const write = process.stdout.write;
    let output = '';
    process.stdout.write = (chunk) => {
      output += chunk;
      return true;
    };
    try {
      const error = await handler(event, CONTEXT).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      return {
        error: error instanceof Error ? error.message : error,
        lines: output.trim().split('\n').filter(Boolean),
      };
    } finally {
      process.stdout.write = write;
    }
  }

  it('creates the index template once, then creates events with signed requests', async () => {
    server = await listen(({ url }) => ({
      status: 200,
      body: url === '/_bulk' ? { items: [{ create: { status: 201 } }] } : {},
    }));
    const variables = { ...CREDENTIALS, LOGS_TO: 'opensearch', LOGS_NAME: 'plusone-test', LOGS_ENDPOINT: server.url };
    const { error } = await invoke(variables, delivery([requestLine('r-1')]));
    expect(error).to.equal(undefined);
    expect(server.seen.map(({ method, url }) => `${method} ${url}`)).to.deep.equal([
      'PUT /_index_template/logs-plusone-test',
      'PUT /_plugins/_ism/policies/logs-plusone-test',
      'POST /_bulk',
    ]);
    for (const { headers } of server.seen) {
      expect(headers.authorization).to.match(/^AWS4-HMAC-SHA256 Credential=AKIA\/\d{8}\/us-west-2\/es\/aws4_request, /);
    }
  });

  it('logs its counts in one line in the embedded metric format', async () => {
    server = await listen(({ url }) => ({
      status: 200,
      body: url === '/_bulk' ? { items: [{ create: { status: 201 } }] } : {},
    }));
    const variables = { LOGS_TO: 'opensearch', LOGS_NAME: 'plusone-test', LOGS_ENDPOINT: server.url };
    const { lines } = await invoke(variables, delivery([requestLine('r-1')]));
    expect(lines).to.have.length(1);
    const line = JSON.parse(lines[0] ?? '');
    expect(line).to.include({ Logs: 'plusone-test', LogEventsStored: 1, LogEventsFailed: 0 });
    const [{ Namespace, Dimensions, Metrics }] = line._aws.CloudWatchMetrics;
    expect([Namespace, Dimensions]).to.deep.equal(['Plusone', [['Logs']]]);
    for (const { Name } of Metrics) expect(line[Name]).to.be.a('number');
  });

  it('reads the key of a vendor from SSM, and shows neither key nor lines if it is refused', async () => {
    server = await listen(({ headers }) =>
      headers['x-amz-target'] === 'AmazonSSM.GetParameter'
        ? { status: 200, body: { Parameter: { Value: 'key-of-the-vendor' } } }
        : { status: 403, body: {} },
    );
    const variables = {
      ...CREDENTIALS,
      AWS_ENDPOINT_URL: server.url,
      LOGS_TO: 'datadog',
      LOGS_NAME: 'plusone-test',
      LOGS_ENDPOINT: server.url,
      LOGS_KEY_PARAMETER: '/copilot/plusone/test/secrets/LOGS_KEY',
    };
    const { error, lines } = await invoke(variables, delivery([requestLine('r-1')]));
    expect(server.seen.at(-1)?.headers['dd-api-key']).to.equal('key-of-the-vendor');
    expect(error)
      .to.include('1 of 1 log events are not stored: Datadog answered 403')
      .and.include('LOGS_KEY_PARAMETER');
    for (const secret of ['key-of-the-vendor', 'secret-of-aws', 'r-1'])
      expect(`${error}${lines}`).not.to.include(secret);
  });

  it('sends a key nowhere else, and stores nothing there', async () => {
    const elsewhere = await listen(() => ({ status: 202, body: {} }));
    server = await listen(({ headers }) =>
      headers['x-amz-target'] === 'AmazonSSM.GetParameter'
        ? { status: 200, body: { Parameter: { Value: 'key-of-the-vendor' } } }
        : { status: 307, body: {}, location: elsewhere.url },
    );
    const variables = {
      ...CREDENTIALS,
      AWS_ENDPOINT_URL: server.url,
      LOGS_TO: 'newrelic',
      LOGS_NAME: 'plusone-test',
      LOGS_ENDPOINT: server.url,
      LOGS_KEY_PARAMETER: '/copilot/plusone/test/secrets/LOGS_KEY',
    };
    const { error } = await invoke(variables, delivery([requestLine('r-1')]));
    elsewhere.close();
    expect(elsewhere.seen).to.deep.equal([]);
    expect(error).to.include('New Relic answered 307').and.include('LOGS_ENDPOINT');
  });

  for (const [what, answer, words] of [
    ...['two\nlines', 'a space', 'caf\u00e9', 'dash\u2014', 'zero\u0000'].map(
      (Value) =>
        [`like ${JSON.stringify(Value)}`, { status: 200, body: { Parameter: { Value } } }, 'that no key has'] as const,
    ),
    ['missing', { status: 400, body: { __type: 'ParameterNotFound', message: '' } }, 'ParameterNotFound'],
    ['empty', { status: 200, body: { Parameter: { Value: ' ' } } }, 'it is empty'],
  ] as const) {
    it(`names the parameter of a key that is ${what}, and sends nothing`, async () => {
      server = await listen(() => answer);
      const variables = {
        ...CREDENTIALS,
        AWS_ENDPOINT_URL: server.url,
        LOGS_TO: 'newrelic',
        LOGS_NAME: 'plusone-test',
        LOGS_ENDPOINT: server.url,
        LOGS_KEY_PARAMETER: '/copilot/plusone/test/secrets/LOGS_KEY',
      };
      const { error, lines } = await invoke(variables, delivery([requestLine('r-1')]));
      expect(error)
        .to.include('the key at the SSM parameter /copilot/plusone/test/secrets/LOGS_KEY cannot be read')
        .and.include(words);
      expect(`${error}${lines}`).to.not.match(/two|a space|caf|dash|zero/);
      expect(server.seen.filter(({ url }) => url === '/log/v1')).to.deep.equal([]);
    });
  }

  it('names each wrong variable', async () => {
    const wrong: [Record<string, string>, string][] = [
      [{ LOGS_TO: 'splunk', LOGS_NAME: 'a' }, 'LOGS_TO must be opensearch, datadog or newrelic'],
      [{ LOGS_TO: 'opensearch', LOGS_NAME: 'a' }, 'LOGS_ENDPOINT is missing'],
      [{ LOGS_TO: 'opensearch', LOGS_NAME: 'a', LOGS_ENDPOINT: 'somewhere' }, 'LOGS_ENDPOINT must be a URL'],
      [
        { LOGS_TO: 'opensearch', LOGS_NAME: 'a', LOGS_ENDPOINT: 'https://me:pass-word@logs' },
        'LOGS_ENDPOINT must have no user and no password',
      ],
      [{ LOGS_TO: 'newrelic', LOGS_NAME: 'a' }, 'LOGS_KEY_PARAMETER is missing'],
      [{ LOGS_TO: 'newrelic', LOGS_NAME: 'A B' }, 'LOGS_NAME must be a name'],
    ];
    for (const [variables, words] of wrong) {
      process.env = { ...before };
      expect((await invoke(variables, delivery(['line']))).error)
        .to.include(words)
        .and.not.include('pass-word');
    }
  });

  it('sends nothing for a control message', async () => {
    expect(await invoke({}, { awslogs: delivery([]).awslogs })).to.deep.equal({ error: undefined, lines: [] });
  });
});
