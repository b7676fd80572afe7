import { expect } from 'chai';
import { eventsOf } from '../../local-kind/events.ts';
import { workloadOf } from '../k8s/workload.ts';

const api =
  'name: api\ntype: Backend Service\nimage: { location: x, port: 80 }\npublish: { topics: [{ name: placed }] }';
const worker = (...lines: string[]) =>
  ['name: worker', 'type: Worker Service', 'image: { location: x }', ...lines].join('\n');

describe('eventsOf', () => {
  it('is undefined if no workload publishes or subscribes', () => {
    expect(eventsOf([workloadOf('name: api\ntype: Backend Service\nimage: { location: x, port: 80 }')])).to.equal(
      undefined,
    );
  });

  it('gives a publisher the ARNs of its topics', () => {
    const variables = eventsOf([workloadOf(api)])?.variables(new Map([['Topicapiplaced', 'arn:1']]));
    expect(variables?.get('api')?.get('COPILOT_SNS_TOPIC_ARNS')).to.equal('{"placed":"arn:1"}');
  });

  it('gives a worker its queue, with the dead letters and the time-out that it asks for', () => {
    const events = eventsOf([
      workloadOf(api),
      workloadOf(
        worker(
          'subscribe: { topics: [{ name: placed, service: api }], queue: { timeout: 30s, dead_letter: { tries: 3 } } }',
        ),
      ),
    ]);
    expect(events?.template.Resources.QueueworkerEventsQueue?.Properties).to.deep.equal({
      QueueName: 'shop-test-worker-EventsQueue',
      VisibilityTimeout: 30,
      RedrivePolicy: {
        deadLetterTargetArn: { 'Fn::GetAtt': ['QueueworkerEventsQueueDeadLetter', 'Arn'] },
        maxReceiveCount: 3,
      },
    });
    const variables = events?.variables(new Map([['QueueworkerEventsQueue', 'http://queue']]));
    expect(variables?.get('worker')?.get('COPILOT_QUEUE_URI')).to.equal('http://queue');
  });

  it('gives a topic with a queue of its own the name that Copilot gives it', () => {
    const events = eventsOf([
      workloadOf(worker('subscribe: { topics: [{ name: orderPlaced, service: the-api, queue: true }] }')),
    ]);
    const variables = events?.variables(new Map([['QueueworkertheapiorderPlacedEventsQueue', 'http://own']]));
    expect(variables?.get('worker')?.get('COPILOT_TOPIC_QUEUE_URIS')).to.equal(
      '{"theapiOrderplacedEventsQueue":"http://own"}',
    );
  });

  it('creates a topic whose publisher is in another workspace', () => {
    const events = eventsOf([workloadOf(worker('subscribe: { topics: [{ name: paid, service: bank }] }'))]);
    expect(events?.template.Resources.Topicbankpaid?.Properties).to.deep.equal({ TopicName: 'shop-test-bank-paid' });
  });
});
