import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { ship } from '../../functions/delivery.ts';
import { openSearch } from '../../functions/destinations.ts';
import { readLogEvents } from '../../functions/log-events.ts';
import { readFound, searchRequest } from '../../functions/log-search.ts';
import { preparations } from '../../functions/search-index.ts';
import { SEARCHES } from '../../tools/dashboard/searches.ts';
import { freePort } from '../../tools/process/free-port.ts';
import { delivery, requestLine } from '../functions/log-delivery.ts';
import { skipWithout } from '../skip.ts';
import { ask, ended, make, servicePods, signalService, url } from './cluster.ts';

const IMAGE = 'opensearchproject/opensearch:2.19.6';
const NAME = 'plusone-log-search';
const INDEX = 'logs-plusone-test-2026.11.29';

/** The shipper against a real OpenSearch, in a container of its own. */
describe('logs in OpenSearch', function () {
  this.timeout('3m');
  let endpoint: string;
  const docker = (...words: string[]) => execFileSync('docker', words, { encoding: 'utf8', stdio: 'pipe' }).trim();

  async function call(method: string, path: string, body?: object) {
    const response = await fetch(new URL(path, endpoint), {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: Object(await response.json()) };
  }

  function world(milliseconds = 60_000) {
    const end = Date.now() + milliseconds;
    return {
      remaining: () => end - Date.now(),
      sleep: (pause: number) => sleep(pause),
      async send({ url, method, headers, body }: Parameters<Parameters<typeof ship>[2]['send']>[0]) {
        const response = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(20_000) });
        return { status: response.status, body: await response.text() };
      },
    };
  }

  const send = (messages: string[], prefix: string, milliseconds?: number) =>
    ship(readLogEvents(delivery(messages, prefix)), openSearch(endpoint, 'plusone-test'), world(milliseconds));

  async function find(query: object) {
    await call('POST', `/${INDEX}/_refresh`);
    const { body } = await call('POST', `/${INDEX}/_search`, { size: 10_000, query });
    return body.hits.hits.map(({ _source }: { _source: object }) => _source);
  }

  function startOpenSearch() {
    const published = `127.0.0.1:${new URL(endpoint).port}:9200`;
    const settings = [
      'OPENSEARCH_JAVA_OPTS=-Xms256m -Xmx256m',
      'discovery.type=single-node',
      'DISABLE_SECURITY_PLUGIN=true',
    ];
    const environment = settings.flatMap((setting) => ['--env', setting]);
    docker('run', '--rm', '--detach', '--name', NAME, '--publish', published, ...environment, IMAGE);
  }

  async function ready() {
    for (let tries = 0; tries < 240; tries++, await sleep(500)) {
      const answer = await fetch(endpoint).catch(() => undefined);
      if (answer?.ok) return;
    }
    throw new Error('OpenSearch does not answer');
  }

  before(async function () {
    try {
      docker('image', 'inspect', IMAGE);
    } catch {
      skipWithout(this, 'opensearchproject/opensearch', `it needs Docker and the image ${IMAGE}`);
    }
    endpoint = `http://127.0.0.1:${await freePort()}`;
    startOpenSearch();
    await ready();
    for (const { url, body } of preparations(endpoint, 'plusone-test', 30)) {
      const { status } = await call('PUT', new URL(url).pathname, JSON.parse(String(body)));
      // An OpenSearch without the plugin for policies has no such path.
      expect(status, url).to.be.oneOf(url.includes('_ism') ? [200, 201, 400] : [200]);
    }
  });

  after(() => {
    try {
      docker('rm', '--force', NAME);
    } catch {
      // It was skipped.
    }
  });

  it('finds each request by its id, once, even if it is delivered several times', async () => {
    const lines = Array.from({ length: 2_000 }, (_, at) => requestLine(`once-${at}`));
    const first = await send(lines, 'once');
    const second = await send(lines, 'once');
    expect([first.stored, first.again, second.stored, second.again]).to.deep.equal([2000, 0, 2000, 2000]);
    const found = await find({ prefix: { requestId: 'once-' } });
    expect(new Set(found.map(({ requestId }: { requestId: string }) => requestId)).size).to.equal(2000);
    expect(found).to.have.length(2000);
  });

  it('finds lines that are not JSON, and lines whose fields do not match the types of the index', async () => {
    const outcome = await send(
      ['Error: out of memory', '{"err":"text","msg":"odd"}', '{"status":"two hundred","requestId":"odd-status"}'],
      'odd',
    );
    expect(outcome).to.include({ stored: 3, plain: 1 });
    expect(await find({ match: { message: 'memory' } })).to.have.length(1);
    expect((await find({ match: { shipping: 'mapper_parsing_exception' } }))[0].message).to.include('"odd"');
    expect(await find({ term: { requestId: 'odd-status' } })).to.have.length(1);
  });

  it('finds lines by a query as make search sends it, and says what is wrong with one', async () => {
    // The lines of these tests are of one day.
    const search = async (query: string) => {
      const minutes = Math.ceil((Date.now() - Date.UTC(2026, 10, 28)) / 60_000);
      const asked = searchRequest(endpoint, 'plusone-test', { query, minutes: Math.max(1, minutes), size: 5 });
      return readFound(await world().send(asked));
    };
    const { total, lines } = await search('requestId:once-7 AND status:200');
    expect([total, lines.map(({ requestId }) => requestId)]).to.deep.equal([1, ['once-7']]);
    expect((await search('requestId:once-*')).total).to.equal(2000);
    expect(await search('level:(').catch(String)).to.include('OpenSearch answered 400');
  });

  it('finds by each saved search the line that it is for, and not the others', async () => {
    const lines: Record<string, string> = {
      requests: requestLine('saved'),
      errors: '{"level":"fatal","msg":"uncaught exception"}',
      slow: requestLine('saved').replace('"milliseconds":1.5', '"milliseconds":501'),
      failed: requestLine('saved', 500),
      database: '{"level":"warn","reason":"database unavailable: connect ECONNREFUSED"}',
      starts: '{"level":"info","msg":"listening"}',
      text: 'Segmentation fault',
    };
    await send(Object.values(lines), 'saved');
    const ids = Object.keys(lines);
    for (const { name, query } of SEARCHES.values()) {
      const saved = { ids: { values: ids.map((_, at) => `saved-${at}`) } };
      const found = await find({
        bool: { must: [{ query_string: { query, default_field: 'message' } }], filter: [saved] },
      });
      const wanted = name === 'requests' ? ['requests', 'slow', 'failed'] : [name];
      expect(found.length, `${name}: ${JSON.stringify(found)}`).to.equal(wanted.length);
    }
    expect([...SEARCHES.keys()]).to.have.members(ids);
  });

  it('stores a line of a megabyte', async () => {
    expect(
      await send([`{"msg":"large","requestId":"large-1","reason":"${'x'.repeat(1_000_000)}"}`], 'large'),
    ).to.include({ stored: 1 });
    expect(await find({ term: { requestId: 'large-1' } })).to.have.length(1);
  });

  it('waits for an index that is read-only, as a full disk makes it', async () => {
    const block = (on: boolean) =>
      call('PUT', `/${INDEX}/_settings`, { 'index.blocks.read_only_allow_delete': on ? true : null });
    await block(true);
    const { failed } = await send([requestLine('blocked-1')], 'blocked', 1_500);
    expect(failed[0]?.reason).to.include('read-only');
    const sending = send([requestLine('blocked-1')], 'blocked');
    await sleep(1_000);
    await block(false);
    expect(await sending).to.include({ stored: 1 });
  });

  it('retries while OpenSearch restarts', async () => {
    docker('stop', '--time', '1', NAME);
    // `--rm` removed it, so a new and empty one takes its place.
    const sending = send(
      Array.from({ length: 100 }, (_, at) => requestLine(`away-${at}`)),
      'away',
      120_000,
    );
    await sleep(3_000);
    startOpenSearch();
    const { stored, retries } = await sending;
    expect(stored).to.equal(100);
    expect(retries).to.be.greaterThan(2);
  });
});

/** OpenSearch and the log reader in the cluster of the tests. */
describe('make logs-search', function () {
  this.timeout('8m');

  before(async function () {
    const { code } = await ended('docker', ['image', 'inspect', IMAGE]);
    if (code !== 0) skipWithout(this, 'opensearchproject/opensearch', `it needs the image ${IMAGE}`);
  });

  const search = async (...variables: string[]) => {
    const { code, stdout, stderr } = await make('logs-search', ...variables);
    expect(code, stderr).to.equal(0);
    return stdout
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => Object(JSON.parse(line)));
  };
  const until = async (query: string, count: number) => {
    for (const end = Date.now() + 60_000; ; await sleep(1_000)) {
      const found = await search(`QUERY=${query}`);
      if (found.length >= count || Date.now() > end) return found;
    }
  };

  it('finds lines from before it was installed, those of migrations among them', async () => {
    await until('group:"plusone/migrate" AND msg:*', 1).then((lines) => expect(lines).to.not.deep.equal([]));
    expect(await search('SEARCH=starts')).to.not.deep.equal([]);
  });

  it('finds each request once, and the last lines of a process that is killed', async () => {
    const ids = Array.from({ length: 50 }, (_, at) => `in-the-cluster-${at}`);
    for (const id of ids) await fetch(url('/hello/nobody'), { headers: { 'x-request-id': id } });
    const [pod = ''] = await servicePods();
    await signalService(pod, 'SIGKILL');
    const found = await until('requestId:in-the-cluster-*', ids.length);
    expect(found.map(({ requestId }) => requestId)).to.have.members(ids);
  });

  it('reads again from the beginning after a restart, and stores nothing twice', async () => {
    await ask('rollout', 'restart', 'deployment/log-reader', '-n', 'monitoring');
    await ask('rollout', 'status', 'deployment/log-reader', '-n', 'monitoring', '--timeout=120s');
    await sleep(5_000);
    expect(await search('QUERY=requestId:in-the-cluster-*')).to.have.length(50);
  });

  it('says which saved searches there are', async () => {
    const { code, stderr } = await make('logs-search', 'SEARCH=eror');
    expect(code).to.not.equal(0);
    expect(stderr).to.include('SEARCH is eror; it must be one of').and.include('status:>=500');
  });
});
