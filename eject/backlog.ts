/** The function of a Worker Service that scales by queue delay, in Copilot's templates. */
export const backlogFunction = 'BacklogPerTaskCalculatorFunction';

/**
 * Its source for `Code.ZipFile` on nodejs24.x: each minute it writes the messages of each queue per running task, as a
 * line in CloudWatch's embedded metric format. If a call fails it writes no metric, and the count stays.
 */
export const backlogCode = `const { ECSClient, DescribeServicesCommand } = require('@aws-sdk/client-ecs');
const { SQSClient, GetQueueAttributesCommand, GetQueueUrlCommand } = require('@aws-sdk/client-sqs');

const [ecs, sqs] = [new ECSClient(), new SQSClient()];

exports.handler = async () => {
  const { CLUSTER_NAME: cluster, SERVICE_NAME: service, NAMESPACE, QUEUE_NAMES } = process.env;
  try {
    const { services } = await ecs.send(new DescribeServicesCommand({ cluster, services: [service] }));
    if (!services?.length) throw new Error('there is no service ' + service + ' in ' + cluster);
    const tasks = services[0].runningCount || 1;
    const lines = await Promise.all(
      QUEUE_NAMES.split(',').map(async (QueueName) => {
        const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName }));
        const AttributeNames = ['ApproximateNumberOfMessages'];
        const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames }));
        const Metrics = [{ Name: 'BacklogPerTask', Unit: 'Count' }];
        return {
          _aws: { Timestamp: Date.now(), CloudWatchMetrics: [{ Namespace: NAMESPACE, Dimensions: [['QueueName']], Metrics }] },
          QueueName,
          BacklogPerTask: Math.ceil(Attributes.ApproximateNumberOfMessages / tasks),
        };
      }),
    );
    for (const line of lines) console.log(JSON.stringify(line));
  } catch (error) {
    console.error('no backlog was measured:', error);
  }
};
`;
