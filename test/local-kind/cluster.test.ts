import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ensureCluster } from '../../local-kind/cluster.ts';
import { freePort } from '../../tools/process/free-port.ts';
import { Refusal } from '../../tools/terminal/refusal.ts';

const NAME = 'house';
const NODE = `${NAME}-control-plane`;

describe('An existing kind cluster', () => {
  const path = process.env.PATH;
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'plusone-kind-'));
    process.env.PATH = `${folder}:${path}`;
    program('kind', `[ "$1 $2" = 'get nodes' ] && echo ${NODE}; exit 0`);
    docker('{"30500/tcp":[{"HostPort":"5000"}]}', 'true');
    program('kubectl', '');
  });

  afterEach(() => {
    process.env.PATH = path;
    rmSync(folder, { recursive: true });
  });

  /** A program that notes how it is called, and then runs a shell script. */
  function program(name: string, script: string): void {
    const file = join(folder, name);
    writeFileSync(file, `#!/bin/sh\necho "${name} $*" >> ${folder}/calls\n${script}\n`);
    chmodSync(file, 0o755);
  }

  function docker(ports: string, running: string): void {
    program('docker', `case "$*" in *PortBindings*) echo '${ports}';; *inspect*) echo '/${NODE} ${running}';; esac`);
  }

  function calls(): string {
    return existsSync(join(folder, 'calls')) ? readFileSync(join(folder, 'calls'), 'utf8') : '';
  }

  async function ensure(options: { PORT?: number; WORKERS?: number } = {}) {
    return await ensureCluster(NAME, options, () => {}, 0).catch((error: unknown) => error);
  }

  async function refusal(options: { PORT?: number; WORKERS?: number } = {}): Promise<string> {
    const result = await ensure(options);
    if (!(result instanceof Refusal)) throw new Error('the cluster was used', { cause: result });
    expect(calls(), 'calls').not.to.match(/\b(delete|rm|create)\b/);
    return result.message;
  }

  it('is used with the port that it publishes', async () => {
    expect(await ensure()).to.include({ name: NAME, port: 5000 });
    expect(calls()).not.to.match(/\b(delete|rm|create)\b/);
  });

  it('gets its kubeconfig again if that was lost', async () => {
    await ensure();
    expect(calls()).to.contain(`kind export kubeconfig --name ${NAME}`);
  });

  it('is started if it is stopped', async () => {
    const port = await freePort();
    docker(`{"30500/tcp":[{"HostPort":"${port}"}]}`, 'false');
    expect(await ensure()).to.include({ port });
    expect(calls()).to.contain(`docker start ${NODE}`);
  });

  it('is not deleted if it does not answer, and the error says what to type', async () => {
    program('kubectl', 'exit 1');
    expect(await refusal()).to.equal(
      `the cluster ${NAME} does not answer after 0 s. make up CLUSTER=${NAME} tries again; ` +
        `make down CLUSTER=${NAME} deletes it with its data, and the next one creates it`,
    );
  });

  it('is not deleted if it has no kubeconfig and does not answer', async () => {
    program('kubectl', 'exit 1');
    program('kind', `[ "$1 $2" = 'get nodes' ] && echo ${NODE} && exit 0; exit 1`);
    expect(await refusal()).to.contain(`make down CLUSTER=${NAME} deletes it with its data`);
  });

  /** Records that this process, or one that has ended, was creating the cluster. */
  function creating(id: number): string {
    const kubeconfig = join(folder, 'kubeconfig');
    writeFileSync(`${kubeconfig}.${NAME}.creating`, String(id));
    return kubeconfig;
  }

  it('is created again if its creation was interrupted', async () => {
    const ended = spawnSync('true').pid;
    const kubeconfig = creating(ended);
    program(
      'kind',
      `[ "$1" = delete ] && touch ${folder}/deleted; [ "$1 $2" = 'get nodes' ] && [ ! -e ${folder}/deleted ] && echo ${NODE}; exit 0`,
    );
    const port = await freePort();
    await ensureCluster(NAME, { PORT: port }, () => {}, 0, kubeconfig);
    expect(calls()).to.match(/kind delete cluster --name house .*kind create cluster --name house /s);
    expect(readdirSync(folder)).not.to.include(`kubeconfig.${NAME}.creating`);
  });

  it('is left alone while another process creates it', async () => {
    const kubeconfig = creating(process.ppid);
    const result = await ensureCluster(NAME, {}, () => {}, 0, kubeconfig).catch((error: unknown) => error);
    expect(result)
      .to.be.instanceOf(Refusal)
      .with.property('message')
      .that.contains(`process ${process.ppid} is creating the cluster ${NAME}`);
    expect(calls()).not.to.match(/\b(delete|create)\b/);
  });

  it('is not deleted for another port', async () => {
    expect(await refusal({ PORT: 5001 })).to.equal(
      `the cluster ${NAME} has port 5000, and a cluster keeps its port: leave PORT out, or make down CLUSTER=${NAME} first`,
    );
  });

  it('is not deleted for another number of workers', async () => {
    expect(await refusal({ WORKERS: 2 })).to.equal(
      `the cluster ${NAME} has 0 workers, and a cluster keeps its nodes: leave WORKERS out, or make down CLUSTER=${NAME} first`,
    );
  });

  it('is not deleted if another program created it', async () => {
    docker('{}', 'true');
    expect(await refusal())
      .to.contain('it publishes no port 30500')
      .and.to.contain('make up CLUSTER=another');
  });
});
