/** One CloudFormation stack with the topics and queues that the manifests of a workspace publish and subscribe to. */
import type { Workload } from '../k8s/workload.ts';
import { logicalName, topicQueueKey } from '../manifest/names.ts';
import { mergeTemplates, type Template } from './template.ts';

/** The stack, and the variables that Copilot injects, from its outputs. */
export interface Events {
  template: Template;
  /** The variables of each workload, by its name, from the outputs of the stack. */
  variables(outputs: ReadonlyMap<string, string>): Map<string, Map<string, string>>;
}

type Topic = NonNullable<NonNullable<NonNullable<Workload['manifest']['fields']['subscribe']>['topics']>[number]>;
type Queue = Exclude<NonNullable<Topic['queue']>, boolean>;

/** Undefined if no workload publishes or subscribes, and none is a Worker Service. */
export function eventsOf(workloads: readonly Workload[]): Events | undefined {
  const template = mergeTemplates([]);
  const variablesOf: { workload: string; name: string; value(outputs: ReadonlyMap<string, string>): string }[] = [];

  function addTopic({ application, environment }: Workload, service: string, topic: string, fifo: boolean): string {
    const id = `Topic${logicalName(service)}${logicalName(topic)}`;
    template.Resources[id] ??= {
      Type: 'AWS::SNS::Topic',
      Properties: {
        TopicName: `${application}-${environment}-${service}-${topic}${fifo ? '.fifo' : ''}`,
        ...(fifo ? { FifoTopic: true } : {}),
      },
    };
    output(id, { Ref: id });
    return id;
  }

  function addQueue({ application, environment, manifest }: Workload, name: string, queue: Queue = {}): string {
    const id = `Queue${logicalName(manifest.name)}${logicalName(name)}`;
    const fifo = Boolean(queue.fifo);
    const queueName = `${application}-${environment}-${manifest.name}-${name}`;
    const common = { ...(fifo ? { FifoQueue: true } : {}) };
    const tries = queue.dead_letter?.tries;
    if (tries !== undefined)
      template.Resources[`${id}DeadLetter`] = {
        Type: 'AWS::SQS::Queue',
        Properties: { QueueName: `${queueName}-dead-letter${fifo ? '.fifo' : ''}`, ...common },
      };
    template.Resources[id] = {
      Type: 'AWS::SQS::Queue',
      Properties: {
        QueueName: `${queueName}${fifo ? '.fifo' : ''}`,
        ...common,
        ...(queue.retention === undefined ? {} : { MessageRetentionPeriod: queue.retention }),
        ...(queue.delay === undefined ? {} : { DelaySeconds: queue.delay }),
        ...(queue.timeout === undefined ? {} : { VisibilityTimeout: queue.timeout }),
        ...(tries === undefined
          ? {}
          : {
              RedrivePolicy: {
                deadLetterTargetArn: { 'Fn::GetAtt': [`${id}DeadLetter`, 'Arn'] },
                maxReceiveCount: tries,
              },
            }),
      },
    };
    output(id, { Ref: id });
    return id;
  }

  function output(id: string, value: unknown) {
    template.Outputs[id] = { Value: value };
  }

  for (const workload of workloads) {
    const { name, fields } = workload.manifest;
    const topics = (fields.publish?.topics ?? []).flatMap(({ name: topic, fifo }) =>
      topic === undefined ? [] : [{ topic, id: addTopic(workload, name, topic, Boolean(fifo)) }],
    );
    if (topics.length > 0)
      variablesOf.push({
        workload: name,
        name: 'COPILOT_SNS_TOPIC_ARNS',
        value: (outputs) => JSON.stringify(Object.fromEntries(topics.map(({ topic, id }) => [topic, outputs.get(id)]))),
      });
  }
  for (const workload of workloads) {
    const { name, type, fields } = workload.manifest;
    if (type !== 'Worker Service') continue;
    const main = addQueue(workload, 'EventsQueue', fields.subscribe?.queue);
    variablesOf.push({ workload: name, name: 'COPILOT_QUEUE_URI', value: (outputs) => outputs.get(main) ?? '' });
    const own: { key: string; id: string }[] = [];
    for (const { name: topic = '', service = '', queue, filter_policy } of fields.subscribe?.topics ?? []) {
      const settings = queue === true ? {} : queue || undefined;
      const id = settings ? addQueue(workload, `${service}-${topic}-EventsQueue`, settings) : main;
      if (settings) own.push({ key: topicQueueKey(service, topic), id });
      const isFifo = Boolean(settings ? settings.fifo : fields.subscribe?.queue?.fifo);
      const source = addTopic(workload, service, topic, isFifo);
      template.Resources[`Subscription${id}${source}`] = {
        Type: 'AWS::SNS::Subscription',
        Properties: {
          TopicArn: { Ref: source },
          Protocol: 'sqs',
          Endpoint: { 'Fn::GetAtt': [id, 'Arn'] },
          ...(filter_policy === undefined ? {} : { FilterPolicy: filter_policy }),
        },
      };
    }
    if (own.length > 0)
      variablesOf.push({
        workload: name,
        name: 'COPILOT_TOPIC_QUEUE_URIS',
        value: (outputs) => JSON.stringify(Object.fromEntries(own.map(({ key, id }) => [key, outputs.get(id)]))),
      });
  }
  if (Object.keys(template.Resources).length === 0) return undefined;

  return {
    template,
    variables(outputs) {
      const all = new Map<string, Map<string, string>>();
      for (const { workload, name, value } of variablesOf) {
        const own = all.get(workload) ?? new Map<string, string>();
        all.set(workload, own.set(name, value(outputs)));
      }
      return all;
    },
  };
}
