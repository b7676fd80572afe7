import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { linters } from '../rehearsal/linters.ts';
import { skipWithout } from '../skip.ts';
import { CONNECTION, ended, kubectl } from './cluster.ts';
import { kubeScore } from './kube-score.ts';

/** Written by `make up`. */
const DECLARATION = 'k8s/dist/plusone.k8s.yaml';
/** metrics-server is not ours to judge. */
const STAND_INS = ['mysql', 'ssm', 'seed', 'network-policies'].map((name) => `local-kind/${name}.yaml`);
/** `make up DATABASE=cluster` has it in place of mysql.yaml, with objects of the same names. */
const DATABASE_CLUSTER = 'local-kind/mysql-cluster.yaml';

describe('the manifests in the cluster', () => {
  it('are accepted by its API server without warnings', async function () {
    this.timeout(60_000);
    const { code, stderr } = await kubectl('apply', '--dry-run=server', '--validate=strict', '-f', DECLARATION);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
  });

  it('of the stand-ins are accepted too, without warnings', async function () {
    this.timeout(60_000);
    // A Job can't be changed; that it was made says that it is accepted.
    const files = STAND_INS.filter((name) => !name.includes('seed')).flatMap((name) => ['-f', name]);
    const { code, stderr } = await kubectl('apply', '--dry-run=server', '--validate=strict', ...files);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
  });

  it('of three MySQL servers are accepted too, without warnings', async function () {
    this.timeout(60_000);
    // In another namespace: in this one there is another StatefulSet of that name.
    const elsewhere = readFileSync(DATABASE_CLUSTER, 'utf8').replaceAll('namespace: plusone', 'namespace: default');
    const words = ['apply', '--dry-run=server', '--validate=strict', '-f', '-'];
    const { code, stderr } = await ended('kubectl', [...CONNECTION, ...words], elsewhere);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
  });

  it('enforce Pod Security "restricted": a pod without a security context is refused', async function () {
    this.timeout(30_000);
    const { code, stderr } = await kubectl('run', 'careless', '--image=plusone:dev', '--dry-run=server');
    expect(code).to.not.equal(0);
    expect(stderr).to.contain('violates PodSecurity "restricted:latest"');
  });

  it('have no findings in kube-score', async function () {
    this.timeout(300_000);
    const score = kubeScore();
    if (!score) return skipWithout(this, 'go', 'kube-score is built with Go, which is not installed');
    expect(score([DECLARATION, ...STAND_INS])).to.deep.equal([]);
    const others = STAND_INS.filter((name) => name !== 'local-kind/mysql.yaml');
    expect(score([DECLARATION, DATABASE_CLUSTER, ...others])).to.deep.equal([]);
  });

  it('have no findings in checkov', async function () {
    this.timeout(300_000);
    const tools = linters();
    if (!tools) return skipWithout(this, 'python3', 'checkov needs python3 with venv');
    const files = [DECLARATION, ...STAND_INS, DATABASE_CLUSTER].flatMap((file) => ['-f', file]);
    const words = ['--framework', 'kubernetes', '--quiet', '--compact', '--skip-download', ...files];
    const { code, output } = tools.run('checkov', words);
    expect(code, output).to.equal(0);
  });

  it('run an image that contains its SBOM, as CycloneDX', async function () {
    this.timeout(30_000);
    const { stdout } = await ended('docker', ['run', '--rm', '--entrypoint', 'cat', 'plusone:dev', 'plusone.cdx.json']);
    const { bomFormat, components } = JSON.parse(stdout);
    expect(bomFormat).to.equal('CycloneDX');
    expect(components.map(({ name }: { name: string }) => name))
      .to.include.members(['restify', 'objection', 'mysql2'])
      .and.not.to.include('mocha');
  });

  it('run an image with labels for its source and commit', async function () {
    this.timeout(30_000);
    const labels = ['inspect', '--format', '{{json .Config.Labels}}', 'plusone:dev'];
    const { stdout } = await ended('docker', labels);
    const { 'org.opencontainers.image.version': version, 'org.opencontainers.image.revision': revision } =
      JSON.parse(stdout);
    expect(version).to.match(/^\d+\.\d+\.\d+$/);
    expect(revision).to.match(/^([0-9a-f]{40}(-changed)?|unknown)$/);
  });
});
