import { expect } from 'chai';
import { read, webService } from '../k8s/workload.ts';

// What Copilot itself makes of each of these was seen with ApplyEnv of its v1.34.1.

/** The fields of a service with these lines when `environments.test` says that. */
function fieldsWith(lines: string[], ...overrides: string[]) {
  return read(webService(...lines, 'environments:', '  test:', ...overrides.map((line) => `    ${line}`))).fields;
}

describe('environments.<name>', () => {
  it('replaces a single value', () => {
    expect(fieldsWith(['cpu: 256'], 'cpu: 512').cpu).to.equal(512);
  });

  it('replaces with a value that counts as nothing', () => {
    expect(fieldsWith(['exec: true'], 'exec: false').exec).to.equal(false);
    expect(fieldsWith(['count: 2'], 'count: 0').count).to.deep.equal({ replicas: 0 });
  });

  it('merges maps key by key', () => {
    const { variables } = fieldsWith(['variables: { A: "1", B: "1" }'], 'variables: { B: "2", C: "2" }');
    expect(variables).to.deep.equal({ A: '1', B: '2', C: '2' });
  });

  it('merges maps inside maps', () => {
    const { image } = fieldsWith(
      ['image: { build: D, port: 80, healthcheck: { interval: 5s, retries: 1 } }'],
      'image: { healthcheck: { retries: 9 } }',
    );
    expect(image?.healthcheck).to.deep.equal({ interval: 5, retries: 9 });
  });

  it('replaces lists as a whole', () => {
    expect(fieldsWith(['command: [a, b, c]'], 'command: [d]').command).to.deep.equal(['d']);
  });

  it('replaces a list with an empty one', () => {
    expect(fieldsWith(['command: [a]'], 'command: []').command).to.deep.equal([]);
  });

  it('ignores a key without a value', () => {
    expect(fieldsWith(['cpu: 256'], 'cpu:').cpu).to.equal(256);
  });

  it('replaces a range by a number', () => {
    const { count } = fieldsWith(['count: { range: 1-10, cpu_percentage: 70 }'], 'count: 3');
    expect(count).to.deep.equal({ replicas: 3 });
  });

  it('replaces a number by a range', () => {
    const { count } = fieldsWith(['count: 3'], 'count: { range: 1-10, cpu_percentage: 70 }');
    expect(count).to.have.deep.property('range', { min: 1, max: 10 });
  });

  it('keeps the other scaling targets when it changes one', () => {
    const { count } = fieldsWith(['count: { range: 1-10, cpu_percentage: 70 }'], 'count: { memory_percentage: 60 }');
    expect(count).to.have.nested.property('cpu_percentage.value', 70);
  });

  it('replaces the short form of a target by the long one', () => {
    const { count } = fieldsWith(
      ['count: { range: 1-3, cpu_percentage: 70 }'],
      'count: { cpu_percentage: { value: 50 } }',
    );
    expect(count).to.have.nested.property('cpu_percentage.value', 50);
  });

  it('replaces a range with spot', () => {
    const { count } = fieldsWith(
      ['count: { range: 1-10, cooldown: { in: 1m }, cpu_percentage: 70 }'],
      'count: { spot: 4 }',
    );
    expect(count).to.deep.equal({ spot: 4 });
  });

  it('replaces spot with a range', () => {
    const { count } = fieldsWith(['count: { spot: 4 }'], 'count: { range: 1-3, cpu_percentage: 70 }');
    expect(count).not.to.have.property('spot');
  });

  it('replaces image.build with image.location', () => {
    const { image } = fieldsWith(['image: { build: D, port: 80 }'], 'image: { location: "api:1" }');
    expect(image).to.deep.equal({ location: 'api:1', port: 80 });
  });

  it('replaces image.location with image.build', () => {
    const { image } = fieldsWith(['image: { location: "api:1", port: 80 }'], 'image: { build: D }');
    expect(image).to.deep.equal({ build: { dockerfile: 'D' }, port: 80 });
  });

  it('replaces the short form of image.build by the long one', () => {
    const { image } = fieldsWith(['image: { build: D, port: 80 }'], 'image: { build: { context: c } }');
    expect(image?.build).to.deep.equal({ context: 'c' });
  });

  it('replaces the path of a health check by its map', () => {
    const { http } = fieldsWith(['http: { path: /, healthcheck: /up }'], 'http: { healthcheck: { interval: 5s } }');
    expect(http).to.have.deep.property('healthcheck', { interval: 5 });
  });

  it('turns http off', () => {
    expect(fieldsWith(['nlb: { port: 80 }'], 'http: false').http).to.equal(false);
  });

  it('replaces a file system by id with a managed one', () => {
    const { storage } = fieldsWith(
      ['storage: { volumes: { v: { path: /v, efs: { id: fs-1 } } } }'],
      'storage: { volumes: { v: { efs: { uid: 5, gid: 5 } } } }',
    );
    expect(storage?.volumes?.v?.efs).to.deep.equal({ uid: 5, gid: 5 });
  });

  it('replaces a secret from CloudFormation with one of Secrets Manager', () => {
    const { secrets } = fieldsWith(['secrets: { A: { from_cfn: x } }'], 'secrets: { A: { secretsmanager: y } }');
    expect(secrets).to.deep.equal({ A: { secretsmanager: 'y' } });
  });

  it('adds to a sidecar without changing the rest of it', () => {
    const { sidecars } = fieldsWith(
      ['sidecars: { s: { image: x, port: 80 } }'],
      'sidecars: { s: { port: 81 }, t: { image: y } }',
    );
    expect(sidecars).to.deep.equal({
      s: { image: { location: 'x' }, port: { port: 81, protocol: 'tcp' } },
      t: { image: { location: 'y' } },
    });
  });

  it('does not change the manifest for an environment that it does not name', () => {
    const text = webService('cpu: 256', 'environments: { prod: { cpu: 512 } }');
    expect(read(text, 'test').fields.cpu).to.equal(256);
  });

  it('does not change the manifest for an environment without fields', () => {
    expect(read(webService('cpu: 256', 'environments: { test: ~ }')).fields.cpu).to.equal(256);
  });
});
