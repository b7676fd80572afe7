/**
 * The CloudWatch alarms in the addons of a workload → alerting rules of the Prometheus in its kind cluster. The load
 * balancer's metrics are taken from what the pods report: `http_request_duration_seconds`, and whether they are ready.
 */
import { z } from 'zod';
import { type Template, textOf } from '../../local-kind/template.ts';
import type { Missing } from './alarms.ts';

/** An alarm of a workload. */
export interface WorkloadAlarm {
  /** Its logical id in the template. */
  readonly name: string;
  /** Its description on AWS. */
  readonly what: string;
  readonly prometheus: { readonly expression: string; readonly forSeconds: number } | Missing;
}

/** The names that descriptions may contain; `job` is what its pods are scraped as. */
export interface AlarmOwner {
  readonly application: string;
  readonly environment: string;
  readonly workload: string;
  readonly job: string;
}

const COMPARISONS: Readonly<Record<string, string>> = {
  GreaterThanThreshold: '>',
  GreaterThanOrEqualToThreshold: '>=',
  LessThanThreshold: '<',
  LessThanOrEqualToThreshold: '<=',
};

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudwatch-alarm.html */
const condition = z.looseObject({
  Namespace: z.string(),
  MetricName: z.string(),
  Statistic: z.string().optional(),
  ExtendedStatistic: z.string().optional(),
  Period: z.coerce.number().positive(),
  EvaluationPeriods: z.coerce.number().positive(),
  Threshold: z.coerce.number(),
  ComparisonOperator: z.enum(Object.keys(COMPARISONS)),
});
type Condition = z.infer<typeof condition>;

/**
 * The alarms of a template, in its order. `minuteSeconds` is how long a minute lasts: a shorter one makes an alarm quick.
 * Prometheus has no periods: an alarm fires when its condition was true for as long as all of its periods take.
 */
export function workloadAlarms(template: Template, owner: AlarmOwner, minuteSeconds: number): WorkloadAlarm[] {
  const known = new Map([
    ['App', owner.application],
    ['Env', owner.environment],
    ['Name', owner.workload],
  ]);
  return Object.entries(template.Resources).flatMap(([name, { Type, Properties }]) => {
    if (Type !== 'AWS::CloudWatch::Alarm' && Type !== 'AWS::CloudWatch::CompositeAlarm') return [];
    const what = textOf(Properties.AlarmDescription, known) ?? name;
    if (Type === 'AWS::CloudWatch::CompositeAlarm')
      return [{ name, what, prometheus: { missing: 'it combines other alarms' } }];
    return [{ name, what, prometheus: ruleOf(Properties, owner.job, minuteSeconds) }];
  });
}

function ruleOf(properties: Record<string, unknown>, job: string, minuteSeconds: number): WorkloadAlarm['prometheus'] {
  const { success, data } = condition.safeParse(properties);
  if (!success) return { missing: 'it compares no single metric with a number' };
  const scaled = (seconds: number) => Math.ceil((seconds * minuteSeconds) / 60);
  const measured =
    data.Namespace === 'AWS/ApplicationELB' ? loadBalancerMetric(data, job, `${scaled(data.Period)}s`) : undefined;
  if (measured === undefined)
    return {
      missing: `nothing here measures ${data.Namespace} ${data.MetricName} (${data.ExtendedStatistic ?? data.Statistic})`,
    };
  return {
    expression: `${measured} ${COMPARISONS[data.ComparisonOperator]} ${data.Threshold}`,
    forSeconds: scaled(data.Period * data.EvaluationPeriods),
  };
}

/**
 * A metric of a target group as PromQL, a sum as that of one period; undefined for one that pods do not report.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
 */
function loadBalancerMetric(
  { MetricName, Statistic, ExtendedStatistic, Period }: Condition,
  job: string,
  range: string,
): string | undefined {
  // The load balancer's own checks are in none of its metrics of requests.
  const requests = `job="${job}",route!~"/livez|/readyz"`;
  const [, status] = /^HTTPCode_Target_([2-5])XX_Count$/.exec(MetricName) ?? [];
  if ((status !== undefined || MetricName === 'RequestCount') && Statistic === 'Sum') {
    const selected = status === undefined ? requests : `${requests},status=~"${status}.."`;
    return `${Period} * sum(rate(http_request_duration_seconds_count{${selected}}[${range}]))`;
  }
  if (MetricName === 'TargetResponseTime') {
    const rate = (part: string) => `rate(http_request_duration_seconds_${part}{${requests}}[${range}])`;
    if (Statistic === 'Average') return `sum(${rate('sum')}) / sum(${rate('count')})`;
    const [, percent] = /^p([0-9.]+)$/.exec(ExtendedStatistic ?? '') ?? [];
    return percent && `histogram_quantile(${percent} / 100, sum by (le) (${rate('bucket')}))`;
  }
  const count = (ready: string) => `(count(up{job="${job}",${ready}}) or vector(0))`;
  if (MetricName === 'UnHealthyHostCount') return count('ready!="true"');
  if (MetricName === 'HealthyHostCount') return count('ready="true"');
  return undefined;
}
