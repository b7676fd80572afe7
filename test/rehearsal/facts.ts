import { parseAllDocuments, parseDocument } from 'yaml';
import { z } from 'zod';

/** What a deployment does, in words that hold for ECS and for Kubernetes. */
export type Facts = Record<string, unknown>;

// ---- CloudFormation, as `copilot svc package` writes it

const text = z.coerce.string<unknown>();
const number = z.coerce.number<unknown>();
const variable = z.object({ Name: text, Value: z.unknown() });
const container = z.object({
  Name: text,
  Image: text,
  Command: z.array(text).default([]),
  Environment: z.array(variable),
  Secrets: z.array(variable).default([]),
  DependsOn: z.array(z.object({ ContainerName: text, Condition: text })).default([]),
  Essential: z.boolean().default(true),
  ReadonlyRootFilesystem: z.boolean().default(false),
  StopTimeout: number,
  User: text,
  MountPoints: z.array(z.object({ ContainerPath: text, ReadOnly: z.boolean() })).default([]),
  PortMappings: z.array(z.object({ ContainerPort: number })).default([]),
  HealthCheck: z.object({ Command: z.array(text), Interval: number, Timeout: number, Retries: number }).optional(),
});
const properties = <T extends z.ZodRawShape>(shape: T) => z.object({ Properties: z.object(shape) });
const template = z.object({
  Resources: z.object({
    TaskDefinition: properties({ Cpu: number, Memory: number, ContainerDefinitions: z.array(container) }),
    Service: properties({
      HealthCheckGracePeriodSeconds: number,
      DeploymentConfiguration: z.object({ MinimumHealthyPercent: number, MaximumPercent: number }),
    }),
    TargetGroup: properties({
      HealthCheckPath: text,
      HealthCheckIntervalSeconds: number,
      HealthCheckTimeoutSeconds: number,
      UnhealthyThresholdCount: number,
      Port: number,
      TargetGroupAttributes: z.array(z.object({ Key: text, Value: z.unknown() })),
    }),
    AutoScalingTarget: properties({
      MinCapacity: number,
      MaxCapacity: number,
      ScheduledActions: z.array(
        z.object({
          Schedule: text,
          Timezone: text,
          ScalableTargetAction: z.object({ MinCapacity: number, MaxCapacity: number }),
        }),
      ),
    }),
    AutoScalingPolicyECSServiceAverageCPUUtilization: properties({
      TargetTrackingScalingPolicyConfiguration: z.object({
        TargetValue: number,
        ScaleInCooldown: number,
        ScaleOutCooldown: number,
      }),
    }),
  }),
});

/** A template as a document to change: `!Ref` and `!Sub` stand for the values of the parameters. */
export function templateDocument(source: string, parametersJson: string) {
  const { Parameters } = z.object({ Parameters: z.record(z.string(), z.string()) }).parse(JSON.parse(parametersJson));
  const value = (name: string) => Parameters[name] ?? `(${name})`;
  return parseDocument(source, {
    logLevel: 'silent',
    customTags: [
      { tag: '!Ref', resolve: value },
      { tag: '!Sub', resolve: (words: string) => words.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => value(name)) },
    ],
  });
}

/** What a packaged template deploys. */
export function factsOfTemplate(parsed: unknown): Facts {
  const { Resources } = template.parse(parsed);
  const { ContainerDefinitions, Cpu, Memory } = Resources.TaskDefinition.Properties;
  const service = Resources.Service.Properties;
  const group = Resources.TargetGroup.Properties;
  const target = Resources.AutoScalingTarget.Properties;
  const scaling =
    Resources.AutoScalingPolicyECSServiceAverageCPUUtilization.Properties.TargetTrackingScalingPolicyConfiguration;
  const drain = Number(group.TargetGroupAttributes.find(({ Key }) => Key.startsWith('deregistration_delay'))?.Value);
  const main = ContainerDefinitions.find(({ Essential }) => Essential);
  const before = main?.DependsOn.filter(({ Condition }) => Condition === 'SUCCESS').map(
    ({ ContainerName }) => ContainerName,
  );
  return {
    'runs to its end before the service': before,
    cpu: Cpu,
    memory: Memory,
    'port of the load balancer': group.Port,
    'is ready when': group.HealthCheckPath,
    'is asked every': group.HealthCheckIntervalSeconds,
    'answers within': group.HealthCheckTimeoutSeconds,
    'leaves after failures': group.UnhealthyThresholdCount,
    'may take to start': service.HealthCheckGracePeriodSeconds,
    'serves on after leaving the load balancer': drain,
    'may take to stop': drain + (main?.StopTimeout ?? 30),
    'least share during a roll-out': service.DeploymentConfiguration.MinimumHealthyPercent,
    'greatest share during a roll-out': service.DeploymentConfiguration.MaximumPercent,
    'fewest tasks': target.MinCapacity,
    'most tasks': target.MaxCapacity,
    'grows above cpu percent': scaling.TargetValue,
    'waits before growing again': scaling.ScaleOutCooldown,
    'waits before shrinking': scaling.ScaleInCooldown,
    schedule: target.ScheduledActions.map(
      ({ Schedule, Timezone, ScalableTargetAction: { MinCapacity, MaxCapacity } }) => [
        // EventBridge's fields are cron's and the year; `?` is its `*` for the day that isn't looked at.
        Schedule.replace(/^cron\((.*) \*\)$/, '$1').replaceAll('?', '*'),
        Timezone,
        MinCapacity,
        MaxCapacity,
      ],
    ).toSorted(),
    ...Object.assign({}, ...ContainerDefinitions.map(factsOfEcsContainer)),
  };
}

function factsOfEcsContainer(definition: z.output<typeof container>): Facts {
  const { Name, HealthCheck: check } = definition;
  return {
    [`${Name}: image`]: repository(definition.Image),
    [`${Name}: command`]: definition.Command,
    [`${Name}: port`]: definition.PortMappings.map(({ ContainerPort }) => ContainerPort),
    [`${Name}: variables`]: variables(definition.Environment.map(({ Name: name, Value }) => [name, Value])),
    [`${Name}: secrets`]: definition.Secrets.map(({ Name: name }) => name).toSorted(),
    [`${Name}: user`]: Number(definition.User),
    [`${Name}: read-only root`]: definition.ReadonlyRootFilesystem,
    [`${Name}: writable folders`]: definition.MountPoints.filter(({ ReadOnly }) => !ReadOnly)
      .map(({ ContainerPath }) => ContainerPath)
      .toSorted(),
    [`${Name}: is alive when`]: check?.Command.filter((word) => word !== 'CMD'),
    [`${Name}: alive, asked every`]: check?.Interval,
    [`${Name}: alive, answers within`]: check?.Timeout,
    [`${Name}: dead after failures`]: check?.Retries,
  };
}

// ---- Kubernetes, as `npm run synth` writes it

const pod = z.object({
  name: text,
  image: text,
  args: z.array(text).default([]),
  env: z.array(z.object({ name: text, value: text.optional(), valueFrom: z.unknown().optional() })),
  ports: z.array(z.object({ containerPort: number })).default([]),
  resources: z.object({ limits: z.object({ cpu: text, memory: text }) }),
  securityContext: z.object({ readOnlyRootFilesystem: z.boolean(), runAsUser: number }),
  volumeMounts: z.array(z.object({ mountPath: text, readOnly: z.boolean().default(false) })).default([]),
  livenessProbe: z
    .object({
      exec: z.object({ command: z.array(text) }),
      periodSeconds: number,
      timeoutSeconds: number,
      failureThreshold: number,
    })
    .optional(),
});
const main = pod.extend({
  readinessProbe: z.object({
    httpGet: z.object({ path: text }),
    periodSeconds: number,
    timeoutSeconds: number,
    failureThreshold: number,
  }),
  startupProbe: z.object({ periodSeconds: number, failureThreshold: number }),
  lifecycle: z.object({ preStop: z.object({ sleep: z.object({ seconds: number }) }) }),
});
const deployment = z.object({
  kind: z.literal('Deployment'),
  spec: z.object({
    strategy: z.object({ rollingUpdate: z.object({ maxSurge: text, maxUnavailable: text }) }),
    template: z.object({
      spec: z.object({
        containers: z.tuple([main]),
        initContainers: z.array(pod),
        terminationGracePeriodSeconds: number,
      }),
    }),
  }),
});
const service = z.object({
  kind: z.literal('Service'),
  spec: z.object({ ports: z.tuple([z.object({ port: number })]) }),
});
const autoscaler = z.object({
  kind: z.literal('HorizontalPodAutoscaler'),
  spec: z.object({
    minReplicas: number,
    maxReplicas: number,
    metrics: z.tuple([z.object({ resource: z.object({ target: z.object({ averageValue: text }) }) })]),
    behavior: z.object({
      scaleUp: z.object({ policies: z.tuple([z.object({ periodSeconds: number })]) }),
      scaleDown: z.object({ stabilizationWindowSeconds: number }),
    }),
  }),
});
const cronJob = z.object({
  kind: z.literal('CronJob'),
  spec: z.object({
    schedule: text,
    timeZone: text,
    jobTemplate: z.object({
      spec: z.object({
        template: z.object({ spec: z.object({ containers: z.tuple([z.object({ args: z.array(text) })]) }) }),
      }),
    }),
  }),
});
const bounds = z.object({ spec: z.object({ minReplicas: number, maxReplicas: number }) });

/** Manifests as documents to change, by their kind (and name, where there are several). */
export function manifestDocuments(source: string) {
  return parseAllDocuments(source).filter((document) => 'contents' in document);
}

/** What synthesized manifests deploy. */
export function factsOfManifests(parsed: unknown[]): Facts {
  const all = <T>(schema: z.ZodType<T>) => parsed.flatMap((object) => schema.safeParse(object).data ?? []);
  const one = <T>(schema: z.ZodType<T>): T => {
    const kind = z.object({ kind: z.literal(schema instanceof z.ZodObject ? kindOf(schema) : '') });
    return schema.parse(parsed.find((object) => kind.safeParse(object).success));
  };
  const { strategy, template: podTemplate } = one(deployment).spec;
  const { containers, initContainers, terminationGracePeriodSeconds } = podTemplate.spec;
  const [running] = containers;
  const cpu = millicores(running.resources.limits.cpu) / (1000 / 1024);
  const scaling = one(autoscaler).spec;
  const { readinessProbe: ready, startupProbe: start } = running;
  return {
    'runs to its end before the service': initContainers.map(({ name }) => name),
    cpu,
    memory: Number.parseInt(running.resources.limits.memory, 10),
    'port of the load balancer': one(service).spec.ports[0].port,
    'is ready when': ready.httpGet.path,
    'is asked every': ready.periodSeconds,
    'answers within': ready.timeoutSeconds,
    'leaves after failures': ready.failureThreshold,
    'may take to start': start.periodSeconds * start.failureThreshold,
    'serves on after leaving the load balancer': running.lifecycle.preStop.sleep.seconds,
    'may take to stop': terminationGracePeriodSeconds,
    'least share during a roll-out': 100 - Number.parseInt(strategy.rollingUpdate.maxUnavailable, 10),
    'greatest share during a roll-out': 100 + Number.parseInt(strategy.rollingUpdate.maxSurge, 10),
    'fewest tasks': scaling.minReplicas,
    'most tasks': scaling.maxReplicas,
    'grows above cpu percent':
      (millicores(scaling.metrics[0].resource.target.averageValue) / millicores(running.resources.limits.cpu)) * 100,
    'waits before growing again': scaling.behavior.scaleUp.policies[0].periodSeconds,
    'waits before shrinking': scaling.behavior.scaleDown.stabilizationWindowSeconds,
    schedule: all(cronJob)
      .map(({ spec }) => {
        const { args } = spec.jobTemplate.spec.template.spec.containers[0];
        const { minReplicas, maxReplicas } = bounds.parse(JSON.parse(args.at(-1) ?? '')).spec;
        return [spec.schedule, spec.timeZone.replace('Etc/', ''), minReplicas, maxReplicas];
      })
      .toSorted(),
    ...Object.assign({}, ...[running, ...initContainers].map(factsOfPodContainer)),
  };
}

function kindOf(schema: z.ZodObject): string {
  const { kind } = schema.shape;
  return kind instanceof z.ZodLiteral ? String(kind.value) : '';
}

function factsOfPodContainer(definition: z.output<typeof pod>): Facts {
  const { name, livenessProbe: alive } = definition;
  return {
    [`${name}: image`]: repository(definition.image),
    [`${name}: command`]: definition.args,
    [`${name}: port`]: definition.ports.map(({ containerPort }) => containerPort),
    [`${name}: variables`]: variables(
      definition.env.filter(({ valueFrom }) => !valueFrom).map(({ name: key, value }) => [key, value]),
    ),
    [`${name}: secrets`]: definition.env
      .filter(({ valueFrom }) => valueFrom)
      .map(({ name: key }) => key)
      .toSorted(),
    [`${name}: user`]: definition.securityContext.runAsUser,
    [`${name}: read-only root`]: definition.securityContext.readOnlyRootFilesystem,
    // Kubernetes gives /tmp, which on Fargate is as read-only as the rest.
    [`${name}: writable folders`]: definition.volumeMounts
      .filter(({ mountPath, readOnly }) => !readOnly && mountPath !== '/tmp')
      .map(({ mountPath }) => mountPath)
      .toSorted(),
    [`${name}: is alive when`]: alive?.exec.command,
    [`${name}: alive, asked every`]: alive?.periodSeconds,
    [`${name}: alive, answers within`]: alive?.timeoutSeconds,
    [`${name}: dead after failures`]: alive?.failureThreshold,
  };
}

// ---- both

function millicores(cpu: string): number {
  return cpu.endsWith('m') ? Number(cpu.slice(0, -1)) : Number(cpu) * 1000;
}

/** An image without tag or digest: Copilot tags that of a sidecar with the sidecar's name. */
function repository(image: string): string {
  return image.replace(/@.*$/, '').replace(/:[^/:]+$/, '');
}

/** Of what the platforms add themselves, only that it is there: addresses differ, and an addon's outputs are AWS's. */
function variables(pairs: [string, unknown][]): Record<string, unknown> {
  const platform = new Set(['COPILOT_LB_DNS', 'COPILOT_SERVICE_DISCOVERY_ENDPOINT']);
  const kept = pairs.filter(([name]) => name !== 'SERVICE_SECURITY_GROUP');
  return Object.fromEntries(kept.map(([name, value]) => [name, platform.has(name) ? 'given' : value]));
}
