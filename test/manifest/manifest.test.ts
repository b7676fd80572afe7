import { expect } from 'chai';
import { readManifest } from '../../manifest/manifest.ts';
import { read, refusal, webService } from '../k8s/workload.ts';

describe('readManifest', () => {
  it('warns of a field that Copilot ignores, with file, line and the nearest field', () => {
    const { warnings } = read(webService('cpuu: 256'));
    expect(warnings).to.deep.equal([
      'manifest.yml:5: unknown field "cpuu". Copilot ignores this too: it has never had an effect; did you mean "cpu"?',
    ]);
  });

  it('names the map of an ignored field', () => {
    const { warnings } = read(webService('http:', '  path: /', '  healthcheck:', '    path: /ok', '    timout: 3s'));
    expect(warnings.join()).to.match(/:8: unknown field "timout" in http.healthcheck.*; did you mean "timeout"\?$/);
  });

  for (const [lines, meant] of [
    [['port: 80'], 'image.port'],
    [['http: { path: /, port: 80 }'], 'target_port'],
    [['deregistration_delay: 10s'], 'http.deregistration_delay'],
    [['http: { path: /, interval: 10s }'], 'http.healthcheck.interval'],
    [['http: { path: /, healthcheck: { path: /ok, retries: 3 } }'], 'unhealthy_threshold'],
  ] as const) {
    it(`suggests ${meant} for ${lines.join()}`, () => {
      expect(read(webService(...lines)).warnings.join()).to.match(new RegExp(`; did you mean "${meant}"\\?$`));
    });
  }

  it('says that a field of that name stands at the top of the manifest', () => {
    const { warnings } = read(webService('sidecars: { s: { image: x, cpu: 256 } }'));
    expect(warnings.join()).to.match(/"cpu" in sidecars.s.*; did you mean "cpu" at the top of the manifest\?$/);
  });

  it('suggests a field around the unknown one before one below it', () => {
    const { warnings } = read(webService('environments: { test: { image: { command: [a] } } }'));
    expect(warnings.join()).to.match(/did you mean "command" at the top of the manifest\?$/);
  });

  it('suggests nothing for a field without a similar one', () => {
    expect(read(webService('xyzzy: 1')).warnings.join()).to.match(/it has never had an effect$/);
  });

  it('suggests no field of a distant map', () => {
    const { warnings } = read(webService('sidecars: { s: { image: x, path: /a } }'));
    expect(warnings.join()).to.contain('unknown field "path" in sidecars.s').and.not.contain('http.path');
  });

  it('reads a manifest as if it did not have the ignored fields', () => {
    const { fields } = read(webService('http: { path: /, healthcheck: { path: /ok, retries: 3 } }'));
    expect(fields.http).to.have.deep.property('healthcheck', { path: '/ok' });
  });

  it('names ignored fields beside the problems that they cause', () => {
    const text = 'name: api\ntype: Load Balanced Web Service\nimage: { build: D, port: 80 }\nhtpp: { path: / }';
    expect(refusal(text)).to.contain('http is missing').and.contain('unknown field "htpp"');
  });

  it('reports all problems together, by line', () => {
    const problems = refusal(webService('cpu: lots', 'memory: many', 'exce: true')).split('\n');
    expect(problems.map((problem) => problem.split(': ')[0])).to.deep.equal([
      'manifest.yml:5',
      'manifest.yml:6',
      'manifest.yml:7',
    ]);
  });

  it('warns of ignored fields in the sections of other environments too', () => {
    const { warnings } = read(webService('environments:', '  prod:', '    cpuu: 1'));
    expect(warnings.join()).to.match(
      /^manifest.yml:7: unknown field "cpuu" in environments.prod.*; did you mean "cpu"\?$/,
    );
  });

  it('refuses a value of the wrong type in any environment, as Copilot decodes them all', () => {
    const text = webService('environments: { prod: { cpu: lots } }');
    expect(refusal(text)).to.contain('environments.prod.cpu: expected a whole number, found "lots"');
  });

  it('warns of a broken rule in another environment', () => {
    const { warnings } = read(webService('environments:', '  prod:', '    count: { range: 5-1, cpu_percentage: 70 }'));
    expect(warnings).to.deep.equal([
      'manifest.yml:7: in environment "prod": count.range: the minimum is above the maximum',
    ]);
  });

  it('refuses a broken rule in the requested environment', () => {
    const text = webService('environments: { test: { count: { range: 5-1, cpu_percentage: 70 } } }');
    expect(refusal(text)).to.contain('count.range: the minimum is above the maximum');
  });

  it('accepts a problem that the environment replaces', () => {
    const lines = ['deployment: { rolling: blue }', 'environments: { test: { deployment: { rolling: recreate } } }'];
    expect(read(webService(...lines)).fields.deployment?.rolling).to.equal('recreate');
  });

  it('reads a variable without a value as the empty text, also where an environment empties it', () => {
    const { fields } = read(
      webService('variables:', '  DEBUG:', '  MODE: fast', 'environments: { test: { variables: { MODE: } } }'),
    );
    expect(fields.variables).to.deep.equal({ DEBUG: '', MODE: '' });
  });

  it('reads a variable of a sidecar without a value as the empty text', () => {
    const { fields } = read(webService('sidecars: { s: { image: x, variables: { A: ~ } } }'));
    expect(fields.sidecars?.s?.variables).to.deep.equal({ A: '' });
  });

  it('reads a number for a duration in http as 0s and warns', () => {
    const { fields, warnings } = read(webService('http: { path: /, deregistration_delay: 5 }'));
    expect(fields.http).to.have.property('deregistration_delay', 0);
    expect(warnings.join()).to.contain('manifest.yml:4: http.deregistration_delay: expected a duration');
    expect(warnings.join()).to.contain('Copilot accepts it and reads 0s; did you mean 5s?');
  });

  for (const line of [
    'nlb: { port: 80, deregistration_delay: 5 }',
    'image: { build: D, port: 80, healthcheck: { command: [a], interval: 5 } }',
    'http: { path: /, healthcheck: { interval: 5 } }',
  ]) {
    it(`refuses a number for a duration where Copilot does: ${line}`, () => {
      expect(refusal(webService(line))).to.contain('expected a duration such as 10s, 1m30s or 500ms, found 5');
    });
  }

  it('refuses an anchor that contains itself', () => {
    const message = refusal(webService('variables: &v', '  A: b', '  <<: *v'));
    expect(message).to.equal('manifest.yml:7: "*v" stands inside "&v" itself');
  });

  it('refuses aliases that multiply, within a second', () => {
    const levels = [...'bcdefghi'].map((to, i) => `${to}: &${to} [${`*${'abcdefgh'[i]}, `.repeat(9)}]`);
    const started = performance.now();
    expect(refusal(webService('a: &a [x, x, x]', ...levels))).to.match(/^manifest.yml:\d+: aliases expand/);
    expect(performance.now() - started).to.be.below(1000);
  });

  it('reads a map of thousands of keys in seconds, not in minutes', function () {
    this.timeout('1m');
    const keys = Array.from({ length: 20_000 }, (_, i) => `  K${i}: v`);
    const started = performance.now();
    expect(Object.keys(read(webService('variables:', ...keys)).fields.variables ?? {})).to.have.length(20_000);
    expect(performance.now() - started).to.be.below(10_000);
  });

  it('refuses lists that are nested too deeply', () => {
    expect(refusal(webService(`variables: ${'['.repeat(5000)}${']'.repeat(5000)}`))).to.contain('levels deep');
  });

  it('refuses brackets by the hundred thousand within a second', () => {
    const started = performance.now();
    expect(refusal(webService(`variables: ${'{a: ['.repeat(100_000)}`))).to.match(/^manifest.yml:5: .*levels deep$/);
    expect(performance.now() - started).to.be.below(1000);
  });

  it('finds the line of a value that comes from an anchor', () => {
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
      expect(message).to.equal('manifest.yml:6: there is no anchor "&prot"; did you mean "*port"?');
    });
  }

  it('reports where a file is not YAML', () => {
    expect(refusal('name: api\n  type: x')).to.match(/^manifest.yml:\d: /);
  });

  it('reports only the first error of a file that is not YAML', () => {
    expect(refusal(webService('variables: { A: {b}c }', 'cpu: 5')).split('\n')).to.have.length(1);
  });

  it('warns of a secret that names no parameter', () => {
    const { warnings } = read(webService('secrets:', '  A:', 'sidecars: { s: { image: x, secrets: { B: "" } } }'));
    expect(warnings.map((line) => line.replace(/ has no value.*/, ''))).to.deep.equal([
      'manifest.yml:6: secrets.A',
      'manifest.yml:7: sidecars.s.secrets.B',
    ]);
  });

  it('refuses a change of a container that the task does not have, as Copilot does', () => {
    const change = 'taskdef_overrides: [{ path: "ContainerDefinitions[2].User", value: "1" }]';
    expect(refusal(webService('sidecars: { s: { image: x } }', change))).to.equal(
      'manifest.yml:6: there is no container 2: the containers of the task are 0 (api), 1 (s)',
    );
    expect(() => read(webService('sidecars: { r: { image: x }, s: { image: x } }', change))).not.to.throw();
  });

  it('warns of a schedule that Copilot changes', () => {
    const { warnings } = read('name: api\ntype: Scheduled Job\nimage: { location: x }\non: { schedule: 0 8 */2 * * }');
    expect(warnings.join()).to.match(/^manifest.yml:4: Copilot runs "0 8 \*\/2 \* \*" as "0 8 \* \* \*"/);
  });

  it('suggests no other field for the version of an old manifest', () => {
    expect(read(webService('version: 1.0')).warnings.join()).not.to.contain('did you mean');
  });

  it('refuses a duplicate key', () => {
    expect(refusal(webService('cpu: 256', 'cpu: 512'))).to.match(/^manifest.yml:6: .*unique/);
  });

  it('reads the first of several documents, with a warning', () => {
    const { fields, warnings } = read(`${webService('cpu: 256')}\n---\ncpu: 512\n`);
    expect(fields.cpu).to.equal(256);
    expect(warnings).to.deep.equal([
      'manifest.yml:6: a second YAML document. Copilot reads the first one of a file only',
    ]);
  });

  it('reads an empty value within braces as an empty string, as Copilot does', () => {
    expect(read(webService('variables: { A: }')).fields.variables).to.deep.equal({ A: '' });
    expect(refusal(webService('image: { build: , port: 80 }'))).to.contain('image.build or image.location is missing');
  });

  it('accepts a duplicate key in an ignored field', () => {
    expect(read(webService('foo: { a: 1, a: 2 }')).warnings.join()).to.contain('unknown field "foo"');
  });

  it('refuses an empty file', () => {
    expect(refusal('')).to.equal('manifest.yml:1: expected a map of fields');
  });

  it('refuses a type without a meaning in Kubernetes and lists those that have one', () => {
    const message = refusal('name: site\ntype: Frontend Service');
    expect(message).to.contain('manifest.yml:2: type "Frontend Service" has no equivalent in Kubernetes');
    expect(message).to.contain('Scheduled Job, Request-Driven Web Service, Static Site');
  });

  it('reads a Static Site', () => {
    const { fields, unsupported } = read(
      [
        'name: site\ntype: Static Site',
        'http: { alias: a.example.com, certificate: "arn:aws:acm:us-east-1:1:certificate/c" }',
        'files: [{ source: site, destination: docs, recursive: true, exclude: "*.md", reinclude: [a.md] }]',
      ].join('\n'),
    );
    expect(fields.files).to.deep.equal([
      { source: 'site', destination: 'docs', recursive: true, exclude: ['*.md'], reinclude: ['a.md'] },
    ]);
    expect(fields.http).to.deep.equal({ path: '/', alias: [{ name: 'a.example.com' }] });
    expect(unsupported.map(({ path }) => path)).to.deep.equal(['http.alias', 'http.certificate']);
  });

  it('reads a Request-Driven Web Service as one with a route of every path', () => {
    const { fields, unsupported } = read(
      [
        'name: api\ntype: Request-Driven Web Service\nimage: { location: x, port: 80 }\ncount: high',
        'http: { healthcheck: { path: /ok, interval: 10s }, private: true }\nnetwork: { vpc: { placement: private } }',
      ].join('\n'),
    );
    expect(fields.http).to.deep.equal({ path: '/', healthcheck: { path: '/ok', interval: 10 } });
    expect(unsupported.map(({ path }) => path)).to.have.members(['count', 'http.private', 'network']);
  });

  it('refuses a Request-Driven Web Service without a port', () => {
    expect(refusal('name: api\ntype: Request-Driven Web Service\nimage: { location: x }')).to.contain(
      'image.port is missing',
    );
  });

  it('refuses a name other than that of its folder', () => {
    const surroundings = { application: 'shop', environment: 'test', shell: {}, folder: 'web' };
    const message = 'm:1: name "api" is not that of its folder: expected "web", or rename the folder';
    expect(() => readManifest(webService(), 'm', surroundings)).to.throw(message);
  });

  it('refuses a manifest without a type', () => {
    expect(refusal('name: api')).to.contain('type is missing');
  });

  it('treats a key without a value as absent', () => {
    expect(read(webService('variables:')).fields.variables).to.equal(undefined);
  });

  it('ignores a field of another type of workload, as Copilot does', () => {
    const { fields, warnings } = read('name: w\ntype: Worker Service\nimage: { build: D }\nhttp: { path: / }');
    expect(fields.http).to.equal(undefined);
    expect(warnings.join()).to.contain('unknown field "http"');
  });

  it('knows whether the manifest has a section for the environment', () => {
    const text = webService('environments: { test: { cpu: 512 } }');
    expect(read(text, 'test').namesEnvironment).to.equal(true);
    expect(read(text, 'prod').namesEnvironment).to.equal(false);
  });
});

describe('an unsupported field', () => {
  it('is listed with the reason of the table', () => {
    const { unsupported } = read(webService('observability: { tracing: awsxray }'));
    expect(unsupported).to.deep.equal([{ path: 'observability', reason: 'no X-Ray here' }]);
  });

  it('is listed by the field that is set, not by the map around it', () => {
    const { unsupported } = read(webService('http: { path: /, stickiness: true, alias: example.com }'));
    expect(unsupported.map(({ path }) => path)).to.deep.equal(['http.stickiness', 'http.alias']);
  });

  it('is not listed if its value has the same effect here', () => {
    const { unsupported } = read(
      webService('http: { path: /, stickiness: false, version: http1, healthcheck: { success_codes: "200" } }'),
    );
    expect(unsupported).to.deep.equal([]);
  });

  it('is found in lists', () => {
    const { unsupported } = read(
      webService('http: { path: /, additional_rules: [{ path: /a }, { path: /b, stickiness: true }] }'),
    );
    expect(unsupported.map(({ path }) => path)).to.include('http.additional_rules[1].stickiness');
  });

  it('is found in maps with free keys', () => {
    const { unsupported } = read(webService('sidecars: { envoy: { image: e, labels: { a: b } } }'));
    expect(unsupported.map(({ path }) => path)).to.deep.equal(['sidecars.envoy.labels']);
  });

  it('is listed only for the requested environment', () => {
    const text = webService('environments: { prod: { publish: { topics: [{ name: t }] } } }');
    expect(read(text, 'test').unsupported).to.deep.equal([]);
    expect(read(text, 'prod').unsupported.map(({ path }) => path)).to.deep.equal(['publish']);
  });
});
