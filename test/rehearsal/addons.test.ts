import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse } from 'yaml';
import { skipWithout } from '../skip.ts';
import { linters } from './linters.ts';

const addons = [
  'environments/addons/database.yml',
  'environments/addons/logs.yml',
  'plusone/addons/access.yml',
  'plusone/addons/alarms.yml',
  'plusone/addons/dashboard.yml',
  'plusone/addons/logs.yml',
  'plusone/addons/scaler.yml',
]
  .map((file) => `copilot/${file}`)
  .concat('tools/aws/uptime.yml', 'tools/aws/certificate.yml')
  .concat(
    // Those that plusone new writes.
    ['environments/addons/database.yml', 'widget-service/addons/access.yml', 'widget-service/addons/alarms.yml'].map(
      (file) => `tools/new/template/copilot/${file}`,
    ),
  );

describe('the addons of the environment and of the service', function () {
  this.timeout('5m');
  let tools: NonNullable<ReturnType<typeof linters>>;

  before(function () {
    const found = linters();
    tools = found ?? skipWithout(this, 'python3', 'cfn-lint and checkov need python3 with venv');
  });

  it('have no findings in cfn-lint', () => {
    const { code, output } = tools.run('cfn-lint', ['--', ...addons]);
    expect(code, output).to.equal(0);
  });

  it('have no findings in checkov without a documented reason', () => {
    // CKV_AWS_384 breaks off at a name that is a Fn::Sub. Without --skip-download it asks its maker's server.
    const words = [
      '--skip-download',
      '--quiet',
      '--compact',
      '--framework',
      'cloudformation',
      '--skip-check',
      'CKV_AWS_384',
    ];
    const { code, output } = tools.run('checkov', [...words, '--file', ...addons]);
    expect(code, output).to.equal(0);
  });

  it('let the task role read the secrets of its own environment and nothing else', () => {
    const access = parse(readFileSync('copilot/plusone/addons/access.yml', 'utf8'), { logLevel: 'silent' });
    const prefix = `arn:\${AWS::Partition}:ssm:\${AWS::Region}:\${AWS::AccountId}:parameter`;
    const secrets = `${prefix}/copilot/\${App}/\${Env}/secrets`;
    expect(access.Resources.SecretsPolicy.Properties.PolicyDocument.Statement).to.deep.equal([
      {
        Sid: 'ReadSecrets',
        Effect: 'Allow',
        Action: ['ssm:GetParametersByPath', 'ssm:GetParameters'],
        Resource: [secrets, `${secrets}/*`],
      },
    ]);
  });

  it('let the scaler change only its own service', () => {
    const scaler = parse(readFileSync('copilot/plusone/addons/scaler.yml', 'utf8'), { logLevel: 'silent' });
    const statements: { Action: string | string[]; Resource: unknown; Condition?: unknown }[] =
      scaler.Resources.ScalerRole.Properties.Policies[0].PolicyDocument.Statement;
    const changing = statements.filter(({ Action }) => /Update|Tag|Delete|Create|Put/.test([Action].flat().join()));
    expect(changing.map(({ Action, Resource }) => [Action, [Resource].flat()[0]])).to.deep.equal([
      [
        ['ecs:DescribeServices', 'ecs:UpdateService', 'ecs:TagResource'],
        `arn:\${AWS::Partition}:ecs:\${AWS::Region}:\${AWS::AccountId}:service/\${Cluster}/\${App}-\${Env}-\${Name}-Service*`,
      ],
      [['logs:CreateLogStream', 'logs:PutLogEvents'], 'ScalerLog.Arn'],
    ]);
    const everywhere = statements.filter(({ Resource, Condition }) => Resource === '*' && Condition === undefined);
    expect(everywhere.flatMap(({ Action }) => Action)).to.deep.equal([
      'application-autoscaling:DescribeScalableTargets',
      'application-autoscaling:DescribeScalingPolicies',
      'cloudwatch:GetMetricData',
    ]);
  });
});
