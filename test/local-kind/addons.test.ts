import { expect } from 'chai';
import { planAddons } from '../../local-kind/addons.ts';
import { parseTemplate } from '../../local-kind/template.ts';

const owner = {
  application: 'shop',
  environment: 'test',
  workload: 'web',
  namespace: 'local-aws',
  exports: new Map([['shop-test-Bus', 'orders']]),
  stackExports: new Set<string>(),
};

/** The addons of the service `web` with these lines below Resources and Outputs. */
function plan(resources: string, outputs = '', parameters: Record<string, unknown> = {}) {
  const text = `Parameters:\n  App: { Type: String }\n  Env: { Type: String }\n  Name: { Type: String }\n  Vpc: { Type: String, Default: none }\nResources:\n${resources}\n${outputs && `Outputs:\n${outputs}`}`;
  return planAddons(parseTemplate(text, 'addons.yml'), parameters, owner);
}

const postgres = `
  DbSecret:
    Type: AWS::SecretsManager::Secret
    Properties:
      GenerateSecretString: { SecretStringTemplate: '{"username":"shop"}', GenerateStringKey: password }
  Cluster:
    Type: AWS::RDS::DBCluster
    Properties:
      Engine: aurora-postgresql
      EngineVersion: '16.6'
      DatabaseName: orders
      MasterUsername: !Join ['', ['{{resolve:secretsmanager:', !Ref DbSecret, ':SecretString:username}}']]
      MasterUserPassword: !Join ['', ['{{resolve:secretsmanager:', !Ref DbSecret, ':SecretString:password}}']]
  Writer:
    Type: AWS::RDS::DBInstance
    Properties: { Engine: aurora-postgresql, DBClusterIdentifier: !Ref Cluster, DBInstanceClass: db.serverless }
  Attachment:
    Type: AWS::SecretsManager::SecretTargetAttachment
    Properties: { SecretId: !Ref DbSecret, TargetId: !Ref Cluster, TargetType: AWS::RDS::DBCluster }`;

describe('planAddons', () => {
  it('replaces an Aurora cluster and its instance by one PostgreSQL server', () => {
    const { databases, template } = plan(postgres);
    expect(databases).to.have.length(1);
    expect(databases[0]).to.include({ engine: 'postgres', image: 'postgres:16', user: 'shop', database: 'orders' });
    expect(Object.keys(template.Resources)).to.deep.equal(['DbSecret']);
  });

  it('gives the secret of a database what Secrets Manager adds to it, with the address of the pod', () => {
    const { secrets, databases } = plan(postgres, '  DbSecret: { Value: !Ref DbSecret }');
    expect(JSON.parse(secrets.get('DB_SECRET') ?? '')).to.deep.equal({
      username: 'shop',
      password: databases[0]?.password,
      engine: 'postgres',
      host: 'web-cluster.local-aws.svc.cluster.local',
      port: 5432,
      dbClusterIdentifier: 'web-cluster',
      dbname: 'orders',
    });
  });

  for (const reference of [':SecretString:password', '::password', '::password:AWSCURRENT', ':SecretString:password::'])
    it(`takes the password of a database from a secret named with ${reference}`, () => {
      const { databases } = plan(postgres.replace("':SecretString:password}}'", `'${reference}}}'`));
      expect(databases[0]?.password).to.match(/^local-[0-9a-f]{20}$/);
    });

  it('knows secrets by their name and export, and SSM parameters by their name', () => {
    const named = postgres.replace('Properties:\n      Generate', 'Properties:\n      Name: shop/db\n      Generate');
    const name = '!Join ["/", ["", !Ref App, HOST]]';
    const parameter = `Type: AWS::SSM::Parameter\n    Properties: { Name: ${name}, Value: !GetAtt Cluster.Endpoint.Address }`;
    const { secretSources, databases } = plan(
      `${named}\n  Host:\n    ${parameter}`,
      '  Secret: { Value: !Ref DbSecret, Export: { Name: !Join ["-", [!Ref App, !Ref Env, secret]] } }',
    );
    const password = databases[0]?.password ?? '';
    expect(secretSources.cloudformation.get('shop-test-secret')).to.contain(password);
    expect(secretSources.secretsmanager.get('shop/db')).to.contain(password);
    expect(Object.fromEntries(secretSources.ssm)).to.deep.equal({
      '/shop/HOST': 'web-cluster.local-aws.svc.cluster.local',
    });
  });

  it('generates the same password in every run, because the data are kept', () => {
    expect(plan(postgres).databases).to.deep.equal(plan(postgres).databases);
  });

  it('sets variables from the endpoints of a database', () => {
    const { variables } = plan(
      postgres,
      '  dbEndpoint: { Value: !GetAtt Cluster.Endpoint.Address }\n  DbPort: { Value: !GetAtt Cluster.Endpoint.Port }',
    );
    expect(Object.fromEntries(variables)).to.deep.equal({
      DB_ENDPOINT: 'web-cluster.local-aws.svc.cluster.local',
      DB_PORT: '5432',
    });
  });

  it('replaces ElastiCache by Redis', () => {
    const { databases, variables } = plan(
      '  Cache:\n    Type: AWS::ElastiCache::ReplicationGroup\n    Properties: { Engine: valkey }',
      '  CacheHost: { Value: !GetAtt Cache.PrimaryEndPoint.Address }',
    );
    expect(databases[0]).to.include({ engine: 'redis', image: 'redis:7' });
    expect(variables.get('CACHE_HOST')).to.equal('web-cache.local-aws.svc.cluster.local');
  });

  it('keeps resources that the emulator supports, and removes permissions and networks with references to them', () => {
    const { template, unavailable } = plan(
      `
  Table:
    Type: AWS::DynamoDB::Table
    DependsOn: Policy
    Properties: { TableName: !Sub '\${App}-\${Env}-\${Name}', KmsKey: !GetAtt Role.Arn }
  Role: { Type: AWS::IAM::Role, Properties: {} }
  Policy: { Type: AWS::IAM::ManagedPolicy, Properties: {} }`,
      '  Policy: { Value: !Ref Policy }\n  TableName: { Value: !Ref Table }',
    );
    expect(template.Resources).to.deep.equal({
      Table: {
        Type: 'AWS::DynamoDB::Table',
        Properties: { TableName: { 'Fn::Sub': `\${App}-\${Env}-\${Name}` }, KmsKey: 'local-Role-Arn' },
      },
    });
    expect(Object.keys(template.Outputs)).to.deep.equal(['TableName']);
    expect(unavailable).to.deep.equal([]);
  });

  it('names what is not available locally, and what to do', () => {
    const { unavailable } = plan('  Resizer: { Type: AWS::Lambda::Function, Properties: {} }');
    expect(unavailable.map(({ what }) => what)).to.deep.equal(['Resizer (AWS::Lambda::Function)']);
    expect(unavailable[0]?.remedy).to.match(/functions do not run locally/);
  });

  it('uses an export of the environment, and a placeholder for values that only the deployed stack knows', () => {
    const { template, parameters } = plan(
      `  Rule: { Type: AWS::Events::Rule, Properties: { EventBusName: !ImportValue { "Fn::Sub": "\${App}-\${Env}-Bus" } } }`,
      '',
      { Vpc: { 'Fn::GetAtt': ['EnvControllerAction', 'Vpc'] } },
    );
    expect(template.Resources.Rule?.Properties.EventBusName).to.equal('orders');
    expect(parameters).to.include({ App: 'shop', Env: 'test', Name: 'web', Vpc: 'local-Vpc' });
  });

  it('creates the SSM parameter of a password that the template reads', () => {
    const { databases, template } = plan(
      `  Db:\n    Type: AWS::RDS::DBInstance\n    Properties: { Engine: mysql, MasterUsername: a, MasterUserPassword: !Sub '{{resolve:ssm-secure:/copilot/\${App}/\${Env}/secrets/PW}}' }`,
    );
    const [parameter] = Object.values(template.Resources);
    expect(parameter?.Properties).to.deep.equal({
      Name: '/copilot/shop/test/secrets/PW',
      Type: 'String',
      Value: databases[0]?.password,
    });
  });
});
