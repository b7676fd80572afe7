import { expect } from 'chai';
import { Workspace } from '../../tools/aws/workspace-copy.ts';
import { type Answer, Load } from '../../tools/load/load.ts';
import {
  ask,
  CLUSTER,
  eventually,
  fields,
  make,
  makeShell,
  makeUp,
  runInService,
  servicePods,
  signalService,
  url,
} from './cluster.ts';

const SERVICE = 'app.kubernetes.io/name=plusone';

describe('the service in the cluster', function () {
  this.timeout(120_000);

  it('answers at the address that make up printed', async () => {
    const response = await fetch(url('/'));
    expect(response.status).to.equal(200);
  });

  it('runs as user 1000 with a read-only root file system', async () => {
    const [pod = ''] = await servicePods();
    const script = `
      import { writeFileSync } from 'node:fs';
      let refusal;
      try { writeFileSync('/app/src/written', ''); } catch (error) { refusal = error.code; }
      console.log(JSON.stringify({ user: process.getuid(), refusal }));`;
    const { stdout } = await runInService(pod, script);
    expect(JSON.parse(stdout)).to.deep.equal({ user: 1000, refusal: 'EROFS' });
  });

  it('has neither a token of the Kubernetes API nor a package manager', async () => {
    const [pod = ''] = await servicePods();
    const script = `
      import { existsSync } from 'node:fs';
      console.log(['/var/run/secrets/kubernetes.io', '/usr/local/bin/npm', '/usr/local/lib/node_modules'].filter(existsSync).join());`;
    const { code, stdout } = await runInService(pod, script);
    expect({ code, found: stdout.trim() }).to.deep.equal({ code: 0, found: '' });
  });

  it('shows its table through make shell, piped as in a script', async () => {
    await put('shelly', '1990-05-06');
    const { code, stdout } = await makeShell(
      `mysql -h mysql -u root -ppassword -e "use plusone; show tables; select * from users where username = 'shelly';"`,
    );
    expect(code).to.equal(0);
    expect(stdout)
      .to.match(/^users$/m)
      .and.match(/^shelly\s+1990-05-06$/m);
  });

  it('reports its CPU utilization to the HorizontalPodAutoscaler', async function () {
    this.timeout(240_000);
    // Kubernetes wants a sample from after a pod got ready: one or two rounds of metrics-server.
    await eventually('the autoscaler has a measurement', 200, async () => {
      const now = await ask(
        'get',
        'hpa',
        'plusone',
        '-o',
        'jsonpath={.status.currentMetrics[*].resource.current.averageValue}',
      );
      return now !== '';
    });
  });

  it('survives a release that cannot start: make up rolls it back with the reason', async function () {
    this.timeout(240_000);
    const [pods, images] = [await servicePods(), await fields('pods', SERVICE, '.spec.containers[0].image')];
    const limits = await ask('get', 'hpa', 'plusone', '-o', 'jsonpath={.spec.maxReplicas}');
    const before = await restarts();
    const workspace = new Workspace();
    // A wrong variable needs no other image: building and loading one can hold up the disk of the whole machine for longer
    // than a request waits.
    workspace.declare({ 'count.range': '2-5', 'variables.LOG_LEVEL': 'loud', cpuu: 512 });
    const load = startLoad();
    let ended: Awaited<ReturnType<Workspace['run']>>;
    try {
      ended = await workspace.run('local-kind/up.ts', [], { CLUSTER });
    } finally {
      await load.stop();
      workspace.remove();
    }
    const { code, output } = ended;
    expect(code, output).to.equal(1);
    expect(output).to.contain('LOG_LEVEL');
    expect(output).to.match(/warning: \S+manifest.yml:\d+: unknown field "cpuu"/);
    expect(output).to.contain(`It was rolled back; the previous release (${images[0]}) serves again`);
    const after = await restarts();
    expect({ failures: summaryOf(failuresOf(load)), restarts: pods.map((pod) => after[pod]) }).to.deep.equal({
      failures: [],
      restarts: pods.map((pod) => before[pod]),
    });
    expect(await servicePods()).to.include.members(pods);
    expect(await ask('get', 'hpa', 'plusone', '-o', 'jsonpath={.spec.maxReplicas}')).to.equal(limits);
  });

  it('keeps its pods if make up runs again without a change', async () => {
    const before = await servicePods();
    const { code } = await makeUp();
    expect(code).to.equal(0);
    expect(await servicePods()).to.have.members(before);
  });

  it('fails no request during a rolling update under load', async function () {
    this.timeout(240_000);
    const before = await servicePods();
    const load = startLoad();
    const { code, stderr } = await make('restart');
    expect(code, stderr).to.equal(0);
    await eventually('the old pods are gone', 90, async () => {
      const all = await fields('pods', SERVICE, '.metadata.name');
      return before.every((pod) => !all.includes(pod));
    });
    await load.stop();
    expect(summaryOf(failuresOf(load))).to.deep.equal([]);
  });

  it('loses no acknowledged write if a pod is killed under load, and gives no wrong answer', async function () {
    this.timeout(180_000);
    const [pod = ''] = await servicePods();
    const load = startLoad();
    await served(200);
    await signalService(pod, 'SIGKILL');
    await eventually('the killed pod runs again', 60, async () => {
      const state = '{.status.containerStatuses[0].restartCount}{" "}{.status.containerStatuses[0].ready}';
      return (await ask('get', 'pod', pod, '-o', `jsonpath=${state}`)) === '1 true';
    });
    await load.stop();
    // Connections to the pod break; no answer is wrong.
    expect(summaryOf(failuresOf(load).filter(({ verdict }) => verdict !== 'aborted'))).to.deep.equal([]);
    await expectNothingLost(load);
  });

  it('needs no init process: node as process 1 ends with 0 on SIGTERM', async function () {
    this.timeout(120_000);
    // Not the pod that was killed above: Kubernetes lets a container that ended again wait before it starts.
    const [, pod = ''] = await servicePods();
    const restarts = 'jsonpath={.status.containerStatuses[0].restartCount}';
    const before = Number(await ask('get', 'pod', pod, '-o', restarts));
    await runInService(pod, `process.kill(1, 'SIGTERM');`);
    await eventually('the process has ended and begun again', 60, async () => {
      return Number(await ask('get', 'pod', pod, '-o', restarts)) === before + 1;
    });
    const code = 'jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}';
    expect(await ask('get', 'pod', pod, '-o', code)).to.equal('0');
    await ask('wait', 'pod', pod, '--for=condition=Ready', '--timeout=60s');
  });

  it('uses a password that was changed in SSM, without a restart', async function () {
    this.timeout(120_000);
    const before = await restarts();
    const password = await passwordInSsm();
    try {
      await changePassword('changed-in-the-test');
      await eventually(
        'it answers with the new password',
        60,
        async () => (await fetch(url('/hello/shelly'))).status === 200,
      );
      await put('rotated', '1999-09-09');
    } finally {
      await changePassword(password);
    }
    await eventually(
      'it answers with the old password',
      60,
      async () => (await fetch(url('/hello/shelly'))).status === 200,
    );
    expect(await restarts()).to.deep.equal(before);
  });

  it('recovers with its data after the deletion of MySQL’s pod', async function () {
    this.timeout(240_000);
    await put('lasting', '1980-01-02');
    const before = await restarts();
    const load = startLoad();
    await ask('delete', 'pod', 'mysql-0', '--wait=true');
    await ask('rollout', 'status', 'statefulset/mysql', '--timeout=180s');
    await eventually('it answers again', 30, async () => (await fetch(url('/hello/lasting'))).status === 200);
    await load.stop();
    const failures = failuresOf(load);
    expect(failures).to.not.be.empty;
    expect(summaryOf(failures.filter(({ verdict }) => verdict !== 'refused'))).to.deep.equal([]);
    // Two seconds by contract; the rest is for the machine, which starts MySQL meanwhile.
    expect(Math.max(...load.answers.map(({ sent, ended }) => ended - sent))).to.be.below(5_000);
    await expectNothingLost(load);
    expect(await restarts()).to.deep.equal(before);
  });
});

/** How often each container of the service's pods was started again. */
async function restarts(): Promise<Record<string, string>> {
  const pods = await servicePods();
  const counts = await Promise.all(
    pods.map((pod) => ask('get', 'pod', pod, '-o', 'jsonpath={.status.containerStatuses[0].restartCount}')),
  );
  return Object.fromEntries(pods.map((pod, at) => [pod, counts[at] ?? '']));
}

async function put(user: string, dateOfBirth: string): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url(`/hello/${user}`), {
    method: 'PUT',
    headers,
    body: JSON.stringify({ dateOfBirth }),
  });
  expect(response.status).to.equal(204);
}

/** Traffic on kept and on new connections. */
function startLoad(): Load {
  // Several pods write, independently of each other.
  return new Load({ urls: [url()], rate: 100, opensConnections: true, lateWritesEnd: false });
}

/** What was not answered as it should; fails without traffic. */
function failuresOf({ answers }: Load): Answer[] {
  expect(answers).to.not.be.empty;
  return answers.filter(({ verdict }) => verdict !== 'ok');
}

/** The failures by kind, with their number and the seconds of the load in which they were sent. */
function summaryOf(failures: Answer[]): string[] {
  const kinds = Object.groupBy(failures, ({ method, status, verdict, reason }) => {
    return `${method} ${verdict}, status ${status}${reason === undefined ? '' : `: ${reason}`}`;
  });
  return Object.entries(kinds).map(([kind, answers = []]) => {
    const seconds = answers.map(({ sent }) => Math.floor(sent / 1000));
    return `${kind} (${answers.length} times, seconds ${Math.min(...seconds)} to ${Math.max(...seconds)})`;
  });
}

async function expectNothingLost(load: Load): Promise<void> {
  const { checked, lost } = await load.audit();
  expect(checked).to.be.above(0);
  expect(lost).to.deep.equal([]);
}

/** Waits until that many requests of this process were answered. */
async function served(requests: number): Promise<void> {
  for (let n = 0; n < requests; n += 1) await (await fetch(url('/livez'))).arrayBuffer();
}

const PARAMETER = `Name: process.env.SECRETS_PATH + '/DATABASE_PASSWORD'`;

async function passwordInSsm(): Promise<string> {
  return await ssm(`GetParameterCommand({ ${PARAMETER}, WithDecryption: true })`, 'Parameter.Value');
}

/** As a rotation does it: MySQL first, then SSM. The open connections end, as they do when a server fails over. */
async function changePassword(password: string): Promise<void> {
  const mysql = 'mysql -N -h mysql -u root -ppassword';
  const kill = `select concat('kill ', id, ';') from information_schema.processlist where user = 'plusone'`;
  const { code, stderr } = await makeShell(
    `set -e; ${mysql} -e "alter user plusone identified by '${password}'"; ${mysql} -e "${kill}" | ${mysql} --force`,
  );
  expect(code, stderr).to.equal(0);
  await ssm(`PutParameterCommand({ ${PARAMETER}, Value: '${password}', Overwrite: true })`, 'Version');
}

/** Sends a command to SSM from the service's own container, which has all that is needed for it. */
async function ssm(command: string, answer: string): Promise<string> {
  const [pod = ''] = await servicePods();
  const script = `
    import * as ssm from '@aws-sdk/client-ssm';
    const answer = await new ssm.SSMClient().send(new ssm.${command});
    process.stdout.write(String(answer.${answer}));`;
  const { code, stdout, stderr } = await runInService(pod, script);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}
