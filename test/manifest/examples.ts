import { webService } from '../k8s/workload.ts';

const job = 'name: api\ntype: Scheduled Job\nimage: { build: D }';
const worker = 'name: w\ntype: Worker Service\nimage: { build: D }';
const queue = (fifo: string) => `${worker}\nsubscribe: { queue: { fifo: ${fifo} } }`;
const sidecar = 'sidecars: { s: { image: x, port: 81 } }';
const efs = (fields: string) => webService(`storage: { volumes: { v: { path: /v, efs: { ${fields} } } } }`);
const backend = (...lines: string[]) => ['name: api\ntype: Backend Service', ...lines].join('\n');
const requestDriven = (...lines: string[]) =>
  ['name: api\ntype: Request-Driven Web Service\nimage: { location: public.ecr.aws/a/b, port: 80 }', ...lines].join(
    '\n',
  );
const scheduled = (schedule: string, ...lines: string[]) =>
  [`${job}\non: { schedule: ${JSON.stringify(schedule)} }`, ...lines].join('\n');

/** Manifests that break a rule of Copilot's, each with what its refusal has to say. */
export const refused: readonly (readonly [manifest: string, message: string])[] = [
  ['name: api\ntype: Static Site\nfiles: [{ destination: a }]', 'files.0.source is missing'],
  [
    'name: api\ntype: Static Site\nhttp: { certificate: "arn:aws:acm:us-east-1:1:certificate/c" }',
    'http.certificate needs an alias',
  ],
  [
    'name: api\ntype: Static Site\nhttp: { alias: a.b, certificate: "arn:aws:acm:eu-west-1:1:certificate/c" }',
    'expected the ARN of a certificate in us-east-1',
  ],
  ['type: Load Balanced Web Service\nimage: { build: D, port: 80 }\nhttp: { path: / }', 'name is missing'],
  [
    'name: my api\ntype: Load Balanced Web Service\nimage: { build: D, port: 80 }\nhttp: { path: / }',
    '"my api" is not a valid name in Kubernetes',
  ],
  ['name: api\ntype: Load Balanced Web Service\nimage: { build: D, port: 80 }', 'http is missing'],
  [webService('image: { port: 80 }'), 'image.build or image.location is missing'],
  [webService('image: { build: D, location: x, port: 80 }'), 'image.build and image.location exclude each other'],
  [webService('image: { build: D }'), 'image.port is missing'],
  [webService('http: false'), 'http is false, so nlb is required'],
  [webService('http: { healthcheck: /up }'), 'http.path is missing'],
  [webService('http: { path: /, additional_rules: [{ target_port: 81 }] }'), 'http.additional_rules.0.path is missing'],
  [webService('http: { path: /, hosted_zone: Z }'), 'http.hosted_zone needs an alias'],
  [webService('http: { path: /, allowed_source_ips: [10.0.0.0/8, 10.0.0.1] }'), '"10.0.0.1" is not an address range'],
  [webService('http: { path: /, target_container: nginx }'), 'the target container "nginx" is not among the sidecars'],
  [
    webService('http: { path: /, target_container: nginx }', 'sidecars: { nginx: { image: n } }'),
    'the target container "nginx" exposes no port',
  ],
  [webService('nlb: { target_port: 80 }'), 'nlb.port is missing'],
  [
    webService('count: { spot: 1, range: 1-2, cpu_percentage: 1 }'),
    'count.spot and scaling by count.range exclude each other',
  ],
  [webService('count: { cpu_percentage: 70 }'), "count.range is missing: cpu_percentage can't scale without it"],
  [webService('count: { range: 1-2 }'), 'count.range needs something to scale by'],
  [webService('count: { range: 3-1, cpu_percentage: 1 }'), 'count.range: the minimum is above the maximum'],
  [webService('count: { range: { min: 1 }, cpu_percentage: 1 }'), 'count.range needs both min and max'],
  [webService('count: { cooldown: { in: 1m } }'), 'count.cooldown needs something to scale by'],
  [
    webService('count: { range: 1-2, queue_delay: { acceptable_latency: 1s, msg_processing_time: 1s } }'),
    'a Load Balanced Web Service does not scale by queue_delay',
  ],
  [
    webService('http: false', 'nlb: { port: 80 }', 'count: { range: 1-2, requests: 5 }'),
    'nothing to scale by requests or response_time without http',
  ],
  [
    webService('deployment: { rollback_alarms: { messages_delayed: 5 } }'),
    'deployment.rollback_alarms: expected a list or a map, found a map without any of its fields',
  ],
  [webService('storage: { volumes: { v: { efs: true } } }'), 'storage.volumes.v.path is missing'],
  [
    webService('storage: { volumes: { v: { path: /v, efs: { uid: 5, gid: 5, id: fs-1 } } } }'),
    'storage.volumes.v.efs.uid, storage.volumes.v.efs.gid and storage.volumes.v.efs.id exclude each other',
  ],
  [webService('storage: { volumes: { v: { path: /v, efs: { uid: 5 } } } }'), 'uid and gid go together'],
  [webService('storage: { volumes: { v: { path: /v, efs: { uid: 0, gid: 0 } } } }'), 'uid must not be 0'],
  [webService('sidecars: { s: { port: 80 } }'), 'sidecars.s.image is missing'],
  [
    webService('sidecars: { s: { image: { build: D, location: x } } }'),
    'image.build and image.location exclude each other',
  ],
  [
    webService('sidecars: { s: { image: x, mount_points: [{ source_volume: v, path: /v }] } }'),
    'no volume "v" in storage.volumes',
  ],
  [webService('sidecars: { s: { image: x, depends_on: { t: start } } }'), 'there is no container "t"'],
  [
    webService('image: { build: D, port: 80, depends_on: { s: success } }', 'sidecars: { s: { image: x } }'),
    '"s" is essential, so it never ends',
  ],
  [
    webService('sidecars: { s: { image: x, depends_on: { t: start } }, t: { image: x, depends_on: { s: start } } }'),
    'circular dependency: s → t → s',
  ],
  ['name: api\ntype: Backend Service\nimage: { build: D }\nhttp: false', 'http: expected a map, found false'],
  [
    'name: api\ntype: Backend Service\nimage: { build: D }\nhttp: { path: / }',
    'http needs an image.port to send requests to',
  ],
  [
    'name: api\ntype: Worker Service\nimage: { build: D }\ncount: { range: 1-2, requests: 5 }',
    'a Worker Service does not scale by requests',
  ],
  [job, 'on.schedule is missing'],
  [`${job}\non: { schedule: "@daily" }\ncount: { range: 1-2, cpu_percentage: 1 }`, 'a Scheduled Job does not scale'],

  [
    webService('sidecars: { a: { image: x, port: 9000 }, b: { image: y, port: 9000 } }'),
    'manifest.yml:5: port 9000 is exposed by both "a" and "b"',
  ],
  [webService('sidecars: { a: { image: x, port: 8080 } }'), 'port 8080 is exposed by both "a" and "api"'],
  [
    webService('nlb: { port: 53/udp, additional_listeners: [{ port: 54/tcp, target_port: 53 }] }'),
    'port 53 of "api" is exposed as both udp and tcp',
  ],
  [
    webService('nlb: { port: 53/udp, healthcheck: { port: 53 } }'),
    'the health check needs TCP, but port 53 is exposed as udp',
  ],
  [
    `${worker}\ncount: { range: 1-5, queue_delay: { acceptable_latency: 1s, msg_processing_time: 2s } }`,
    'msg_processing_time is longer than acceptable_latency',
  ],
  [
    webService('storage: { volumes: { a: { path: /a, efs: true }, b: { path: /b, efs: { uid: 1, gid: 1 } } } }'),
    'more than one managed volume',
  ],
  [webService('http: { path: /, alias: [a.b, c.b, d.b, e.b, f.b] }'), 'a load balancer rule takes 4'],
  [webService('platform: { osfamily: linux }'), 'platform needs both osfamily and architecture'],
  [webService('platform: windows/amd64', 'storage: { readonly_fs: true }'), 'readonly_fs is not supported on Windows'],
  [
    webService('platform: windows/amd64', 'storage: { volumes: { v: { path: /v, efs: true } } }'),
    'EFS is not supported on Windows',
  ],
  [webService('platform: windows/amd64', 'network: { connect: true }'), 'is not supported on Windows'],
  [webService('publish: { topics: [{ name: a.b }] }'), 'topic name "a.b"'],
  [`${worker}\nsubscribe: { topics: [{ name: t }] }`, 'the service that publishes the topic is missing'],
  [`${worker}\nsubscribe: { topics: [{ name: t, service: A }] }`, 'service "A": expected a lower-case letter'],
  [queue('{ high_throughput: true, throughput_limit: perQueue }'), 'high_throughput excludes'],
  [queue('{ deduplication_scope: all }'), 'expected messageGroup or queue'],
  [queue('{ throughput_limit: all }'), 'expected perMessageGroupId or perQueue'],
  [queue('{ throughput_limit: perMessageGroupId, deduplication_scope: queue }'), 'has to be perQueue'],

  [
    webService(
      'http: { path: /, healthcheck: { grace_period: 5s } }',
      'nlb: { port: 81, healthcheck: { grace_period: 5s } }',
    ),
    'http.healthcheck.grace_period and nlb.healthcheck.grace_period exclude each other',
  ],
  [
    webService('http: { path: /, additional_rules: [{ path: /a, healthcheck: { grace_period: 5s } }] }'),
    'grace_period belongs in http.healthcheck only',
  ],
  [
    webService('nlb: { port: 81, additional_listeners: [{ port: 82, healthcheck: { grace_period: 5s } }] }'),
    'grace_period belongs in nlb.healthcheck only',
  ],
  [
    webService('nlb: { port: 81, alias: [{ name: a.b, hosted_zone: Z }] }'),
    'a Network Load Balancer supports no hosted_zone',
  ],
  [webService('nlb: { port: 8080/udp }'), 'the health check needs TCP, but port 8080 is exposed as udp'],
  [webService('http: { path: /, targetContainer: s }'), 'the target container "s" is not among the sidecars'],
  [
    webService('http: { path: /, target_container: s, targetContainer: s }', sidecar),
    'http.target_container and its old name targetContainer exclude each other',
  ],
  [webService('http: { path: /, hosted_zone: "" }'), 'http.hosted_zone needs an alias'],
  [webService('sidecars: { s: { image: x, port: 81/tls } }'), 'sidecars.s.port: expected a port such as 80 or 53/udp'],
  [
    backend('image: { build: D }', 'http: { path: /, target_container: api }'),
    'the target container "api" exposes no port',
  ],
  [backend('image: { build: D }', 'network: { connect: { alias: a } }'), 'network.connect.alias needs a port'],
  [
    'name: w\ntype: Worker Service\nimage: { build: D }\nnetwork: { connect: { alias: a } }',
    'network.connect.alias needs a port',
  ],
  [
    backend('image: { build: D, port: 80 }', 'count: { range: 1-2, requests: 5 }'),
    'nothing to scale by requests or response_time without http',
  ],
  [
    efs('id: fs-1, root_dir: /a, auth: { access_point_id: a }'),
    'root_dir has to be / or absent beside access_point_id',
  ],
  [
    efs('id: fs-1, auth: { iam: false, access_point_id: a }'),
    'auth.iam has to be true or absent beside access_point_id',
  ],
  [efs('id: fs-1, root_dir: "/a b"'), 'root_dir "/a b": expected a path of letters, digits and - . _ /'],
  [efs('gid: 5'), 'uid and gid go together'],
  [
    webService('taskdef_overrides: [{ path: Family, value: x }]'),
    "taskdef_overrides can't change Family: Copilot sets it",
  ],
  [
    webService('taskdef_overrides: [{ path: "ContainerDefinitions[0].Name", value: x }]'),
    "taskdef_overrides can't change ContainerDefinitions[0].Name",
  ],
  [webService('taskdef_overrides: [{ path: "Volumes[x]", value: x }]'), '"Volumes[x]": expected a path of keys'],
  [webService('platform: windows/arm64'), 'platform: expected a platform such as linux/arm64'],
  [
    webService('platform: { osfamily: windows_server_2019_core, architecture: arm64 }'),
    'platform windows_server_2019_core/arm64: expected linux',
  ],
  [webService('platform: { osfamily: solaris, architecture: amd64 }'), 'platform solaris/amd64: expected linux'],
  [requestDriven('platform: linux/amd64'), 'Copilot refuses every platform of a Request-Driven Web Service'],
  [requestDriven('network: { vpc: { placement: public } }'), 'network.vpc.placement: expected private or a map'],
  [requestDriven('observability: { tracing: jaeger }'), 'observability.tracing: expected awsxray, found "jaeger"'],
  [requestDriven('cpu:'), 'cpu: expected a whole number, found nothing'],
  [
    webService('count: { range: 1-2, cpu_percentage: { cooldown: { in: 1m } } }'),
    'count.cpu_percentage.value is missing',
  ],
  [webService('variables: { A: { from_cfn: "" } }'), 'from_cfn is empty: expected the name of an export'],
  [webService('network: { vpc: { placement: Private } }'), 'network.vpc.placement: expected public or private'],
  [
    webService(
      'sidecars: { s: { image: x, depends_on: { firelens_log_router: start } } }',
      'logging: { retention: 7 }',
    ),
    'there is no container "firelens_log_router"',
  ],
  [scheduled('0 0 1 * 1'), 'names both a day of the month and a day of the week'],
  [scheduled('@every 30s'), 'expected a whole number of minutes or hours'],
  [scheduled('0 24 * * *'), '"24" is not a valid hour: expected a number from 0 to 23'],
  [scheduled('0 0 * * 7'), '"7" is not a valid day of the week'],
  [scheduled('0 0 * foo *'), '"foo" is not a valid month'],
  [scheduled('5-1 * * * *'), '"5-1" is not a valid minute'],
  [scheduled('@daily', 'timeout: 90'), 'timeout: expected a duration of whole seconds such as 90s or 1h30m'],
  [scheduled('@daily', 'timeout: 500ms'), 'timeout: expected a duration of whole seconds'],

  [backend('image: { location: x }', 'cpu: 256', 'cpu: 512'), 'duplicate key "cpu"'],
  [backend('image: { location: x }', 'variables: { A: b, A: c }'), 'duplicate key "A"'],
  [backend('image: { location: x }', 'variables: { ? [a] : b }'), 'a key has to be plain text'],
  [backend('image: { location: x }', 'variables: { <<: a }'), '"<<" merges maps only'],
  [backend('image: { location: x }', 'exec: !!bool yes'), '"yes" is no !!bool'],
  [backend('image: { location: x }', 'foo: \u0001'), 'control characters are not allowed'],
  [backend('image: { location: x }', 'environments: { test: }'), 'environments.test: expected a map, found ""'],
];

/** Manifests that Copilot accepts, although they are close to violating a rule. */
export const accepted: readonly string[] = [
  webService('count: { range: 0-4, cpu_percentage: 70 }'),
  webService('nlb: { port: 443/tls, target_port: 8080 }'),
  webService('nlb: { port: 80, target_container: s }', 'sidecars: { s: { image: x, port: 80 } }'),
  webService('http: { path: /, target_port: 9 }', 'sidecars: { s: { image: x, port: 9 } }'),
  webService('nlb: { port: 8080/udp, healthcheck: { port: 9000 } }', 'http: { path: /, healthcheck: { port: 9000 } }'),

  webService('platform: linux/arm64', 'count: { spot: 1 }'),
  webService('platform: { osfamily: Windows_Server_2022_Full, architecture: X86_64 }'),
  webService('observability: { tracing: jaeger }'),
  webService('deployment: { rollback_alarms: { cpu_utilization: .nan } }'),
  webService('logging: { image: x }', 'sidecars: { s: { image: x, depends_on: { firelens_log_router: success } } }'),
  webService('nlb: { port: 53/udp, healthcheck: { port: 8080 } }'),
  efs('id: fs-1, root_dir: /, auth: { access_point_id: a }'),
  requestDriven('variables: { A: { from_cfn: "" } }'),
  'name: w\ntype: Worker Service\nimage: { build: D }\nplatform: windows/amd64\nnetwork: { connect: true }',
  backend(
    'image: { build: D, port: 80 }',
    'http: { path: /, additional_rules: [{ path: /a, healthcheck: { grace_period: 5s } }] }',
  ),
  scheduled('*/5 8-18 * jan-MAR,12 Mon-fri'),
  scheduled('@every 90m'),
];

/** Files that Copilot accepts, although they are close to invalid YAML. */
export const acceptedFiles: readonly string[] = [
  `${backend('image: { location: x }')}\n---\nname: other\n`,
  `---\n${backend('image: { location: x }')}\n---\n: : :`,
  `${backend('image: { location: x }')}\n...\nrubbish: [`,
  backend('image: { location: x }').replaceAll('\n', '\r'),
  backend('image: { location: x }', 'foo: { a: 1, a: 2 }'),
  backend('image: { location: x }', 'foo: {{ .Values.x }}'),
  backend('image: { location: x }', 'count: !!int "2"', 'exec: !!bool "true"'),
  backend('image: { location: x }', 'variables:', ...Array.from({ length: 30_000 }, (_, i) => `  A${i}: b`)),
];
