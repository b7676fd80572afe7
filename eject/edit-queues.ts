import type { Fields } from '../manifest/fields.ts';
import { logicalName } from '../manifest/names.ts';
import { put, type Work } from './edit.ts';

type Subscribe = NonNullable<Fields['subscribe']>;
type Topic = NonNullable<Subscribe['topics']>[number];
type Queue = NonNullable<Subscribe['queue']>;

/** The settings of a topic's own queue, or undefined when its messages go to the queue of the service. */
export function ownQueue({ queue }: Topic): Queue | undefined {
  if (queue === true) return {};
  if (typeof queue !== 'object') return undefined;
  return Object.values(queue).some((value) => value !== undefined) ? queue : undefined;
}

/** The logical id of what belongs to a topic, but for its last part. */
export function topicId({ service = '', name = '' }: Topic): string {
  return `${logicalName(service)}${logicalName(name)}`;
}

/** Settings of the queues and filters of a worker; topics that come or go are refused. */
export function setSubscriptions(work: Work): string | undefined {
  const [before, after] = [work.old.subscribe ?? {}, work.fields.subscribe ?? {}];
  // Copilot ignores the queue of a worker without the list.
  if (!before.topics && !after.topics) return undefined;
  const shape = ({ topics }: Subscribe) => topics?.map((topic) => [topicId(topic), ownQueue(topic) !== undefined]);
  if (JSON.stringify(shape(before)) !== JSON.stringify(shape(after)))
    return 'topics that come or go, and queues of their own, are not mapped';
  const problem = setQueue(work, '', before.queue ?? {}, after.queue ?? {});
  if (problem !== undefined) return problem;
  for (const [i, topic] of after.topics?.entries() ?? []) {
    const earlier = before.topics?.[i];
    if (!earlier) continue;
    const id = topicId(topic);
    const [from, to] = [ownQueue(earlier), ownQueue(topic)];
    const found = (from && to && setQueue(work, id, from, to)) ?? setFilter(work, id, earlier, topic);
    if (found !== undefined) return found;
  }
  return undefined;
}

function setQueue(work: Work, prefix: string, before: Queue, after: Queue): string | undefined {
  if (JSON.stringify(before) === JSON.stringify(after)) return undefined;
  if (JSON.stringify(before.fifo) !== JSON.stringify(after.fifo)) return 'a change of fifo is not mapped';
  const tries = after.dead_letter?.tries;
  if ((before.dead_letter?.tries === undefined) !== (tries === undefined))
    return 'a dead-letter queue that comes or goes is not mapped';
  const id = `${prefix}EventsQueue`;
  if (!work.template.node(['Resources', id])) return `the template has no ${id}`;
  work.touched.add(id);
  const whole = (duration: number | undefined) => (duration === undefined ? undefined : Math.trunc(duration));
  put(work, [id, 'MessageRetentionPeriod'], whole(after.retention));
  put(work, [id, 'DelaySeconds'], whole(after.delay));
  put(work, [id, 'VisibilityTimeout'], whole(after.timeout));
  if (tries !== undefined) put(work, [id, 'RedrivePolicy', 'maxReceiveCount'], tries);
  return undefined;
}

function setFilter(work: Work, prefix: string, before: Topic, after: Topic): string | undefined {
  const [from, to] = [before, after].map(({ filter_policy: policy }) => JSON.stringify(policy ?? {}));
  if (from === to) return undefined;
  // The reader has texts only, and a filter distinguishes numbers from them.
  if (to && /"(-?[\d.]+(e[-+]?\d+)?|true|false|null|~)"/i.test(to))
    return 'a filter_policy with numbers or true and false is not mapped';
  const id = `${prefix}SNSTopicSubscription`;
  if (!work.template.node(['Resources', id])) return `the template has no ${id}`;
  work.touched.add(id);
  put(work, [id, 'FilterPolicy'], to === '{}' ? undefined : after.filter_policy);
  return undefined;
}
