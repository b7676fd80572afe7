import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { backlogCode } from '../../eject/backlog.ts';
import { Template } from '../../eject/template.ts';
import { drop } from '../../eject/transform.ts';

/** Runs the function with these answers of ECS and SQS; gives back what it writes. */
async function run(services: unknown[], messages: string): Promise<{ out: string[]; errors: number }> {
  const out: string[] = [];
  let errors = 0;
  class Command {
    readonly input: unknown;
    constructor(input: unknown) {
      this.input = input;
    }
  }
  const answers = {
    DescribeServices: { services },
    Attributes: { ApproximateNumberOfMessages: messages },
    QueueUrl: 'url',
  };
  class Client {
    send() {
      return { ...answers, services };
    }
  }
  const modules = {
    ...{ ECSClient: Client, SQSClient: Client, DescribeServicesCommand: Command },
    ...{ GetQueueUrlCommand: Command, GetQueueAttributesCommand: Command },
  };
  const exports: { handler?: () => Promise<void> } = {};
  const env = { CLUSTER_NAME: 'c', SERVICE_NAME: 's', NAMESPACE: 'shop-test-worker', QUEUE_NAMES: 'one,two' };
  const log = (line: string) => out.push(line);
  const error = () => {
    errors += 1;
  };
  runInNewContext(backlogCode, {
    require: () => modules,
    exports,
    process: { env },
    console: { log, error },
    Promise,
    Date,
    Math,
    JSON,
  });
  await exports.handler?.();
  return { out, errors };
}

describe('the function that measures the backlog of a queue', () => {
  it('writes the messages of each queue by running task, in the metric that the scaling policy reads', async () => {
    const { out } = await run([{ runningCount: 2 }], '5');
    const lines = out.map((line) => JSON.parse(line));
    expect(lines.map(({ QueueName, BacklogPerTask }) => [QueueName, BacklogPerTask])).to.deep.equal([
      ['one', 3],
      ['two', 3],
    ]);
    expect(lines[0]._aws.CloudWatchMetrics).to.deep.equal([
      {
        Namespace: 'shop-test-worker',
        Dimensions: [['QueueName']],
        Metrics: [{ Name: 'BacklogPerTask', Unit: 'Count' }],
      },
    ]);
  });

  it('counts all messages while no task runs, so that scaling can begin', async () => {
    expect(JSON.parse((await run([{ runningCount: 0 }], '5')).out[0] ?? '').BacklogPerTask).to.equal(5);
  });

  it('writes no metric when it can not measure', async () => {
    expect(await run([], '5')).to.deep.equal({ out: [], errors: 1 });
  });

  it('fits into a template, and takes the place of the one in the bucket', () => {
    expect(backlogCode.length).to.be.lessThan(4096);
    const text = `Resources:
  LogGroup:
    Type: AWS::Logs::LogGroup
  BacklogPerTaskCalculatorFunction:
    Type: AWS::Lambda::Function
    Properties:
      Code: {S3Bucket: bucket, S3Key: key}
      Handler: index.handler
      Runtime: nodejs20.x
`;
    const properties = drop(new Template(text, 't')).resources().get('BacklogPerTaskCalculatorFunction')?.properties;
    expect(properties).to.deep.equal({
      Code: { ZipFile: backlogCode },
      Handler: 'index.handler',
      Runtime: 'nodejs24.x',
    });
  });
});
