import { expect } from 'chai';
import { read, refusal, webService } from '../k8s/workload.ts';

describe('decoding as Copilot decodes', () => {
  for (const [line, field, value, note] of [
    ['cpu: 512.9', 'cpu', 512, 'cpu: expected a whole number, found 512.9. Copilot accepts it and reads 512'],
    ['cpu: 1e3', 'cpu', 1000, undefined],
    ['cpu: 0x200', 'cpu', 512, undefined],
    ['cpu: 1_024', 'cpu', 1024, undefined],
    ['cpu: 0400', 'cpu', 256, undefined],
    ['exec: "yes"', 'exec', true, undefined],
    ['count: { spot: two }', 'count', { spot: 0 }, 'count.spot: expected a whole number, found "two"'],
    ['command: [node, { a: b }]', 'command', ['node'], 'command[1]: expected a text, found a map'],
    ['command: []', 'command', [], undefined],
    [
      'http: { path: /, stickiness: "true" }',
      'http',
      { path: '/', stickiness: false },
      'Copilot accepts it and reads false',
    ],
    ['http:\n  path: /\n  healthcheck:', 'http', { path: '/' }, undefined],
    ['storage: { readonly_fs: on }', 'storage', { readonly_fs: true }, undefined],
  ] as const) {
    it(`reads ${line} as ${JSON.stringify(value)}`, () => {
      const { fields, warnings } = read(webService(line));
      expect(fields[field]).to.deep.equal(value);
      if (note) expect(warnings.join()).to.contain(note);
      else expect(warnings).to.deep.equal([]);
    });
  }

  it('leaves out a port of a Worker Service, which has none', () => {
    const { fields, warnings } = read('name: w\ntype: Worker Service\nimage: { build: D, port: 80 }');
    expect(fields.image?.port).to.equal(undefined);
    expect(warnings.join()).to.contain('unknown field "port" in image');
  });

  for (const [line, message] of [
    ['exec: "true"', 'exec: expected true or false or a map, found "true"'],
    ['image: { build: D, port: 80, healthcheck: { interval: 0 } }', 'image.healthcheck.interval: expected a duration'],
    [
      'http: { healthcheck: { timout: 3s } }',
      'http.healthcheck: expected a text or a map, found a map without any of its',
    ],
    ['http: { foo: bar }', 'http: expected true or false or a map, found a map without any of its fields'],
    ['variables: { A: [b] }', 'variables.A: expected a text or a map, found a list'],
    ['sidecars:\n  s:', 'sidecars.s: expected a map, found nothing'],
    ['sidecars: { s: }', 'sidecars.s: expected a map, found ""'],
    [
      'environments: { prod: { image: { build: D, location: x } } }',
      'image.build and image.location exclude each other',
    ],
    ['environments: { prod: { exec: maybe } }', 'environments.prod.exec: expected true or false or a map'],
    [
      'environments: { prod: { storage: { volumes: { v: { path: /v, efs: { uid: 1, id: fs-1 } } } } } }',
      'storage.volumes.v.efs.uid and storage.volumes.v.efs.id exclude each other',
    ],
  ] as const) {
    it(`refuses ${line}`, () => {
      expect(refusal(webService(line))).to.contain(message);
    });
  }

  it('warns of a sidecar without a value in another environment', () => {
    const { warnings } = read(webService('environments: { prod: { sidecars: { s: ~ } } }'));
    expect(warnings.join()).to.contain('in environment "prod": sidecars.s: expected a map, found nothing');
  });
});
