import { expect } from 'chai';
import { skip } from '../skip.ts';
import { ask, contract, jsonOf } from './contract.ts';
import { newName, START_MILLISECONDS, serviceUnderTest } from './service.ts';

const html = { accept: 'text/html' };
const ASSETS: [path: string, type: string][] = [
  ['/assets/page.css', 'text/css; charset=utf-8'],
  ['/assets/page.js', 'text/javascript; charset=utf-8'],
  ['/assets/docs.css', 'text/css; charset=utf-8'],
  ['/assets/docs.js', 'text/javascript; charset=utf-8'],
  ['/assets/icon.svg', 'image/svg+xml'],
];

describe('the static pages of the service', () => {
  before(async function () {
    this.timeout(START_MILLISECONDS);
    await serviceUnderTest();
  });

  it('is alive and ready', async () => {
    expect(jsonOf(await ask('GET', '/livez'))).to.deep.equal({ status: 'alive' });
    expect(jsonOf(await ask('GET', '/readyz'))).to.deep.equal({ status: 'ready' });
  });

  it('has its name, its version and working links at /', async () => {
    const { name, version, links } = jsonOf(await ask('GET', '/'));
    expect([name, version]).to.deep.equal(['plusone', (await contract()).document.info.version]);
    for (const link of Object.values(Object(links)).map(String)) {
      expect([link, (await ask('GET', link.replace('{username}', 'unknownname'))).status]).to.deep.equal([
        link,
        link.includes('{') ? 404 : 200,
      ]);
    }
  });

  it('serves / as HTML to a browser and as JSON to other clients', async () => {
    const type = async (accept?: string) =>
      (await ask('GET', '/', { headers: accept === undefined ? {} : { accept } })).headers.get('content-type');
    expect(await type('text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8')).to.match(
      /^text\/html/,
    );
    for (const accept of [undefined, '*/*', 'application/json', 'text/plain', 'application/json, text/html;q=0.5']) {
      expect(await type(accept)).to.equal('application/json');
    }
    expect((await ask('GET', '/')).headers.get('vary')).to.match(/accept/i);
  });

  it('sends a page again only if it has changed', async () => {
    for (const [path, headers] of [
      ['/', {}],
      ['/', html],
      ['/docs', html],
      ['/openapi.json', {}],
    ] as const) {
      const etag = (await ask('GET', path, { headers })).headers.get('etag') ?? '';
      expect((await ask('GET', path, { headers: { ...headers, 'if-none-match': etag } })).status).to.equal(304);
      expect((await ask('GET', path, { headers: { ...headers, 'if-none-match': '*' } })).status).to.equal(304);
      expect((await ask('GET', path, { headers: { ...headers, 'if-none-match': '"other"' } })).status).to.equal(200);
    }
  });

  it('has a different ETag for each type of /', async () => {
    const tag = async (headers: Record<string, string>) => (await ask('GET', '/', { headers })).headers.get('etag');
    expect(await tag({})).not.to.equal(await tag(html));
  });

  it('serves the resources of its pages, with type and ETag', async () => {
    const { url } = await serviceUnderTest();
    for (const [path, type] of ASSETS) {
      const answer = await fetch(url + path);
      await answer.arrayBuffer();
      const facts = [
        path,
        answer.status,
        answer.headers.get('content-type'),
        answer.headers.get('x-content-type-options'),
      ];
      expect(facts).to.deep.equal([path, 200, type, 'nosniff']);
      const again = await fetch(url + path, { headers: { 'if-none-match': answer.headers.get('etag') ?? '' } });
      expect(again.status).to.equal(304);
    }
  });

  it('names no other host in its pages', async () => {
    const { url } = await serviceUnderTest();
    for (const path of ['/', '/docs', ...ASSETS.map(([path]) => path)]) {
      const text = await (await fetch(url + path, { headers: { accept: 'text/html,*/*' } })).text();
      const hosts = text.match(/\b(?:https?:)?\/\/[\w.-]+/g) ?? [];
      expect(hosts.filter((host) => !/localhost|www\.w3\.org/.test(host))).to.deep.equal([]);
    }
  });

  it('forbids inline code, other hosts and frames in its pages', async () => {
    const policy = (await ask('GET', '/', { headers: html })).headers.get('content-security-policy');
    expect(policy)
      .to.contain("default-src 'none'")
      .and.contain("frame-ancestors 'none'")
      .and.contain("base-uri 'none'");
    expect(policy).not.to.match(/unsafe|\*|data:|https?:/);
  });

  it('answers a lookup without script', async () => {
    const name = newName();
    await ask('PUT', `/hello/${name}`, { json: { dateOfBirth: '1990-06-15' } });
    const page = await ask('GET', `/?username=${name}`, { headers: html });
    const { message } = jsonOf(await ask('GET', `/hello/${name}`));
    expect(page.text).to.contain(message).and.to.contain(`value="${name}"`);
    expect(page.headers.get('cache-control')).to.contain('no-store');
  });

  it('shows the error of a name in the page, escaped', async () => {
    const page = await ask('GET', `/?username=${encodeURIComponent('"><script>alert(1)</script>')}`, { headers: html });
    expect(page.text).to.contain('aria-invalid="true"').and.to.contain('&lt;script&gt;alert');
    expect(page.text).not.to.contain('<script>alert');
  });
});

const NO_METRICS = 'METRICS_URL does not say where that port can be reached; it is not for the outside';

describe('the metrics port', () => {
  it('has metrics of the requested routes, by pattern', async function () {
    const { metricsUrl } = await serviceUnderTest();
    if (metricsUrl === undefined) return skip(this, NO_METRICS);
    const name = newName();
    await ask('GET', `/hello/${name}`);
    const answer = await fetch(`${metricsUrl}/metrics`);
    expect([answer.status, answer.headers.get('content-type')?.split(';')[0]]).to.deep.equal([200, 'text/plain']);
    const text = await answer.text();
    expect(text).to.match(
      /http_request_duration_seconds_count\{method="GET",route="\/hello\/:username",status="404"\} [1-9]/,
    );
    expect(text).not.to.contain(name);
  });

  it('does not serve the API', async function () {
    const { metricsUrl } = await serviceUnderTest();
    if (metricsUrl === undefined) return skip(this, NO_METRICS);
    expect((await fetch(`${metricsUrl}/hello/ann`)).status).to.equal(404);
  });
});
