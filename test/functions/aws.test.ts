import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { ECSClient } from '@aws-sdk/client-ecs';
import { expect } from 'chai';
import { awsCloud } from '../../functions/aws.ts';

type Answer = object | ((input: Record<string, unknown>) => object);

const NAME = 'shop-test-worker-Service-abc';
const ARN = `arn:aws:ecs:us-west-2:123456789012:service/cluster/${NAME}`;
const SERVICE = { serviceArn: ARN, serviceName: NAME, status: 'ACTIVE', desiredCount: 2, runningCount: 1 };

/** AWS over HTTP: answers each operation as `answers` say, and keeps what was asked, in order. */
async function listen(answers: Record<string, Answer>) {
  const calls: { operation: string; input: Record<string, unknown> }[] = [];
  const server = createServer(async (request, response) => {
    const operation = String(request.headers['x-amz-target']).replace(/^.*\./, '');
    const input = (await json(request)) as Record<string, unknown>;
    calls.push({ operation, input });
    const answer = answers[operation] ?? { __type: 'AccessDeniedException', message: `no ${operation} here` };
    response.statusCode = operation in answers ? 200 : 400;
    response.setHeader('Content-Type', 'application/x-amz-json-1.1');
    response.end(JSON.stringify(typeof answer === 'function' ? answer(input) : answer));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const options = { endpoint, region: 'us-west-2', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
  const cloud = awsCloud({
    ecs: new ECSClient(options),
    scaling: new ApplicationAutoScalingClient(options),
    cloudWatch: new CloudWatchClient(options),
  });
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { endpoint, cloud, calls, close };
}

describe('awsCloud', () => {
  let aws: Awaited<ReturnType<typeof listen>> | undefined;
  const answer = async (answers: Record<string, Answer>) => {
    aws = await listen(answers);
    return aws;
  };
  afterEach(() => aws?.close());

  it('finds services by the prefix of their names, with their tags', async () => {
    const { cloud, calls } = await answer({
      ListServices: { serviceArns: [ARN, ARN.replace('worker', 'web')] },
      DescribeServices: { services: [{ ...SERVICE, tags: [{ key: 'team', value: 'shop' }] }] },
    });
    expect(await cloud.findServices('cluster', 'shop-test-worker-Service-')).to.deep.equal([
      { arn: ARN, name: NAME, status: 'ACTIVE', desired: 2, running: 1, tags: { team: 'shop' } },
    ]);
    expect(calls[1]?.input).to.deep.equal({ cluster: 'cluster', services: [ARN], include: ['TAGS'] });
  });

  it('reads all pages of a long list, and describes ten services per call', async () => {
    const { cloud, calls } = await answer({
      ListServices: ({ nextToken }) =>
        nextToken === undefined
          ? { serviceArns: Array.from({ length: 8 }, (_, at) => ARN + at), nextToken: 'more' }
          : { serviceArns: Array.from({ length: 4 }, (_, at) => ARN + (8 + at)) },
      DescribeServices: ({ services }) => ({
        services: (services as string[]).map((serviceArn) => ({ ...SERVICE, serviceArn })),
      }),
    });
    const found = await cloud.findServices('cluster', 'shop-test-worker-');
    expect(found.map(({ arn }) => arn)).to.deep.equal(Array.from({ length: 12 }, (_, at) => ARN + at));
    expect(
      calls.map(({ operation, input }) => [operation, (input.services as string[] | undefined)?.length]),
    ).to.deep.equal([
      ['ListServices', undefined],
      ['ListServices', undefined],
      ['DescribeServices', 10],
      ['DescribeServices', 2],
    ]);
  });

  it('describes nothing if no name matches', async () => {
    const { cloud, calls } = await answer({ ListServices: { serviceArns: [ARN] } });
    expect(await cloud.findServices('cluster', 'other-')).to.deep.equal([]);
    expect(calls).to.have.length(1);
  });

  it('rejects a response without the required fields', async () => {
    const { desiredCount: _, ...incomplete } = SERVICE;
    const { cloud } = await answer({
      ListServices: { serviceArns: [ARN] },
      DescribeServices: { services: [incomplete] },
    });
    const error = await cloud.findServices('cluster', 'shop').catch((reason: unknown) => reason);
    expect(error).to.have.property('message').that.includes('desiredCount');
  });

  it('returns the bounds of the scalable target', async () => {
    const { cloud, calls } = await answer({
      DescribeScalableTargets: { ScalableTargets: [{ MinCapacity: 2, MaxCapacity: 5 }] },
    });
    expect(await cloud.bounds('cluster', NAME)).to.deep.equal({ min: 2, max: 5 });
    expect(calls[0]?.input).to.deep.equal({
      ServiceNamespace: 'ecs',
      ResourceIds: [`service/cluster/${NAME}`],
      ScalableDimension: 'ecs:service:DesiredCount',
    });
  });

  it('returns no bounds without a scalable target', async () => {
    const { cloud } = await answer({ DescribeScalableTargets: { ScalableTargets: [] } });
    expect(await cloud.bounds('cluster', NAME)).to.equal(undefined);
  });

  it('returns the predefined and customized metrics of target tracking', async () => {
    const Dimensions = [{ Name: 'TargetGroup', Value: 'targetgroup/web/2' }];
    const customized = { Namespace: 'AWS/ApplicationELB', MetricName: 'RequestCount', Statistic: 'Sum', Dimensions };
    const label = { PredefinedMetricType: 'ALBRequestCountPerTarget', ResourceLabel: 'app/web/1/targetgroup/web/2' };
    const policies = [
      { TargetValue: 70, PredefinedMetricSpecification: { PredefinedMetricType: 'ECSServiceAverageCPUUtilization' } },
      {
        TargetValue: 80,
        PredefinedMetricSpecification: { PredefinedMetricType: 'ECSServiceAverageMemoryUtilization' },
      },
      { TargetValue: 100, PredefinedMetricSpecification: label },
      { TargetValue: 200, CustomizedMetricSpecification: customized },
      // Metric math, a type of a later year, and step scaling: nothing that can be read here.
      { TargetValue: 1, CustomizedMetricSpecification: { Metrics: [{ Id: 'a', Expression: 'b / c' }] } },
      { TargetValue: 1, PredefinedMetricSpecification: { PredefinedMetricType: 'Other' } },
      undefined,
    ];
    const { cloud, calls } = await answer({
      DescribeScalingPolicies: {
        ScalingPolicies: policies.map((policy) => ({ TargetTrackingScalingPolicyConfiguration: policy })),
      },
    });
    const ecs = {
      namespace: 'AWS/ECS',
      statistic: 'Average',
      dimensions: { ClusterName: 'cluster', ServiceName: NAME },
    };
    const balancer = { namespace: 'AWS/ApplicationELB', statistic: 'Sum' };
    const group = { TargetGroup: 'targetgroup/web/2' };
    // Without requests the load balancer has no values.
    const noRequests = { value: 0, ageMilliseconds: 0 };
    expect(await cloud.tracked('cluster', NAME)).to.deep.equal([
      { name: 'CPUUtilization', target: 70, metric: { ...ecs, name: 'CPUUtilization' }, reading: undefined },
      { name: 'MemoryUtilization', target: 80, metric: { ...ecs, name: 'MemoryUtilization' }, reading: undefined },
      {
        name: 'RequestCountPerTarget',
        target: 100,
        metric: { ...balancer, name: 'RequestCountPerTarget', dimensions: { ...group, LoadBalancer: 'app/web/1' } },
        reading: noRequests,
      },
      {
        name: 'RequestCount',
        target: 200,
        metric: { ...balancer, name: 'RequestCount', dimensions: group },
        reading: noRequests,
      },
    ]);
    expect(calls[0]?.input).to.have.property('ResourceId', `service/cluster/${NAME}`);
  });

  it('reads the newest value of each metric, and its age since the end of its minute', async () => {
    const now = new Date('2026-03-01T12:00:20Z');
    const seconds = (time: string) => Date.parse(`2026-03-01T${time}Z`) / 1000;
    const { cloud, calls } = await answer({
      GetMetricData: {
        MetricDataResults: [
          { Id: 'waiting', Values: [5, 7, 6], Timestamps: ['11:57', '11:59', '11:58'].map(seconds) },
          { Id: 'executing', Values: [], Timestamps: [] },
        ],
      },
    });
    const metric = { namespace: 'AWS/SQS', name: 'Visible', statistic: 'Average', dimensions: { QueueName: 'jobs' } };
    expect(await cloud.read({ waiting: metric, executing: metric }, now, 60)).to.deep.equal({
      waiting: { value: 7, ageMilliseconds: 20_000 },
    });
    expect(calls[0]?.input).to.deep.include({
      StartTime: Date.parse('2026-03-01T11:50Z') / 1000,
      EndTime: Date.parse('2026-03-01T12:00Z') / 1000,
    });
    expect(calls[0]?.input)
      .to.have.nested.property('MetricDataQueries[0]')
      .that.deep.equals({
        Id: 'waiting',
        MetricStat: {
          Metric: { Namespace: 'AWS/SQS', MetricName: 'Visible', Dimensions: [{ Name: 'QueueName', Value: 'jobs' }] },
          Period: 60,
          Stat: 'Average',
        },
      });
  });
});

describe('a metric that CloudWatch could not read', () => {
  it('fails the run, because without a value it could mean that there is no load', async () => {
    const metric = { namespace: 'AWS/ApplicationELB', name: 'RequestCount', statistic: 'Sum', dimensions: {} };
    for (const StatusCode of ['InternalError', 'Forbidden']) {
      const { cloud, close } = await listen({ GetMetricData: { MetricDataResults: [{ Id: 'tracked0', StatusCode }] } });
      const said = await cloud.read({ tracked0: metric }, new Date(), 60).then(String, ({ message }: Error) => message);
      close();
      expect(said).to.equal(`CloudWatch could not read tracked0: ${StatusCode}`);
    }
  });

  it('still has its newest values if only some could be read', async () => {
    const now = new Date('2026-03-01T12:00:20Z');
    const metric = { namespace: 'AWS/SQS', name: 'Visible', statistic: 'Average', dimensions: {} };
    const Timestamps = [Date.parse('2026-03-01T11:59Z') / 1000];
    const { cloud, close } = await listen({
      GetMetricData: { MetricDataResults: [{ Id: 'waiting', StatusCode: 'PartialData', Values: [7], Timestamps }] },
    });
    const read = await cloud.read({ waiting: metric }, now, 60);
    close();
    expect(read).to.deep.equal({ waiting: { value: 7, ageMilliseconds: 20_000 } });
  });
});

describe('the scaler, run as a process', () => {
  const metric = (name: string) => ({ namespace: 'AWS/SQS', name, statistic: 'Average', dimensions: {} });
  const BUSY: Record<string, Answer> = {
    ListServices: { serviceArns: [ARN] },
    DescribeServices: { services: [{ ...SERVICE, runningCount: 2 }] },
    DescribeScalableTargets: { ScalableTargets: [{ MinCapacity: 1, MaxCapacity: 3 }] },
    GetMetricData: ({ EndTime }) => {
      const Timestamps = [Number(EndTime) - 60];
      return {
        MetricDataResults: [
          { Id: 'waiting', Values: [40], Timestamps },
          { Id: 'executing', Values: [10], Timestamps },
        ],
      };
    },
    DescribeScalingPolicies: {},
    TagResource: {},
    UpdateService: {},
  };

  async function run(answers: Record<string, Answer>) {
    const { endpoint, calls, close } = await listen(answers);
    const env = {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: 'us-west-2',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      SCALER_CLUSTER: 'cluster',
      SCALER_SERVICE_PREFIX: 'shop-test-worker-Service-',
      SCALER_METRICS: JSON.stringify({ waiting: metric('Visible'), executing: metric('NotVisible') }),
    };
    const { code, lines } = await new Promise<{ code: number | null; lines: string[] }>((resolve) => {
      const child = execFile(process.execPath, ['functions/scaler.ts'], { env }, (_, stdout) =>
        resolve({ code: child.exitCode, lines: stdout.trimEnd().split('\n') }),
      );
    });
    close();
    return { calls, code, lines, line: JSON.parse(lines[0] ?? '{}') as Record<string, unknown> };
  }

  it('adds a task, and logs one line with its readings and decision', async () => {
    const { calls, code, lines, line } = await run(BUSY);
    expect(code).to.equal(0);
    expect(lines).to.have.length(1);
    expect(line).to.deep.include({
      level: 'info',
      service: NAME,
      changed: true,
      decision: { desired: 3, indicated: 'out', reason: '4 waiting per executing, above 3', isAtMaximum: false },
    });
    expect(line.seen).to.include({ desired: 2, running: 2, min: 1, max: 3 });
    expect(line).to.include({ Failed: 0, AtMaximum: 0, ServicePrefix: 'shop-test-worker-Service-' });
    expect(line)
      .to.have.nested.property('_aws.CloudWatchMetrics[0].Metrics')
      .that.deep.equals([{ Name: 'Failed' }, { Name: 'AtMaximum' }]);
    const [tag, update] = calls.slice(-2);
    expect(tag?.input).to.have.property('resourceArn', ARN);
    expect(update).to.deep.equal({
      operation: 'UpdateService',
      input: { cluster: 'cluster', service: NAME, desiredCount: 3 },
    });
  });

  it('fails and logs the reason if AWS refuses a call', async () => {
    const { UpdateService: _, ...readOnly } = BUSY;
    const { code, lines, line } = await run(readOnly);
    expect(code).to.equal(1);
    expect(lines).to.have.length(1);
    expect(line).to.include({
      level: 'error',
      changed: false,
      reason: 'the run failed: AccessDeniedException: no UpdateService here',
      Failed: 1,
    });
  });
});
