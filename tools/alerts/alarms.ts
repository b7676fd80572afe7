/**
 * The definition of all alarms, from which the CloudWatch alarms (cloudwatch.ts) and the Prometheus rules (prometheus.ts) are
 * generated. docs/runbook.md has a section for each, by its name; a test compares them.
 */

/** A CloudWatch metric compared with a threshold, for some consecutive periods. */
export interface MetricCondition {
  readonly of: 'loadBalancer' | 'database' | 'deadLetters' | 'scaler' | 'pageCheck' | 'birthdayCheck' | 'certificate';
  readonly name: string;
  /** Sum, Average, Minimum, or a percentile such as p99. */
  readonly statistic: string;
  readonly comparison: 'GreaterThanThreshold' | 'GreaterThanOrEqualToThreshold' | 'LessThanThreshold';
  readonly threshold: number;
  readonly periodSeconds: number;
  readonly periods: number;
  /** How a period without data is treated. */
  readonly missing: 'breaching' | 'notBreaching';
}

/** A combination of other alarms: true while any or all of them are. */
export type Combination =
  | { readonly anyOf: readonly (string | Combination)[] }
  | { readonly allOf: readonly (string | Combination)[] };

/** A Prometheus alert: PromQL that has a result while it is true, and how long it must be true. */
export interface Rule {
  /** `MINUTE` stands for a minute as a range, so that a test can have shorter ones. */
  readonly expression: string;
  readonly forSeconds: number;
  /** Whether it pages; Alertmanager groups all paging alerts of a service into one page. */
  readonly pages: boolean;
}

/** Why CloudWatch or Prometheus does not have an alarm. */
export interface Missing {
  readonly missing: string;
}

export interface Alarm {
  readonly name: string;
  /** The problem, as the end of a sentence that begins with the name of the service. */
  readonly what: string;
  /**
   * page: notifies a person immediately, because only a person can fix it.
   * inform: mail or chat, in working hours.
   * part: has no action on AWS, and is part of a combination.
   */
  readonly urgency: 'page' | 'inform' | 'part';
  /**
   * Where it is on AWS: in a stack of `make uptime`, of which that of the health checks is in another region; without it in
   * that of the service.
   */
  readonly stack?: 'uptime' | 'certificate';
  readonly cloudwatch: MetricCondition | Combination | Missing;
  readonly prometheus: Rule | Missing;
}

const REQUESTS = 'http_request_duration_seconds';
const MINUTES = 60;

const perMinute = { periodSeconds: 60, missing: 'notBreaching' } as const;
const moreThanTen = { statistic: 'Sum', comparison: 'GreaterThanThreshold', threshold: 10, ...perMinute } as const;

const failedCheck = {
  name: 'HealthCheckStatus',
  statistic: 'Minimum',
  comparison: 'LessThanThreshold',
  threshold: 1,
  periodSeconds: 60,
  periods: 1,
  missing: 'breaching',
} as const;

/** `maximum` is the most tasks that the service may have. */
export function alarms(maximum: number): readonly Alarm[] {
  return [
    {
      name: 'Outage',
      what: 'does not serve its callers: no task is healthy, requests fail, or all tasks together are too slow',
      urgency: 'page',
      cloudwatch: { anyOf: ['NoHealthyTask', 'Errors', 'LoadBalancerErrors', { allOf: ['Slow', 'AtMaximumSize'] }] },
      prometheus: { missing: 'Alertmanager makes one page of the alerts of a service that page' },
    },
    {
      name: 'NoHealthyTask',
      what: 'has no healthy task',
      urgency: 'part',
      cloudwatch: {
        of: 'loadBalancer',
        name: 'HealthyHostCount',
        statistic: 'Minimum',
        comparison: 'LessThanThreshold',
        threshold: 1,
        periodSeconds: 60,
        periods: 2,
        missing: 'breaching',
      },
      // No pod is as bad as none that answers, except before the first: Prometheus has to find them as it starts.
      prometheus: {
        expression: '(sum(up{job="plusone"}) or 0 * count(present_over_time(up{job="plusone"}[1d]))) == 0',
        forSeconds: 4,
        pages: true,
      },
    },
    {
      name: 'Errors',
      what: 'answered more than 10 requests a minute with 5xx, for 3 minutes',
      urgency: 'part',
      cloudwatch: { of: 'loadBalancer', name: 'HTTPCode_Target_5XX_Count', periods: 3, ...moreThanTen },
      prometheus: {
        expression: `60 * sum(rate(${REQUESTS}_count{route!~"/livez|/readyz",status=~"5.."}[MINUTE])) > 10`,
        forSeconds: 3 * MINUTES,
        pages: true,
      },
    },
    {
      name: 'LoadBalancerErrors',
      what: 'could not be reached by its load balancer, for more than 10 requests a minute, for 3 minutes',
      urgency: 'part',
      cloudwatch: { of: 'loadBalancer', name: 'HTTPCode_ELB_5XX_Count', periods: 3, ...moreThanTen },
      prometheus: { missing: 'The kind cluster has no load balancer that counts' },
    },
    {
      name: 'Slow',
      what: 'has a p99 response time above 500 ms, for 5 minutes',
      urgency: 'inform',
      cloudwatch: {
        of: 'loadBalancer',
        name: 'TargetResponseTime',
        statistic: 'p99',
        comparison: 'GreaterThanThreshold',
        threshold: 0.5,
        periods: 5,
        ...perMinute,
      },
      prometheus: { expression: SLOW, forSeconds: 5 * MINUTES, pages: false },
    },
    {
      name: 'AtMaximumSize',
      what: `has had all of its ${maximum} tasks for 5 minutes`,
      urgency: 'part',
      cloudwatch: {
        of: 'loadBalancer',
        name: 'HealthyHostCount',
        statistic: 'Minimum',
        comparison: 'GreaterThanOrEqualToThreshold',
        threshold: maximum,
        periods: 5,
        ...perMinute,
      },
      prometheus: { missing: 'Part of SlowAtMaximumSize' },
    },
    {
      name: 'SlowAtMaximumSize',
      what: 'has a p99 response time above 500 ms with all of its tasks, for 5 minutes',
      urgency: 'part',
      cloudwatch: { missing: 'Outage combines Slow and AtMaximumSize' },
      prometheus: { expression: `${SLOW} and on() ${AT_MAXIMUM}`, forSeconds: 5 * MINUTES, pages: true },
    },
    {
      name: 'DatabaseFull',
      what: 'has less than 2 GB of storage left in its database',
      urgency: 'page',
      cloudwatch: {
        of: 'database',
        name: 'FreeStorageSpace',
        statistic: 'Minimum',
        comparison: 'LessThanThreshold',
        threshold: 2_000_000_000,
        periodSeconds: 300,
        periods: 1,
        missing: 'notBreaching',
      },
      prometheus: { missing: "Nothing in the kind cluster measures the volume of MySQL's data" },
    },
    {
      name: 'DatabaseBusy',
      what: 'has a database whose CPU has been above 80 % for 10 minutes',
      urgency: 'inform',
      cloudwatch: {
        of: 'database',
        name: 'CPUUtilization',
        // Of Aurora's instances the busiest.
        statistic: 'Maximum',
        comparison: 'GreaterThanThreshold',
        threshold: 80,
        periodSeconds: 60,
        periods: 10,
        missing: 'notBreaching',
      },
      prometheus: { missing: 'Nothing in the kind cluster measures the CPU of MySQL' },
    },
    {
      name: 'LogsNotShipped',
      what: 'has log lines that could not be stored where logs are searched; they are kept for 14 days',
      urgency: 'inform',
      cloudwatch: {
        of: 'deadLetters',
        name: 'ApproximateNumberOfMessagesVisible',
        statistic: 'Maximum',
        comparison: 'GreaterThanThreshold',
        threshold: 0,
        periodSeconds: 300,
        periods: 1,
        missing: 'notBreaching',
      },
      prometheus: { missing: 'The cluster has no dead-letter queue: its log reader waits and sends again' },
    },
    {
      name: 'ScalerFails',
      what: 'has a scaler that failed or did not run for 3 minutes; the tasks that run are left as they are',
      urgency: 'inform',
      cloudwatch: {
        of: 'scaler',
        name: 'Failed',
        statistic: 'Maximum',
        comparison: 'GreaterThanOrEqualToThreshold',
        threshold: 1,
        periodSeconds: 60,
        periods: 3,
        // A scaler that does not run reports nothing.
        missing: 'breaching',
      },
      // Without the Service of a scaler there is nothing to be up.
      prometheus: {
        expression: '(max(scaler_failed) or max(1 - up{job="scaler"})) == 1',
        forSeconds: 3 * MINUTES,
        pages: false,
      },
    },
    {
      name: 'AtMaximum',
      what: 'has a scaler that wanted more tasks than the maximum for 5 minutes',
      urgency: 'inform',
      cloudwatch: {
        of: 'scaler',
        name: 'AtMaximum',
        statistic: 'Minimum',
        comparison: 'GreaterThanOrEqualToThreshold',
        threshold: 1,
        periods: 5,
        ...perMinute,
      },
      prometheus: { expression: 'max(scaler_at_maximum) == 1', forSeconds: 5 * MINUTES, pages: false },
    },
    {
      name: 'Unreachable',
      what: 'does not answer from outside: its page, or a birthday',
      urgency: 'page',
      stack: 'uptime',
      cloudwatch: { anyOf: ['PageUnreachable', 'BirthdayUnreachable'] },
      prometheus: { expression: 'min(probe_success{job="uptime"}) == 0', forSeconds: 10, pages: true },
    },
    {
      name: 'PageUnreachable',
      what: 'does not answer with its page from outside',
      urgency: 'part',
      stack: 'uptime',
      cloudwatch: { of: 'pageCheck', ...failedCheck },
      prometheus: { missing: 'Unreachable has both checks; the page names the one that fails' },
    },
    {
      name: 'BirthdayUnreachable',
      what: 'does not answer with a birthday from outside',
      urgency: 'part',
      stack: 'uptime',
      cloudwatch: { of: 'birthdayCheck', ...failedCheck },
      prometheus: { missing: 'As PageUnreachable' },
    },
    {
      name: 'CertificateExpires',
      what: 'has a certificate that expires in less than 14 days',
      urgency: 'inform',
      stack: 'certificate',
      // ACM reports it twice a day: https://docs.aws.amazon.com/acm/latest/userguide/cloudwatch-metrics.html
      cloudwatch: {
        of: 'certificate',
        name: 'DaysToExpiry',
        statistic: 'Minimum',
        comparison: 'LessThanThreshold',
        threshold: 14,
        periodSeconds: 86_400,
        periods: 1,
        missing: 'notBreaching',
      },
      prometheus: { missing: 'The kind cluster has no certificate' },
    },
  ];
}

/** A p99 response time above 500 ms. */
export const SLOW = `histogram_quantile(0.99, sum by (le) (rate(${REQUESTS}_bucket{route!~"/livez|/readyz"}[MINUTE]))) > 0.5`;
const AT_MAXIMUM =
  'sum(kube_horizontalpodautoscaler_status_current_replicas{horizontalpodautoscaler="plusone"} >= ' +
  'kube_horizontalpodautoscaler_spec_max_replicas)';
