import { z } from 'zod';
import { Scalar } from './document.ts';
import { splitWords } from './words.ts';

/**
 * The one table: every field of Copilot's manifests (v1.34), what it may hold, and what becomes of it in Kubernetes.
 * A field without an entry of its own shares the mapping of the field that it is part of.
 *
 * Sources: https://aws.github.io/copilot-cli/docs/manifest/overview/ and, where that page is silent, the structs of
 * https://github.com/aws/copilot-cli/tree/v1.34.1/internal/pkg/manifest
 */
export type Mapping =
  /** Carried over, as what. */
  | { readonly becomes: string }
  /** Not applicable locally, and why. `except` are the values that say what is so here anyway. */
  | { readonly absent: string; readonly except?: readonly string[] };

export const mappings = z.registry<Mapping>();

function becomes<S extends z.ZodType>(what: string, schema: S) {
  const field = schema.optional();
  mappings.add(field, { becomes: what });
  return field;
}

function absent<S extends z.ZodType>(reason: string, schema: S, ...except: string[]) {
  const field = schema.optional();
  mappings.add(field, { absent: reason, except });
  return field;
}

// What a single value may be. Copilot reads YAML into Go types, so `5000` is a text where a text is asked for, and
// `"5000"` is no number where a number is.

function value<T>(expected: string, read: (scalar: Scalar) => T | undefined) {
  return z.unknown().transform((input, context): T => {
    const result = input instanceof Scalar ? read(input) : undefined;
    if (result !== undefined) return result;
    context.addIssue({ code: 'custom', message: `expected ${expected}` });
    return z.NEVER;
  });
}

const text = value('a text', ({ text }) => text);
const integer = value('a whole number', (scalar) => wholeNumber(scalar));
const port = value('a port from 1 to 65535', (scalar) => within(wholeNumber(scalar), 1, 65535));
const percentage = value('a percentage from 0 to 100', (scalar) => within(wholeNumber(scalar), 0, 100));
const decimal = value('a number', ({ kind, text }) =>
  kind === 'integer' || kind === 'number' ? Number(text) : undefined,
);
const boolean = value('true or false', ({ text }) => booleans[text.toLowerCase()]);
const duration = value('a duration such as 10s, 1m30s or 500ms', ({ text }) => seconds(text));
const environmentFile = value('a file that ends in .env', ({ text }) => (text.endsWith('.env') ? text : undefined));
const portMapping = value('a port such as 80 or 80/tcp', ({ text }) => readPortMapping(text));

function oneOf<const T extends string>(...allowed: T[]) {
  return value(allowed.join(' or '), ({ text }) => allowed.find((item) => item.toLowerCase() === text.toLowerCase()));
}

const booleans: Readonly<Record<string, boolean | undefined>> = {
  true: true,
  yes: true,
  on: true,
  false: false,
  no: false,
  off: false,
};

function wholeNumber({ kind, text }: Scalar): number | undefined {
  return kind === 'integer' && Number(text) >= 0 ? Number(text) : undefined;
}

function within(number: number | undefined, least: number, most: number): number | undefined {
  return number !== undefined && number >= least && number <= most ? number : undefined;
}

const secondsIn: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, µs: 1e-6, ns: 1e-9 };

/** A Go duration (https://pkg.go.dev/time#ParseDuration) in seconds, or undefined. */
export function seconds(duration: string): number | undefined {
  if (duration === '0') return 0;
  if (!/^(\d+(\.\d+)?(h|ms|m|s|us|µs|ns))+$/.test(duration)) return undefined;
  const parts = duration.matchAll(/([\d.]+)(h|ms|m|s|us|µs|ns)/g);
  return [...parts].reduce((sum, [, amount, unit]) => sum + Number(amount) * (secondsIn[unit ?? ''] ?? 0), 0);
}

function readPortMapping(text: string) {
  const [, number, protocol = 'tcp'] = /^(\d+)(?:\/(\w+))?$/.exec(text) ?? [];
  const valid = within(Number(number), 1, 65535);
  return valid && /^(tcp|udp|tls)$/i.test(protocol) ? { port: valid, protocol: protocol.toLowerCase() } : undefined;
}

/** A map with these fields and no others. */
function map<S extends z.ZodRawShape>(shape: S) {
  const fields = z.strictObject(shape);
  const isMap = (input: unknown) => typeof input === 'object' && !(input instanceof Scalar) && !Array.isArray(input);
  return z.custom<z.input<typeof fields>>(isMap, 'expected a map').pipe(fields);
}

// What a field may be, in all its short forms; each comes out as its long form.

const texts = z.array(text);
const textMap = z.record(z.string(), text);
const words = z.union([value('a command line whose quotes are all closed', ({ text }) => splitWords(text)), texts]);
const textOrTexts = z.union([text.transform((item) => [item]), texts]);
const fromStack = map({ from_cfn: text });
const textOrFromStack = z.union([text, fromStack]);
const variables = z.record(z.string(), textOrFromStack);
const secrets = z.record(z.string(), z.union([text, fromStack, map({ secretsmanager: text })]));

const build = z.union([
  text.transform((dockerfile) => ({ dockerfile })),
  map({
    context: text.optional(),
    dockerfile: text.optional(),
    args: textMap.optional(),
    target: text.optional(),
    cache_from: texts.optional(),
  }),
]);

const dependencies = z.record(z.string(), oneOf('start', 'complete', 'success', 'healthy'));

const containerHealthcheck = map({
  command: becomes('exec, through /bin/sh for CMD-SHELL', texts),
  interval: becomes('periodSeconds', duration),
  timeout: becomes('timeoutSeconds', duration),
  retries: becomes('failureThreshold', integer),
  start_period: becomes('initialDelaySeconds, where no startupProbe covers it', duration),
});

const image = map({
  build: becomes('the image that the cluster was given under the name of --image', build),
  location: becomes('image', text),
  credentials: becomes('imagePullSecrets: the Secret registry-credentials, or --pull-secret', text),
  labels: becomes('annotations of the pod', textMap),
  depends_on: becomes(
    'init containers: run to the end (success, complete) or kept running (start, healthy)',
    dependencies,
  ),
  port: becomes('container port http, Service', port),
  healthcheck: becomes('livenessProbe', containerHealthcheck),
});

const aliases = z.union([
  textOrTexts.transform((names) => names.map((name) => ({ name }))),
  z.array(map({ name: text, hosted_zone: text.optional() })),
]);

const noNames = 'no DNS here: the service is reached by host and port';
const noHttps = 'no TLS here: the load balancer ends it on AWS';
const noBalancer = 'no load balancer here';

const routingRule = {
  path: absent('a NodePort has no paths: every path reaches the service', text, '/'),
  version: absent(
    'a NodePort passes TCP on and knows no HTTP versions; grpc is probed by a TCP connect',
    oneOf('grpc', 'http1', 'http2'),
    'http1',
  ),
  stickiness: absent('a NodePort knows no cookies', boolean, 'false'),
  alias: absent(noNames, aliases),
  hosted_zone: absent(noNames, text),
  redirect_to_https: absent(noHttps, boolean, 'false'),
  allowed_source_ips: absent('a NodePort hides where a request comes from', texts),
  target_container: becomes('the targetPort of the Service: that of the sidecar', text),
  target_port: becomes('the targetPort of the Service', port),
};

const httpHealthcheck = z.union([
  text.transform((path) => ({ path })),
  map({
    path: becomes('httpGet.path', text),
    port: becomes('httpGet.port', port),
    success_codes: absent('the kubelet takes any status from 200 to 399', text, '200'),
    healthy_threshold: absent(
      'a pod is ready at its first success, as a new target is, and later needs no more',
      integer,
    ),
    unhealthy_threshold: becomes('failureThreshold', integer),
    timeout: becomes('timeoutSeconds', duration),
    interval: becomes('periodSeconds', duration),
    grace_period: becomes('startupProbe: failureThreshold, at a period of one second', duration),
  }),
]);

const http = map({
  ...routingRule,
  alb: absent(noBalancer, text),
  targetContainer: becomes('target_container, of which it is the old name', text),
  deregistration_delay: becomes('preStop sleep: the pod serves on while it is taken out of the Service', duration),
  healthcheck: becomes('readinessProbe, startupProbe', httpHealthcheck),
  additional_rules: becomes(
    'one more port of the Service for each target_port',
    z.array(
      map({
        ...routingRule,
        deregistration_delay: absent('the whole pod goes out of service, by the main rule', duration),
        healthcheck: absent('a pod is ready or not as a whole, by the main rule', httpHealthcheck),
      }),
    ),
  ),
});

const listener = {
  port: becomes('a port of the Service', portMapping),
  healthcheck: absent(
    'a TCP connect to the first target port decides on its own terms',
    map({
      port: port.optional(),
      healthy_threshold: integer.optional(),
      unhealthy_threshold: integer.optional(),
      timeout: duration.optional(),
      interval: duration.optional(),
      grace_period: duration.optional(),
    }),
  ),
  target_container: becomes('the targetPort of the Service: that of the sidecar', text),
  target_port: becomes('the targetPort of the Service', port),
  ssl_policy: absent(noHttps, text),
  stickiness: absent(noBalancer, boolean, 'false'),
  deregistration_delay: absent('http.deregistration_delay holds for the pod as a whole', duration),
};

const cooldown = map({ in: duration.optional(), out: duration.optional() });

function target<S extends z.ZodType>(schema: S) {
  return z.union([
    schema.transform((value) => ({ value, cooldown: undefined })),
    map({ value: schema.optional(), cooldown: cooldown.optional() }),
  ]);
}

const range = z.union([
  value('a range such as 1-10', ({ text }) => {
    const [, min, max] = /^(\d+)-(\d+)$/.exec(text) ?? [];
    return min && max ? { min: Number(min), max: Number(max) } : undefined;
  }),
  map({
    min: becomes('minReplicas', integer),
    max: becomes('maxReplicas', integer),
    spot_from: absent('no Spot capacity here', integer),
  }),
]);

const count = z.union([
  integer.transform((replicas) => ({ replicas })),
  map({
    range: becomes('HorizontalPodAutoscaler: minReplicas and maxReplicas, and no replicas beside it', range),
    spot: becomes('replicas: no Spot capacity here', integer),
    cooldown: becomes('HorizontalPodAutoscaler: behavior (the default is in: 120s, out: 60s, as on AWS)', cooldown),
    cpu_percentage: becomes('HorizontalPodAutoscaler: target for cpu, that share of the task', target(percentage)),
    memory_percentage: becomes(
      'HorizontalPodAutoscaler: target for memory, that share of the task',
      target(percentage),
    ),
    requests: absent('the cluster measures no requests: it scales by cpu and memory', target(integer)),
    response_time: absent('the cluster measures no response times: it scales by cpu and memory', target(duration)),
    queue_delay: absent(
      'no SQS queue here to measure',
      map({
        acceptable_latency: duration.optional(),
        msg_processing_time: duration.optional(),
        cooldown: cooldown.optional(),
      }),
    ),
  }),
]);

const platforms = value('a platform such as linux/arm64', ({ text }) => {
  const [, osfamily, architecture] = /^(linux|windows)\/(amd64|x86_64|arm|arm64)$/i.exec(text) ?? [];
  return osfamily && architecture
    ? { osfamily: osfamily.toLowerCase(), architecture: architecture.toLowerCase() }
    : undefined;
});

const mountPath = value('a path of letters, digits and - . _ /', ({ text }) =>
  /^[\w\-./]{1,242}$/.test(text) ? text : undefined,
);
const mount = { path: mountPath.optional(), read_only: boolean.optional() };

const storage = map({
  ephemeral: becomes(
    'limit of ephemeral-storage (20 GiB unless stated, as on Fargate)',
    value('20 to 200 GiB', (scalar) => within(wholeNumber(scalar), 20, 200)),
  ),
  readonly_fs: becomes('readOnlyRootFilesystem, for the sidecars too, with an emptyDir at /tmp', boolean),
  volumes: becomes(
    'emptyDir, or a PersistentVolumeClaim where efs is on',
    z.record(
      z.string(),
      map({
        ...mount,
        efs: becomes(
          'a PersistentVolumeClaim of the default storage class: --volume-size, --access-mode',
          z.union([
            boolean,
            map({
              id: absent('the claim is a new, empty volume', textOrFromStack, 'copilot', 'managed'),
              root_dir: absent('the claim is a new, empty volume', text, '/'),
              auth: absent(
                'the claim belongs to the pod alone',
                map({ iam: boolean.optional(), access_point_id: text.optional() }),
              ),
              uid: absent('the claim is writable for the image’s own user', integer),
              gid: absent('the claim is writable for the image’s own user', integer),
            }),
          ]),
        ),
      }),
    ),
  ),
});

const network = map({
  connect: becomes('the Service, under the service’s name or its alias', z.union([boolean, map({ alias: text })])),
  vpc: absent(
    'a cluster has no subnets and security groups; NetworkPolicies say who reaches the pods',
    map({
      placement: z
        .union([
          oneOf('public', 'private'),
          map({
            subnets: z.union([texts, map({ from_tags: z.record(z.string(), textOrTexts) })]).optional(),
          }),
        ])
        .optional(),
      security_groups: z
        .union([
          z.array(textOrFromStack),
          map({ groups: z.array(textOrFromStack).optional(), deny_default: boolean.optional() }),
        ])
        .optional(),
    }),
  ),
});

const sidecar = map({
  image: becomes(
    'image',
    z.union([
      text.transform((location) => ({ location })),
      map({ build: build.optional(), location: text.optional() }),
    ]),
  ),
  essential: becomes('nothing to set: Kubernetes restarts whatever ends and should not', boolean),
  port: becomes('container port', portMapping),
  credentialsParameter: becomes('imagePullSecrets: the Secret registry-credentials, or --pull-secret', text),
  variables: becomes('env', variables),
  env_file: becomes('env', environmentFile),
  secrets: becomes('env, from the Secret of the service', secrets),
  mount_points: becomes('volumeMounts', z.array(map({ source_volume: text.optional(), ...mount }))),
  labels: absent('Kubernetes labels pods, not containers', textMap),
  depends_on: becomes('the order of the init containers', dependencies),
  healthcheck: becomes(
    'startupProbe (where something waits for it to be healthy) and livenessProbe',
    containerHealthcheck,
  ),
  entrypoint: becomes('command', words),
  command: becomes('args', words),
});

const queue = map({
  retention: duration.optional(),
  delay: duration.optional(),
  timeout: duration.optional(),
  dead_letter: map({ tries: integer.optional() }).optional(),
  fifo: z
    .union([
      boolean,
      map({
        content_based_deduplication: boolean.optional(),
        deduplication_scope: text.optional(),
        throughput_limit: text.optional(),
        high_throughput: boolean.optional(),
      }),
    ])
    .optional(),
});

/** A part that is no concern of Copilot's either, as plain texts. */
const anyValue = z.unknown().transform(bare);

function bare(input: unknown): unknown {
  if (input instanceof Scalar) return input.text;
  if (Array.isArray(input)) return input.map(bare);
  if (typeof input !== 'object' || input === null) return input;
  return Object.fromEntries(Object.entries(input).map(([key, item]) => [key, bare(item)]));
}

const fields = {
  image: becomes('the main container', image),
  http: becomes('Service of type NodePort (of a Backend Service: ClusterIP)', z.union([boolean, http])),
  nlb: becomes(
    'Service of type LoadBalancer, NAME-nlb (in the environment local: NodePort)',
    map({
      ...listener,
      alias: absent(noNames, aliases),
      additional_listeners: becomes('ports of that Service', z.array(map(listener))),
    }),
  ),
  entrypoint: becomes('command', words),
  command: becomes('args', words),
  cpu: becomes('limit of cpu (1024 units = 1 CPU); the request is --reserve percent of it', integer),
  memory: becomes('limit of memory in MiB; the request is --reserve percent of it', integer),
  platform: becomes(
    'nodeSelector for the operating system; the architecture is that of the image the cluster was given',
    z.union([platforms, map({ osfamily: text.optional(), architecture: text.optional() })]),
  ),
  count: becomes('replicas', count),
  exec: becomes('nothing to set: kubectl exec', z.union([boolean, map({ enable: boolean.optional() })])),
  variables: becomes('env, with the COPILOT_* variables that Copilot adds', variables),
  env_file: becomes('env, below variables of the same name', environmentFile),
  secrets: becomes('env, from a Secret of the service that the platform fills', secrets),
  storage: becomes('volumes', storage),
  sidecars: becomes('init containers', z.record(z.string(), sidecar)),
  network: becomes('Service and NetworkPolicy', network),
  deployment: becomes(
    'strategy',
    map({
      rolling: becomes(
        'strategy: none unavailable and twice as many at most, or Recreate',
        oneOf('default', 'recreate'),
      ),
      rollback_alarms: absent(
        'no CloudWatch alarms here: kubectl rollout undo',
        z.union([
          texts,
          map({
            cpu_utilization: decimal.optional(),
            memory_utilization: decimal.optional(),
            messages_delayed: integer.optional(),
          }),
        ]),
      ),
    }),
  ),
  subscribe: absent(
    'topics and queues are not created: --values gives COPILOT_QUEUE_URI and COPILOT_TOPIC_QUEUE_URIS',
    map({
      topics: z
        .array(
          map({
            name: text.optional(),
            service: text.optional(),
            filter_policy: anyValue.optional(),
            queue: z.union([boolean, queue]).optional(),
          }),
        )
        .optional(),
      queue: queue.optional(),
    }),
  ),
  on: becomes('CronJob', map({ schedule: becomes('schedule, in UTC; none suspends the job', text) })),
  retries: becomes('backoffLimit', integer),
  timeout: becomes('activeDeadlineSeconds', duration),
  publish: absent(
    'topics are not created: --values gives COPILOT_SNS_TOPIC_ARNS',
    map({
      topics: z
        .array(
          map({
            name: text.optional(),
            fifo: z.union([boolean, map({ content_based_deduplication: boolean.optional() })]).optional(),
          }),
        )
        .optional(),
    }),
  ),
  logging: absent(
    'no FireLens and CloudWatch here: kubectl logs reads what the containers write',
    map({
      retention: integer.optional(),
      image: text.optional(),
      destination: textMap.optional(),
      enableMetadata: boolean.optional(),
      secretOptions: secrets.optional(),
      configFilePath: text.optional(),
      variables: variables.optional(),
      secrets: secrets.optional(),
      env_file: environmentFile.optional(),
    }),
  ),
  tags: absent('no AWS resources to tag here', textMap),
  observability: absent('no X-Ray here', map({ tracing: oneOf('awsxray').optional() })),
  taskdef_overrides: becomes(
    'terminationGracePeriodSeconds, from StopTimeout of the main container; the other paths mean nothing here',
    z.array(map({ path: text.optional(), value: anyValue.optional() })),
  ),
};

type FieldName = keyof typeof fields;

const everywhere: readonly FieldName[] = [
  ...([
    'image',
    'entrypoint',
    'command',
    'cpu',
    'memory',
    'platform',
    'count',
    'exec',
    'variables',
    'env_file',
  ] as const),
  ...(['secrets', 'storage', 'sidecars', 'network', 'publish', 'logging', 'taskdef_overrides'] as const),
];

/** The types of workload that mean something in Kubernetes, and the fields that each has. */
export const workloadTypes = {
  'Load Balanced Web Service': [...everywhere, 'http', 'nlb', 'deployment', 'observability'],
  'Backend Service': [...everywhere, 'http', 'deployment', 'observability'],
  'Worker Service': [...everywhere, 'subscribe', 'deployment', 'observability'],
  'Scheduled Job': [...everywhere, 'on', 'retries', 'timeout'],
  'Request-Driven Web Service': [
    ...(['image', 'command', 'cpu', 'memory', 'platform', 'count', 'variables', 'secrets', 'network'] as const),
    ...(['publish', 'http', 'observability', 'tags'] as const),
  ],
} as const satisfies Record<string, readonly FieldName[]>;

export type WorkloadType = keyof typeof workloadTypes;

export const everyField = z.strictObject({
  name: becomes('the name of every object', text),
  type: becomes('Deployment, or CronJob for a Scheduled Job', text),
  ...fields,
});

/** A manifest as Kubernetes needs it: every short form in its long form, durations in seconds. */
export type Fields = z.output<typeof everyField>;

const jobFields = { ...fields, count: absent('a job runs one pod, as it runs one task on AWS', count) };

const requestDrivenFields = {
  ...fields,
  command: becomes('args', words),
  count: absent('the name of an App Runner scaling configuration, which only AWS has', text),
  network: absent(
    'a cluster has no subnets; NetworkPolicies say who reaches the pods',
    map({
      vpc: map({ placement: z.union([oneOf('private'), map({ subnets: anyValue.optional() })]).optional() }).optional(),
    }),
  ),
  http: becomes(
    'Service, and a route of every path',
    map({
      healthcheck: becomes('readinessProbe, startupProbe', httpHealthcheck),
      alias: absent(noNames, text),
      private: absent('no VPC endpoints here', z.union([boolean, map({ endpoint: text.optional() })])),
    }),
  ),
};

/** The schema of a manifest of that type: with `environments`, or as one environment sees it. */
export function schemaOf(type: WorkloadType, stage: 'whole' | 'of one environment') {
  const own = ownFields(type);
  const config = Object.fromEntries(workloadTypes[type].map((name) => [name, own[name]]));
  const { name, type: kind } = everyField.shape;
  const environments = becomes('what differs in that environment', z.record(z.string(), map(config)));
  return z.strictObject({ name, type: kind, ...config, ...(stage === 'whole' ? { environments } : {}) });
}

function ownFields(type: WorkloadType) {
  if (type === 'Scheduled Job') return jobFields;
  return type === 'Request-Driven Web Service' ? requestDrivenFields : fields;
}
