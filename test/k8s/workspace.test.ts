import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { readOptions } from '../../k8s/options.ts';
import { readWhatCanBe } from '../../k8s/read.ts';
import { openWorkspace } from '../../manifest/workspace.ts';

const cli = fileURLToPath(new URL('../../tools/cli.ts', import.meta.url));

const service = (name: string, ...lines: string[]) =>
  [
    `name: ${name}`,
    'type: Load Balanced Web Service',
    ...(lines.some((line) => line.startsWith('image:')) ? [] : [`image: { location: "${name}:1", port: 8080 }`]),
    ...(lines.some((line) => line.startsWith('http:')) ? [] : [`http: { path: ${name} }`]),
    ...lines,
  ].join('\n');

describe('plusone synth of a whole workspace', function () {
  this.timeout(20_000);
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'workspace-'));
    files({ 'copilot/.workspace': 'application: shop\n' });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function files(contents: Record<string, string>) {
    for (const [path, text] of Object.entries(contents)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
  }

  function run(...args: string[]) {
    const all = ['--environment', 'test', '--output', 'out', ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'synth', ...all], {
      cwd: folder,
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  }

  const written = (name: string) =>
    parseAllDocuments(readFileSync(join(folder, 'out', name), 'utf8')).map((document) => document.toJS());
  const ofKind = (name: string, kind: string) => written(name).find((object) => object.kind === kind);

  const enforced = (name: string) => ofKind(name, 'Namespace').metadata.labels['pod-security.kubernetes.io/enforce'];
  const podSecurity = (name: string) => ofKind(name, 'Deployment').spec.template.spec.securityContext;
  const built = { 'copilot/web/manifest.yml': service('web', 'image: { build: web/Dockerfile, port: 8080 }') };

  it('has one Service of each name, where an alias of Service Connect is the name of another workload', () => {
    files({
      'copilot/api/manifest.yml': service('api', 'network: { connect: { alias: web } }'),
      'copilot/web/manifest.yml': service('web'),
    });
    const { stdout } = run();
    const services = ['api', 'web'].flatMap((name) =>
      written(`${name}.k8s.yaml`).filter(({ kind }) => kind === 'Service'),
    );
    expect(services.map(({ metadata }) => metadata.name)).to.deep.equal(['api', 'web']);
    expect(stdout).to.contain('another workload is reached by the name web');
  });

  describe('security', () => {
    it('is restricted where the Dockerfile has a numeric user', () => {
      files({ ...built, 'web/Dockerfile': 'FROM a\nUSER 1000\n' });
      run();
      expect([enforced('web.k8s.yaml'), podSecurity('web.k8s.yaml').runAsNonRoot]).to.deep.equal(['restricted', true]);
    });

    for (const [what, dockerfile, reason] of [
      ['no user', 'FROM a\n', 'has no USER'],
      ['a user with a name', 'FROM a\nUSER app\n', 'USER app of its Dockerfile is a name'],
      ['root by its number', 'FROM a\nUSER 0\n', 'USER 0 of its Dockerfile is root'],
    ] as const) {
      it(`is baseline, without runAsNonRoot and said, where the Dockerfile has ${what}`, () => {
        files({ ...built, 'web/Dockerfile': dockerfile });
        const { stdout } = run();
        expect(enforced('web.k8s.yaml')).to.equal('baseline');
        expect(podSecurity('web.k8s.yaml')).not.to.have.property('runAsNonRoot');
        expect(stdout).to.contain(reason).and.contain('a numeric USER');
      });
    }

    it('leaves a container that may be root the capabilities that it has on ECS', () => {
      files({ ...built, 'web/Dockerfile': 'FROM nginx\n' });
      run();
      const [container] = ofKind('web.k8s.yaml', 'Deployment').spec.template.spec.containers;
      expect(container.securityContext).not.to.have.property('capabilities');
    });

    it('of one namespace is the same in every file', () => {
      files({ ...built, 'web/Dockerfile': 'FROM a\nUSER 1\n', 'copilot/api/manifest.yml': service('api') });
      run();
      expect(['web', 'api'].map((name) => enforced(`${name}.k8s.yaml`))).to.deep.equal(['baseline', 'baseline']);
    });

    it('of one namespace is the same when workloads are written one by one', () => {
      files({ ...built, 'web/Dockerfile': 'FROM a\nUSER 1\n', 'copilot/api/manifest.yml': service('api') });
      run('--service', 'web');
      expect(enforced('web.k8s.yaml')).to.equal('baseline');
    });

    it('is what --security says', () => {
      files({ 'copilot/api/manifest.yml': service('api') });
      run('--security', 'restricted');
      expect([enforced('api.k8s.yaml'), podSecurity('api.k8s.yaml').runAsNonRoot]).to.deep.equal(['restricted', true]);
    });

    it('takes the user of taskdef_overrides', () => {
      const overrides = 'taskdef_overrides: [{ path: "ContainerDefinitions[0].User", value: "1001" }]';
      files({ 'copilot/api/manifest.yml': service('api', overrides) });
      const { stdout } = run();
      expect(enforced('api.k8s.yaml')).to.equal('restricted');
      const [container] = ofKind('api.k8s.yaml', 'Deployment').spec.template.spec.containers;
      expect(container.securityContext.runAsUser).to.equal(1001);
      expect(stdout).not.to.contain('taskdef_overrides');
    });
  });

  describe('routes', () => {
    const two = {
      'copilot/web/manifest.yml': service('web', 'http: { path: / }'),
      'copilot/api/manifest.yml': service('api', 'http: { path: api, alias: api.example.com }'),
    };

    it('are one Ingress: hosts first, and longer paths before /', () => {
      files({ ...two, 'copilot/docs/manifest.yml': service('docs', 'http: { path: docs }') });
      run();
      const backend = (name: string) => ({ service: { name, port: { number: 8080 } } });
      const pathType = 'Prefix';
      expect(ofKind('_routes.k8s.yaml', 'Ingress').spec.rules).to.deep.equal([
        { host: 'api.example.com', http: { paths: [{ path: '/api', pathType, backend: backend('api') }] } },
        {
          http: {
            paths: [
              { path: '/docs', pathType, backend: backend('docs') },
              { path: '/', pathType, backend: backend('web') },
            ],
          },
        },
      ]);
    });

    it('have those of additional rules and target containers', () => {
      const http = 'http: { path: /, additional_rules: [{ path: admin, target_container: nginx }] }';
      files({ 'copilot/web/manifest.yml': service('web', http, 'sidecars: { nginx: { image: n, port: 81 } }') });
      run();
      const [{ http: rule }] = ofKind('_routes.k8s.yaml', 'Ingress').spec.rules;
      expect(rule.paths[0]).to.deep.include({
        path: '/admin',
        backend: { service: { name: 'web', port: { number: 81 } } },
      });
    });

    it('are one for each host and path, first those of the load balancer, and the others are reported', () => {
      const app = 'name: app\ntype: Request-Driven Web Service\nimage: { location: "app:1", port: 8080 }';
      files({ ...two, 'copilot/app/manifest.yml': app });
      const { stdout } = run();
      const { rules } = ofKind('_routes.k8s.yaml', 'Ingress').spec;
      expect(rules[1].http.paths).to.deep.equal([
        { path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 8080 } } } },
      ]);
      expect(stdout).to.match(/Left out, .+:\n +\*\/ +app:8080/);
    });

    for (const stated of ['true', '{ endpoint: vpce-1 }']) {
      it(`do not lead to a Request-Driven Web Service with private: ${stated}, which has no node port`, () => {
        const app = `name: app\ntype: Request-Driven Web Service\nimage: { location: "app:1", port: 80 }\nhttp: { private: ${stated} }`;
        files({ ...two, 'copilot/app/manifest.yml': app });
        expect(run().stdout).not.to.contain('app:80');
        expect(ofKind('app.k8s.yaml', 'Service').spec.type).to.equal('ClusterIP');
      });
    }

    it('are not reported as unsupported', () => {
      files(two);
      expect(run().stdout).not.to.contain('http.path').and.not.to.contain('http.alias');
    });

    it('are none where --routes says none', () => {
      files(two);
      run('--routes', 'none');
      expect(existsSync(join(folder, 'out', '_routes.k8s.yaml'))).to.equal(false);
    });

    it('lead to Services of which no two ask for one port of the node', () => {
      files(two);
      for (const args of [[], ['--node-port', '31000']]) {
        run(...args);
        const ports = ['web', 'api'].map((name) => ofKind(`${name}.k8s.yaml`, 'Service').spec.ports[0].nodePort);
        expect(new Set(ports).size === 2 || ports.every((port) => port === undefined)).to.equal(true);
      }
    });
  });

  it('mounts a volume that cfn.patches.yml adds, in every container that says so', () => {
    files({
      'copilot/web/manifest.yml': service(
        'web',
        'storage: { readonly_fs: true }',
        'sidecars: { nginx: { image: n, port: 81, mount_points: [{ source_volume: scratch, path: /s }] } }',
      ),
      'copilot/web/overrides/cfn.patches.yml': [
        '- { op: add, path: /Resources/TaskDefinition/Properties/Volumes/-, value: { Name: scratch } }',
        '- op: add',
        '  path: /Resources/TaskDefinition/Properties/ContainerDefinitions/0/MountPoints/-',
        '  value: { ContainerPath: /scratch, SourceVolume: scratch }',
      ].join('\n'),
    });
    const { stdout } = run();
    const { volumes, containers, initContainers } = ofKind('web.k8s.yaml', 'Deployment').spec.template.spec;
    expect(volumes).to.deep.include({ name: 'scratch', emptyDir: {} });
    expect(containers[0].volumeMounts).to.deep.include({ name: 'scratch', mountPath: '/scratch', readOnly: false });
    expect(initContainers[0].volumeMounts).to.deep.include({ name: 'scratch', mountPath: '/s', readOnly: true });
    expect(stdout).not.to.contain('has no equivalent here');
  });

  it('refuses a patch of a container that the task does not have', () => {
    files({
      'copilot/web/manifest.yml': service('web'),
      'copilot/web/overrides/cfn.patches.yml':
        '- { op: add, path: /Resources/TaskDefinition/Properties/ContainerDefinitions/1/User, value: "1" }',
    });
    const { status, stderr } = run();
    expect([status, stderr]).to.deep.equal([
      65,
      'copilot/web/overrides/cfn.patches.yml:1: there is no container 1: the containers of the task are 0 (web)\n',
    ]);
  });

  it('refuses a patch of the task definition of a Request-Driven Web Service, which has none', () => {
    files({
      'copilot/app/manifest.yml': 'name: app\ntype: Request-Driven Web Service\nimage: { location: "app:1", port: 80 }',
      'copilot/app/overrides/cfn.patches.yml':
        '- { op: add, path: /Resources/TaskDefinition/Properties/ContainerDefinitions/0/User, value: "1" }',
    });
    expect(run()).to.deep.include({
      status: 65,
      stderr:
        'copilot/app/overrides/cfn.patches.yml:1: a Request-Driven Web Service has no task definition: there is nothing to change\n',
    });
  });

  it('replaces names of service discovery that environments have that are older than Copilot 1.5', () => {
    files({
      'copilot/web/manifest.yml': service('web', 'variables: { API: "http://api.shop.local:8080", DB: db.shop.local }'),
      'copilot/api/manifest.yml': service('api'),
    });
    const { stdout } = run();
    const { env } = ofKind('web.k8s.yaml', 'Deployment').spec.template.spec.containers[0];
    expect(env).to.deep.include.members([
      { name: 'API', value: 'http://api:8080' },
      { name: 'DB', value: 'db.shop.local' },
    ]);
    expect(stdout).to.match(/variables.API +api.shop.local resolves on AWS only: it is replaced by api\n/);
  });

  it('probes as the patches of the target group say', () => {
    const patch = (property: string, value: string) =>
      `- { op: replace, path: /Resources/TargetGroup/Properties/${property}, value: ${value} }`;
    files({
      'copilot/web/manifest.yml': service('web', 'http: { path: /, healthcheck: { path: /ok, interval: 5s } }'),
      'copilot/web/overrides/cfn.patches.yml': [
        patch('Matcher', '{ HttpCode: 200-499 }'),
        patch('HealthCheckPort', '9000'),
        patch('HealthCheckTimeoutSeconds', '3'),
      ].join('\n'),
    });
    const { stdout } = run();
    expect(ofKind('web.k8s.yaml', 'Deployment').spec.template.spec.containers[0].readinessProbe).to.deep.equal({
      tcpSocket: { port: 9000 },
      timeoutSeconds: 3,
      periodSeconds: 5,
      failureThreshold: 2,
    });
    expect(stdout).to.contain('http.healthcheck.success_codes').and.not.to.contain('Not supported');
  });

  it('takes the mount of a volume that a CDK program may add, and says that it is empty', () => {
    files({
      'copilot/web/manifest.yml': service(
        'web',
        'sidecars: { nginx: { image: n, port: 81, mount_points: [{ source_volume: scratch, path: /s }] } }',
      ),
      'copilot/web/overrides/cdk.json': '{}',
    });
    const { stdout } = run();
    expect(ofKind('web.k8s.yaml', 'Deployment').spec.template.spec.volumes).to.deep.equal([
      { name: 'scratch', emptyDir: {} },
    ]);
    expect(stdout).to.match(/volume scratch +overrides add it/);
  });

  it('puts every object into the namespace that --namespace says', () => {
    files({ 'copilot/api/manifest.yml': service('api') });
    run('--namespace', 'shop-test');
    const [namespace, ...objects] = written('api.k8s.yaml');
    expect(namespace.metadata.name).to.equal('shop-test');
    expect(new Set(objects.map(({ metadata }) => metadata.namespace))).to.deep.equal(new Set(['shop-test']));
    const [{ env }] = ofKind('api.k8s.yaml', 'Deployment').spec.template.spec.containers;
    expect(env).to.deep.include({ name: 'COPILOT_LB_DNS', value: 'api.shop-test.svc.cluster.local:8080' });
  });

  it('writes to standard output what --output - asks for, and nothing else', () => {
    files({ 'copilot/api/manifest.yml': service('api'), 'copilot/web/manifest.yml': service('web') });
    const { stdout, stderr } = run('--output', '-');
    const kinds = parseAllDocuments(stdout).map((document) => document.get('kind'));
    expect(kinds.filter((kind) => kind === 'Deployment')).to.have.length(2);
    expect(stderr).to.contain('api of the environment "test"');
  });

  it('takes less than 3 seconds of the processor for 16 services, and hardly more memory than for one', () => {
    const tell =
      'process.on("exit", () => { const { user, system } = process.cpuUsage(); console.error(JSON.stringify({ seconds: (user + system) / 1e6, memory: process.resourceUsage().maxRSS })) })';
    const measure = (...args: string[]): { seconds: number; memory: number } => {
      const words = ['--import', `data:text/javascript,${tell}`, cli, 'synth', '--output', 'out', ...args];
      return JSON.parse(spawnSync(process.execPath, words, { cwd: folder, encoding: 'utf8' }).stderr);
    };
    for (let i = 1; i <= 16; i += 1) {
      const volume = 'storage: { volumes: { v: { path: /v, efs: { id: fs-1 } } } }';
      const sidecars = 'sidecars: { nginx: { image: "n:1", port: 81 }, otel: { image: "o:1" } }';
      const count = 'count: { range: 2-5, cpu_percentage: 70 }';
      files({ [`copilot/s${i}/manifest.yml`]: service(`s${i}`, volume, sidecars, count, 'secrets: { A: /a }') });
    }
    const all = measure();
    expect(all.seconds).to.be.within(0.01, 3);
    expect(all.memory / measure('--service', 's1').memory).to.be.below(1.5);
  });

  it('names the problems of all manifests and writes nothing', () => {
    files({
      'copilot/api/manifest.yml': service('api', 'cpu: many'),
      'copilot/web/manifest.yml': service('web', 'cpu: few'),
    });
    const { status, stderr } = run();
    expect(status).to.equal(65);
    expect(stderr).to.contain('api/manifest.yml:5').and.contain('web/manifest.yml:5');
    expect(existsSync(join(folder, 'out'))).to.equal(false);
  });

  describe('with a file that one workload names and that is not there', () => {
    const broken = { 'copilot/web/manifest.yml': service('web', 'env_file: absent.env') };

    it('writes the other workload that --service asks for', () => {
      files({ ...broken, 'copilot/api/manifest.yml': service('api') });
      expect(run('--service', 'api')).to.deep.include({ status: 0, stderr: '' });
    });

    it('names that of every workload, with the line of its field', () => {
      const sidecar = 'sidecars: { s: { image: x, env_file: missing.env } }';
      files({ ...broken, 'copilot/api/manifest.yml': service('api', sidecar) });
      const { status, stderr } = run();
      expect([status, stderr]).to.deep.equal([
        66,
        'copilot/api/manifest.yml:5: sidecars.s.env_file missing.env: missing.env does not exist\ncopilot/web/manifest.yml:5: env_file absent.env: absent.env does not exist\n',
      ]);
    });

    it('reads the other workloads for a cluster', () => {
      files({ ...broken, 'copilot/api/manifest.yml': service('api') });
      const { workloads, broken: unread } = readWhatCanBe(openWorkspace(folder), readOptions({}));
      expect(workloads.map(({ manifest }) => manifest.name)).to.deep.equal(['api']);
      expect(unread.map(({ name }) => name)).to.deep.equal(['web']);
    });
  });

  it('treats a folder named Dockerfile as a missing Dockerfile', () => {
    files({ 'copilot/api/manifest.yml': service('api', 'image: { build: app, port: 80 }'), 'app/Dockerfile': '' });
    expect(run().stdout).to.contain('its Dockerfile has no USER, or does not exist');
  });

  it('refuses a folder as a file of values', () => {
    files({ 'copilot/api/manifest.yml': service('api') });
    const { status, stderr } = run('--values', 'copilot');
    expect([status, stderr]).to.deep.equal([66, 'copilot is a folder: expected a file\n']);
  });

  it('reports an error in a file of values once', () => {
    files({ 'copilot/api/manifest.yml': service('api'), 'copilot/web/manifest.yml': service('web'), 'a.env': '?' });
    for (const option of ['--values', '--secrets-from', '--platform-env'])
      expect(run(option, 'a.env').stderr).to.equal('a.env:1: expected NAME=value\n');
  });

  it('says what --strict refuses in all workloads', () => {
    const ignored = (name: string) => ({ [`copilot/${name}/manifest.yml`]: service(name, 'colour: red') });
    files({ ...ignored('api'), ...ignored('web') });
    const { status, stderr } = run('--strict');
    expect(status).to.equal(65);
    expect(stderr).to.contain('api/manifest.yml:5').and.contain('web/manifest.yml:5');
  });

  it('says which volumes need a storage class for several pods', () => {
    const volume = 'storage: { volumes: { v: { path: /v, efs: { id: fs-1 } } } }';
    files({ 'copilot/api/manifest.yml': service('api', volume, 'count: 2') });
    expect(run().stdout).to.match(/ReadWriteMany \(kind has none: --access-mode ReadWriteOnce\):\n {2}efs-fs-1 /);
    expect(run('--access-mode', 'ReadWriteOnce').stdout).not.to.contain('ReadWriteMany');
  });

  describe('secrets', () => {
    const withSecrets = { 'copilot/api/manifest.yml': service('api', 'secrets: { TOKEN: /shop/token }') };

    it('have a file to fill in, readable by the owner only, which is not overwritten', () => {
      files(withSecrets);
      run();
      const skeleton = join(folder, 'out', '_secrets.env');
      expect(readFileSync(skeleton, 'utf8')).to.contain('# api: SSM /shop/token\nTOKEN=\n');
      expect(statSync(skeleton).mode & 0o077).to.equal(0);
      writeFileSync(skeleton, 'TOKEN=s3cret\n');
      run();
      expect(readFileSync(skeleton, 'utf8')).to.equal('TOKEN=s3cret\n');
    });

    it('fill the Secret from a file, and are not printed', () => {
      files({ ...withSecrets, 'values.env': 'TOKEN=s3cret\n' });
      const { stdout, stderr } = run('--secrets-from', 'values.env');
      expect(ofKind('api.k8s.yaml', 'Secret')).to.deep.include({ stringData: { TOKEN: 's3cret' } });
      expect(statSync(join(folder, 'out', 'api.k8s.yaml')).mode & 0o077).to.equal(0);
      expect(stdout + stderr).not.to.contain('s3cret');
    });

    it('of one name may differ between workloads', () => {
      const token = (name: string) => service(name, `secrets: { TOKEN: /${name}/token }`);
      files({ 'copilot/api/manifest.yml': token('api'), 'copilot/web/manifest.yml': token('web') });
      files({ 'values.env': 'api.TOKEN=a\nweb.TOKEN=w\n' });
      run();
      expect(readFileSync(join(folder, 'out', '_secrets.env'), 'utf8')).to.contain('api.TOKEN=\n');
      run('--secrets-from', 'values.env');
      expect(ofKind('web.k8s.yaml', 'Secret').stringData).to.deep.equal({ TOKEN: 'w' });
    });

    it('without a value are named', () => {
      files({ ...withSecrets, 'values.env': 'TOKEN=\n' });
      const { status, stderr } = run('--secrets-from', 'values.env');
      expect([status, stderr]).to.deep.equal([65, 'values.env: api needs a value for TOKEN\n']);
    });

    it('never go to standard output', () => {
      files({ ...withSecrets, 'values.env': 'TOKEN=s3cret\n' });
      expect(run('--output', '-', '--secrets-from', 'values.env').status).to.equal(64);
    });
  });
});
