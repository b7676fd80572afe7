/** The definition of alarms → an addon of the service with CloudWatch's alarms. */
import { stringify } from 'yaml';
import type { Alarm, Combination, MetricCondition } from './alarms.ts';
import { runbookOf } from './runbook.ts';

const SERVICE = `\${App}-\${Env}-\${Name}`;
const DASHBOARD =
  `https://\${AWS::Region}.console.aws.amazon.com/cloudwatch/home?region=\${AWS::Region}` +
  `#dashboards/dashboard/${SERVICE}`;
const topic = (name: string) => ({ 'Fn::ImportValue': { 'Fn::Sub': `\${App}-\${Env}-${name}` } });
const TOPICS = { page: [topic('PageTopic'), topic('AlarmTopic')], inform: [topic('AlarmTopic')], part: [] } as const;

const OWNERS: Readonly<
  Record<MetricCondition['of'], { namespace: string; dimensions: Readonly<Record<string, object>> }>
> = {
  loadBalancer: {
    namespace: 'AWS/ApplicationELB',
    dimensions: { LoadBalancer: { Ref: 'LoadBalancer' }, TargetGroup: { Ref: 'TargetGroup' } },
  },
  database: {
    namespace: 'AWS/RDS',
    dimensions: { DBInstanceIdentifier: { 'Fn::ImportValue': { 'Fn::Sub': `\${App}-\${Env}-Database` } } },
  },
  // The name in environments/addons/logs.yml.
  deadLetters: { namespace: 'AWS/SQS', dimensions: { QueueName: { 'Fn::Sub': `\${App}-\${Env}-logs-not-shipped` } } },
};

/**
 * The addon. Only what is urgent notifies the topic PageTopic; that and what informs notifies AlarmTopic, and both again
 * when it is over, under the same name.
 */
export function cloudWatchAddon(alarms: readonly Alarm[]): string {
  const resources = alarms.flatMap((alarm): [string, object][] => {
    const { name, cloudwatch } = alarm;
    if ('of' in cloudwatch) return [[name, metricAlarm(alarm, cloudwatch)]];
    return 'missing' in cloudwatch ? [] : [[name, compositeAlarm(alarm, cloudwatch)]];
  });
  const template = {
    Parameters: {
      App: { Type: 'String' },
      Env: { Type: 'String' },
      Name: { Type: 'String' },
      LoadBalancer: { Type: 'String' },
      TargetGroup: { Type: 'String' },
      // As in plusone/addons/logs.yml: Copilot asks for the same words in both.
      LogsTo: { Type: 'String', AllowedValues: ['none', 'opensearch', 'datadog', 'newrelic'] },
    },
    Conditions: { LogsAreShipped: { 'Fn::Not': [{ 'Fn::Equals': [{ Ref: 'LogsTo' }, 'none'] }] } },
    Resources: Object.fromEntries(resources),
  };
  return `# Made from tools/alerts/alarms.ts by \`npm run alerts:build\`: change that, not this.\n${stringify(template, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}

function metricAlarm(alarm: Alarm, condition: MetricCondition): object {
  const { namespace, dimensions } = OWNERS[condition.of];
  const isPercentile = /^p\d/.test(condition.statistic);
  return {
    Type: 'AWS::CloudWatch::Alarm',
    ...(condition.of === 'deadLetters' ? { Condition: 'LogsAreShipped' } : {}),
    Properties: {
      AlarmDescription: description(alarm),
      Namespace: namespace,
      MetricName: condition.name,
      Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
      ...(isPercentile
        ? { ExtendedStatistic: condition.statistic, EvaluateLowSampleCountPercentile: 'ignore' }
        : { Statistic: condition.statistic }),
      Period: condition.periodSeconds,
      EvaluationPeriods: condition.periods,
      Threshold: condition.threshold,
      ComparisonOperator: condition.comparison,
      TreatMissingData: condition.missing,
      ...actions(alarm),
    },
  };
}

function compositeAlarm(alarm: Alarm, condition: Combination): object {
  return {
    Type: 'AWS::CloudWatch::CompositeAlarm',
    Properties: {
      // PagerDuty and chat show the name of the alarm, and take it for the key under which it resolves.
      AlarmName: { 'Fn::Sub': `${SERVICE}-${alarm.name}` },
      AlarmDescription: description(alarm),
      AlarmRule: { 'Fn::Sub': expression(condition) },
      ...actions(alarm),
    },
  };
}

function actions({ urgency }: Alarm): object {
  const topics = TOPICS[urgency];
  return topics.length === 0 ? {} : { AlarmActions: topics, OKActions: topics };
}

function description({ name, what }: Alarm): object {
  return { 'Fn::Sub': `${SERVICE} ${what}. Runbook: ${runbookOf(name)} Dashboard: ${DASHBOARD}` };
}

function expression(condition: Combination): string {
  const [members, operator] = 'anyOf' in condition ? [condition.anyOf, ' OR '] : [condition.allOf, ' AND '];
  return members
    .map((member) => (typeof member === 'string' ? `ALARM("\${${member}}")` : `(${expression(member)})`))
    .join(operator);
}
