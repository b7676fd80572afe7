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

/** The Go type into which Copilot decodes a single value; `any` is whatever stands there. */
export type ScalarType = 'string' | 'int' | 'uint16' | 'uint32' | 'float64' | 'bool' | 'duration' | 'any';

/**
 * How Copilot decodes what is no plain struct, map or list. `either` tries the long form, drops its type errors where
 * that holds something, and else reads the short form; `union` takes the short form, else the long one, and drops nothing.
 */
export type Decoding =
  | { readonly type: ScalarType; readonly expected: string; readonly allowed?: readonly string[] }
  | { readonly form: 'either' | 'texts' | 'union'; readonly short: z.core.$ZodType; readonly long: z.core.$ZodType };

export const decodings = new WeakMap<z.core.$ZodType, Decoding>();

// What a single value may be. Copilot reads YAML into Go types, so `5000` is a text where a text is asked for, and
// `"5000"` is no number where a number is.

function value<T>(
  expected: string,
  type: ScalarType,
  read: (scalar: Scalar) => T | undefined,
  allowed?: readonly string[],
) {
  const schema = z.unknown().transform((input, context): T => {
    const result = input instanceof Scalar ? read(input) : undefined;
    if (result !== undefined) return result;
    context.addIssue({ code: 'custom', message: `expected ${expected}` });
    return z.NEVER;
  });
  decodings.set(schema, { type, expected, ...(allowed ? { allowed } : {}) });
  return schema;
}

/** A short and a long form of one field, of which Copilot reads the long one first. */
function either<A extends z.ZodType, B extends z.ZodType>(short: A, long: B) {
  const schema = z.union([short, long]);
  decodings.set(schema, { form: 'either', short, long });
  return schema;
}

/** As `either`, but where neither form fits, a form around it may drop the error. */
function textOrList<A extends z.ZodType, B extends z.ZodType>(short: A, long: B) {
  const schema = z.union([short, long]);
  decodings.set(schema, { form: 'texts', short, long });
  return schema;
}

/** A short and a long form of one field, of which exactly one has to fit and to hold something. */
function union<A extends z.ZodType, B extends z.ZodType>(short: A, long: B) {
  const schema = z.union([short, long]);
  decodings.set(schema, { form: 'union', short, long });
  return schema;
}

const text = value('a text', 'string', ({ text }) => text);
const integer = value('a whole number', 'int', (scalar) => wholeNumber(scalar));
const id = value('a whole number', 'uint32', (scalar) => wholeNumber(scalar));
const tries = value('a whole number from 0 to 65535', 'uint16', (scalar) => wholeNumber(scalar));
const port = value('a port from 1 to 65535', 'uint16', (scalar) => within(wholeNumber(scalar), 1, 65535));
const wideport = value('a port from 1 to 65535', 'int', (scalar) => within(wholeNumber(scalar), 1, 65535));
const percentage = value('a percentage from 0 to 100', 'int', (scalar) => within(wholeNumber(scalar), 0, 100));
const decimal = value('a number', 'float64', ({ kind, text }) =>
  kind === 'integer' || kind === 'number' ? Number(text) : undefined,
);
const boolean = value('true or false', 'bool', ({ kind, text }) => (kind === 'boolean' ? text === 'true' : undefined));
const duration = value('a duration such as 10s, 1m30s or 500ms', 'duration', ({ text }) => positive(seconds(text)));
const jobTimeout = value('a duration of whole seconds such as 90s or 1h30m', 'string', ({ text }) => {
  const stated = seconds(text);
  return stated !== undefined && stated >= 1 && Number.isInteger(stated) ? stated : undefined;
});
const environmentFile = value('a file that ends in .env', 'string', ({ text }) =>
  text.endsWith('.env') ? text : undefined,
);
const sidecarPort = value('a port such as 80 or 53/udp', 'string', ({ text }) => {
  const mapping = readPortMapping(text);
  return mapping?.protocol === 'tls' ? undefined : mapping;
});
const portMapping = value('a port such as 80 or 80/tcp', 'string', ({ text }) => readPortMapping(text));

function oneOf<const T extends string>(...allowed: T[]) {
  const read = ({ text }: Scalar) => allowed.find((item) => item.toLowerCase() === text.toLowerCase());
  return value(allowed.join(' or '), 'string', read, allowed);
}

function wholeNumber({ kind, text }: Scalar): number | undefined {
  return kind === 'integer' && Number(text) >= 0 ? Number(text) : undefined;
}

function within(number: number | undefined, least: number, most: number): number | undefined {
  return number !== undefined && number >= least && number <= most ? number : undefined;
}

const secondsIn: Readonly<Record<string, number>> = {
  h: 3600,
  m: 60,
  s: 1,
  ms: 1e-3,
  us: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  ns: 1e-9,
};

/** A Go duration: https://pkg.go.dev/time#ParseDuration */
export const durationPattern = /^([-+]?)(0|((\d+\.?\d*|\.\d+)(h|ms|m|s|us|µs|μs|ns))+)$/;

/** A Go duration in seconds, or undefined. */
export function seconds(duration: string): number | undefined {
  const [, sign, parts] = durationPattern.exec(duration) ?? [];
  if (parts === undefined) return undefined;
  const sum = [...parts.matchAll(/([\d.]+)(h|ms|m|s|us|µs|μs|ns)/g)].reduce(
    (total, [, amount, unit]) => total + Number(amount) * (secondsIn[unit ?? ''] ?? 0),
    0,
  );
  return sign === '-' ? -sum : sum;
}

function positive(number: number | undefined): number | undefined {
  return number !== undefined && number >= 0 ? number : undefined;
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
const commandLine = value('a command line whose quotes are all closed', 'string', ({ text }) => splitWords(text));
const words = either(commandLine, texts);
const textOrTexts = textOrList(
  text.transform((item) => [item]),
  texts,
);
const fromStack = map({ from_cfn: text });
const textOrFromStack = either(text, fromStack);
const variables = z.record(z.string(), textOrFromStack);
const secrets = z.record(z.string(), either(textOrFromStack, map({ secretsmanager: text })));

const build = either(
  text.transform((dockerfile) => ({ dockerfile })),
  map({
    context: text.optional(),
    dockerfile: text.optional(),
    args: textMap.optional(),
    target: text.optional(),
    cache_from: texts.optional(),
  }),
);

const dependencies = z.record(z.string(), oneOf('start', 'complete', 'success', 'healthy'));

const containerHealthcheck = map({
  command: becomes('exec, through /bin/sh for CMD-SHELL', texts),
  interval: becomes('periodSeconds', duration),
  timeout: becomes('timeoutSeconds', duration),
  retries: becomes('failureThreshold', integer),
  start_period: becomes('initialDelaySeconds, where no startupProbe covers it', duration),
});

const imageFields = {
  build: becomes('the image that the cluster was given under the name of --image', build),
  location: becomes('image', text),
  credentials: becomes('imagePullSecrets: the Secret registry-credentials, or --pull-secret', text),
  labels: becomes('annotations of the pod', textMap),
  depends_on: becomes(
    'init containers: run to the end (success, complete) or kept running (start, healthy)',
    dependencies,
  ),
};

const imagePort = { port: becomes('container port http, Service', port) };
const imageHealthcheck = { healthcheck: becomes('livenessProbe', containerHealthcheck) };
const image = map({ ...imageFields, ...imagePort, ...imageHealthcheck });

const aliases = either(
  textOrTexts.transform((names) => names.map((name) => ({ name }))),
  z.array(map({ name: text, hosted_zone: text.optional() })),
);

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

const httpHealthcheck = union(
  text.transform((path) => ({ path })),
  map({
    path: becomes('httpGet.path', text),
    port: becomes('httpGet.port', wideport),
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
);

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
      port: wideport.optional(),
      healthy_threshold: integer.optional(),
      unhealthy_threshold: integer.optional(),
      timeout: duration.optional(),
      interval: duration.optional(),
      grace_period: duration.optional(),
    }),
  ),
  target_container: becomes('the targetPort of the Service: that of the sidecar', text),
  target_port: becomes('the targetPort of the Service', wideport),
  ssl_policy: absent(noHttps, text),
  stickiness: absent(noBalancer, boolean, 'false'),
  deregistration_delay: absent('http.deregistration_delay holds for the pod as a whole', duration),
};

const cooldown = map({ in: duration.optional(), out: duration.optional() });

function target<S extends z.ZodType>(schema: S) {
  return either(
    schema.transform((value) => ({ value, cooldown: undefined })),
    map({ value: schema.optional(), cooldown: cooldown.optional() }),
  );
}

const range = either(
  value('a range such as 1-10', 'string', ({ text }) => {
    const [, min, max] = /^(\d+)-(\d+)$/.exec(text) ?? [];
    return min && max ? { min: Number(min), max: Number(max) } : undefined;
  }),
  map({
    min: becomes('minReplicas', integer),
    max: becomes('maxReplicas', integer),
    spot_from: absent('no Spot capacity here', integer),
  }),
);

const count = either(
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
    requests: absent(
      'the autoscaler measures no requests: annotation scaler/requests, for a scaler that does (functions/README.md)',
      target(integer),
    ),
    response_time: absent(
      'the autoscaler measures no response times: annotation scaler/response-seconds, for a scaler that does',
      target(duration),
    ),
    queue_delay: absent(
      'no SQS queue here to measure',
      map({
        acceptable_latency: duration.optional(),
        msg_processing_time: duration.optional(),
        cooldown: cooldown.optional(),
      }),
    ),
  }),
);

const platforms = value('a platform such as linux/arm64', 'string', ({ text }) => {
  const [, osfamily, architecture] = /^(linux|windows(?=\/(?:amd|x86)))\/(amd64|x86_64|arm|arm64)$/i.exec(text) ?? [];
  return osfamily && architecture
    ? { osfamily: osfamily.toLowerCase(), architecture: architecture.toLowerCase() }
    : undefined;
});

const mountPath = value('a path of letters, digits and - . _ /', 'string', ({ text }) =>
  /^[\w\-./]*$/.test(text) ? text : undefined,
);
const mount = { path: mountPath.optional(), read_only: boolean.optional() };

const storage = map({
  ephemeral: becomes(
    'limit of ephemeral-storage (20 GiB unless stated, as on Fargate)',
    value('20 to 200 GiB', 'int', (scalar) => within(wholeNumber(scalar), 20, 200)),
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
          either(
            boolean,
            map({
              id: absent('the claim is a new, empty volume', textOrFromStack, 'copilot', 'managed'),
              root_dir: becomes('subPath of the mounts', text),
              auth: absent(
                'the claim belongs to the pod alone',
                map({ iam: boolean.optional(), access_point_id: text.optional() }),
              ),
              uid: absent('the claim is writable for the image’s own user', id),
              gid: absent('the claim is writable for the image’s own user', id),
            }),
          ),
        ),
      }),
    ),
  ),
});

const subnets = map({ subnets: either(texts, map({ from_tags: z.record(z.string(), textOrTexts) })).optional() });

function placement(...allowed: string[]) {
  const read = ({ text }: Scalar) => (allowed.includes(text) ? text : undefined);
  return either(value(allowed.join(' or '), 'string', read), subnets);
}

const network = map({
  connect: becomes('the Service, under the service’s name or its alias', either(boolean, map({ alias: text }))),
  vpc: absent(
    'a cluster has no subnets and security groups; NetworkPolicies say who reaches the pods',
    map({
      placement: placement('public', 'private').optional(),
      security_groups: either(
        z.array(textOrFromStack),
        map({ groups: z.array(textOrFromStack).optional(), deny_default: boolean.optional() }),
      ).optional(),
    }),
  ),
});

const sidecar = map({
  image: becomes(
    'image',
    union(
      text.transform((location) => ({ location })),
      map({ build: build.optional(), location: text.optional() }),
    ),
  ),
  essential: becomes('nothing to set: Kubernetes restarts whatever ends and should not', boolean),
  port: becomes('container port', sidecarPort),
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
  dead_letter: map({ tries: tries.optional() }).optional(),
  fifo: either(
    boolean,
    map({
      content_based_deduplication: boolean.optional(),
      deduplication_scope: text.optional(),
      throughput_limit: text.optional(),
      high_throughput: boolean.optional(),
    }),
  ).optional(),
});

/** A part that is no concern of Copilot's either, as plain texts. */
const anyValue = z.unknown().transform(bare);
decodings.set(anyValue, { type: 'any', expected: 'a value' });

/** A value of any kind as texts, lists and maps of texts; `!Ref a` is the map `{ "!Ref": "a" }`. */
export function bare(input: unknown): unknown {
  if (input instanceof Scalar) return input.tag === undefined ? input.text : { [input.tag]: input.text };
  if (Array.isArray(input)) return input.map(bare);
  if (typeof input !== 'object' || input === null) return input;
  return Object.fromEntries(Object.entries(input).map(([key, item]) => [key, bare(item)]));
}

const alarms = { cpu_utilization: decimal.optional(), memory_utilization: decimal.optional() };

function deployment<S extends z.ZodRawShape>(ofAlarms: S) {
  const noAlarms = 'no CloudWatch alarms here: kubectl rollout undo';
  const rolling = 'strategy: none unavailable and twice as many at most, or Recreate';
  return becomes(
    'strategy',
    map({
      rolling: becomes(rolling, oneOf('default', 'recreate')),
      rollback_alarms: absent(noAlarms, union(texts, map(ofAlarms))),
    }),
  );
}

const fields = {
  image: becomes('the main container', image),
  http: becomes('Service of type NodePort (of a Backend Service: ClusterIP)', either(boolean, http)),
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
    either(platforms, map({ osfamily: text.optional(), architecture: text.optional() })),
  ),
  count: becomes('replicas', count),
  exec: becomes('nothing to set: kubectl exec', either(boolean, map({ enable: boolean.optional() }))),
  variables: becomes('env, with the COPILOT_* variables that Copilot adds', variables),
  env_file: becomes('env, below variables of the same name', environmentFile),
  secrets: becomes('env, from a Secret of the service that the platform fills', secrets),
  storage: becomes('volumes', storage),
  sidecars: becomes('init containers', z.record(z.string(), sidecar)),
  network: becomes('Service and NetworkPolicy', network),
  deployment: deployment({ ...alarms, messages_delayed: integer.optional() }),
  subscribe: absent(
    'topics and queues are not created: --values gives COPILOT_QUEUE_URI and COPILOT_TOPIC_QUEUE_URIS',
    map({
      topics: z
        .array(
          map({
            name: text.optional(),
            service: text.optional(),
            filter_policy: z.record(z.string(), anyValue).optional(),
            queue: either(boolean, queue).optional(),
          }),
        )
        .optional(),
      queue: queue.optional(),
    }),
  ),
  files: becomes(
    'files of an image with nginx that is written beside the objects',
    z.array(
      map({
        source: text.optional(),
        destination: text.optional(),
        recursive: boolean.optional(),
        exclude: textOrTexts.optional(),
        reinclude: textOrTexts.optional(),
      }),
    ),
  ),
  on: becomes('CronJob', map({ schedule: becomes('schedule, in UTC; none suspends the job', text) })),
  retries: becomes('backoffLimit', integer),
  timeout: becomes('activeDeadlineSeconds', jobTimeout),
  publish: absent(
    'topics are not created: --values gives COPILOT_SNS_TOPIC_ARNS',
    map({
      topics: z
        .array(
          map({
            name: text.optional(),
            fifo: either(boolean, map({ content_based_deduplication: boolean.optional() })).optional(),
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
  observability: absent('no X-Ray here', map({ tracing: text.optional() })),
  taskdef_overrides: becomes(
    'containers, image, working directory, entry point, command, variables, secrets, ports, user, health check, order, read-only root, mounts, volumes and stop time-out; others are named',
    z.array(map({ path: text.optional(), value: anyValue.optional() })),
  ),
};

type FieldName = keyof typeof fields;

const staticSiteFields = {
  ...fields,
  http: becomes(
    'Service, and a route of every path',
    map({
      alias: absent(noNames, text),
      certificate: absent('no TLS here: CloudFront ends it on AWS', text),
    }),
  ),
};

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
  'Static Site': ['http', 'files'],
} as const satisfies Record<string, readonly FieldName[]>;

export type WorkloadType = keyof typeof workloadTypes;

export const everyField = z.strictObject({
  name: becomes('the name of every object', text),
  type: becomes('Deployment, or CronJob for a Scheduled Job', text),
  ...fields,
});

/** A manifest as Kubernetes needs it: every short form in its long form, durations in seconds. */
export type Fields = z.output<typeof everyField> & {
  /** The sidecars that overrides add to those of the manifest, and their place in the task definition (undefined: the last). */
  added?: readonly { name: string; place: number | undefined }[];
  /** Whether a Request-Driven Web Service is reached from its VPC only. */
  isPrivate?: boolean;
};

const main = becomes('the main container', map({ ...imageFields, ...imageHealthcheck }));

const webFields = { ...fields, deployment: deployment(alarms) };
const backendFields = { ...webFields, http: becomes('Service of type ClusterIP', http) };
const workerFields = { ...fields, image: main };
const jobFields = { ...workerFields, count: absent('a job runs one pod, as it runs one task on AWS', count) };

const requestDrivenFields = {
  ...fields,
  image: becomes('the main container', map({ ...imageFields, ...imagePort })),
  command: becomes('args', commandLine),
  count: absent('the name of an App Runner scaling configuration, which only AWS has', text),
  network: absent(
    'a cluster has no subnets; NetworkPolicies say who reaches the pods',
    map({
      vpc: map({ placement: placement('private').optional() }).optional(),
    }),
  ),
  observability: absent('no X-Ray here', map({ tracing: oneOf('awsxray').optional() })),
  http: becomes(
    'Service, and a route of every path',
    map({
      healthcheck: becomes('readinessProbe, startupProbe', httpHealthcheck),
      alias: absent(noNames, text),
      private: absent(
        'no VPC endpoints here: it is reached from inside the cluster only',
        union(boolean, map({ endpoint: text.optional() })),
      ),
    }),
  ),
};

type Stage = 'whole' | 'of one environment';

const schemas = new Map<string, ReturnType<typeof makeSchema>>();

/** The schema of a manifest of that type: with `environments`, or as one environment sees it. */
export function schemaOf(type: WorkloadType, stage: Stage) {
  const known = schemas.get(`${type} ${stage}`) ?? makeSchema(type, stage);
  schemas.set(`${type} ${stage}`, known);
  return known;
}

function makeSchema(type: WorkloadType, stage: Stage) {
  const own = ownFields(type);
  const config = Object.fromEntries(workloadTypes[type].map((name) => [name, own[name]]));
  const { name, type: kind } = everyField.shape;
  const environments = becomes('what differs in that environment', z.record(z.string(), map(config)));
  return z.strictObject({ name, type: kind, ...config, ...(stage === 'whole' ? { environments } : {}) });
}

function ownFields(type: WorkloadType) {
  if (type === 'Load Balanced Web Service') return webFields;
  if (type === 'Backend Service') return backendFields;
  if (type === 'Worker Service') return workerFields;
  if (type === 'Static Site') return staticSiteFields;
  return type === 'Scheduled Job' ? jobFields : requestDrivenFields;
}
