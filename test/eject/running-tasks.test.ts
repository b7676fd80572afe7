import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { startOf } from '../../eject/running-tasks.ts';
import { cleanEnvironment } from '../../tools/process/clean-environment.ts';

const cluster = 'shop-test-Cluster-1';
const service = `arn:aws:ecs:us-west-2:123456789012:service/${cluster}/web`;
const task = `arn:aws:ecs:us-west-2:123456789012:task/${cluster}/1`;

/** What CloudFormation has in a stack of this name. */
function resourcesOf(stack: string): string {
  const resource = (id: string, type: string, physicalId: string) =>
    `<member><LogicalResourceId>${id}</LogicalResourceId><ResourceType>${type}</ResourceType><PhysicalResourceId>${physicalId}</PhysicalResourceId><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>`;
  if (stack === 'shop-test') return resource('Cluster', 'AWS::ECS::Cluster', cluster);
  return stack === 'shop-test-web' ? resource('Service', 'AWS::ECS::Service', service) : '';
}

describe('the commands on a running service', function () {
  this.timeout('30s');
  const folder = mkdtempSync(join(tmpdir(), 'running-'));
  const words = join(folder, 'words');
  let allowsCommands: boolean;
  let isRunning: boolean;
  /** What each call for the log gets, and what it asked for. */
  let pages: object[][];
  const asked: { logGroupName: string; startTime: number; nextToken?: string }[] = [];

  // As much of CloudFormation and ECS as the commands ask for.
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const action = String(request.headers['x-amz-target'] ?? '').split('.')[1];
    if (action === undefined) {
      const summaries = resourcesOf(new URLSearchParams(body).get('StackName') ?? '');
      const result = `<ListStackResourcesResult><StackResourceSummaries>${summaries}</StackResourceSummaries></ListStackResourcesResult>`;
      return response.end(`<ListStackResourcesResponse>${result}</ListStackResourcesResponse>`);
    }
    if (action === 'FilterLogEvents') {
      asked.push(JSON.parse(body));
      response.setHeader('content-type', 'application/x-amz-json-1.1');
      if (asked.at(-1)?.logGroupName !== '/copilot/shop-test-web') {
        response.statusCode = 400;
        return response.end(JSON.stringify({ __type: 'ResourceNotFoundException', message: 'no such group' }));
      }
      return response.end(
        JSON.stringify({ events: pages.shift() ?? [], ...(pages.length > 0 && { nextToken: 'more' }) }),
      );
    }
    const deployment = { status: 'PRIMARY', rolloutState: 'COMPLETED', runningCount: 2, desiredCount: 2 };
    const found = {
      ...{ runningCount: 2, desiredCount: 2, enableExecuteCommand: allowsCommands },
      deployments: [{ ...deployment, taskDefinition: 'arn:aws:ecs:us-west-2:1:task-definition/web:7', updatedAt: 0 }],
      events: [{ createdAt: 0, message: 'has reached a steady state.' }],
    };
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    response.end(
      JSON.stringify(action === 'ListTasks' ? { taskArns: isRunning ? [task] : [] } : { services: [found] }),
    );
  });

  before(async () => {
    mkdirSync(join(folder, 'copilot'));
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'copilot/.workspace'), 'application: shop\n');
    writeFileSync(join(folder, 'bin/aws'), `#!/bin/sh\necho "$@" > ${words}\n`, { mode: 0o755 });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  });
  after(() => {
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => {
    allowsCommands = true;
    isRunning = true;
    writeFileSync(words, '');
  });

  /** Runs a command; its exit code, what it said and the words that the AWS CLI got. */
  async function eject(line: string, path = `${join(folder, 'bin')}:/bin:/usr/bin`) {
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const env = {
      ...{ AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`, AWS_REGION: 'us-west-2', PATH: path },
      ...{ AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1' },
    };
    const child = spawn(process.execPath, [resolve('tools/cli.ts'), 'eject', ...line.split(' '), '-e', 'test'], {
      cwd: folder,
      env: { ...cleanEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [out, error, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number | null>((done) => child.once('close', done)),
    ]);
    return { code, said: out + error, words: readFileSync(words, 'utf8').trim() };
  }

  it('say how many tasks run, their deployments and what ECS did last', async () => {
    const { code, said } = await eject('status --service web');
    expect(code, said).to.equal(0);
    expect(said.split('\n').slice(0, 3)).to.deep.equal([
      '2 of 2 tasks run',
      'PRIMARY COMPLETED: 2 of 2, web:7, 1970-01-01T00:00:00.000Z',
      '1970-01-01T00:00:00.000Z  has reached a steady state.',
    ]);
  });

  it('refuse what is no service of ECS, such as a job', async () => {
    const { code, said } = await eject('status --service report');
    expect([code, said.trim()]).to.deep.equal([1, 'shop-test-report has no service of ECS']);
  });

  const event = (id: number, timestamp: number) =>
    ({ eventId: String(id), timestamp, logStreamName: 'copilot/web/1', message: `line ${id}\n` }) as const;

  it('print the log from a time on, all pages of it, and each line once', async () => {
    pages = [[event(1, 0)], [event(2, 1), event(1, 0)]];
    const { code, said } = await eject('logs --service web --since 2026-11-30T10:00Z');
    expect([code, said]).to.deep.equal([0, 'copilot/web/1 line 1\ncopilot/web/1 line 2\n']);
    expect(asked.slice(-2)).to.deep.equal([
      { logGroupName: '/copilot/shop-test-web', startTime: Date.UTC(2026, 10, 30, 10) },
      { logGroupName: '/copilot/shop-test-web', startTime: Date.UTC(2026, 10, 30, 10), nextToken: 'more' },
    ]);
  });

  it('refuse the log of what has none, and a time that is none', async () => {
    const none = await eject('logs --service nobody');
    expect([none.code, none.said.trim()]).to.deep.equal([1, 'there is no log /copilot/shop-test-nobody']);
    const wrong = await eject('logs --service web --since yesterday');
    expect([wrong.code, wrong.said]).to.deep.equal([
      1,
      '--since yesterday: expected an age such as 30s, 10m, 2h or 1d, or a time such as 2026-11-30T10:00Z\n',
    ]);
  });

  it('take an age in seconds, minutes, hours or days', () => {
    const ages = ['30s', '10m', '2h', '1d'].map((age) => 1e9 - startOf(age, 1e9));
    expect(ages).to.deep.equal([30_000, 600_000, 7_200_000, 86_400_000]);
  });

  it('say that the AWS CLI is not installed', async () => {
    const { code, said } = await eject('exec --service web', '/nowhere');
    expect([code, said.trim()]).to.deep.equal([1, 'the AWS CLI is not installed: https://aws.amazon.com/cli/']);
  });

  it('run a command in a container of a task', async () => {
    expect((await eject('exec --service web --command date')).words).to.equal(
      `ecs execute-command --cluster ${cluster} --task ${task} --container web --interactive --command date`,
    );
    expect((await eject('exec --service web --container proxy')).words).to.match(
      /--container proxy --interactive --command \/bin\/sh$/,
    );
  });

  it('refuse a command where the manifest does not allow it, and where no task runs', async () => {
    isRunning = false;
    expect((await eject('exec --service web')).said.trim()).to.equal('no task of web runs');
    allowsCommands = false;
    expect(await eject('exec --service web')).to.include({
      ...{ code: 1, words: '' },
      said: 'web allows no commands: set exec: true in its manifest, and deploy it\n',
    });
  });
});
