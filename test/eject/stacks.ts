import type { DeployedStack, Inventory } from '../../eject/inventory.ts';

/** An environment in the shape of Copilot's, in small: a load balancer and a file system while a service needs them. */
export const environmentTemplate = `Description: the environment
Metadata:
  Version: v1.34.1
Parameters:
  AppName: { Type: String }
  EnvironmentName: { Type: String }
  ALBWorkloads: { Type: String }
  InternalALBWorkloads: { Type: String }
  EFSWorkloads: { Type: String }
  NATWorkloads: { Type: String }
  AppRunnerPrivateWorkloads: { Type: String }
  AppDNSName: { Type: String }
  Aliases: { Type: String }
  CreateHTTPSListener: { Type: String, AllowedValues: [true, false] }
  CreateInternalHTTPSListener: { Type: String, AllowedValues: [true, false] }
Conditions:
  CreateALB: !Not [!Equals [!Ref ALBWorkloads, ""]]
  CreateEFS: !Not [!Equals [!Ref EFSWorkloads, ""]]
  DelegateDNS: !Not [!Equals [!Ref AppDNSName, ""]]
  ExportHTTPSListener: !And
    - !Condition CreateALB
    - !Equals [!Ref CreateHTTPSListener, true]
Resources:
  # Its comment stays.
  VPC:
    Type: AWS::EC2::VPC
    Properties:
      CidrBlock: 10.0.0.0/16
  HttpGroup:
    Type: AWS::EC2::SecurityGroup
    Condition: CreateALB
    Properties:
      GroupDescription: HTTP
  HttpsGroup:
    Type: AWS::EC2::SecurityGroup
    Condition: ExportHTTPSListener
    Properties:
      GroupDescription: HTTPS
  PublicLoadBalancer:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    Condition: CreateALB
    Properties:
      Scheme: internet-facing
      SecurityGroups:
        - !GetAtt HttpGroup.GroupId
        - !If [ExportHTTPSListener, !GetAtt HttpsGroup.GroupId, !Ref "AWS::NoValue"]
  HTTPListener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Condition: CreateALB
    Properties:
      LoadBalancerArn: !Ref PublicLoadBalancer
      Port: 80
  FileSystem:
    Type: AWS::EFS::FileSystem
    Condition: CreateEFS
  HTTPSCert:
    Type: Custom::CertificateValidationFunction
    Condition: DelegateDNS
    DependsOn: [VPC]
    Properties:
      ServiceToken: arn:aws:lambda:us-west-2:123456789012:function:certificates
Outputs:
  HTTPListenerArn:
    Condition: CreateALB
    Value: !Ref HTTPListener
    Export: { Name: !Sub '\${AWS::StackName}-HTTPListenerArn' }
  PublicLoadBalancerDNSName:
    Condition: CreateALB
    Value: !GetAtt PublicLoadBalancer.DNSName
    Export: { Name: !Sub '\${AWS::StackName}-PublicLoadBalancerDNS' }
  EnabledFeatures:
    Value: !Sub '\${ALBWorkloads},\${InternalALBWorkloads},\${EFSWorkloads},\${NATWorkloads},\${Aliases},\${AppRunnerPrivateWorkloads}'
  LastForceDeployID:
    Value: ""
`;

export const manifest = 'name: web\ntype: Load Balanced Web Service\nimage:\n  build: Dockerfile\n  port: 3000\n';

/** A service in the shape of Copilot's, in small, with the three custom resources of a scaled web service. */
export const serviceTemplate = `Description: a service
Metadata:
  Version: v1.34.1
  Manifest: |
${manifest.replaceAll(/^/gm, '    ').trimEnd()}
Parameters:
  AppName: { Type: String }
  EnvName: { Type: String }
  WorkloadName: { Type: String }
  TaskCount: { Type: Number }
Resources:
  LogGroup:
    Type: AWS::Logs::LogGroup
    Properties:
      LogGroupName: !Join ['', [/copilot/, !Ref AppName, '-', !Ref EnvName, '-', !Ref WorkloadName]]
  TaskDefinition:
    Type: AWS::ECS::TaskDefinition
    DependsOn: LogGroup
    Properties:
      Family: !Sub '\${AppName}-\${EnvName}-\${WorkloadName}'
      ContainerDefinitions:
        - Name: !Ref WorkloadName
          Environment:
            - Name: COPILOT_LB_DNS
              Value: !GetAtt EnvControllerAction.PublicLoadBalancerDNSName
            - Name: ADDRESS
              Value: !Sub 'http://\${EnvControllerAction.PublicLoadBalancerDNSName}/'
  DynamicDesiredCountAction:
    Type: Custom::DynamicDesiredCountFunction
    Properties:
      ServiceToken: !GetAtt DynamicDesiredCountFunction.Arn
      UpdateID: f373d760-fe1d-42a5-9ba5-7f3a7ad81207
  DynamicDesiredCountFunction:
    Type: AWS::Lambda::Function
    Properties:
      Role: !GetAtt DynamicDesiredCountFunctionRole.Arn
  DynamicDesiredCountFunctionRole:
    Type: AWS::IAM::Role
  EnvControllerAction:
    Type: Custom::EnvControllerFunction
    Properties:
      ServiceToken: !GetAtt EnvControllerFunction.Arn
      Workload: !Ref WorkloadName
  EnvControllerFunction:
    Type: AWS::Lambda::Function
    Properties:
      Role: !GetAtt 'EnvControllerRole.Arn'
  EnvControllerRole:
    Type: AWS::IAM::Role
  TaskRole:
    Type: AWS::IAM::Role
  Service:
    Type: AWS::ECS::Service
    DependsOn:
      - EnvControllerAction
      - HTTPListenerRule
    Properties:
      TaskDefinition: !Ref TaskDefinition
      DesiredCount: !GetAtt DynamicDesiredCountAction.DesiredCount
      LaunchType: FARGATE
  RulePriorityFunction:
    Type: AWS::Lambda::Function
    Properties:
      Role: !GetAtt "RulePriorityFunctionRole.Arn"
  RulePriorityFunctionRole:
    Type: AWS::IAM::Role
  HTTPRulePriorityAction:
    Type: Custom::RulePriorityFunction
    Properties:
      ServiceToken: !GetAtt RulePriorityFunction.Arn
      ListenerArn: !GetAtt EnvControllerAction.HTTPListenerArn
  HTTPListenerRule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !GetAtt EnvControllerAction.HTTPListenerArn
      Priority: !GetAtt HTTPRulePriorityAction.Priority
  AddonsStack:
    Type: AWS::CloudFormation::Stack
    DependsOn: EnvControllerAction
    Properties:
      TemplateURL: https://bucket.s3.us-west-2.amazonaws.com/addons.yml
`;

const listenerArn = 'arn:aws:elasticloadbalancing:us-west-2:123456789012:listener/app/balancer/1/2';
const balancer = 'balancer.us-west-2.elb.amazonaws.com';

function stack(name: string, rest: Partial<DeployedStack>): DeployedStack {
  const tags: Record<string, string> = { 'copilot-application': 'shop', 'copilot-environment': 'test' };
  if (rest.workload) tags['copilot-service'] = rest.workload;
  return {
    name,
    id: `arn:aws:cloudformation:us-west-2:123456789012:stack/${name}/0`,
    kind: 'workload',
    status: 'UPDATE_COMPLETE',
    template: serviceTemplate,
    parameters: { AppName: 'shop', EnvName: 'test', WorkloadName: rest.workload ?? '', TaskCount: '2' },
    tags,
    capabilities: ['CAPABILITY_NAMED_IAM'],
    outputs: {},
    resources: {},
    priorities: {},
    drift: {},
    ...rest,
  };
}

/** The application shop with the environment test and the services in it, each with the template of a web service. */
export function inventory(...services: string[]): Inventory {
  const users = services.join(',');
  const environment = stack('shop-test', {
    kind: 'environment',
    template: environmentTemplate,
    parameters: {
      AppName: 'shop',
      EnvironmentName: 'test',
      ALBWorkloads: users,
      InternalALBWorkloads: '',
      EFSWorkloads: '',
      NATWorkloads: '',
      AppRunnerPrivateWorkloads: '',
      AppDNSName: '',
      Aliases: '',
      CreateHTTPSListener: 'false',
      CreateInternalHTTPSListener: 'false',
    },
    outputs: {
      HTTPListenerArn: { value: listenerArn, exportName: 'shop-test-HTTPListenerArn' },
      PublicLoadBalancerDNSName: { value: balancer, exportName: 'shop-test-PublicLoadBalancerDNS' },
    },
    resources: {
      VPC: { type: 'AWS::EC2::VPC', physicalId: 'vpc-1' },
      HTTPListener: { type: 'AWS::ElasticLoadBalancingV2::Listener', physicalId: listenerArn },
    },
  });
  const workloads = services.map((workload) =>
    stack(`shop-test-${workload}`, {
      workload,
      priorities: { HTTPListenerRule: '50000' },
      resources: { HTTPListenerRule: { type: 'AWS::ElasticLoadBalancingV2::ListenerRule', physicalId: 'arn:rule' } },
    }),
  );
  return {
    application: 'shop',
    environment: 'test',
    account: '123456789012',
    region: 'us-west-2',
    partition: 'aws',
    takenAt: '2026-11-29T00:00:00.000Z',
    stacks: [environment, ...workloads],
    exports: { 'shop-test-HTTPListenerArn': listenerArn, 'shop-test-PublicLoadBalancerDNS': balancer },
  };
}
