/** The definition of alarms → CloudWatch's alarms: an addon of the service, and the stack of `make uptime`. */
import { stringify } from 'yaml';
import type { Alarm, Combination, MetricCondition } from './alarms.ts';
import { CHECKS } from './probe.ts';
import { runbookOf } from './runbook.ts';

const HEADER = '# Made from tools/alerts/alarms.ts by `npm run alerts:build`: change that, not this.\n';

/** The common properties of the alarms of a stack. */
interface StackNames {
  /** Application, environment and name of the service, for `Fn::Sub`. */
  readonly service: string;
  readonly region: string;
  /** The topics that are notified. */
  readonly topics: Readonly<Record<Alarm['urgency'], readonly object[]>>;
}

const exported = (name: string) => ({ 'Fn::ImportValue': { 'Fn::Sub': `\${App}-\${Env}-${name}` } });

const OF_THE_SERVICE: StackNames = {
  service: `\${App}-\${Env}-\${Name}`,
  region: `\${AWS::Region}`,
  topics: { page: [exported('PageTopic'), exported('AlarmTopic')], inform: [exported('AlarmTopic')], part: [] },
};
const OF_UPTIME: StackNames = {
  service: `\${Service}`,
  region: `\${Region}`,
  topics: { page: [{ Ref: 'PageTopic' }], inform: [], part: [] },
};

const OF_THE_CERTIFICATE: StackNames = {
  service: `\${Service}`,
  region: `\${AWS::Region}`,
  topics: { page: [], inform: [{ Ref: 'AlarmTopic' }], part: [] },
};

interface Dimension {
  Name: string | object;
  Value: object;
}

const OWNERS: Readonly<Record<MetricCondition['of'], { namespace: string; dimensions: readonly Dimension[] }>> = {
  loadBalancer: {
    namespace: 'AWS/ApplicationELB',
    dimensions: [
      { Name: 'LoadBalancer', Value: { Ref: 'LoadBalancer' } },
      { Name: 'TargetGroup', Value: { Ref: 'TargetGroup' } },
    ],
  },
  database: {
    namespace: 'AWS/RDS',
    dimensions: [{ Name: exported('DatabaseDimension'), Value: exported('Database') }],
  },
  // The name in environments/addons/logs.yml.
  deadLetters: {
    namespace: 'AWS/SQS',
    dimensions: [{ Name: 'QueueName', Value: { 'Fn::Sub': `\${App}-\${Env}-logs-not-shipped` } }],
  },
  // As functions/scaler.ts logs them; the prefix is that of scaler.yml.
  scaler: {
    namespace: 'Scaler',
    dimensions: [{ Name: 'ServicePrefix', Value: { 'Fn::Sub': `\${App}-\${Env}-\${Name}-Service` } }],
  },
  pageCheck: { namespace: 'AWS/Route53', dimensions: [{ Name: 'HealthCheckId', Value: { Ref: 'PageCheck' } }] },
  birthdayCheck: { namespace: 'AWS/Route53', dimensions: [{ Name: 'HealthCheckId', Value: { Ref: 'BirthdayCheck' } }] },
  certificate: {
    namespace: 'AWS/CertificateManager',
    dimensions: [{ Name: 'CertificateArn', Value: { Ref: 'Certificate' } }],
  },
};

/**
 * The addon. Alarms that page notify PageTopic; these and the informing ones notify AlarmTopic. Both are notified again with
 * the same name when the alarm ends.
 */
export function cloudWatchAddon(alarms: readonly Alarm[]): string {
  return text({
    Parameters: {
      App: { Type: 'String' },
      Env: { Type: 'String' },
      Name: { Type: 'String' },
      LoadBalancer: { Type: 'String' },
      TargetGroup: { Type: 'String' },
      // As in plusone/addons/logs.yml: Copilot asks for the same words in both.
      LogsTo: { Type: 'String', AllowedValues: ['none', 'opensearch', 'datadog', 'newrelic'] },
      LogsIn: { Type: 'String' },
    },
    Conditions: {
      LogsAreShipped: {
        'Fn::And': [
          { 'Fn::Not': [{ 'Fn::Equals': [{ Ref: 'LogsTo' }, 'none'] }] },
          {
            'Fn::Or': [
              { 'Fn::Equals': [{ Ref: 'LogsIn' }, 'all'] },
              { 'Fn::Equals': [{ Ref: 'LogsIn' }, { Ref: 'Env' }] },
            ],
          },
        ],
      },
    },
    Resources: resources(
      alarms.filter(({ stack }) => stack === undefined),
      OF_THE_SERVICE,
    ),
  });
}

/**
 * The stack of `make uptime`: Route 53 asks from 16 places, every 30 seconds, for the page, which needs no database, and for
 * a birthday, which does. The metrics of health checks are in us-east-1 only.
 */
export function uptimeTemplate(alarms: readonly Alarm[]): string {
  return text({
    Parameters: {
      Service: { Type: 'String', Description: 'Application, environment and name, such as plusone-prod-plusone' },
      Region: { Type: 'String', Description: 'Where the service is, with its dashboard' },
      Protocol: { Type: 'String', AllowedValues: ['HTTP', 'HTTPS'] },
      Host: { Type: 'String' },
      Port: { Type: 'Number' },
    },
    Resources: {
      PageCheck: healthCheck('page', CHECKS.page.path, CHECKS.page.text),
      BirthdayCheck: healthCheck('birthday', CHECKS.birthday.path, CHECKS.birthday.text),
      ...resources(
        alarms.filter(({ stack }) => stack === 'uptime'),
        OF_UPTIME,
      ),
      PageTopic: {
        Type: 'AWS::SNS::Topic',
        Metadata: {
          checkov: {
            skip: [
              {
                id: 'CKV_AWS_26',
                comment:
                  'CloudWatch cannot publish to a topic that is encrypted with alias/aws/sns. The messages contain no user data',
              },
            ],
          },
        },
        Properties: { TopicName: { 'Fn::Sub': `\${Service}-unreachable` } },
      },
    },
    Outputs: { PageTopic: { Value: { Ref: 'PageTopic' } } },
  });
}

/** The other stack of `make uptime`, for a service with HTTPS: its certificate's metrics are in its own region. */
export function certificateTemplate(alarms: readonly Alarm[]): string {
  return text({
    Parameters: {
      Service: { Type: 'String', Description: 'Application, environment and name, such as plusone-prod-plusone' },
      Certificate: { Type: 'String', Description: 'The ARN of the certificate in ACM' },
      AlarmTopic: { Type: 'String', Description: 'The ARN of the topic that informs' },
    },
    Resources: resources(
      alarms.filter(({ stack }) => stack === 'certificate'),
      OF_THE_CERTIFICATE,
    ),
  });
}

function healthCheck(what: string, path: string, answer: string): object {
  return {
    Type: 'AWS::Route53::HealthCheck',
    Properties: {
      HealthCheckConfig: {
        Type: { 'Fn::Sub': `\${Protocol}_STR_MATCH` },
        FullyQualifiedDomainName: { Ref: 'Host' },
        Port: { Ref: 'Port' },
        ResourcePath: path,
        SearchString: answer,
        RequestInterval: 30,
        FailureThreshold: 3,
      },
      HealthCheckTags: [{ Key: 'Name', Value: { 'Fn::Sub': `\${Service} ${what}` } }],
    },
  };
}

function text(template: object): string {
  return `${HEADER}${stringify(template, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}

function resources(alarms: readonly Alarm[], names: StackNames): Record<string, object> {
  const entries = alarms.flatMap((alarm): [string, object][] => {
    const { name, cloudwatch } = alarm;
    if ('of' in cloudwatch) return [[name, metricAlarm(alarm, cloudwatch, names)]];
    return 'missing' in cloudwatch ? [] : [[name, compositeAlarm(alarm, cloudwatch, names)]];
  });
  return Object.fromEntries(entries);
}

function metricAlarm(alarm: Alarm, condition: MetricCondition, names: StackNames): object {
  const { namespace, dimensions } = OWNERS[condition.of];
  const isPercentile = /^p\d/.test(condition.statistic);
  return {
    Type: 'AWS::CloudWatch::Alarm',
    ...(condition.of === 'deadLetters' ? { Condition: 'LogsAreShipped' } : {}),
    Properties: {
      AlarmDescription: description(alarm, names),
      Namespace: namespace,
      MetricName: condition.name,
      Dimensions: dimensions,
      ...(isPercentile
        ? { ExtendedStatistic: condition.statistic, EvaluateLowSampleCountPercentile: 'ignore' }
        : { Statistic: condition.statistic }),
      Period: condition.periodSeconds,
      EvaluationPeriods: condition.periods,
      Threshold: condition.threshold,
      ComparisonOperator: condition.comparison,
      TreatMissingData: condition.missing,
      ...actions(alarm, names),
    },
  };
}

function compositeAlarm(alarm: Alarm, condition: Combination, names: StackNames): object {
  return {
    Type: 'AWS::CloudWatch::CompositeAlarm',
    Properties: {
      // PagerDuty and chat show the name of the alarm, and take it for the key under which it resolves.
      AlarmName: { 'Fn::Sub': `${names.service}-${alarm.name}` },
      AlarmDescription: description(alarm, names),
      AlarmRule: { 'Fn::Sub': expression(condition) },
      ...actions(alarm, names),
    },
  };
}

function actions({ urgency }: Alarm, names: StackNames): object {
  const topics = names.topics[urgency];
  return topics.length === 0 ? {} : { AlarmActions: topics, OKActions: topics };
}

function description({ name, what }: Alarm, { service, region }: StackNames): object {
  const console = `https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}`;
  const dashboard = `${console}#dashboards/dashboard/${service}`;
  return { 'Fn::Sub': `${service} ${what}. Runbook: ${runbookOf(name)} Dashboard: ${dashboard}` };
}

function expression(condition: Combination): string {
  const [members, operator] = 'anyOf' in condition ? [condition.anyOf, ' OR '] : [condition.allOf, ' AND '];
  return members
    .map((member) => (typeof member === 'string' ? `ALARM("\${${member}}")` : `(${expression(member)})`))
    .join(operator);
}
