import { readFileSync } from 'node:fs';
import { parser } from '@prometheus-io/lezer-promql';
import { expect } from 'chai';
import { parseTemplate } from '../../../local-kind/template.ts';
import { createMetrics } from '../../../src/operations/metrics.ts';
import { type WorkloadAlarm, workloadAlarms } from '../../../tools/alerts/workspace.ts';
import { idle } from '../../idle.ts';

const OWNER = { application: 'shop', environment: 'local', workload: 'web', job: 'web' };
const REQUESTS = 'http_request_duration_seconds';
const generated = 'tools/new/template/copilot/widget-service/addons/alarms.yml';

const alarmsOf = (text: string, minuteSeconds = 60) =>
  workloadAlarms(parseTemplate(text, 'alarms.yml'), OWNER, minuteSeconds);

/** The one alarm on that metric. */
function alarmOn(properties: Record<string, unknown>): WorkloadAlarm['prometheus'] {
  const alarm = {
    Namespace: 'AWS/ApplicationELB',
    MetricName: 'HTTPCode_Target_5XX_Count',
    Statistic: 'Sum',
    Period: 60,
    EvaluationPeriods: 1,
    Threshold: 1,
    ComparisonOperator: 'GreaterThanThreshold',
    ...properties,
  };
  const [only] = alarmsOf(
    JSON.stringify({ Resources: { One: { Type: 'AWS::CloudWatch::Alarm', Properties: alarm } } }),
  );
  if (only === undefined) throw new Error('the template has one alarm');
  return only.prometheus;
}

describe('the alarms of a workload as rules of Prometheus', () => {
  it('are those of the addons, with their description, threshold and time', () => {
    const alarms = alarmsOf(readFileSync(generated, 'utf8'));
    expect(alarms.map(({ name }) => name)).to.deep.equal(['Errors', 'Slow', 'Unhealthy']);
    expect(alarms[0]).to.deep.equal({
      name: 'Errors',
      what: 'shop-local-web answered at least five requests a minute with 5xx, for three minutes',
      prometheus: {
        expression: `60 * sum(rate(${REQUESTS}_count{job="web",route!~"/livez|/readyz",status=~"5.."}[60s])) >= 5`,
        forSeconds: 180,
      },
    });
  });

  it('are valid, and ask for metrics that a service has', () => {
    const metrics = createMetrics({ version: '1', revision: 'abc' }, () => idle).registry.getMetricsAsArray();
    const known = metrics.flatMap(({ name }) => [name, `${name}_bucket`, `${name}_count`, `${name}_sum`]);
    for (const { name, prometheus } of alarmsOf(readFileSync(generated, 'utf8'))) {
      if ('missing' in prometheus) expect.fail(`${name}: ${prometheus.missing}`);
      parser.parse(prometheus.expression).iterate({
        enter: ({ type, from }) => {
          if (type.isError) expect.fail(`${name}: ${prometheus.expression.slice(from)}`);
        },
      });
      for (const [used] of prometheus.expression.matchAll(/\bhttp_\w+/g)) expect(known).to.include(used);
    }
  });

  it('keep their thresholds by the real minute if a minute of them is shorter', () => {
    const [errors] = alarmsOf(readFileSync(generated, 'utf8'), 10);
    expect(errors?.prometheus).to.deep.equal({
      expression: `60 * sum(rate(${REQUESTS}_count{job="web",route!~"/livez|/readyz",status=~"5.."}[10s])) >= 5`,
      forSeconds: 30,
    });
  });

  const rate = (part: string) => `rate(${REQUESTS}_${part}{job="web",route!~"/livez|/readyz"}[60s])`;
  for (const [title, properties, expression] of [
    ['requests', { MetricName: 'RequestCount' }, `60 * sum(${rate('count')}) > 1`],
    [
      'an average',
      { MetricName: 'TargetResponseTime', Statistic: 'Average' },
      `sum(${rate('sum')}) / sum(${rate('count')}) > 1`,
    ],
    [
      'a percentile',
      { MetricName: 'TargetResponseTime', Statistic: undefined, ExtendedStatistic: 'p99.9' },
      `histogram_quantile(99.9 / 100, sum by (le) (${rate('bucket')})) > 1`,
    ],
    [
      'healthy targets',
      { MetricName: 'HealthyHostCount', Statistic: 'Minimum', ComparisonOperator: 'LessThanThreshold' },
      '(count(up{job="web",ready="true"}) or vector(0)) < 1',
    ],
    [
      'unhealthy targets',
      { MetricName: 'UnHealthyHostCount' },
      '(count(up{job="web",ready!="true"}) or vector(0)) > 1',
    ],
  ] as const)
    it(`measure ${title} of the load balancer`, () => {
      expect(alarmOn(properties)).to.deep.include({ expression });
    });

  for (const [title, properties, missing] of [
    ['of another service', { Namespace: 'AWS/RDS', MetricName: 'FreeStorageSpace' }, 'nothing here measures AWS/RDS'],
    ['that pods do not report', { MetricName: 'RejectedConnectionCount' }, 'measures AWS/ApplicationELB Rejected'],
    ['with a threshold of the template', { Threshold: { Ref: 'Limit' } }, 'compares no single metric with a number'],
    ['by a band', { ComparisonOperator: 'LessThanLowerThreshold' }, 'compares no single metric with a number'],
  ] as const)
    it(`say why an alarm ${title} is not evaluated`, () => {
      expect(JSON.stringify(alarmOn(properties))).to.contain(missing);
    });

  it('name a composite alarm, and no other resource', () => {
    const text =
      'Resources: { All: { Type: AWS::CloudWatch::CompositeAlarm, Properties: { AlarmRule: x } }, T: { Type: AWS::SNS::Topic } }';
    expect(alarmsOf(text)).to.deep.equal([
      { name: 'All', what: 'All', prometheus: { missing: 'it combines other alarms' } },
    ]);
  });
});
