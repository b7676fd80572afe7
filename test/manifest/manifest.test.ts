import { expect } from 'chai';
import { read, refusal, webService } from '../k8s/workload.ts';

describe('readManifest', () => {
  it('names file, line and the nearest field for one that is not there', () => {
    const text = [
      'name: api',
      'type: Load Balanced Web Service',
      'image:',
      '  build: Dockerfile',
      '  port: 80',
      'htpp:',
      '  path: /',
    ].join('\n');
    expect(refusal(text)).to.equal('manifest.yml:6: unknown field "htpp"; did you mean "http"?');
  });

  it('says in which map an unknown field stands', () => {
    const message = refusal(webService('http:', '  path: /', '  healthcheck:', '    timout: 3s'));
    expect(message).to.match(
      /^manifest.yml:\d+: unknown field "timout" in http.healthcheck; did you mean "timeout"\?$/,
    );
  });

  it('points to where a field belongs that stands at the wrong place', () => {
    expect(refusal(webService('port: 80'))).to.contain('unknown field "port"; did you mean "image.port"?');
  });

  it('suggests nothing for a field that is like no other', () => {
    expect(refusal(webService('xyzzy: 1'))).to.equal('manifest.yml:5: unknown field "xyzzy"');
  });

  it('reports all problems at once, by line', () => {
    const problems = refusal(webService('cpu: lots', 'memory: many', 'exce: true')).split('\n');
    expect(problems.map((problem) => problem.split(': ')[0])).to.deep.equal([
      'manifest.yml:5',
      'manifest.yml:6',
      'manifest.yml:7',
    ]);
  });

  it('checks the sections of other environments too', () => {
    const message = refusal(webService('environments:', '  prod:', '    cpuu: 1'));
    expect(message).to.equal('manifest.yml:7: unknown field "cpuu" in environments.prod; did you mean "cpu"?');
  });

  it('finds the line of a value that an anchor carries elsewhere', () => {
    const message = refusal(webService('memory: &size big', 'sidecars: { s: { image: x, command: *size } }'));
    expect(message).to.equal('manifest.yml:5: memory: expected a whole number, found "big"');
  });

  it('reads anchors, aliases and merge keys', () => {
    const text = webService(
      'variables: &all { A: "1", B: "2" }',
      'sidecars:',
      '  s:',
      '    image: x',
      '    variables:',
      '      <<: *all',
      '      B: "3"',
    );
    expect(read(text).fields.sidecars?.s?.variables).to.deep.equal({ A: '1', B: '3' });
  });

  for (const [where, ...lines] of [
    ['a value', 'cpu: *prot'],
    ['a map', 'variables: *prot'],
    ['a merge key', 'variables: { <<: *prot }'],
    ['an item', 'command: [a, *prot]'],
  ]) {
    it(`refuses an alias of nothing as ${where}, and says what was meant`, () => {
      const message = refusal(webService('memory: &port 512', ...lines));
      expect(message).to.equal('manifest.yml:6: nothing is anchored as "&prot"; did you mean "*port"?');
    });
  }

  it('says where a file is no YAML', () => {
    expect(refusal('name: api\n  type: x')).to.match(/^manifest.yml:\d: /);
  });

  it('refuses a key that is there twice', () => {
    expect(refusal(webService('cpu: 256', 'cpu: 512'))).to.match(/^manifest.yml:6: .*unique/);
  });

  it('refuses an empty file', () => {
    expect(refusal('')).to.equal('manifest.yml:1: expected a map of fields');
  });

  it('refuses a type without a meaning in Kubernetes and lists those that have one', () => {
    const message = refusal('name: site\ntype: Static Site');
    expect(message).to.contain('manifest.yml:2: type "Static Site" has no meaning in Kubernetes');
    expect(message).to.contain('Load Balanced Web Service, Backend Service, Worker Service, Scheduled Job');
  });

  it('refuses a manifest without a type', () => {
    expect(refusal('name: api')).to.contain('type is missing');
  });

  it('takes a key without a value as absent', () => {
    expect(read(webService('variables:')).fields.variables).to.equal(undefined);
  });

  it('refuses a field of another type of workload', () => {
    expect(refusal('name: w\ntype: Worker Service\nimage: { build: D }\nhttp: { path: / }')).to.contain(
      'unknown field "http"',
    );
  });

  it('knows whether the manifest has a section for the environment', () => {
    const text = webService('environments: { test: { cpu: 512 } }');
    expect(read(text, 'test').namesEnvironment).to.equal(true);
    expect(read(text, 'prod').namesEnvironment).to.equal(false);
  });
});

describe('what is not carried over', () => {
  it('is listed with the reason of the table', () => {
    const { notCarried } = read(webService('observability: { tracing: awsxray }'));
    expect(notCarried).to.deep.equal([{ path: 'observability', reason: 'no X-Ray here' }]);
  });

  it('is listed by the field that is set, not by the map around it', () => {
    const { notCarried } = read(webService('http: { path: /, stickiness: true, alias: example.com }'));
    expect(notCarried.map(({ path }) => path)).to.deep.equal(['http.stickiness', 'http.alias']);
  });

  it('is not listed where the value says what is so here anyway', () => {
    const { notCarried } = read(
      webService('http: { path: /, stickiness: false, version: http1, healthcheck: { success_codes: "200" } }'),
    );
    expect(notCarried).to.deep.equal([]);
  });

  it('is found in lists', () => {
    const { notCarried } = read(
      webService('http: { path: /, additional_rules: [{ path: /a }, { path: /b, stickiness: true }] }'),
    );
    expect(notCarried.map(({ path }) => path)).to.include('http.additional_rules[1].stickiness');
  });

  it('is found in maps with free keys', () => {
    const { notCarried } = read(webService('sidecars: { envoy: { image: e, labels: { a: b } } }'));
    expect(notCarried.map(({ path }) => path)).to.deep.equal(['sidecars.envoy.labels']);
  });

  it('looks only at what counts in this environment', () => {
    const text = webService('environments: { prod: { publish: { topics: [{ name: t }] } } }');
    expect(read(text, 'test').notCarried).to.deep.equal([]);
    expect(read(text, 'prod').notCarried.map(({ path }) => path)).to.deep.equal(['publish']);
  });
});
