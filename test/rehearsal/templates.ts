import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'chai';
import { z } from 'zod';
import { skipWithout } from '../skip.ts';
import { type Facts, factsOfManifests, factsOfTemplate, manifestDocuments, templateDocument } from './facts.ts';
import { linters } from './linters.ts';

const resources = z.object({
  Resources: z.object({
    TaskDefinition: z.object({
      Properties: z.object({
        ContainerDefinitions: z.array(
          z.looseObject({ Name: z.string(), Environment: z.array(z.object({ Name: z.string() })) }),
        ),
      }),
    }),
    Service: z.object({
      Properties: z.object({
        NetworkConfiguration: z.object({ AwsvpcConfiguration: z.object({ AssignPublicIp: z.string() }) }),
        DeploymentConfiguration: z.looseObject({}),
      }),
    }),
  }),
});

/** What must hold for the templates that `copilot env package` and `copilot svc package` wrote into a folder. */
export function describeTemplates(folder: () => string, environments: readonly string[]): void {
  const files = environments.flatMap((name) => [`${name}.env.yml`, `plusone-${name}.stack.yml`]);
  const read = (file: string) => readFileSync(join(folder(), file), 'utf8');
  const service = (environment: string) =>
    resources.parse(serviceTemplate(folder(), environment).toJS({ maxAliasCount: -1 })).Resources;

  it('have no Lambda function with a deprecated runtime', () => {
    const runtimes = files.flatMap((file) => [...read(file).matchAll(/Runtime: (\S+)/g)].map(([, runtime]) => runtime));
    expect(new Set(runtimes)).to.deep.equal(new Set(['nodejs24.x']));
  });

  it('have no errors in cfn-lint', function () {
    this.timeout('5m');
    const tools = linters();
    if (!tools) return skipWithout(this, 'python3', 'cfn-lint and checkov need python3 with venv');
    // E3676: Copilot's internal HTTPS listener is there only with certificates, by a condition that cfn-lint can't follow.
    const words = ['--ignore-checks', 'W', 'E3676', '--', ...files.map((file) => join(folder(), file))];
    const { code, output } = tools.run('cfn-lint', words);
    expect(code, output).to.equal(0);
  });

  it('run no container as root, and every container with a read-only root file system (CT.ECS.PR.3, CT.ECS.PR.6)', () => {
    for (const environment of environments) {
      for (const container of service(environment).TaskDefinition.Properties.ContainerDefinitions) {
        expect(container, container.Name).to.include({ User: '1000', ReadonlyRootFilesystem: true });
      }
    }
  });

  it('assign no public IP address to tasks in prod (CT.ECS.PR.9)', () => {
    const { NetworkConfiguration } = service('prod').Service.Properties;
    expect(NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp).to.equal('DISABLED');
  });

  it('pass no secret as a variable (CT.ECS.PR.12)', () => {
    const containers = service('prod').TaskDefinition.Properties.ContainerDefinitions;
    const names = containers.flatMap(({ Environment }) => Environment.map(({ Name }) => Name));
    expect(names.filter((name) => /PASSWORD|SECRET_|ACCESS_KEY|TOKEN/.test(name))).to.deep.equal([]);
  });

  it('roll back a release that does not become steady', () => {
    const { DeploymentConfiguration } = service('prod').Service.Properties;
    expect(DeploymentConfiguration).to.deep.include({ DeploymentCircuitBreaker: { Enable: true, Rollback: true } });
  });
}

const inTask = 'Resources.TaskDefinition.Properties';
const inGroup = 'Resources.TargetGroup.Properties';
const inTarget = 'Resources.AutoScalingTarget.Properties';
const inPolicy =
  'Resources.AutoScalingPolicyECSServiceAverageCPUUtilization.Properties.TargetTrackingScalingPolicyConfiguration';
const inDeployment = 'Resources.Service.Properties.DeploymentConfiguration';
const inPod = 'spec.template.spec';
const secret = { name: 'KEY', valueFrom: { secretKeyRef: { name: 'plusone', key: 'KEY' } } };

/** For every fact a change to the template alone, and one to the manifests alone: kind, path and value. */
const changes: readonly [
  fact: string,
  template: [path: string, value: unknown],
  manifests: [kind: string, path: string, value: unknown],
][] = [
  [
    'runs to its end before the service',
    [`${inTask}.ContainerDefinitions.0.DependsOn.0.Condition`, 'START'],
    ['Deployment', `${inPod}.initContainers.0.name`, 'other'],
  ],
  ['cpu', [`${inTask}.Cpu`, '512'], ['Deployment', `${inPod}.containers.0.resources.limits.cpu`, '500m']],
  ['memory', [`${inTask}.Memory`, '1024'], ['Deployment', `${inPod}.containers.0.resources.limits.memory`, '1024Mi']],
  ['port of the load balancer', [`${inGroup}.Port`, 8080], ['Service', 'spec.ports.0.port', 8080]],
  ['is ready when', [`${inGroup}.HealthCheckPath`, '/'], ['Deployment', readiness('httpGet.path'), '/']],
  ['is asked every', [`${inGroup}.HealthCheckIntervalSeconds`, 9], ['Deployment', readiness('periodSeconds'), 9]],
  ['answers within', [`${inGroup}.HealthCheckTimeoutSeconds`, 4], ['Deployment', readiness('timeoutSeconds'), 4]],
  [
    'leaves after failures',
    [`${inGroup}.UnhealthyThresholdCount`, 5],
    ['Deployment', readiness('failureThreshold'), 5],
  ],
  [
    'may take to start',
    ['Resources.Service.Properties.HealthCheckGracePeriodSeconds', 30],
    ['Deployment', `${inPod}.containers.0.startupProbe.failureThreshold`, 30],
  ],
  [
    'serves on after leaving the load balancer',
    [`${inGroup}.TargetGroupAttributes.0.Value`, 60],
    ['Deployment', `${inPod}.containers.0.lifecycle.preStop.sleep.seconds`, 60],
  ],
  [
    'may take to stop',
    [`${inTask}.ContainerDefinitions.0.StopTimeout`, 60],
    ['Deployment', `${inPod}.terminationGracePeriodSeconds`, 60],
  ],
  [
    'least share during a roll-out',
    [`${inDeployment}.MinimumHealthyPercent`, 50],
    ['Deployment', 'spec.strategy.rollingUpdate.maxUnavailable', '50%'],
  ],
  [
    'greatest share during a roll-out',
    [`${inDeployment}.MaximumPercent`, 150],
    ['Deployment', 'spec.strategy.rollingUpdate.maxSurge', '50%'],
  ],
  ['fewest tasks', [`${inTarget}.MinCapacity`, 1], ['HorizontalPodAutoscaler', 'spec.minReplicas', 1]],
  ['most tasks', [`${inTarget}.MaxCapacity`, 9], ['HorizontalPodAutoscaler', 'spec.maxReplicas', 9]],
  [
    'grows above cpu percent',
    [`${inPolicy}.TargetValue`, 50],
    ['HorizontalPodAutoscaler', 'spec.metrics.0.resource.target.averageValue', '100m'],
  ],
  [
    'waits before growing again',
    [`${inPolicy}.ScaleOutCooldown`, 60],
    ['HorizontalPodAutoscaler', 'spec.behavior.scaleUp.policies.0.periodSeconds', 60],
  ],
  [
    'waits before shrinking',
    [`${inPolicy}.ScaleInCooldown`, 60],
    ['HorizontalPodAutoscaler', 'spec.behavior.scaleDown.stabilizationWindowSeconds', 60],
  ],
  [
    'schedule',
    [`${inTarget}.ScheduledActions.0.ScalableTargetAction.MinCapacity`, 1],
    ['CronJob', 'spec.schedule', '0 12 * * *'],
  ],
  ...['plusone', 'migrate'].flatMap((name, i): typeof changes => {
    const ecs = `${inTask}.ContainerDefinitions.${i}`;
    const pod = i === 0 ? `${inPod}.containers.0` : `${inPod}.initContainers.0`;
    return [
      [`${name}: image`, [`${ecs}.Image`, 'nginx:1'], ['Deployment', `${pod}.image`, 'nginx:1']],
      [`${name}: command`, [`${ecs}.Command`, ['help']], ['Deployment', `${pod}.args`, ['help']]],
      [
        `${name}: port`,
        [`${ecs}.PortMappings`, [{ ContainerPort: 80 }]],
        ['Deployment', `${pod}.ports`, [{ containerPort: 80 }]],
      ],
      [`${name}: variables`, [`${ecs}.Environment.7.Value`, 'x'], ['Deployment', `${pod}.env.2.value`, 'x']],
      [
        `${name}: secrets`,
        [`${ecs}.Secrets`, [{ Name: 'KEY', Value: 'arn:x' }]],
        ['Deployment', `${pod}.env.0`, secret],
      ],
      [`${name}: user`, [`${ecs}.User`, '0'], ['Deployment', `${pod}.securityContext.runAsUser`, 0]],
      [
        `${name}: read-only root`,
        [`${ecs}.ReadonlyRootFilesystem`, false],
        ['Deployment', `${pod}.securityContext.readOnlyRootFilesystem`, false],
      ],
      [
        `${name}: writable folders`,
        [`${ecs}.MountPoints`, [{ ContainerPath: '/data', ReadOnly: false }]],
        ['Deployment', `${pod}.volumeMounts`, [{ mountPath: '/data', name: 'data' }]],
      ],
    ];
  }),
  [
    'plusone: is alive when',
    [`${inTask}.ContainerDefinitions.0.HealthCheck.Command`, ['CMD', 'true']],
    ['Deployment', `${inPod}.containers.0.livenessProbe.exec.command`, ['true']],
  ],
  [
    'plusone: alive, asked every',
    [`${inTask}.ContainerDefinitions.0.HealthCheck.Interval`, 99],
    ['Deployment', `${inPod}.containers.0.livenessProbe.periodSeconds`, 99],
  ],
  [
    'plusone: alive, answers within',
    [`${inTask}.ContainerDefinitions.0.HealthCheck.Timeout`, 9],
    ['Deployment', `${inPod}.containers.0.livenessProbe.timeoutSeconds`, 9],
  ],
  [
    'plusone: dead after failures',
    [`${inTask}.ContainerDefinitions.0.HealthCheck.Retries`, 9],
    ['Deployment', `${inPod}.containers.0.livenessProbe.failureThreshold`, 9],
  ],
];

function readiness(path: string): string {
  return `${inPod}.containers.0.readinessProbe.${path}`;
}

/** One declaration, two outputs: Copilot's templates and what cdk8s wrote into a folder for each environment. */
export function describeParity(folder: () => string, environments: readonly string[]): void {
  const manifests = (environment: string) =>
    manifestDocuments(readFileSync(join(folder(), environment, 'plusone.k8s.yaml'), 'utf8'));

  for (const environment of environments) {
    it(`agree in ${environment}`, () => {
      const kubernetes = factsOfManifests(manifests(environment).map((document) => document.toJS()));
      expect(kubernetes).to.deep.equal(factsOfTemplate(serviceTemplate(folder(), environment).toJS()));
    });
  }

  for (const [fact, [path, value], [kind, place, other]] of changes) {
    it(`differ if only one of them changes: ${fact}`, () => {
      const template = serviceTemplate(folder(), 'test');
      template.setIn(steps(path), value);
      expect(changedFacts(factsOfTemplate(template.toJS())), 'in the template').to.include(fact);

      const documents = manifests('test');
      documents.find((document) => document.get('kind') === kind)?.setIn(steps(place), other);
      const changed = factsOfManifests(documents.map((document) => document.toJS()));
      expect(changedFacts(changed), 'in the manifests').to.include(fact);
    });
  }

  it('were both changed for every fact', () => {
    const facts = Object.entries(factsOfTemplate(serviceTemplate(folder(), 'test').toJS()));
    const stated = facts.filter(([, value]) => value !== undefined).map(([name]) => name);
    expect(changes.map(([fact]) => fact)).to.have.members(stated);
  });

  function changedFacts(facts: Facts): string[] {
    const before = factsOfTemplate(serviceTemplate(folder(), 'test').toJS());
    return Object.keys({ ...before, ...facts }).filter((name) => !isDeepStrictEqual(facts[name], before[name]));
  }
}

function serviceTemplate(folder: string, environment: string) {
  const [template, parameters] = ['stack.yml', 'params.json'].map((end) =>
    readFileSync(join(folder, `plusone-${environment}.${end}`), 'utf8'),
  );
  return templateDocument(template ?? '', parameters ?? '');
}

function steps(path: string): (string | number)[] {
  return path.split('.').map((step) => (/^\d+$/.test(step) ? Number(step) : step));
}
