import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { UsageError } from '../../k8s/errors.ts';
import { down } from '../../local-kind/application.ts';
import { ensureCluster } from '../../local-kind/cluster.ts';
import { freePort } from '../../tools/process/free-port.ts';
import { Refusal } from '../../tools/terminal/refusal.ts';

const NAME = 'house';
const NODE = `${NAME}-control-plane`;
/** What Docker says of the ports of a cluster of this project. */
const OURS = '{"30500/tcp":[{"HostPort":"5000"}]}';
const PAST = '2026-01-01T00:00:00.123456789Z';
const FUTURE = '2126-01-01T00:00:00.123456789Z';

describe('An existing kind cluster', () => {
  const path = process.env.PATH;
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'plusone-kind-'));
    process.env.PATH = `${folder}:${path}`;
    program('kind', `[ "$1 $2" = 'get nodes' ] && echo ${NODE}; exit 0`);
    docker(OURS, 'running');
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

  function docker(ports: string, state: string, created = PAST): void {
    const answers = `*PortBindings*) echo '${ports}';; *Created*) echo '${created}';; *inspect*) echo '/${NODE} ${state}';;`;
    program('docker', `case "$*" in ${answers} esac`);
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
    docker(`{"30500/tcp":[{"HostPort":"${port}"}]}`, 'exited');
    expect(await ensure()).to.include({ port });
    expect(calls()).to.contain(`docker start ${NODE}`);
  });

  it('is resumed if it is paused', async () => {
    docker('{"30500/tcp":[{"HostPort":"5000"}]}', 'paused');
    expect(await ensure()).to.include({ port: 5000 });
    expect(calls()).to.contain(`docker unpause ${NODE}`).and.not.to.contain('docker start');
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

  it('is kept if it was created after an interrupted creation', async () => {
    const kubeconfig = creating(spawnSync('true').pid);
    docker(OURS, 'true', FUTURE);
    expect(await ensureCluster(NAME, {}, () => {}, 0, kubeconfig)).to.include({ name: NAME, port: 5000 });
    expect(calls()).not.to.match(/\b(delete|create)\b/);
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
    docker('{}', 'running');
    expect(await refusal())
      .to.contain('it publishes no port 30500')
      .and.to.contain('make up CLUSTER=another');
  });

  /** What `make` does with that target in a folder whose kubeconfig has these clusters. */
  function make(words: string[], clusters: string[]) {
    mkdirSync(join(folder, '.local'));
    const kubeconfig = clusters.map((name) => `- cluster: {}\n  name: kind-${name}\n`).join('');
    writeFileSync(join(folder, '.local/kubeconfig'), kubeconfig);
    const { status, stderr } = spawnSync('make', ['--file', resolve('Makefile'), ...words], {
      cwd: folder,
      encoding: 'utf8',
    });
    return { status, stderr, isDeleted: calls().includes('kind delete cluster') };
  }

  for (const [what, words, clusters] of [
    ['if its kubeconfig is in this folder', ['down'], ['plusone']],
    ['if it is named', ['down', `CLUSTER=${NAME}`], []],
  ] as const) {
    it(`is deleted by make down ${what}`, () => {
      expect(make([...words], [...clusters])).to.include({ status: 0, isDeleted: true });
    });
  }

  it('is not deleted by make down if another program created it', () => {
    docker('{"6443/tcp":[]}', 'running');
    const { stderr, isDeleted } = make(['down', `CLUSTER=${NAME}`], [NAME]);
    expect(isDeleted).to.equal(false);
    expect(stderr).to.contain(`was not made by make up: kind delete cluster --name ${NAME}`);
  });

  it('is not deleted by make down unless it is named, if another folder may have made it', () => {
    const { stderr, isDeleted } = make(['down'], [NAME]);
    expect(isDeleted).to.equal(false);
    expect(stderr).to.contain('make down CLUSTER=plusone deletes it with its data');
  });

  it('is not deleted by make clean, which removes nothing while it exists', () => {
    program('kind', `[ "$1 $2" = 'get clusters' ] && echo ${NAME}; exit 0`);
    const { stderr, isDeleted } = make(['clean'], [NAME]);
    expect([isDeleted, existsSync(join(folder, '.local'))]).to.deep.equal([false, true]);
    expect(stderr).to.contain(`make down CLUSTER=${NAME} deletes it with its data`);
  });

  it('does not keep make clean from removing what was built if another folder made it', () => {
    program('kind', `[ "$1 $2" = 'get clusters' ] && echo ${NAME}; exit 0`);
    expect(make(['clean'], [])).to.include({ status: 0, isDeleted: false });
    expect(existsSync(join(folder, '.local'))).to.equal(false);
  });

  describe('with a workspace', () => {
    const stateHome = process.env.XDG_STATE_HOME;
    beforeEach(() => {
      process.env.XDG_STATE_HOME = folder;
    });
    afterEach(() => {
      if (stateHome === undefined) delete process.env.XDG_STATE_HOME;
      else process.env.XDG_STATE_HOME = stateHome;
    });

    /** What `plusone down` does in the folder /here, of the application with the name of the cluster. */
    async function removed(owner: string, stated?: string) {
      program('kubectl', `echo '${owner}'`);
      const workspace = { folder: '/here/copilot', root: '/here', application: NAME, workloads: [] };
      const result = await down(workspace, stated).catch((error: unknown) => error);
      return [calls().includes('kind delete cluster'), result instanceof Refusal ? result.message : result];
    }

    it('is deleted by plusone down in the folder of its workspace', async () => {
      expect(await removed('/here')).to.deep.equal([true, { name: NAME, existed: true }]);
    });

    it('is not deleted by plusone down in another folder, even if it is named', async () => {
      const message = `the cluster ${NAME} runs the workspace /there, and this one is /here: plusone down in that folder deletes it`;
      expect(await removed('/there', NAME)).to.deep.equal([false, message]);
    });

    it('is deleted by plusone down only if it is named, if it does not say which workspace it runs', async () => {
      const message = `the cluster ${NAME} does not say which workspace it runs: plusone down --cluster ${NAME} deletes it with its data`;
      expect(await removed('')).to.deep.equal([false, message]);
      expect(await removed('', NAME)).to.deep.equal([true, { name: NAME, existed: true }]);
    });

    for (const name of ['House', 'the house', '-house', 'h'.repeat(51)])
      it(`is not looked for by the name ${name.slice(0, 12)}, which kind would refuse`, async () => {
        const workspace = { folder: '/here/copilot', root: '/here', application: NAME, workloads: [] };
        const error = await down(workspace, name).catch((reason: unknown) => reason);
        expect(error).to.be.instanceOf(UsageError).and.to.have.property('message').that.contains(`--cluster ${name}: `);
        expect(calls()).to.equal('');
      });

    it('is not deleted by plusone down if another program created it', async () => {
      docker('{"6443/tcp":[]}', 'running');
      const message = `there is a kind cluster ${NAME} which is not ours (it publishes no port 30500): kind delete cluster --name ${NAME}`;
      expect(await removed('', NAME)).to.deep.equal([false, message]);
    });
  });
});
