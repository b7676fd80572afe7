import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { seconds, type WorkloadType, workloadTypes } from '../../manifest/fields.ts';
import { rows } from '../../manifest/mapping.ts';
import { read, refusal, webService } from '../k8s/workload.ts';

const types = Object.keys(workloadTypes) as WorkloadType[];

function copilotFields(): Map<string, Set<string>> {
  const text = readFileSync(new URL('./fixtures/copilot-fields.txt', import.meta.url), 'utf8');
  const sections = text.split(/^\[(.+)\]$/m).slice(1);
  const pairs = types.map((type): [string, Set<string>] => {
    const section = sections[sections.indexOf(type) + 1] ?? '';
    return [type, new Set(section.split('\n').filter((line) => line !== ''))];
  });
  return new Map(pairs);
}

describe('the table of fields', () => {
  for (const type of types) {
    it(`has a row for every field that Copilot has for a ${type}`, () => {
      const known = new Set(rows(type).map(({ path }) => path));
      const missing = [...(copilotFields().get(type) ?? [])].filter((path) => !known.has(path));
      expect(missing).to.deep.equal([]);
    });

    it(`has no row that Copilot does not have for a ${type}`, () => {
      const theirs = copilotFields().get(type) ?? new Set();
      const invented = rows(type)
        .map(({ path }) => path)
        .filter((path) => !/(\[\]|<name>)$/.test(path) && !theirs.has(path));
      expect(invented).to.deep.equal(['name', 'type']);
    });

    it(`has a mapping for every field of a ${type}`, () => {
      const undecided = rows(type).filter(({ mapping }) => mapping === undefined);
      expect(undecided).to.deep.equal([]);
    });
  }
});

describe('short forms', () => {
  it('reads image.build as the path of a Dockerfile', () => {
    const { image } = read(webService('image: { build: api/Dockerfile, port: 80 }')).fields;
    expect(image?.build).to.deep.equal({ dockerfile: 'api/Dockerfile' });
  });

  it('reads image.build as a map', () => {
    const { image } = read(webService('image: { build: { dockerfile: D, context: c, target: t }, port: 80 }')).fields;
    expect(image?.build).to.deep.equal({ dockerfile: 'D', context: 'c', target: 't' });
  });

  it('reads the image of a sidecar as a location', () => {
    const { sidecars } = read(webService('sidecars: { nginx: { image: nginx:1 } }')).fields;
    expect(sidecars?.nginx?.image).to.deep.equal({ location: 'nginx:1' });
  });

  it('reads http.healthcheck as a path', () => {
    const { http } = read(webService('http: { path: /, healthcheck: /up }')).fields;
    expect(http).to.have.deep.property('healthcheck', { path: '/up' });
  });

  it('reads http: false', () => {
    expect(read(webService('http: false', 'nlb: { port: 80/tcp }')).fields.http).to.equal(false);
  });

  for (const field of ['command', 'entrypoint'] as const) {
    it(`splits ${field} as a shell would`, () => {
      const { fields } = read(webService(`${field}: node -e "a b" 'c d' e\\ f`));
      expect(fields[field]).to.deep.equal(['node', '-e', 'a b', 'c d', 'e f']);
    });

    it(`reads ${field} as a list`, () => {
      expect(read(webService(`${field}: [node, -e, "a b"]`)).fields[field]).to.deep.equal(['node', '-e', 'a b']);
    });
  }

  it('reads count as a number', () => {
    expect(read(webService('count: 3')).fields.count).to.deep.equal({ replicas: 3 });
  });

  it('reads count.range as a text', () => {
    const { count } = read(webService('count: { range: 2-10, cpu_percentage: 70 }')).fields;
    expect(count).to.have.deep.property('range', { min: 2, max: 10 });
  });

  it('reads count.range as a map', () => {
    const { count } = read(webService('count: { range: { min: 2, max: 10 }, cpu_percentage: 70 }')).fields;
    expect(count).to.have.deep.property('range', { min: 2, max: 10 });
  });

  it('reads a scaling target as a map with a cooldown of its own', () => {
    const { count } = read(
      webService('count: { range: 1-2, memory_percentage: { value: 80, cooldown: { in: 1m } } }'),
    ).fields;
    expect(count).to.have.deep.property('memory_percentage', { value: 80, cooldown: { in: 60 } });
  });

  it('reads http.alias as a text, a list and a list of maps', () => {
    for (const alias of ['example.com', '[example.com]', '[{ name: example.com }]']) {
      const { http } = read(webService(`http: { path: /, alias: ${alias} }`)).fields;
      expect(http).to.have.deep.property('alias', [{ name: 'example.com' }]);
    }
  });

  it('reads platform as a text and as a map', () => {
    const { fields: short } = read(webService('platform: linux/arm64'));
    const { fields: long } = read(webService('platform: { osfamily: linux, architecture: arm64 }'));
    expect(short.platform).to.deep.equal(long.platform);
  });

  it('reads nlb.port with and without a protocol', () => {
    expect(read(webService('nlb: { port: 80 }')).fields.nlb?.port).to.deep.equal({ port: 80, protocol: 'tcp' });
    expect(read(webService('nlb: { port: 53/udp, healthcheck: { port: 80 } }')).fields.nlb?.port).to.deep.equal({
      port: 53,
      protocol: 'udp',
    });
  });

  it('reads a secret by its name, from Secrets Manager and from CloudFormation', () => {
    const { secrets } = read(webService('secrets: { A: /a, B: { secretsmanager: b }, C: { from_cfn: c } }')).fields;
    expect(secrets).to.deep.equal({ A: '/a', B: { secretsmanager: 'b' }, C: { from_cfn: 'c' } });
  });

  for (const [short, line] of [
    ['exec', 'exec: true'],
    ['network.connect', 'network: { connect: true }'],
    ['network.vpc.placement', 'network: { vpc: { placement: private } }'],
    ['network.vpc.security_groups', 'network: { vpc: { security_groups: [sg-1, { from_cfn: x }] } }'],
    ['efs', 'storage: { volumes: { v: { path: /v, efs: true } } }'],
    ['deployment.rollback_alarms', 'deployment: { rollback_alarms: [a, b] }'],
    ['publish.topics.fifo', 'publish: { topics: [{ name: t, fifo: true }] }'],
  ]) {
    it(`accepts the short form of ${short}`, () => {
      expect(() => read(webService(line ?? ''))).not.to.throw();
    });
  }

  for (const [long, line] of [
    ['exec', 'exec: { enable: true }'],
    ['network.connect', 'network: { connect: { alias: orders } }'],
    ['network.vpc.placement', 'network: { vpc: { placement: { subnets: { from_tags: { tier: [a, b] } } } } }'],
    ['network.vpc.security_groups', 'network: { vpc: { security_groups: { groups: [sg-1], deny_default: true } } }'],
    ['efs', 'storage: { volumes: { v: { path: /v, efs: { id: fs-1, auth: { iam: true } } } } }'],
    ['deployment.rollback_alarms', 'deployment: { rollback_alarms: { cpu_utilization: 70.5 } }'],
    ['publish.topics.fifo', 'publish: { topics: [{ name: t, fifo: { content_based_deduplication: true } }] }'],
  ]) {
    it(`accepts the long form of ${long}`, () => {
      expect(() => read(webService(line ?? ''))).not.to.throw();
    });
  }

  it('keeps a variable as written, regardless of its YAML type', () => {
    const { variables } = read(webService('variables: { VERSION: 1.10, FLAG: true, CODE: 007, EMPTY: "" }')).fields;
    expect(variables).to.deep.equal({ VERSION: '1.10', FLAG: 'true', CODE: '007', EMPTY: '' });
  });

  it('reads the yes and no that Copilot reads', () => {
    expect(read(webService('exec: yes')).fields.exec).to.equal(true);
  });
});

describe('seconds', () => {
  it('adds up the parts of a duration', () => {
    expect(seconds('1h2m3s')).to.equal(3723);
  });

  it('knows parts of a second', () => {
    expect(seconds('1.5s')).to.equal(1.5);
    expect(seconds('250ms')).to.equal(0.25);
  });

  it('is undefined for a number without a unit', () => {
    expect(seconds('10')).to.equal(undefined);
  });
});

describe('a value that does not fit', () => {
  for (const [line, message] of [
    ['cpu: lots', 'cpu: expected a whole number, found "lots"'],
    ['cpu: "256"', 'cpu: expected a whole number, found "256"'],
    ['exec: maybe', 'exec: expected true or false or a map, found "maybe"'],
    ['count: three', 'count: expected a whole number or a map, found "three"'],
    ['count: [1]', 'count: expected a whole number or a map, found a list'],
    [
      'count: { range: 1 to 3, cpu_percentage: 1 }',
      'count.range: expected a range such as 1-10 or a map, found "1 to 3"',
    ],
    [
      'count: { range: 1-3, cpu_percentage: 170 }',
      'count.cpu_percentage: expected a percentage from 0 to 100 or a map, found 170',
    ],
    [
      'count: { range: 1-3, response_time: 500 }',
      'count.response_time: expected a duration such as 10s, 1m30s or 500ms or a map, found 500',
    ],
    ['image: { build: D, port: 70000 }', 'image.port: expected a port from 1 to 65535, found 70000'],
    ['image: Dockerfile', 'image: expected a map, found "Dockerfile"'],
    [
      'image: { build: D, port: 80, healthcheck: { command: curl } }',
      'image.healthcheck.command: expected a list, found "curl"',
    ],
    [
      'image: { build: D, port: 80, depends_on: { x: ready } }',
      'image.depends_on.x: expected start or complete or success or healthy, found "ready"',
    ],
    ['http: { path: /, version: http3 }', 'http.version: expected grpc or http1 or http2, found "http3"'],
    ['variables: [A=1]', 'variables: expected a map, found a list'],
    ['variables: { A: { B: c } }', 'variables.A: expected a text or a map, found a map without any of its fields'],
    ['env_file: settings.txt', 'env_file: expected a file that ends in .env, found "settings.txt"'],
    [
      'command: echo "hello',
      'command: expected a command line whose quotes are all closed or a list, found "echo \\"hello"',
    ],
    ['platform: solaris/sparc', 'platform: expected a platform such as linux/arm64 or a map, found "solaris/sparc"'],
    ['storage: { ephemeral: 10 }', 'storage.ephemeral: expected 20 to 200 GiB, found 10'],
    [
      'storage: { volumes: { v: { path: "/a b" } } }',
      'storage.volumes.v.path: expected a path of letters, digits and - . _ /, found "/a b"',
    ],
    [
      'network: { vpc: { placement: secret } }',
      'network.vpc.placement: expected public or private or a map, found "secret"',
    ],
    ['nlb: { port: 80/quic }', 'nlb.port: expected a port such as 80 or 80/tcp, found "80/quic"'],
    ['deployment: { rolling: blue }', 'deployment.rolling: expected default or recreate, found "blue"'],
  ] as const) {
    it(`is refused: ${line}`, () => {
      expect(refusal(webService(line))).to.contain(message);
    });
  }
});
