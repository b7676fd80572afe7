import { COOLDOWN } from '../manifest/defaults.ts';
import type { Fields } from '../manifest/fields.ts';
import { addResource, nodeOf, put, removeResource, setParameter, type Work } from './edit.ts';
import { ownQueue, topicId } from './edit-queues.ts';

type Scaled = Exclude<NonNullable<Fields['count']>, string | { replicas: number }>;
type Range = { min?: number | undefined; max?: number | undefined; spot_from?: number | undefined };
type Cooldown = Scaled['cooldown'];

function scaledOf({ count }: Fields): Scaled | undefined {
  return count !== undefined && !('replicas' in count) ? count : undefined;
}

const [role, target] = ['AutoScalingRole', 'AutoScalingTarget'];

/** The count of a service: a fixed one, or a range with what it scales by. */
export function setCount(work: Work): string | undefined {
  const { parameters, touched, fields, old } = work;
  const [before, after] = [scaledOf(old), scaledOf(fields)];
  if (spotOf(before) !== spotOf(after)) return 'a change of Spot capacity is not mapped';
  touched.add('Service');
  if (!after || after.spot !== undefined) {
    if (before && before.spot === undefined) {
      if (before.queue_delay) return 'the end of scaling by queue_delay is not mapped';
      for (const id of [...Object.values(policies), target, role]) removeResource(work, id);
      put(work, ['Service', 'DesiredCount'], { Ref: 'TaskCount' });
    }
    const { count } = fields;
    const fixed = count !== undefined && 'replicas' in count ? count.replicas : 1;
    return setParameter(parameters, 'TaskCount', after?.spot ?? fixed);
  }
  const { min = 0, max = 0 }: Range = after.range ?? {};
  setParameter(parameters, 'TaskCount', min);
  const problem = before ? undefined : addTarget(work, { min, max });
  if (problem !== undefined) return problem;
  if (!work.template.node(['Resources', target])) return `the template has no ${target}`;
  touched.add(target);
  put(work, [target, 'MinCapacity'], min);
  put(work, [target, 'MaxCapacity'], max);
  return setTargets(work, before ?? {}, after) ?? setQueueDelay(work, before ?? {}, after);
}

/** The kind of Spot capacity, which decides the capacity providers of the service. */
function spotOf(count: Scaled | undefined): string {
  if (count?.spot !== undefined) return 'all';
  const { min = 0, spot_from: from }: Range = count?.range ?? {};
  return from === undefined ? 'none' : `from ${from}, ${from >= min ? 'with' : 'without'} others`;
}

/** What Copilot makes for every service that scales, in the shape that it has without its custom resources. */
function addTarget(work: Work, { min, max }: { min: number; max: number }): string | undefined {
  const { template } = work;
  if (template.node(['Resources', 'TaskRole', 'Properties', 'PermissionsBoundary']))
    return 'scaling with a permissions boundary is not mapped';
  addResource(work, role, {
    Metadata: { 'aws:copilot:description': 'An IAM role for container auto scaling' },
    Type: 'AWS::IAM::Role',
    Properties: {
      AssumeRolePolicyDocument: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: { Service: 'ecs-tasks.amazonaws.com' }, Action: 'sts:AssumeRole' }],
      },
      ManagedPolicyArns: [
        { 'Fn::Sub': `arn:\${AWS::Partition}:iam::aws:policy/service-role/AmazonEC2ContainerServiceAutoscaleRole` },
      ],
    },
  });
  addResource(work, target, {
    Metadata: { 'aws:copilot:description': "An autoscaling target to scale your service's desired count" },
    Type: 'AWS::ApplicationAutoScaling::ScalableTarget',
    Properties: {
      MinCapacity: min,
      MaxCapacity: max,
      ResourceId: { 'Fn::Join': ['/', ['service', imported('ClusterId'), { 'Fn::GetAtt': ['Service', 'Name'] }]] },
      ScalableDimension: 'ecs:service:DesiredCount',
      ServiceNamespace: 'ecs',
      RoleARN: { 'Fn::GetAtt': [role, 'Arn'] },
    },
  });
  // The running count stays.
  put(work, ['Service', 'DesiredCount'], undefined);
  return undefined;
}

function imported(output: string) {
  return { 'Fn::ImportValue': { 'Fn::Sub': `\${AppName}-\${EnvName}-${output}` } };
}

/** The policies of what a service scales by, by the field. */
const policies = {
  cpu_percentage: 'AutoScalingPolicyECSServiceAverageCPUUtilization',
  memory_percentage: 'AutoScalingPolicyECSServiceAverageMemoryUtilization',
  requests: 'AutoScalingPolicyALBSumRequestCountPerTarget',
  response_time: 'AutoScalingPolicyALBAverageResponseTime',
} as const;

function setTargets(work: Work, before: Scaled, after: Scaled): string | undefined {
  for (const field of ['cpu_percentage', 'memory_percentage', 'requests', 'response_time'] as const) {
    const id = policies[field];
    const [from, to] = [before[field], after[field]];
    if (to?.value === undefined) {
      removeResource(work, id);
      continue;
    }
    if (from?.value === undefined) {
      const problem = addPolicy(work, field);
      if (problem !== undefined) return problem;
    }
    if (!work.template.node(['Resources', id])) return `the template has no ${id}`;
    work.touched.add(id);
    put(work, [id, tracking, 'TargetValue'], to.value);
    setCooldown(work, id, to.cooldown, after);
  }
  return undefined;
}

const tracking = 'TargetTrackingScalingPolicyConfiguration';

function addPolicy(work: Work, field: keyof typeof policies): string | undefined {
  const id = policies[field];
  const metric = id.replace('AutoScalingPolicy', '');
  const isOfLoadBalancer = field === 'requests' || field === 'response_time';
  const specification = isOfLoadBalancer ? loadBalancerMetric(work, field) : predefined(metric);
  if (typeof specification === 'string') return specification;
  addResource(work, id, {
    Type: 'AWS::ApplicationAutoScaling::ScalingPolicy',
    Properties: {
      PolicyName: { 'Fn::Join': ['-', [{ Ref: 'WorkloadName' }, metric, 'ScalingPolicy']] },
      PolicyType: 'TargetTrackingScaling',
      ScalingTargetId: { Ref: target },
      [tracking]: specification,
    },
  });
  return undefined;
}

function predefined(metric: string) {
  return { PredefinedMetricSpecification: { PredefinedMetricType: metric } };
}

/** A metric of the environment's public load balancer; others, such as internal and imported ones, are refused. */
function loadBalancerMetric({ template, fields }: Work, field: 'requests' | 'response_time') {
  const alb = typeof fields.http === 'object' ? fields.http.alb : undefined;
  if (fields.type !== 'Load Balanced Web Service' || alb !== undefined || !template.node(['Resources', 'TargetGroup']))
    return `adding ${field} is mapped only for the public load balancer of the environment`;
  const isSum = field === 'requests';
  return {
    CustomizedMetricSpecification: {
      Dimensions: [
        { Name: 'LoadBalancer', Value: imported('PublicLoadBalancerFullName') },
        { Name: 'TargetGroup', Value: { 'Fn::GetAtt': ['TargetGroup', 'TargetGroupFullName'] } },
      ],
      MetricName: isSum ? 'RequestCountPerTarget' : 'TargetResponseTime',
      Namespace: 'AWS/ApplicationELB',
      Statistic: isSum ? 'Sum' : 'Average',
    },
  };
}

function setCooldown(work: Work, id: string, own: Cooldown, { cooldown: common }: Scaled): void {
  // Copilot's templates use zero for none.
  const whole = (seconds: number | undefined, otherwise: number) => Math.trunc(seconds ?? 0) || otherwise;
  put(work, [id, tracking, 'ScaleInCooldown'], whole(own?.in ?? common?.in, COOLDOWN.in));
  put(work, [id, tracking, 'ScaleOutCooldown'], whole(own?.out ?? common?.out, COOLDOWN.out));
}

/** The messages that each task of a worker may have in each queue. */
function setQueueDelay(work: Work, before: Scaled, after: Scaled): string | undefined {
  const [from, to] = [before.queue_delay, after.queue_delay];
  if (!from && !to) return undefined;
  if (!from || !to) return 'adding or removing queue_delay is not mapped';
  const { acceptable_latency: latency = 0, msg_processing_time: time = 1 } = to;
  // In whole nanoseconds, as Copilot divides them.
  const backlog = Math.ceil(Math.round(latency * 1e9) / Math.round(time * 1e9));
  const own = (work.fields.subscribe?.topics ?? []).filter((topic) => ownQueue(topic) !== undefined);
  for (const queue of ['EventsQueue', ...own.map((topic) => `${topicId(topic)}EventsQueue`)]) {
    const id = `AutoScalingPolicy${queue}`;
    if (!work.template.node(['Resources', id])) return `the template has no ${id}`;
    work.touched.add(id);
    put(work, [id, tracking, 'TargetValue'], backlog);
    setCooldown(work, id, to.cooldown, after);
    const description = `An autoscaling policy to maintain ${backlog} messages/task for ${queue}`;
    work.template.set(['Resources', id, 'Metadata', 'aws:copilot:description'], nodeOf(description));
  }
  return undefined;
}
