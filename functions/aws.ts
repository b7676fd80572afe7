import {
  ApplicationAutoScalingClient,
  DescribeScalableTargetsCommand,
  DescribeScalingPoliciesCommand,
} from '@aws-sdk/client-application-auto-scaling';
import { CloudWatchClient, GetMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import {
  DescribeServicesCommand,
  ECSClient,
  ListServicesCommand,
  TagResourceCommand,
  UpdateServiceCommand,
} from '@aws-sdk/client-ecs';
import * as z from 'zod';
import type { Reading } from './decide.ts';
import type { Cloud, Service } from './scale.ts';
import type { Metric } from './settings.ts';

const LAST_CHANGE_TAG = 'scaler:last-change';

/** The part of an SDK client that is used here. */
interface Sender<Command> {
  send(command: Command): Promise<unknown>;
}

/** The clients of the three services; the SDK finds region and credentials. */
export interface Clients {
  readonly ecs: Sender<ListServicesCommand | DescribeServicesCommand | TagResourceCommand | UpdateServiceCommand>;
  readonly scaling: Sender<DescribeScalableTargetsCommand | DescribeScalingPoliciesCommand>;
  readonly cloudWatch: Sender<GetMetricDataCommand>;
}

const PERIOD_SECONDS = 60;
/** The newest value is searched for in this many minutes, to distinguish a stale one from an absent one. */
const LOOK_BACK_MINUTES = 10;
/** The limit of DescribeServices: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html */
const SERVICES_A_CALL = 10;

const servicePage = z.object({ serviceArns: z.array(z.string()).default([]), nextToken: z.string().optional() });
const count = z.int().nonnegative();
const services = z.object({
  services: z
    .array(
      z.object({
        serviceArn: z.string(),
        serviceName: z.string(),
        status: z.string(),
        desiredCount: count,
        runningCount: count,
        tags: z.array(z.object({ key: z.string(), value: z.string().default('') })).default([]),
      }),
    )
    .default([]),
});
const targets = z.object({
  ScalableTargets: z.array(z.object({ MinCapacity: count, MaxCapacity: count })).default([]),
});
const policies = z.object({
  ScalingPolicies: z
    .array(
      z.object({
        TargetTrackingScalingPolicyConfiguration: z
          .object({
            TargetValue: z.number(),
            PredefinedMetricSpecification: z
              .object({ PredefinedMetricType: z.string(), ResourceLabel: z.string().default('') })
              .optional(),
            CustomizedMetricSpecification: z
              .object({
                Namespace: z.string(),
                MetricName: z.string(),
                Statistic: z.string(),
                Dimensions: z.array(z.object({ Name: z.string(), Value: z.string() })).default([]),
              })
              .optional()
              .catch(undefined),
          })
          .optional(),
      }),
    )
    .default([]),
});
const metricData = z.object({
  MetricDataResults: z
    .array(
      z.object({
        Id: z.string(),
        StatusCode: z.string().default('Complete'),
        Timestamps: z.array(z.date()).default([]),
        Values: z.array(z.number()).default([]),
      }),
    )
    .default([]),
});

/**
 * Calls AWS with its SDK and validates each response. `read` takes values up to the last whole minute before `now`. Each
 * method rejects with the SDK's error if AWS refuses.
 */
export function awsCloud(clients: Clients = sdkClients()): Cloud<Metric> {
  const { ecs, scaling, cloudWatch } = clients;
  return {
    lastChangeTag: LAST_CHANGE_TAG,

    async findServices(cluster, prefix) {
      const arns: string[] = [];
      let nextToken: string | undefined;
      do {
        const page = servicePage.parse(
          await ecs.send(new ListServicesCommand({ cluster, nextToken, maxResults: 100 })),
        );
        arns.push(...page.serviceArns.filter((arn) => arn.slice(arn.lastIndexOf('/') + 1).startsWith(prefix)));
        nextToken = page.nextToken;
      } while (nextToken !== undefined);
      const found: Service[] = [];
      for (let at = 0; at < arns.length; at += SERVICES_A_CALL) {
        const some = arns.slice(at, at + SERVICES_A_CALL);
        const answer = await ecs.send(new DescribeServicesCommand({ cluster, services: some, include: ['TAGS'] }));
        for (const service of services.parse(answer).services) {
          found.push({
            arn: service.serviceArn,
            name: service.serviceName,
            status: service.status,
            desired: service.desiredCount,
            running: service.runningCount,
            tags: Object.fromEntries(service.tags.map(({ key, value }) => [key, value])),
          });
        }
      }
      return found;
    },

    async bounds(cluster, service) {
      const answer = await scaling.send(
        new DescribeScalableTargetsCommand({
          ServiceNamespace: 'ecs',
          ResourceIds: [`service/${cluster}/${service}`],
          ScalableDimension: 'ecs:service:DesiredCount',
        }),
      );
      const [target] = targets.parse(answer).ScalableTargets;
      return target && { min: target.MinCapacity, max: target.MaxCapacity };
    },

    async tracked(cluster, service) {
      const answer = await scaling.send(
        new DescribeScalingPoliciesCommand({
          ServiceNamespace: 'ecs',
          ResourceId: `service/${cluster}/${service}`,
          ScalableDimension: 'ecs:service:DesiredCount',
        }),
      );
      return policies
        .parse(answer)
        .ScalingPolicies.flatMap(({ TargetTrackingScalingPolicyConfiguration: tracking }) => {
          if (tracking === undefined) return [];
          const { TargetValue, PredefinedMetricSpecification, CustomizedMetricSpecification: custom } = tracking;
          const metric =
            custom === undefined
              ? predefined(PredefinedMetricSpecification, cluster, service)
              : {
                  namespace: custom.Namespace,
                  name: custom.MetricName,
                  statistic: custom.Statistic,
                  dimensions: Object.fromEntries(custom.Dimensions.map(({ Name, Value }) => [Name, Value])),
                };
          return metric === undefined
            ? []
            : [{ name: metric.name, metric, target: TargetValue, reading: noneOf(metric) }];
        });
    },

    async read(metrics, now, minuteSeconds) {
      const minute = minuteSeconds * 1000;
      // The current minute is still incomplete.
      const end = Math.floor(now.getTime() / minute) * minute;
      const answer = await cloudWatch.send(
        new GetMetricDataCommand({
          StartTime: new Date(end - LOOK_BACK_MINUTES * minute),
          EndTime: new Date(end),
          MetricDataQueries: Object.entries(metrics).map(([Id, { namespace, name, statistic, dimensions }]) => ({
            Id,
            MetricStat: {
              Metric: {
                Namespace: namespace,
                MetricName: name,
                Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
              },
              Period: PERIOD_SECONDS,
              Stat: statistic,
            },
          })),
        }),
      );
      const readings: Record<string, Reading> = {};
      for (const { Id, StatusCode, Timestamps, Values } of metricData.parse(answer).MetricDataResults) {
        // Not the same as a metric without values, which can mean that there is no load. PartialData has the newest ones.
        if (StatusCode !== 'Complete' && StatusCode !== 'PartialData')
          throw new Error(`CloudWatch could not read ${Id}: ${StatusCode}`);
        let newest = Number.NEGATIVE_INFINITY;
        for (const [at, timestamp] of Timestamps.entries()) {
          const value = Values[at];
          if (value === undefined || timestamp.getTime() <= newest) continue;
          newest = timestamp.getTime();
          // CloudWatch's timestamp is the start of the period.
          readings[Id] = { value, ageMilliseconds: now.getTime() - newest - minute };
        }
      }
      return readings;
    },

    async tag(resourceArn, key, value) {
      await ecs.send(new TagResourceCommand({ resourceArn, tags: [{ key, value }] }));
    },

    async setDesired(cluster, service, desiredCount) {
      await ecs.send(new UpdateServiceCommand({ cluster, service, desiredCount }));
    },
  };
}

/**
 * The metric that a predefined specification of target tracking stands for; undefined for an unknown one.
 * https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PredefinedMetricSpecification.html
 */
function predefined(
  specification: { PredefinedMetricType: string; ResourceLabel: string } | undefined,
  cluster: string,
  service: string,
): Metric | undefined {
  const ecs = (name: string) => ({
    namespace: 'AWS/ECS',
    name,
    statistic: 'Average',
    dimensions: { ClusterName: cluster, ServiceName: service },
  });
  switch (specification?.PredefinedMetricType) {
    case 'ECSServiceAverageCPUUtilization':
      return ecs('CPUUtilization');
    case 'ECSServiceAverageMemoryUtilization':
      return ecs('MemoryUtilization');
    case 'ALBRequestCountPerTarget': {
      // app/<balancer>/<id>/targetgroup/<group>/<id>
      const [balancer = '', group = ''] = specification.ResourceLabel.split('/targetgroup/');
      return {
        namespace: 'AWS/ApplicationELB',
        name: 'RequestCountPerTarget',
        statistic: 'Sum',
        dimensions: { LoadBalancer: balancer, TargetGroup: `targetgroup/${group}` },
      };
    }
    default:
      return undefined;
  }
}

/** ECS always measures running tasks. Other metrics have no value for a minute without requests, which means no load. */
function noneOf({ namespace }: Metric): Reading | undefined {
  return namespace === 'AWS/ECS' ? undefined : { value: 0, ageMilliseconds: 0 };
}

function sdkClients(): Clients {
  return { ecs: new ECSClient(), scaling: new ApplicationAutoScalingClient(), cloudWatch: new CloudWatchClient() };
}
