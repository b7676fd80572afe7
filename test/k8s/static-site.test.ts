import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { synth } from '../../k8s/main.ts';
import { siteFiles } from '../../k8s/static-site.ts';

describe('a Static Site', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'site-'));
    for (const path of ['site/index.html', 'site/a.md', 'site/css/main.css', 'copilot/pages/manifest.yml'])
      file(path, path);
    file('copilot/.workspace', 'application: shop');
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function file(path: string, text: string) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }

  type Upload = NonNullable<Parameters<typeof siteFiles>[0]['fields']['files']>[number];
  const manifest = { file: 'manifest.yml', lineOf: () => 4 };
  const uploaded = (...files: Upload[]) =>
    Object.fromEntries(
      [...siteFiles({ ...manifest, fields: { files } }, root)].map(([path, from]) => [path, relative(root, from)]),
    );

  it('has the files of a folder, and those of its subfolders only if it is recursive', () => {
    expect(uploaded({ source: 'site' })).to.have.keys('index.html', 'a.md');
    expect(uploaded({ source: './site', recursive: true })).to.have.keys('index.html', 'a.md', 'css/main.css');
  });

  it('has a file with its name, or at the destination', () => {
    expect(uploaded({ source: 'site/a.md' })).to.deep.equal({ 'a.md': 'site/a.md' });
    expect(uploaded({ source: 'site/a.md', destination: 'b/c.txt' })).to.deep.equal({ 'b/c.txt': 'site/a.md' });
    expect(uploaded({ source: 'site', destination: 'b' })).to.have.keys('b/index.html', 'b/a.md');
  });

  it('omits files that are excluded and not reincluded', () => {
    const upload = { source: 'site', recursive: true, exclude: ['*', 'css/*'], reinclude: ['*.md'] };
    expect(uploaded(upload)).to.have.keys('a.md');
    expect(uploaded({ ...upload, exclude: ['site/*.md'], reinclude: [] })).to.have.keys('index.html', 'css/main.css');
  });

  it('is refused if a source does not exist', () => {
    const message = /^manifest\.yml:4: files\[1\]\.source public: .*public does not exist$/;
    expect(() => uploaded({ source: 'site' }, { source: 'public' })).to.throw(message);
  });

  it('is a restricted Deployment, a Service, a route, and the context of its image', () => {
    const manifest = ['name: pages', 'type: Static Site', 'http: { alias: Shop.example }', 'files: [{ source: site }]'];
    file('copilot/pages/manifest.yml', manifest.join('\n'));
    const out = join(root, 'out');
    const { log } = console;
    let report = '';
    console.log = (text: string) => {
      report = text;
    };
    try {
      synth({ workspace: root, environment: 'test', output: out });
    } finally {
      console.log = log;
    }
    const read = (name: string) => readFileSync(join(out, name), 'utf8');
    const objects = ['pages', '_routes'].flatMap((name) =>
      parseAllDocuments(read(`${name}.k8s.yaml`)).map((document) => document.toJS()),
    );
    const one = (kind: string) => objects.find((object) => object.kind === kind);
    expect(one('Namespace').metadata.labels['pod-security.kubernetes.io/enforce']).to.equal('restricted');
    const [container] = one('Deployment').spec.template.spec.containers;
    expect(container.readinessProbe.httpGet).to.deep.equal({ path: '/.healthz', port: 8080 });
    expect(container.securityContext.readOnlyRootFilesystem).to.equal(true);
    expect(one('Ingress').spec.rules[0].host).to.equal('shop.example');
    expect(read('pages.image/Dockerfile')).to.contain('USER 101');
    expect(read('pages.image/files/index.html')).to.equal('site/index.html');
    expect(report)
      .to.contain(`built from ${join(out, 'pages.image', 'Dockerfile')}`)
      .and.not.to.contain('http.alias');
  });
});
