import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { synth } from '../../k8s/main.ts';
import type { SynthValues } from '../../k8s/options.ts';

const manifest = (name: string, ...lines: string[]) =>
  [`name: ${name}`, 'type: Load Balanced Web Service', ...lines].join('\n');
const web = (...lines: string[]) =>
  manifest('web', 'image: { location: "web:1", port: 8080 }', 'http: { path: / }', ...lines);
const efs = 'storage: { volumes: { files: { path: /files, efs: { id: fs-1 } } } }';

describe('options of synth', function () {
  this.timeout(20_000);
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'options-'));
    files({ 'copilot/.workspace': 'application: shop\n', 'copilot/web/manifest.yml': web() });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function files(contents: Record<string, string>) {
    for (const [path, text] of Object.entries(contents)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
  }

  /** Runs synth and gives back what it says. */
  function run(values: SynthValues = {}): string {
    const { log } = console;
    let text = '';
    console.log = (line: string) => {
      text += `${line}\n`;
    };
    try {
      synth({ workspace: folder, environment: 'test', output: join(folder, 'out'), ...values });
    } finally {
      console.log = log;
    }
    return text;
  }

  const written = (name: string) =>
    parseAllDocuments(readFileSync(join(folder, 'out', name), 'utf8')).map((document) => document.toJS());
  const ofKind = (kind: string, name = 'web.k8s.yaml') => written(name).find((object) => object.kind === kind);
  const namespace = () => ofKind('Namespace').metadata.name;
  const containers = () => ofKind('Deployment').spec.template.spec.containers;
  const variables = () =>
    Object.fromEntries(containers()[0].env.map(({ name, value }: { name: string; value: string }) => [name, value]));

  describe('--namespace', () => {
    for (const [environment, expected] of [
      ['local', 'shop'],
      ['test', 'shop'],
      ['prod', 'shop-prod'],
    ] as const) {
      it(`is ${expected} in ${environment} by default`, () => {
        run({ environment });
        expect(namespace()).to.equal(expected);
        run({ environment, namespace: 'other' });
        expect(namespace()).to.equal('other');
      });
    }

    it('is the namespace in names of service discovery', () => {
      files({ 'copilot/web/manifest.yml': web('variables: { API: "http://api.prod.shop.local:80" }') });
      run({ environment: 'prod' });
      expect(variables().API).to.equal('http://api.shop-prod.svc.cluster.local:80');
    });

    it('is required if the default is too long', () => {
      expect(() => run({ environment: 'e'.repeat(60) })).to.throw('--namespace');
    });
  });

  describe('--values', () => {
    const addon = {
      'copilot/web/addons/db.yml': [
        'Resources: { S: { Type: "AWS::SecretsManager::Secret" } }',
        'Outputs: { DbHost: { Value: !GetAtt Db.Host }, DbSecret: { Value: !Ref S } }',
      ].join('\n'),
    };

    it('lists the required values in a file to fill in, with their sources', () => {
      files({ ...addon, 'copilot/web/manifest.yml': web('variables: { T: { from_cfn: shop-test-T } }') });
      files({
        'copilot/environments/addons/t.yml': `Outputs: { Table: { Value: t, Export: { Name: !Sub "\${App}-\${Env}-T" } } }`,
      });
      const report = run();
      const text = readFileSync(join(folder, 'out', '_values.env'), 'utf8');
      expect(text).to.match(/# web: output DbHost of \S+db.yml:2\nDB_HOST=\n/);
      expect(text).to.match(/# web: CloudFormation export shop-test-T, output Table of \S+t.yml:1\nT=\n/);
      expect(report).to.match(/Variables that are left out unless --values sets them:\n {2}DB_HOST/);
      expect(readFileSync(join(folder, 'out', '_secrets.env'), 'utf8')).to.contain('\nDB_SECRET=\n');
    });

    it('sets the outputs of addons in every container, and the secret in the main container', () => {
      const sidecars = 'sidecars: { s: { image: "s:1" } }';
      files({ ...addon, 'copilot/web/manifest.yml': web(sidecars), 'values.env': 'web.DB_HOST=db\nDB_HOST=other\n' });
      const report = run({ values: join(folder, 'values.env') });
      const { spec } = ofKind('Deployment').spec.template;
      for (const { env } of [...spec.containers, ...spec.initContainers])
        expect(env).to.deep.include({ name: 'DB_HOST', value: 'db' });
      expect(spec.containers[0].env.at(-1)).to.deep.equal({
        name: 'DB_SECRET',
        valueFrom: { secretKeyRef: { name: 'web-secrets', key: 'DB_SECRET' } },
      });
      expect(spec.initContainers[0].env.map(({ name }: { name: string }) => name)).not.to.include('DB_SECRET');
      expect(report).not.to.contain('left out');
      expect(existsSync(join(folder, 'out', '_values.env'))).to.equal(false);
    });

    it('does not override a variable of the manifest', () => {
      files({ ...addon, 'copilot/web/manifest.yml': web('variables: { DB_HOST: own }') });
      expect(run()).not.to.contain('left out');
      expect(variables().DB_HOST).to.equal('own');
    });

    it('is refused if a value is missing', () => {
      files({ ...addon, 'values.env': 'DB_HOST=\n' });
      expect(() => run({ values: join(folder, 'values.env') })).to.throw('web needs a value for DB_HOST');
    });
  });

  describe('--layout', () => {
    beforeEach(() => files({ 'copilot/api/manifest.yml': web().replaceAll('web', 'api') }));
    const kinds = (name: string) => written(name).map(({ kind }) => kind);

    it('one writes each object once, dependencies first', () => {
      run({ layout: 'one' });
      expect(readdirSync(join(folder, 'out'))).to.deep.equal(['all.k8s.yaml']);
      const order = ['Namespace', 'ServiceAccount', 'NetworkPolicy', 'Service', 'Deployment', 'Ingress'];
      expect([...new Set(kinds('all.k8s.yaml'))]).to.deep.equal(order);
      expect(kinds('all.k8s.yaml').filter((kind) => kind === 'Namespace')).to.have.length(1);
      expect(kinds('all.k8s.yaml').filter((kind) => kind === 'Deployment')).to.have.length(2);
    });

    it('kind writes a file per kind, and a kustomization with them', () => {
      run({ layout: 'kind' });
      const { resources } = written('kustomization.yaml')[0];
      const others = readdirSync(join(folder, 'out')).filter((name) => name !== 'kustomization.yaml');
      expect(resources).to.have.members(others);
      expect(kinds('deployment.k8s.yaml')).to.deep.equal(['Deployment', 'Deployment']);
    });

    it('other than one is refused for standard output', () => {
      expect(() => run({ layout: 'kind', output: '-' })).to.throw('--layout kind with --output -: expected one');
    });
  });

  describe('--routes gateway', () => {
    const twoHosts = web().replace('{ path: / }', '{ path: api, alias: [A.example.com, "*.b.example"] }');

    it('writes an HTTPRoute for each host', () => {
      files({ 'copilot/web/manifest.yml': twoHosts });
      run({ routes: 'gateway', gateway: 'infra/public' });
      const routes = written('_routes.k8s.yaml').filter(({ kind }) => kind === 'HTTPRoute');
      expect(routes.map(({ metadata, spec }) => [metadata.name, spec.hostnames])).to.deep.equal([
        ['shop-any-b-example', ['*.b.example']],
        ['shop-a-example-com', ['a.example.com']],
      ]);
      expect(routes[0].spec.parentRefs).to.deep.equal([{ name: 'public', namespace: 'infra' }]);
      expect(routes[0].spec.rules).to.deep.equal([
        { matches: [{ path: { type: 'PathPrefix', value: '/api' } }], backendRefs: [{ name: 'web', port: 8080 }] },
      ]);
    });

    it('uses a Gateway of the application unless --gateway names one', () => {
      run({ routes: 'gateway' });
      const { spec } = ofKind('HTTPRoute', '_routes.k8s.yaml');
      expect(spec.parentRefs).to.deep.equal([{ name: 'shop' }]);
      expect(spec).not.to.have.property('hostnames');
    });
  });

  describe('--external-secrets', () => {
    const secret = (source: string) => {
      files({ 'copilot/web/manifest.yml': web(`secrets: { S: ${source} }`) });
      const report = run({ 'external-secrets': true });
      const { spec } = ofKind('ExternalSecret') ?? { spec: { data: [] } };
      const [entry] = spec.data;
      return { report, store: entry?.sourceRef.storeRef.name, remote: entry?.remoteRef };
    };
    const arn = (service: string, rest: string) => `"arn:aws:${service}:eu-west-1:123456789012:${rest}"`;

    it('creates the Secret, as the report says', () => {
      expect(secret('/shop/token').report).to.contain(
        'Keys of the Secret "web-secrets", which External Secrets creates:',
      );
    });

    for (const [source, store, remote] of [
      ['/shop/token', 'parameter-store', { key: '/shop/token' }],
      [arn('ssm', 'parameter/shop/token'), 'parameter-store', { key: '/shop/token' }],
      ['{ secretsmanager: db }', 'secrets-manager', { key: 'db' }],
      ['{ secretsmanager: "db:password::" }', 'secrets-manager', { key: 'db', property: 'password' }],
      ['{ secretsmanager: "db:::7" }', 'secrets-manager', { key: 'db', version: 'uuid/7' }],
      [arn('secretsmanager', 'secret:shop/db-a1B2c3'), 'secrets-manager', { key: 'shop/db' }],
      [
        arn('secretsmanager', 'secret:db-x:p:AWSCURRENT:'),
        'secrets-manager',
        { key: 'db-x', property: 'p', version: 'AWSCURRENT' },
      ],
    ] as const) {
      it(`reads ${source}`, () => {
        expect(secret(source)).to.deep.include({ store, remote });
        expect(existsSync(join(folder, 'out', '_secrets.env'))).to.equal(false);
      });
    }

    it('reports sources that only CloudFormation knows', () => {
      const { report, remote } = secret('{ from_cfn: shop-token }');
      expect(remote).to.equal(undefined);
      expect(report).to.contain('secrets.S  its name in AWS is unknown: CloudFormation export shop-token');
    });
  });

  describe('volumes', () => {
    const claim = () => ofKind('PersistentVolumeClaim').spec;

    it('have the size of --volume-size', () => {
      files({ 'copilot/web/manifest.yml': web(efs) });
      run({ 'volume-size': '20Gi' });
      expect(claim().resources.requests.storage).to.equal('20Gi');
      expect(() => run({ 'volume-size': '20' })).to.throw('--volume-size 20: expected a size such as');
    });

    it('are ReadWriteOnce if one pod mounts them', () => {
      files({ 'copilot/web/manifest.yml': web(efs) });
      run();
      expect(claim().accessModes).to.deep.equal(['ReadWriteOnce']);
    });

    it('are ReadWriteMany if several pods mount them', () => {
      files({ 'copilot/web/manifest.yml': web(efs, 'count: 2') });
      run();
      expect(claim().accessModes).to.deep.equal(['ReadWriteMany']);
    });

    it('are ReadWriteMany if another workload mounts them, even if only one is written', () => {
      files({ 'copilot/web/manifest.yml': web(efs), 'copilot/api/manifest.yml': web(efs).replaceAll('web', 'api') });
      run({ service: 'web' });
      expect(claim().accessModes).to.deep.equal(['ReadWriteMany']);
    });

    it('have the --access-mode, and are ReadWriteOnce in the environment local', () => {
      files({ 'copilot/web/manifest.yml': web(efs, 'count: 2') });
      run({ 'access-mode': 'ReadWriteOnce' });
      expect(claim().accessModes).to.deep.equal(['ReadWriteOnce']);
      run({ environment: 'local' });
      expect(claim().accessModes).to.deep.equal(['ReadWriteOnce']);
    });

    it("belong to the group of the image's user", () => {
      const image = { 'copilot/web/manifest.yml': web(efs).replace('location: "web:1"', 'build: Dockerfile') };
      files({ ...image, Dockerfile: 'FROM a\nUSER 1001:0\n' });
      run();
      expect(ofKind('Deployment').spec.template.spec.securityContext.fsGroup).to.equal(1001);
    });
  });

  describe('--pull-secret', () => {
    const pullSecrets = () => ofKind('Deployment').spec.template.spec.imagePullSecrets;
    const credentials =
      'image: { location: "web:1", port: 8080, credentials: "arn:aws:secretsmanager:eu-west-1:1:secret:x" }';

    it('names the secret of every pod', () => {
      run({ 'pull-secret': 'registry' });
      expect(pullSecrets()).to.deep.equal([{ name: 'registry' }]);
    });

    it('is registry-credentials if the manifest names credentials, and is reported', () => {
      files({ 'copilot/web/manifest.yml': manifest('web', credentials, 'http: { path: / }') });
      const report = run();
      expect(pullSecrets()).to.deep.equal([{ name: 'registry-credentials' }]);
      expect(report).to.contain('registry-credentials').and.not.to.contain('image.credentials');
    });

    it('is missing for an image of ECR, as the report says', () => {
      const image = '123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:1';
      const location = `image: { location: "${image}", port: 8080 }`;
      files({ 'copilot/web/manifest.yml': manifest('web', location, 'http: { path: / }') });
      expect(run()).to.match(new RegExp(`ECR.*--pull-secret.*\\n  web  ${image}\\n`));
      expect(run({ 'pull-secret': 'registry' })).not.to.contain('ECR');
    });

    it('is none otherwise', () => {
      run();
      expect(pullSecrets()).to.equal(undefined);
    });
  });

  describe('node ports', () => {
    const ports = (name: string) =>
      ofKind('Service', `${name}.k8s.yaml`).spec.ports.map((port: { nodePort: number }) => port.nodePort);

    it('are unique for every port of every Service', () => {
      const rules = '{ path: /, additional_rules: [{ path: /b, target_port: 81 }] }';
      const two = web().replace('{ path: / }', rules);
      files({ 'copilot/web/manifest.yml': two, 'copilot/api/manifest.yml': two.replaceAll('web', 'api') });
      run({ environment: 'local' });
      const all = [...ports('api'), ...ports('web')];
      expect(all).to.have.members([30500, 30501, 30502, 30503]);
    });

    it('depend on the position in the workspace, even if only one workload is written', () => {
      files({ 'copilot/api/manifest.yml': web().replaceAll('web', 'api') });
      run({ environment: 'local', service: 'web' });
      expect(ports('web')).to.deep.equal([30501]);
    });

    it('are assigned by the cluster in other environments, so that they never collide', () => {
      run({ environment: 'prod' });
      expect(ports('web')).to.deep.equal([undefined]);
    });

    it('exist for a Request-Driven Web Service too', () => {
      files({
        'copilot/web/manifest.yml': 'name: web\ntype: Request-Driven Web Service\nimage: { location: "w:1", port: 80 }',
      });
      run({ environment: 'local' });
      expect(ports('web')).to.deep.equal([30500]);
    });
  });

  it('name ports by what they are', () => {
    files({
      'copilot/db/manifest.yml': 'name: db\ntype: Backend Service\nimage: { location: "postgres:17", port: 5432 }',
      'copilot/rpc/manifest.yml': web().replaceAll('web', 'rpc').replace('path: /', 'path: rpc, version: grpc'),
      'copilot/tcp/manifest.yml': 'name: tcp\ntype: Backend Service\nimage: { location: "x:1", port: 9000 }',
    });
    run();
    const names = ['web', 'db', 'rpc', 'tcp'].map((name) => ofKind('Service', `${name}.k8s.yaml`).spec.ports[0].name);
    expect(names).to.deep.equal(['http', 'postgres-5432', 'grpc', 'tcp-9000']);
  });

  it('end the report with one line for the whole workspace', () => {
    files({ 'copilot/api/manifest.yml': web().replaceAll('web', 'api') });
    expect(run()).to.match(
      /\n2 workloads for the namespace "shop", which enforces "baseline": kubectl apply -f \S+out\n$/,
    );
  });
});
