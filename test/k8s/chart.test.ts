import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { adaptedOf } from '../../k8s/adapted.ts';
import { routePath, routesOf } from '../../k8s/routes.ts';
import { readTaskChanges, withTaskOverrides } from '../../manifest/task-overrides.ts';
import {
  containerOf,
  environmentOf,
  noOverrides,
  objectsOf,
  only,
  overriding,
  podOf,
  synthesisOf,
  webService,
  workloadOf,
} from './workload.ts';

const backend = (...lines: string[]) => ['name: api', 'type: Backend Service', ...lines].join('\n');
const worker = (...lines: string[]) =>
  ['name: api', 'type: Worker Service', 'image: { build: D }', ...lines].join('\n');
const job = (...lines: string[]) => ['name: api', 'type: Scheduled Job', 'image: { build: D }', ...lines].join('\n');

describe('the objects of a workload', () => {
  it('start with the namespace of the application, which enforces the restricted Pod Security Standard', () => {
    const [namespace] = objectsOf(webService());
    expect(namespace).to.have.property('kind', 'Namespace');
    expect(namespace.metadata.name).to.equal('shop');
    expect(namespace.metadata.labels).to.include({ 'pod-security.kubernetes.io/enforce': 'restricted' });
  });

  it('carry the labels that Kubernetes recommends', () => {
    for (const object of objectsOf(webService()).slice(1)) {
      expect(object.metadata.namespace).to.equal('shop');
      expect(object.metadata.labels).to.include({
        'app.kubernetes.io/name': 'api',
        'app.kubernetes.io/instance': 'shop-test',
        'app.kubernetes.io/part-of': 'shop',
      });
    }
  });

  it('are the same each time', () => {
    const text = webService('count: { range: 2-3, cpu_percentage: 70 }', 'variables: { B: "1", A: "2" }');
    expect(synthesisOf(text).app.synthYaml()).to.equal(synthesisOf(text).app.synthYaml());
  });

  it('include a service account without a token', () => {
    expect(only(objectsOf(webService()), 'ServiceAccount').automountServiceAccountToken).to.equal(false);
    expect(podOf(webService())).to.include({ serviceAccountName: 'api', automountServiceAccountToken: false });
  });

  it('select the pods of the Deployment in Service, Deployment and NetworkPolicy', () => {
    const objects = objectsOf(webService('count: 2'));
    const { labels } = only(objects, 'Deployment').spec.template.metadata;
    const selectors = [
      only(objects, 'Service').spec.selector,
      only(objects, 'Deployment').spec.selector.matchLabels,
      only(objects, 'NetworkPolicy').spec.podSelector.matchLabels,
      only(objects, 'PodDisruptionBudget').spec.selector.matchLabels,
    ];
    for (const selector of selectors) expect(labels).to.include(selector);
  });
});

describe('a Load Balanced Web Service', () => {
  it('is a NodePort Service on image.port', () => {
    const { type, ports } = only(objectsOf(webService('image: { build: D, port: 8080 }')), 'Service').spec;
    expect(type).to.equal('NodePort');
    expect(ports).to.deep.equal([{ name: 'http', port: 8080, targetPort: 8080, nodePort: 30500, protocol: 'TCP' }]);
  });

  it('sends to http.target_port', () => {
    const { ports } = only(objectsOf(webService('http: { path: /, target_port: 9000 }')), 'Service').spec;
    expect(ports[0]).to.include({ port: 9000, targetPort: 9000 });
  });

  it('sends to the port of the sidecar that is the target', () => {
    const text = webService(
      'http: { path: /, target_container: nginx }',
      'sidecars: { nginx: { image: n, port: 81 } }',
    );
    expect(only(objectsOf(text), 'Service').spec.ports[0]).to.include({ targetPort: 81 });
    expect(containerOf(text).readinessProbe).to.have.nested.property('httpGet.port', 81);
  });

  it('has a port for each target port of its additional rules', () => {
    const text = webService(
      'http: { path: /, additional_rules: [{ path: /a, target_port: 81 }, { path: /b, target_port: 81 }] }',
    );
    const { ports } = only(objectsOf(text), 'Service').spec;
    expect(ports.map(({ name }: { name: string }) => name)).to.deep.equal(['http', 'http-81']);
  });

  it('names its ports apart if an additional rule sends to image.port and the main rule to a sidecar', () => {
    const text = webService(
      'http: { path: /, target_container: nginx, additional_rules: [{ path: /api, target_port: 8080 }] }',
      'sidecars: { nginx: { image: nginx, port: 80 } }',
    );
    const { ports } = only(objectsOf(text), 'Service').spec;
    expect(ports.map(({ name }: { name: string }) => name)).to.deep.equal(['http', 'http-8080']);
  });

  it('has a port for each listener of nlb', () => {
    const text = webService(
      'http: false',
      'nlb: { port: 443/tls, target_port: 8080, additional_listeners: [{ port: 53/udp, healthcheck: { port: 8080 } }] }',
    );
    const { ports, type } = only(objectsOf(text), 'Service', 'api-nlb').spec;
    expect(type).to.equal('LoadBalancer');
    expect(ports).to.deep.equal([
      { name: 'tls-443', port: 443, targetPort: 8080, nodePort: 30500, protocol: 'TCP' },
      { name: 'udp-53', port: 53, targetPort: 53, nodePort: 30501, protocol: 'UDP' },
    ]);
  });

  it('is reached by other services at image.port, regardless of the listeners of nlb', () => {
    const text = webService('http: false', 'nlb: { port: 443/tls, target_port: 8080 }');
    const { ports, type } = only(objectsOf(text), 'Service', 'api').spec;
    expect([type, ports[0].port]).to.deep.equal(['ClusterIP', 8080]);
  });

  it('reports that TLS of nlb is terminated elsewhere', () => {
    const { adapted } = synthesisOf(webService('nlb: { port: 443/tls, target_port: 8080 }'));
    expect(adapted[0]?.path).to.equal('nlb.port');
  });

  it('is also reached by the alias of network.connect', () => {
    const objects = objectsOf(webService('network: { connect: { alias: orders } }'));
    expect(only(objects, 'Service', 'orders').spec.type).to.equal('ClusterIP');
  });

  it('has no second Service for an alias that is its own name, or that no Service can have', () => {
    for (const alias of ['api', 'api.internal'])
      expect(
        only(objectsOf(webService(`network: { connect: { alias: ${alias} } }`)), 'Service').metadata.name,
      ).to.equal('api');
  });

  it('keeps its own name alone, and reports it, where its alias leads to another workload', () => {
    const text = webService('network: { connect: { alias: orders } }');
    const { adapted, objects } = synthesisOf(text, { takenNames: new Set(['orders']) });
    expect(only(objects, 'Service').metadata.name).to.equal('api');
    expect(adapted).to.deep.equal([
      {
        path: 'network.connect.alias',
        reason: 'another workload is reached by the name orders, and in a cluster it leads to one of them: use api',
      },
    ]);
  });

  it('reports the name of its Service where its alias has an underscore', () => {
    const { adapted, objects } = synthesisOf(webService('network: { connect: { alias: my_api } }'));
    expect(only(objects, 'Service', 'my-api').spec.type).to.equal('ClusterIP');
    expect(adapted.map(({ reason }) => reason)).to.deep.equal([
      "a Service's name has no underscores: use my-api instead of my_api",
    ]);
  });

  it('is named by its own name where its alias has dots', () => {
    const { adapted } = synthesisOf(webService('network: { connect: { alias: api.internal } }'));
    expect(adapted.map(({ path }) => path)).to.deep.equal(['network.connect.alias']);
    const dottedAliases = new Map([['orders.internal', 'orders']]);
    const text = webService('variables: { A: "http://orders.internal:80/", B: my.orders.internal }');
    expect(environmentOf(containerOf(text, { dottedAliases }))).to.include({
      A: 'http://orders:80/',
      B: 'my.orders.internal',
    });
  });

  for (const [stated, path] of [
    ['v2/*', '/v2'],
    ['/*', '/'],
    ['a//b', '/a/b'],
    ['a/*/b', '/a/*/b'],
  ] as const) {
    it(`has the route ${path} for the path ${stated}`, () => {
      expect(routePath(stated)).to.equal(path);
    });
  }

  it('reports that a route has the wildcard unchanged', () => {
    const { adapted } = synthesisOf(webService('http: { path: "/a*" }'));
    expect(adapted.map(({ path }) => path)).to.deep.equal(['http.path']);
  });

  it('keeps those labels of the image that may be annotations', () => {
    const text = webService('image: { build: D, port: 80, labels: { com.example/team: a, "my label": b, a/b/c: d } }');
    expect(only(objectsOf(text), 'Deployment').spec.template.metadata.annotations).to.deep.equal({
      'com.example/team': 'a',
    });
    const lost = synthesisOf(text).unsupported.map(({ path }) => path);
    expect(lost).to.deep.equal(['image.labels.my label', 'image.labels.a/b/c']);
  });

  it('has no autoscaler for a target of 0 percent, which Kubernetes refuses', () => {
    const kinds = objectsOf(webService('count: { range: 1-2, cpu_percentage: 0 }')).map(({ kind }) => kind);
    expect(kinds).not.to.include('HorizontalPodAutoscaler');
  });

  it('allows ingress only to its ports', () => {
    const text = webService('sidecars: { nginx: { image: n, port: 81 } }');
    const { policyTypes, ingress } = only(objectsOf(text), 'NetworkPolicy').spec;
    expect(policyTypes).to.include('Ingress');
    expect(ingress).to.deep.equal([
      {
        ports: [
          { port: 81, protocol: 'TCP' },
          { port: 8080, protocol: 'TCP' },
        ],
      },
    ]);
  });
});

describe('other types', () => {
  it('make a Backend Service a ClusterIP Service', () => {
    const { type, ports } = only(objectsOf(backend('image: { build: D, port: 80 }')), 'Service').spec;
    expect([type, ports[0].nodePort]).to.deep.equal(['ClusterIP', undefined]);
  });

  it('make a Backend Service without a port a Deployment without a Service', () => {
    const objects = objectsOf(backend('image: { build: D }'));
    expect(objects.map(({ kind }) => kind)).not.to.include('Service');
    expect(only(objects, 'NetworkPolicy').spec).not.to.have.property('ingress');
  });

  it('let the own check of a Backend Service without http decide when it is ready', () => {
    const { readinessProbe } = containerOf(
      backend('image: { build: D, port: 80, healthcheck: { command: [CMD, ok] } }'),
    );
    expect(readinessProbe?.exec?.command).to.deep.equal(['ok']);
  });

  it('make a Worker Service a Deployment without a Service', () => {
    const kinds = objectsOf(worker()).map(({ kind }) => kind);
    expect(kinds).to.include('Deployment').and.not.to.include('Service');
  });

  it('make a Scheduled Job a CronJob in UTC', () => {
    const { spec } = only(objectsOf(job('on: { schedule: rate(5 minutes) }', 'retries: 3', 'timeout: 1h')), 'CronJob');
    expect(spec).to.include({ schedule: '@every 5m', timeZone: 'Etc/UTC' });
    expect(spec.jobTemplate.spec).to.include({ backoffLimit: 3, activeDeadlineSeconds: 3600 });
    expect(spec.jobTemplate.spec.template.spec.restartPolicy).to.equal('Never');
  });

  it('run one pod of a Scheduled Job, regardless of its count', () => {
    const { unsupported } = synthesisOf(job('on: { schedule: "@daily" }', 'count: 3'));
    expect(unsupported.map(({ path }) => path)).to.deep.equal(['count']);
  });

  it('suspend a Scheduled Job whose schedule is none', () => {
    expect(only(objectsOf(job('on: { schedule: none }')), 'CronJob').spec.suspend).to.equal(true);
  });
});

describe('the main container', () => {
  it('runs the image that stands for image.build', () => {
    expect(containerOf(webService(), { image: 'api:7' })).to.include({
      image: 'api:7',
      imagePullPolicy: 'IfNotPresent',
    });
  });

  it('runs image.location', () => {
    expect(containerOf(webService('image: { location: "nginx:1", port: 80 }')).image).to.equal('nginx:1');
  });

  it('takes entrypoint as command and command as args', () => {
    const { command, args } = containerOf(webService('entrypoint: /bin/sh', 'command: -c "echo hi"'));
    expect({ command, args }).to.deep.equal({ command: ['/bin/sh'], args: ['-c', 'echo hi'] });
  });

  it('has the whole cpu and memory as limits and a part of them as requests', () => {
    const { limits, requests } = containerOf(webService('cpu: 512', 'memory: 1024'), { reserve: 25 }).resources ?? {};
    expect(limits).to.include({ cpu: '500m', memory: '1024Mi' });
    expect(requests).to.include({ cpu: '125m', memory: '256Mi' });
  });

  it("has Copilot's default size if none is stated", () => {
    expect(containerOf(webService()).resources?.limits).to.include({ cpu: '250m', memory: '512Mi' });
  });

  it('has the stated ephemeral storage as a limit, else the one of Fargate', () => {
    expect(containerOf(webService()).resources?.limits).to.include({ 'ephemeral-storage': '20Gi' });
    expect(containerOf(webService('storage: { ephemeral: 100 }')).resources?.limits).to.include({
      'ephemeral-storage': '100Gi',
    });
  });

  it('passes the restricted Pod Security Standard', () => {
    const { securityContext } = containerOf(webService());
    expect(securityContext).to.deep.include({ allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } });
    expect(podOf(webService()).securityContext).to.deep.include({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
  });

  it('has a writable root by default', () => {
    expect(containerOf(webService()).securityContext?.readOnlyRootFilesystem).to.equal(false);
  });

  it('has a read-only root with a writable /tmp if storage.readonly_fs is true', () => {
    const { securityContext, volumeMounts } = containerOf(webService('storage: { readonly_fs: true }'));
    expect(securityContext?.readOnlyRootFilesystem).to.equal(true);
    expect(volumeMounts).to.deep.equal([{ name: 'tmp-api', mountPath: '/tmp' }]);
  });

  it('runs as the user of the task definition', () => {
    const overrides = overriding({ user: { uid: 1000, gid: undefined } });
    expect(containerOf(webService(), { overrides }).securityContext?.runAsUser).to.equal(1000);
  });

  it('takes docker labels as annotations of the pod', () => {
    const text = webService('image: { build: D, port: 80, labels: { com.example.team: web } }');
    expect(only(objectsOf(text), 'Deployment').spec.template.metadata.annotations).to.deep.equal({
      'com.example.team': 'web',
    });
  });

  it('runs on the operating system of the platform', () => {
    expect(podOf(webService('platform: linux/arm64')).nodeSelector).to.deep.equal({ 'kubernetes.io/os': 'linux' });
  });

  it('gets no variables for other Services', () => {
    expect(podOf(webService()).enableServiceLinks).to.equal(false);
  });
});

describe('variables', () => {
  it('include those that Copilot adds', () => {
    expect(environmentOf(containerOf(webService('variables: { A: "1" }')))).to.deep.equal({
      A: '1',
      COPILOT_APPLICATION_NAME: 'shop',
      COPILOT_SERVICE_DISCOVERY_ENDPOINT: 'shop.svc.cluster.local',
      COPILOT_ENVIRONMENT_NAME: 'test',
      COPILOT_SERVICE_NAME: 'api',
      COPILOT_LB_DNS: 'api.shop.svc.cluster.local:8080',
    });
  });

  it('have no COPILOT_LB_DNS without a load balancer', () => {
    expect(environmentOf(containerOf(backend('image: { build: D, port: 80 }')))).not.to.have.property('COPILOT_LB_DNS');
  });

  it('have COPILOT_MOUNT_POINTS with volumes', () => {
    const { COPILOT_MOUNT_POINTS } = environmentOf(
      containerOf(webService('storage: { volumes: { data: { path: /data } } }')),
    );
    expect(COPILOT_MOUNT_POINTS).to.equal('{"data":"/data"}');
  });

  it('have precedence over those of env_file', () => {
    const environmentFiles = new Map([
      [
        'a.env',
        new Map([
          ['A', 'file'],
          ['B', 'file'],
        ]),
      ],
    ]);
    const environment = environmentOf(
      containerOf(webService('env_file: a.env', 'variables: { A: manifest }'), { environmentFiles }),
    );
    expect(environment).to.include({ A: 'manifest', B: 'file' });
  });

  it('are added to by the platform, in sidecars too', () => {
    const platformVariables = new Map([['AWS_REGION', 'eu-west-1']]);
    const text = webService('sidecars: { s: { image: x } }');
    expect(environmentOf(containerOf(text, { platformVariables }))).to.include({ AWS_REGION: 'eu-west-1' });
    expect(environmentOf(containerOf(text, { platformVariables }, 's'))).to.include({ AWS_REGION: 'eu-west-1' });
  });

  it('from CloudFormation are requested unless the platform file has them', () => {
    const text = webService('variables: { BUCKET: { from_cfn: shop-bucket } }');
    expect([...synthesisOf(text).variables]).to.deep.equal([['BUCKET', 'CloudFormation export shop-bucket']]);
    const given = synthesisOf(text, { platformVariables: new Map([['BUCKET', 'local']]) });
    expect(given.variables.size).to.equal(0);
  });

  it('from CloudFormation have the given value', () => {
    const text = webService('variables: { BUCKET: { from_cfn: shop-bucket } }');
    expect(environmentOf(containerOf(text, { values: { BUCKET: 'b' } }))).to.include({ BUCKET: 'b' });
  });

  it('of a worker, of topics and of queues for one topic are requested', () => {
    const topics = '[{ name: my-topic, service: api, queue: true }]';
    const { variables } = synthesisOf(worker(`subscribe: { topics: ${topics} }`, 'publish: { topics: [{ name: t }] }'));
    expect([...variables.keys()]).to.deep.equal([
      'COPILOT_SNS_TOPIC_ARNS',
      'COPILOT_QUEUE_URI',
      'COPILOT_TOPIC_QUEUE_URIS',
    ]);
    expect(variables.get('COPILOT_TOPIC_QUEUE_URIS')).to.contain('{"apiMytopicEventsQueue":"URL"}');
  });

  it('are escaped if Kubernetes would expand them as a reference', () => {
    const text = webService(`variables: { PORT: '80', A: 'a$$b $(PORT) $(date) $5' }`, `command: ['echo $(PORT)$$']`);
    const container = containerOf(text);
    expect(environmentOf(container).A).to.equal('a$$$$b $$(PORT) $(date) $5');
    expect(container.args).to.deep.equal(['echo $$(PORT)$$$$']);
  });
});

describe('secrets', () => {
  const text = webService(
    'secrets: { TOKEN: /shop/token, DB: { secretsmanager: mysql } }',
    'sidecars: { s: { image: x, secrets: { TOKEN: other } } }',
  );

  it('come from the Secret of the service, key by key', () => {
    expect(environmentOf(containerOf(text)).TOKEN).to.deep.equal({ name: 'api-secrets', key: 'TOKEN' });
    expect(environmentOf(containerOf(text, {}, 's')).TOKEN).to.deep.equal({ name: 'api-secrets', key: 's.TOKEN' });
  });

  it('are listed with their sources on AWS', () => {
    expect(Object.fromEntries(synthesisOf(text).secrets)).to.deep.equal({
      TOKEN: 'SSM /shop/token',
      DB: 'Secrets Manager mysql',
      's.TOKEN': 'SSM other',
    });
  });

  it('are in no manifest', () => {
    expect(objectsOf(text).map(({ kind }) => kind)).not.to.include('Secret');
  });
});

describe('health', () => {
  it("is the load balancer's health check, with its default timing", () => {
    expect(containerOf(webService('http: { path: /, healthcheck: up }')).readinessProbe).to.deep.equal({
      httpGet: { path: '/up', port: 8080 },
      periodSeconds: 30,
      timeoutSeconds: 5,
      failureThreshold: 2,
    });
  });

  it('has the port, path and interval of the manifest', () => {
    const healthcheck = '{ path: /up, port: 9090, interval: 7s, timeout: 3s, unhealthy_threshold: 4 }';
    expect(containerOf(webService(`http: { path: /, healthcheck: ${healthcheck} }`)).readinessProbe).to.deep.equal({
      httpGet: { path: '/up', port: 9090 },
      periodSeconds: 7,
      timeoutSeconds: 3,
      failureThreshold: 4,
    });
  });

  it('has the grace period for its start, with an accuracy of a second', () => {
    const { startupProbe } = containerOf(webService('http: { path: /, healthcheck: { grace_period: 2m } }'));
    expect(startupProbe).to.include({ periodSeconds: 1, failureThreshold: 120 });
  });

  it("has Copilot's default grace period of 60 s without one", () => {
    expect(containerOf(webService('http: { path: / }')).startupProbe).to.include({ failureThreshold: 60 });
  });

  it('uses TLS at port 443', () => {
    const { readinessProbe } = containerOf(webService('image: { build: D, port: 443 }'));
    expect(readinessProbe?.httpGet).to.include({ scheme: 'HTTPS' });
  });

  it('of gRPC is a call if the path is that of its health service', () => {
    const http = 'http: { path: /, version: grpc, healthcheck: { path: /grpc.health.v1.Health/Check } }';
    expect(containerOf(webService(http)).readinessProbe).to.have.nested.property('grpc.port', 8080);
  });

  it('of gRPC is a TCP connect at any other path', () => {
    const { readinessProbe } = containerOf(webService('http: { path: /, version: grpc }'));
    expect(readinessProbe).to.have.nested.property('tcpSocket.port', 8080);
  });

  it('of nlb alone is a TCP connect', () => {
    const { readinessProbe } = containerOf(webService('http: false', 'nlb: { port: 443/tls, target_port: 8443 }'));
    expect(readinessProbe).to.have.nested.property('tcpSocket.port', 8443);
  });

  it('of the container is its liveness', () => {
    const healthcheck = '{ command: [CMD, node, -e, "1"], interval: 9s, timeout: 4s, retries: 5, start_period: 30s }';
    expect(
      containerOf(webService(`image: { build: D, port: 80, healthcheck: ${healthcheck} }`)).livenessProbe,
    ).to.deep.equal({
      exec: { command: ['node', '-e', '1'] },
      periodSeconds: 9,
      timeoutSeconds: 4,
      failureThreshold: 5,
    });
  });

  it('of the container runs in a shell if the manifest says so', () => {
    const { livenessProbe } = containerOf(
      webService('image: { build: D, port: 80, healthcheck: { command: [CMD-SHELL, "a || b"] } }'),
    );
    expect(livenessProbe?.exec?.command).to.deep.equal(['/bin/sh', '-c', 'a || b']);
  });

  it('of the container waits for start_period if there is no load balancer with a grace period', () => {
    const { livenessProbe } = containerOf(
      worker().replace('build: D', 'build: D, healthcheck: { command: [CMD, ok], start_period: 30s }'),
    );
    expect(livenessProbe?.initialDelaySeconds).to.equal(30);
  });

  it('of the container has no probe without a check, or with NONE', () => {
    expect(containerOf(webService())).not.to.have.property('livenessProbe');
    const none = webService('image: { build: D, port: 80, healthcheck: { command: [NONE] } }');
    expect(containerOf(none)).not.to.have.property('livenessProbe');
  });
});

describe('termination', () => {
  it('continues to serve for the deregistration delay, then has the stop timeout', () => {
    const text = webService('http: { path: /, deregistration_delay: 7s }');
    const overrides = overriding({ stopTimeout: 40 });
    expect(containerOf(text, { overrides }).lifecycle).to.deep.equal({ preStop: { sleep: { seconds: 7 } } });
    expect(podOf(text, { overrides }).terminationGracePeriodSeconds).to.equal(47);
  });

  it('uses the defaults of Copilot and ECS', () => {
    expect(podOf(webService()).terminationGracePeriodSeconds).to.equal(60 + 30);
  });

  it('reads the stop timeout from taskdef_overrides too', () => {
    const text = worker('taskdef_overrides: [{ path: "ContainerDefinitions[0].StopTimeout", value: 100 }]');
    expect(podOf(text).terminationGracePeriodSeconds).to.equal(100);
  });

  it('has no delay without a load balancer', () => {
    expect(containerOf(worker())).not.to.have.property('lifecycle');
  });
});

describe('count', () => {
  it('is the number of replicas', () => {
    const objects = objectsOf(webService('count: 3'));
    expect(only(objects, 'Deployment').spec.replicas).to.equal(3);
    expect(objects.map(({ kind }) => kind)).not.to.include('HorizontalPodAutoscaler');
  });

  it('on Spot is the number of replicas', () => {
    expect(only(objectsOf(webService('count: { spot: 4 }')), 'Deployment').spec.replicas).to.equal(4);
  });

  const scaling = webService(
    'cpu: 1024',
    'memory: 2048',
    'count: { range: 2-6, cpu_percentage: 70, memory_percentage: 50, cooldown: { in: 90s, out: 20s } }',
  );

  it('as a range is an autoscaler and no replicas beside it', () => {
    const objects = objectsOf(scaling);
    expect(only(objects, 'Deployment').spec).not.to.have.property('replicas');
    expect(only(objects, 'HorizontalPodAutoscaler').spec).to.include({ minReplicas: 2, maxReplicas: 6 });
  });

  it('scales at the stated share of the task size, regardless of the requests of a pod', () => {
    const { metrics } = only(objectsOf(scaling, { reserve: 5 }), 'HorizontalPodAutoscaler').spec;
    const targets = metrics.map(({ resource }: { resource: { name: string; target: unknown } }) => [
      resource.name,
      resource.target,
    ]);
    expect(Object.fromEntries(targets)).to.deep.equal({
      cpu: { type: 'AverageValue', averageValue: '700m' },
      memory: { type: 'AverageValue', averageValue: '1024Mi' },
    });
  });

  it('converts cooldowns to the behavior of the autoscaler', () => {
    const { behavior } = only(objectsOf(scaling), 'HorizontalPodAutoscaler').spec;
    expect(behavior.scaleDown.stabilizationWindowSeconds).to.equal(90);
    expect(behavior.scaleUp.policies[0].periodSeconds).to.equal(20);
  });

  it('prefers the cooldown of a target to that of all', () => {
    const text = webService(
      'count: { range: 1-2, cooldown: { in: 10s }, cpu_percentage: { value: 70, cooldown: { in: 5m } } }',
    );
    const { behavior } = only(objectsOf(text), 'HorizontalPodAutoscaler').spec;
    expect(behavior.scaleDown.stabilizationWindowSeconds).to.equal(300);
    expect(behavior.scaleUp.policies[0].periodSeconds).to.equal(60);
  });

  it('notes targets that an autoscaler cannot measure as its annotations, for a scaler that can, and reports that', () => {
    const text = webService('count: { range: 1-4, cpu_percentage: 70, requests: 3000, response_time: 500ms }');
    const { objects, unsupported } = synthesisOf(text);
    const { metadata, spec } = only(objects, 'HorizontalPodAutoscaler');
    expect(metadata.annotations).to.include({ 'scaler/requests': '3000', 'scaler/response-seconds': '0.5' });
    expect(metadata.annotations).to.include({ 'scaler/minimum': String(spec.minReplicas) });
    expect(spec.metrics).to.have.length(1);
    expect(unsupported.map(({ path }) => path)).to.include.members(['count.requests', 'count.response_time']);
  });

  it('stays at the minimum if no metric can scale it, and reports that', () => {
    const { objects, unsupported } = synthesisOf(webService('count: { range: 2-6, requests: 100 }'));
    expect(only(objects, 'Deployment').spec.replicas).to.equal(2);
    expect(unsupported).to.deep.include({
      path: 'count.range',
      reason: 'it has no metric to scale by: the count stays at 2',
    });
  });

  it('above one spreads the pods and lets only one of them be evicted at a time', () => {
    expect(podOf(webService('count: 2')).topologySpreadConstraints).to.have.length(1);
    expect(only(objectsOf(webService('count: 2')), 'PodDisruptionBudget').spec.maxUnavailable).to.equal(1);
  });

  it('of one has no disruption budget, which would block a drain', () => {
    expect(objectsOf(webService()).map(({ kind }) => kind)).not.to.include('PodDisruptionBudget');
  });
});

describe('scheduled scaling', () => {
  const action = { name: 'Before_Midnight', schedule: 'cron(45 23 * * ? *)', timezone: 'UTC', min: 3, max: 4 };
  const overrides = { ...noOverrides, scheduledActions: [action] };
  const scaling = webService('count: { range: 1-2, cpu_percentage: 70 }');

  it('is a CronJob that sets the bounds of the autoscaler', () => {
    const { spec } = only(objectsOf(scaling, { overrides }), 'CronJob', 'api-before-midnight');
    expect(spec).to.include({ schedule: '45 23 * * *', timeZone: 'Etc/UTC' });
    const [container] = spec.jobTemplate.spec.template.spec.containers;
    expect(container.args).to.deep.equal([
      'patch',
      'horizontalpodautoscaler',
      'api',
      '--patch',
      '{"metadata":{"annotations":{"scaler/minimum":"3"}},"spec":{"minReplicas":3,"maxReplicas":4}}',
    ]);
  });

  it('is named as Kubernetes allows', () => {
    const named = { ...action, name: `Scale down (${'x'.repeat(60)})` };
    const { name } = only(
      objectsOf(scaling, { overrides: { ...noOverrides, scheduledActions: [named] } }),
      'CronJob',
    ).metadata;
    expect(name)
      .to.match(/^api-scale-down-x+$/)
      .and.have.length(52);
  });

  it('to 0 sets a bound of 1, which is reported', () => {
    const night = { ...noOverrides, scheduledActions: [{ ...action, min: 0, max: 0 }] };
    const { args } = only(objectsOf(scaling, { overrides: night }), 'CronJob').spec.jobTemplate.spec.template.spec
      .containers[0];
    expect(args.at(-1)).to.contain('"minReplicas":1,"maxReplicas":1');
    expect(synthesisOf(scaling, { overrides: night }).adapted.map(({ path }) => path)).to.deep.equal([
      'ScheduledActions.Before_Midnight',
    ]);
  });

  it('runs with a service account that may only patch this autoscaler', () => {
    const objects = objectsOf(scaling, { overrides });
    expect(only(objects, 'Role').rules).to.deep.equal([
      {
        apiGroups: ['autoscaling'],
        resources: ['horizontalpodautoscalers'],
        resourceNames: ['api'],
        verbs: ['get', 'patch'],
      },
    ]);
    expect(only(objects, 'RoleBinding').subjects).to.deep.equal([{ kind: 'ServiceAccount', name: 'api-scaler' }]);
    const { spec } = only(objects, 'CronJob').spec.jobTemplate.spec.template;
    expect(spec.serviceAccountName).to.equal('api-scaler');
  });

  it('is not selected by the policy and the Service of the service', () => {
    const objects = objectsOf(scaling, { overrides });
    const { labels } = only(objects, 'CronJob').spec.jobTemplate.spec.template.metadata;
    expect(labels['app.kubernetes.io/name']).not.to.equal(
      only(objects, 'Service').spec.selector['app.kubernetes.io/name'],
    );
  });

  it('is reported if the count is fixed', () => {
    const { unsupported, objects } = synthesisOf(webService('count: 2'), { overrides });
    expect(unsupported.map(({ path }) => path)).to.deep.equal(['ScheduledActions.Before_Midnight']);
    expect(objects.map(({ kind }) => kind)).not.to.include('CronJob');
  });
});

describe('deployment', () => {
  it('replaces pods without reducing their number, as ECS does by default', () => {
    expect(only(objectsOf(webService()), 'Deployment').spec.strategy).to.deep.equal({
      type: 'RollingUpdate',
      rollingUpdate: { maxUnavailable: 0, maxSurge: '100%' },
    });
  });

  it('removes all pods first if rolling is recreate', () => {
    expect(only(objectsOf(webService('deployment: { rolling: recreate }')), 'Deployment').spec.strategy).to.deep.equal({
      type: 'Recreate',
    });
  });
});

describe('sidecars', () => {
  const migrating = webService(
    'image: { build: Dockerfile, port: 8080, depends_on: { migrate: success } }',
    'sidecars: { migrate: { image: { build: Dockerfile }, essential: false, command: migrate, variables: { A: "1" } } }',
  );

  it('that must succeed first are init containers, with the image of the service when they build the same', () => {
    const [migrate] = podOf(migrating, { image: 'api:7' }).initContainers ?? [];
    expect(migrate).to.deep.include({ name: 'migrate', image: 'api:7', args: ['migrate'] });
    expect(migrate).not.to.have.property('restartPolicy');
    expect(environmentOf(containerOf(migrating, {}, 'migrate'))).to.include({ A: '1', COPILOT_SERVICE_NAME: 'api' });
  });

  it('that build another Dockerfile have a separate image', () => {
    const text = webService('sidecars: { nginx: { image: { build: nginx/Dockerfile } } }');
    const { builtImages } = synthesisOf(text, { image: 'api:7' });
    expect([...builtImages]).to.deep.equal([
      ['api:7', 'Dockerfile'],
      ['api-nginx:7', 'nginx/Dockerfile'],
    ]);
  });

  it('that run along with the service are init containers that keep running', () => {
    const text = webService('sidecars: { envoy: { image: envoy:1, port: 81 } }');
    const [envoy] = podOf(text).initContainers ?? [];
    expect(envoy).to.include({ name: 'envoy', restartPolicy: 'Always' });
  });

  it('that must be healthy first have a startup probe', () => {
    const text = webService(
      'image: { build: D, port: 8080, depends_on: { envoy: healthy } }',
      'sidecars: { envoy: { image: envoy:1, healthcheck: { command: [CMD, ok], interval: 3s } } }',
    );
    expect(containerOf(text, {}, 'envoy').startupProbe).to.deep.include({
      exec: { command: ['ok'] },
      periodSeconds: 3,
    });
  });

  it('start in the order of their dependencies', () => {
    const text = webService(
      'sidecars: { a: { image: x, depends_on: { b: start } }, b: { image: x, depends_on: { c: start } }, c: { image: x } }',
    );
    expect(podOf(text).initContainers?.map(({ name }) => name)).to.deep.equal(['c', 'b', 'a']);
  });

  it('that depend on the service run beside it, which is reported', () => {
    const { unsupported } = synthesisOf(webService('sidecars: { s: { image: x, depends_on: { api: start } } }'));
    expect(
      podOf(webService('sidecars: { s: { image: x, depends_on: { api: start } } }')).containers.map(({ name }) => name),
    ).to.deep.equal(['api', 's']);
    expect(unsupported.map(({ path }) => path)).to.deep.equal(['sidecars.s.depends_on']);
  });

  it('share the requests of the pod with the service', () => {
    const text = webService('cpu: 1024', 'memory: 1000', 'sidecars: { a: { image: x }, b: { image: x } }');
    const { containers, initContainers = [] } = podOf(text, { reserve: 100 });
    const reserved = [...containers, ...initContainers].map(({ resources }) =>
      Number.parseInt(String(resources?.requests?.memory), 10),
    );
    expect(reserved).to.deep.equal([800, 100, 100]);
  });

  it('have valid names in Kubernetes', () => {
    expect(podOf(webService('sidecars: { log_router: { image: x } }')).initContainers?.[0]?.name).to.equal(
      'log-router',
    );
  });
});

describe('volumes', () => {
  it('without efs exist as long as the pod', () => {
    const pod = podOf(webService('storage: { volumes: { scratch: { path: /scratch, read_only: false } } }'));
    expect(pod.volumes).to.deep.equal([{ name: 'scratch', emptyDir: {} }]);
    expect(pod.containers[0]?.volumeMounts).to.deep.equal([
      { name: 'scratch', mountPath: '/scratch', readOnly: false },
    ]);
  });

  it('are read-only unless stated otherwise', () => {
    const { volumeMounts } = containerOf(webService('storage: { volumes: { v: { path: /v } } }'));
    expect(volumeMounts?.[0]?.readOnly).to.equal(true);
  });

  it('with efs are claims that outlive the pod', () => {
    const objects = objectsOf(webService('storage: { volumes: { data: { path: /data, efs: true } } }'));
    expect(only(objects, 'PersistentVolumeClaim').metadata.name).to.equal('api-data');
  });

  it('are mounted in sidecars too', () => {
    const text = webService(
      'storage: { volumes: { v: { path: /v } } }',
      'sidecars: { s: { image: x, mount_points: [{ source_volume: v, path: /w }] } }',
    );
    expect(containerOf(text, {}, 's').volumeMounts).to.deep.equal([{ name: 'v', mountPath: '/w', readOnly: true }]);
  });

  it('at /tmp replace the one that a read-only root needs', () => {
    const text = webService('storage: { readonly_fs: true, volumes: { t: { path: /tmp, read_only: false } } }');
    expect(podOf(text).volumes?.map(({ name }) => name)).to.deep.equal(['t']);
  });
});

describe('a volume that overrides add', () => {
  const added = (volume: string) =>
    webService(
      'taskdef_overrides:',
      `  - { path: "Volumes[-]", value: ${volume} }`,
      '  - { path: "ContainerDefinitions[0].MountPoints[-]", value: { ContainerPath: /m, SourceVolume: v } }',
    );

  for (const [volume, reasons] of [
    ['{ Name: v, Host: {} }', []],
    ['{ Name: v, Host: { SourcePath: /x } }', ['Volumes[-]: v is a new, empty volume here']],
    ['{ Name: v, DockerVolumeConfiguration: { Scope: task } }', ['Volumes[-]: v is a new, empty volume here']],
  ] as const) {
    it(`exists where it is mounted: ${volume}`, () => {
      expect(podOf(added(volume)).volumes).to.deep.equal([{ name: 'v', emptyDir: {} }]);
      expect(synthesisOf(added(volume)).unsupported.map(({ reason }) => reason)).to.deep.equal(reasons);
    });
  }

  it('is a new claim if only CloudFormation knows its file system', () => {
    const text = added('{ Name: v, EFSVolumeConfiguration: { FilesystemId: !Ref Files } }');
    expect(only(objectsOf(text), 'PersistentVolumeClaim').metadata.name).to.equal('api-v');
    expect(synthesisOf(text).unsupported.map(({ reason }) => reason)).to.deep.equal([
      'Volumes[-]: v is a new, empty volume here',
    ]);
  });
});

describe('names that Kubernetes does not allow', () => {
  it('are converted for volumes', () => {
    const text = webService(`storage: { volumes: { _Data_: { path: /d }, ${'x'.repeat(70)}: { path: /x } } }`);
    expect(podOf(text).volumes?.map(({ name }) => name)).to.deep.equal(['data', 'x'.repeat(63)]);
  });

  it('are converted, except where the service reads them', () => {
    const text = webService('sidecars: { Side_Car: { image: x, depends_on: { gRPC: start } } }').replace(
      'name: api',
      'name: gRPC',
    );
    const objects = objectsOf(text);
    const { spec, metadata } = only(objects, 'Deployment');
    expect([metadata.name, spec.template.spec.containers.map(({ name }: { name: string }) => name)]).to.deep.equal([
      'grpc',
      ['grpc', 'side-car'],
    ]);
    expect(environmentOf(spec.template.spec.containers[0])).to.include({ COPILOT_SERVICE_NAME: 'gRPC' });
    expect(spec.template.spec.containers[0].ports).to.have.length(1);
  });
});

describe('fields that are adapted', () => {
  const adapted = (text: string) => synthesisOf(text).adapted.map(({ path }) => path);
  const reasons = (text: string) =>
    synthesisOf(text)
      .adapted.map(({ reason }) => reason)
      .join();

  it('include a range from 0, which starts from 1', () => {
    const text = webService('count: { range: 0-4, cpu_percentage: 70 }');
    expect(only(objectsOf(text), 'HorizontalPodAutoscaler').spec).to.include({ minReplicas: 1, maxReplicas: 4 });
    expect(adapted(text)).to.deep.equal(['count.range']);
  });

  for (const codes of ['200,404', '200-499', '200,301', '301-302']) {
    it(`include a health check that accepts ${codes}, which becomes a TCP connect`, () => {
      const text = webService(`http: { path: /, healthcheck: { path: /, success_codes: "${codes}" } }`);
      expect(containerOf(text).readinessProbe).to.have.nested.property('tcpSocket.port', 8080);
      expect(adapted(text)).to.deep.equal(['http.healthcheck.success_codes']);
      expect(synthesisOf(text).unsupported).to.deep.equal([]);
    });
  }

  const requestDriven = (...lines: string[]) =>
    ['name: api', 'type: Request-Driven Web Service', 'image: { build: D, port: 80 }', ...lines].join('\n');

  it('include the TCP connect of a Request-Driven Web Service without a health check, as on App Runner', () => {
    const { readinessProbe } = containerOf(requestDriven());
    expect(readinessProbe).to.deep.equal({
      tcpSocket: { port: 80 },
      periodSeconds: 5,
      timeoutSeconds: 2,
      failureThreshold: 5,
    });
  });

  it('include the HTTP check of a Request-Driven Web Service that has one', () => {
    const { readinessProbe } = containerOf(requestDriven('http: { healthcheck: { path: /ok, interval: 10s } }'));
    expect(readinessProbe).to.deep.include({ httpGet: { path: '/ok', port: 80 }, periodSeconds: 10 });
  });

  it('do not include a health check that accepts 200-399', () => {
    const text = webService('http: { path: /, healthcheck: { path: /, success_codes: 200-399 } }');
    expect(containerOf(text).readinessProbe).to.have.property('httpGet');
  });

  it('include a sidecar that is not essential and receives no traffic, which runs once', () => {
    const text = webService('sidecars: { permissions: { image: busybox, essential: false, command: chown 1 /data } }');
    const { objects } = synthesisOf(text);
    const [init] = only(objects, 'Deployment').spec.template.spec.initContainers;
    expect(init).to.include({ name: 'permissions' }).and.not.to.have.property('restartPolicy');
    expect(adapted(text)).to.deep.equal(['sidecars.permissions']);
  });

  it('include port 443 of a rule, to which the load balancer speaks HTTPS', () => {
    const sidecars = 'sidecars: { tls: { image: envoy, port: 443 } }';
    const rules = 'additional_rules: [{ path: /a, target_port: 443 }, { path: /b, target_container: tls }]';
    expect(adapted(webService(`http: { path: /, ${rules} }`, sidecars))).to.deep.equal([
      'http.additional_rules[0].target_port',
      'http.additional_rules[1].target_container',
    ]);
    expect(adapted(webService('image: { build: D, port: 443 }'))).to.deep.equal(['image.port']);
    expect(adapted(requestDriven('http: { alias: api.shop.example }').replace('80', '443'))).to.deep.equal([]);
  });

  it('include a sidecar that is only taken for an agent, and not one that others connect to', () => {
    const agent = (more: string) => webService(`sidecars: { agent: { image: a, essential: false${more} } }`);
    expect(adapted(agent(''))).to.deep.equal(['sidecars.agent']);
    expect(reasons(agent(''))).to.contain('wait for success in image.depends_on');
    expect(adapted(agent(', port: 8126'))).to.deep.equal([]);
  });

  it('gives an alias that is no DNS name no route', () => {
    const workload = workloadOf(webService('http: { path: /, alias: [a_b.example.com, "*.example.com"] }'));
    expect(routesOf([workload]).map(({ host }) => host)).to.deep.equal(['*.example.com']);
    expect(adaptedOf(workload).map(({ reason }) => reason)).to.deep.equal([
      '"a_b.example.com" is no DNS name: it gets no route',
    ]);
  });

  describe('include a sidecar that runs once after the service has started', () => {
    const warm = 'essential: false, depends_on: { api: start }';
    const sidecar = (words: string) => webService(`sidecars: { warm: { image: busybox, ${warm}, ${words} } }`);

    for (const [what, words, written] of [
      ['entry point', 'entrypoint: [sh, -c], command: [ls]', ['sh', '-c', 'SCRIPT', 'sh', 'sh', '-c', 'ls']],
      ['command', 'command: "/bin/sh -c ls"', ['/bin/sh', '-c', 'SCRIPT', '/bin/sh', '/bin/sh', '-c', 'ls']],
    ] as const) {
      it(`which waits at its end where its ${what} is a shell`, () => {
        const { command = [], args = [] } = containerOf(sidecar(words), {}, 'warm');
        const all = [...command, ...args].map((word) => (word.startsWith('trap') ? 'SCRIPT' : word));
        expect(all).to.deep.equal(written);
        expect(reasons(sidecar(words))).to.contain('its shell waits');
      });
    }

    describe('and is not known to have a shell', () => {
      const text = sidecar('command: [curl, a]');

      it('as an init container behind the service, which then is a native sidecar', () => {
        const { template } = only(objectsOf(text), 'Deployment').spec;
        const [service, warm] = template.spec.initContainers;
        expect([service.name, service.restartPolicy, warm.name, warm.restartPolicy]).to.deep.equal([
          'api',
          'Always',
          'warm',
          undefined,
        ]);
        expect(service).to.include.keys('readinessProbe', 'startupProbe', 'lifecycle');
        expect(template.metadata.annotations).to.deep.equal({ 'kubectl.kubernetes.io/default-container': 'api' });
        expect(reasons(text)).to.contain('ready once it has succeeded');
        expect(synthesisOf(text).unsupported).to.deep.equal([]);
      });

      it('beside a container that keeps the pod alive', () => {
        expect(podOf(text).containers.map(({ name }) => name)).to.deep.equal(['pause']);
      });
    });

    it('whose command runs to its end, and which stops immediately on SIGTERM', () => {
      const { args = [] } = containerOf(sidecar('command: [sh, -c, echo done]'), {}, 'warm');
      const [shell = '', ...words] = args;
      const { stdout, signal, status } = spawnSync(shell, words, { encoding: 'utf8', timeout: 1000 });
      expect(stdout).to.equal('done\n');
      expect([signal, status]).to.deep.equal([null, 0]);
    });

    it('except in a job, whose pod ends with it', () => {
      const text = `name: api\ntype: Scheduled Job\non: { schedule: "@daily" }\nimage: { location: x }\nsidecars: { warm: { image: b, ${warm}, command: [sh, a] } }`;
      expect(containerOf(text, {}, 'warm').args).to.deep.equal(['sh', 'a']);
      expect(reasons(text)).to.equal('');
    });
  });

  describe('include a sidecar that is not essential and that the service starts after', () => {
    const awaited = (command: string) =>
      webService(
        'image: { build: Dockerfile, port: 80, depends_on: { s: start } }',
        `sidecars: { s: { image: x, essential: false, command: ${command} } }`,
      );

    it('which waits at its end where its command is a shell', () => {
      const text = awaited('[sh, -c, ls]');
      expect(containerOf(text, {}, 's').args?.slice(-4)).to.deep.equal(['sh', 'sh', '-c', 'ls']);
      expect(podOf(text).initContainers?.[0]).to.include({ name: 's', restartPolicy: 'Always' });
      expect(reasons(text)).to.contain('its shell waits');
    });

    it('which is restarted otherwise', () => {
      const text = awaited('[ls]');
      expect(podOf(text).initContainers?.[0]).to.include({ name: 's', restartPolicy: 'Always' });
      expect(reasons(text)).to.contain('wait for success instead of start');
    });
  });

  for (const [what, sidecar] of [
    ['has a port', 's: { image: x, essential: false, port: 81 }'],
    ['is an agent by its image', 's: { image: datadog/agent, essential: false }'],
    ['is essential', 's: { image: x }'],
  ] as const) {
    it(`is no sidecar that ${what}, which keeps running`, () => {
      const text = webService(`sidecars: { ${sidecar} }`);
      const [init] = only(objectsOf(text), 'Deployment').spec.template.spec.initContainers;
      expect(init).to.have.property('restartPolicy', 'Always');
    });
  }

  for (const [stated, written] of [
    ['http://api.test.shop.local:8080/v1', 'http://api.shop.svc.cluster.local:8080/v1'],
    ['a_b.test.shop.local,c.test.shop.local', 'a-b.shop.svc.cluster.local,c.shop.svc.cluster.local'],
    ['api.prod.shop.local', 'api.prod.shop.local'],
    ['api.test.shop.localhost', 'api.test.shop.localhost'],
  ] as const) {
    it(`makes of ${stated} ${written}`, () => {
      expect(environmentOf(containerOf(webService(`variables: { API: "${stated}" }`)))).to.include({ API: written });
    });
  }

  it('include names of service discovery, also in commands, and in the given namespace', () => {
    const text = webService('command: "wait api.test.shop.local"');
    expect(adapted(text)).to.deep.equal(['command']);
    expect(containerOf(text, { namespace: 'other' }).args).to.deep.equal(['wait', 'api.other.svc.cluster.local']);
  });

  it('include names of service discovery in health checks, of sidecars too', () => {
    const check = '{ command: [CMD, ping, api.test.shop.local] }';
    const text = webService(
      `image: { build: Dockerfile, port: 80, healthcheck: ${check} }`,
      `sidecars: { s: { image: x, healthcheck: ${check} } }`,
    );
    for (const name of ['api', 's'])
      expect(containerOf(text, {}, name).livenessProbe?.exec?.command).to.deep.equal([
        'ping',
        'api.shop.svc.cluster.local',
      ]);
    expect(adapted(text)).to.deep.equal(['image.healthcheck.command', 'sidecars.s.healthcheck.command']);
  });

  it('include names of service discovery in what overrides say', () => {
    const text = webService(
      'taskdef_overrides:',
      '  - { path: "ContainerDefinitions[0].Environment[-]", value: { Name: API, Value: api.test.shop.local } }',
      '  - { path: "ContainerDefinitions[0].Command", value: [wait, api.test.shop.local] }',
    );
    expect(adapted(text)).to.deep.equal(['variables.API', 'command']);
  });
});

describe('the main container behind a sidecar', () => {
  it('is reached at its own port too', () => {
    const text = webService(
      'http: { path: /, target_container: nginx }',
      'sidecars: { nginx: { image: n, port: 80 } }',
    );
    const { ports } = only(objectsOf(text), 'Service').spec;
    expect(ports.map(({ port }: { port: number }) => port)).to.deep.equal([80, 8080]);
  });
});

describe('the sidecars of a Backend Service', () => {
  const ports = (...lines: string[]) =>
    only(
      objectsOf(
        [
          'name: api',
          'type: Backend Service',
          'sidecars: { web: { image: w, port: 80 }, dns: { image: d, port: 53/udp } }',
          ...lines,
        ].join('\n'),
      ),
      'Service',
    ).spec.ports.map(({ port, protocol }: { port: number; protocol: string }) => `${port}/${protocol}`);

  it('are reached by other services at their ports, as on ECS', () => {
    expect(ports('image: { location: a, port: 9000 }')).to.deep.equal(['9000/TCP', '80/TCP', '53/UDP']);
  });

  it('have each port once', () => {
    const http = 'http: { path: /, target_container: web }';
    expect(ports('image: { location: a, port: 9000 }', http)).to.deep.equal(['80/TCP', '9000/TCP', '53/UDP']);
  });
});

describe('a file system', () => {
  const volume = (efs: string) => webService(`storage: { volumes: { v: { path: /v, efs: ${efs} } } }`);

  it('is a single claim for all workloads that mount it', () => {
    const names = ['api', 'web'].map(
      (name) => only(objectsOf(volume('{ id: fs-0123 }').replace('api', name)), 'PersistentVolumeClaim').metadata.name,
    );
    expect(names).to.deep.equal(['efs-fs-0123', 'efs-fs-0123']);
  });

  it('that two volumes of one workload mount is a single claim', () => {
    const text = webService(
      'storage: { volumes: { a: { path: /a, efs: { id: fs-1 } }, b: { path: /b, efs: { id: fs-1 } } } }',
    );
    expect(only(objectsOf(text), 'PersistentVolumeClaim').metadata.name).to.equal('efs-fs-1');
  });

  it('is mounted at the root directory of each volume, or at a folder for its access point', () => {
    const text = webService(
      'storage:',
      '  volumes:',
      '    a: { path: /a, efs: { id: fs-1, root_dir: /data/a } }',
      '    b: { path: /b, efs: { id: fs-1, auth: { access_point_id: fsap-1 } } }',
      '    c: { path: /c, efs: { id: fs-1, root_dir: / } }',
      'sidecars: { s: { image: x, mount_points: [{ source_volume: a, path: /s }] } }',
    );
    const folders = (name: string) => containerOf(text, {}, name).volumeMounts?.map(({ subPath }) => subPath);
    expect([folders('api'), folders('s')]).to.deep.equal([['data/a', 'fsap-1', undefined], ['data/a']]);
    expect(synthesisOf(text).unsupported.map(({ path }) => path)).not.to.include('storage.volumes.a.efs.root_dir');
  });

  it('that overrides add is the claim of the workloads whose manifest mounts it', () => {
    const text = webService(
      'taskdef_overrides:',
      '  - path: "Volumes[-]"',
      '    value: { Name: data, EFSVolumeConfiguration: { FilesystemId: fs-0123, RootDirectory: /x } }',
      '  - { path: "ContainerDefinitions[0].MountPoints[-]", value: { ContainerPath: /m, SourceVolume: data } }',
    );
    expect(only(objectsOf(text), 'PersistentVolumeClaim').metadata.name).to.equal('efs-fs-0123');
    expect(containerOf(text).volumeMounts).to.deep.equal([
      { name: 'data', mountPath: '/m', readOnly: false, subPath: 'x' },
    ]);
    expect(synthesisOf(text).unsupported).to.deep.equal([]);
  });

  it('that Copilot creates belongs to one workload', () => {
    expect(only(objectsOf(volume('true')), 'PersistentVolumeClaim').metadata.name).to.equal('api-v');
  });
});

describe('one port over TCP and UDP', () => {
  it('is two ports of the container and of the Service', () => {
    const text = webService(
      'http: { path: /, healthcheck: { port: 9000 } }',
      'nlb: { port: 8080/udp, healthcheck: { port: 9000 } }',
    );
    expect(containerOf(text).ports).to.deep.equal([
      { name: 'http', containerPort: 8080, protocol: 'TCP' },
      { name: 'udp-8080', containerPort: 8080, protocol: 'UDP' },
    ]);
    expect(only(objectsOf(text), 'Service', 'api').spec.ports).to.have.length(1);
    expect(only(objectsOf(text), 'Service', 'api-nlb').spec.ports[0]).to.include({ port: 8080, protocol: 'UDP' });
  });
});

describe('what kube-score and checkov advise against', () => {
  const annotationsOf = (text: string, input = {}) => only(objectsOf(text, input), 'Deployment').metadata.annotations;

  it('is an exception if the manifest declares it', () => {
    const annotations = annotationsOf(webService('secrets: { A: /a }'), { imageUsers: new Map() });
    expect(annotations['kube-score/ignore'].split(',')).to.include.members([
      'container-security-context-readonlyrootfilesystem',
      'deployment-replicas',
    ]);
    const rules = Object.values(annotations).map((value) => String(value).split('=')[0]);
    expect(rules).to.include.members(['CKV_K8S_8', 'CKV_K8S_20', 'CKV_K8S_22', 'CKV_K8S_23', 'CKV_K8S_35']);
  });

  it('is not an exception otherwise', () => {
    const healthcheck = 'image: { build: D, port: 80, healthcheck: { command: [CMD, ok] } }';
    const annotations = annotationsOf(webService(healthcheck, 'storage: { readonly_fs: true }', 'count: 2'));
    expect(annotations['kube-score/ignore']).not.to.match(/readonly|replicas|probes/);
    const rules = Object.values(annotations).map((value) => String(value).split('=')[0]);
    for (const rule of ['CKV_K8S_8', 'CKV_K8S_20', 'CKV_K8S_22', 'CKV_K8S_35']) expect(rules).not.to.include(rule);
  });
});

describe('a value that CloudFormation fetches', () => {
  for (const [value, source] of [
    ['{{resolve:ssm:/shop/broker:3}}', 'SSM /shop/broker'],
    ['{{resolve:ssm-secure:/shop/token}}', 'SSM /shop/token'],
    ['{{resolve:secretsmanager:shop/db}}', 'Secrets Manager shop/db'],
    ['{{resolve:secretsmanager:shop/db:SecretString:password}}', 'Secrets Manager shop/db:password::'],
    [
      '{{resolve:secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:db-abc:SecretString:password}}',
      'Secrets Manager db-abc:password::',
    ],
  ] as const) {
    it(`is a key of the Secret: ${value}`, () => {
      const text = webService(`variables: { A: "${value}" }`);
      expect(environmentOf(containerOf(text))).to.deep.include({ A: { name: 'api-secrets', key: 'A' } });
      expect([...synthesisOf(text).secrets]).to.deep.equal([['A', source]]);
    });
  }

  it('within a text is left out until it is given', () => {
    const text = webService('variables: { A: "redis://{{resolve:ssm:/host}}:6379" }');
    expect(environmentOf(containerOf(text))).not.to.have.property('A');
    expect([...synthesisOf(text).variables.keys()]).to.deep.equal(['A']);
    expect(environmentOf(containerOf(text, { values: { A: 'redis://r:6379' } }))).to.include({ A: 'redis://r:6379' });
  });
});

describe('a secret', () => {
  it('has a key that a Secret may have', () => {
    expect(environmentOf(containerOf(webService('secrets: { "A B": /a }')))).to.deep.include({
      'A B': { name: 'api-secrets', key: 'A_B' },
    });
  });

  it('without a value is reported, and no ExternalSecret asks for it', () => {
    const { secrets, objects, unsupported } = synthesisOf(webService('secrets:', '  A:'), { externalSecrets: true });
    expect([...secrets]).to.deep.equal([['A', 'none: the manifest has no value for it']]);
    expect(objects.map(({ kind }) => kind)).not.to.contain('ExternalSecret');
    expect(unsupported.map(({ path }) => path)).to.contain('secrets.A');
  });
});

describe('taskdef_overrides', () => {
  it('set the entry point and the command', () => {
    const overrides =
      '[{ path: "ContainerDefinitions[0].EntryPoint", value: [/bin/sh, -c] }, { path: "ContainerDefinitions[0].Command", value: [ls] }]';
    const { command, args } = containerOf(webService(`taskdef_overrides: ${overrides}`));
    expect({ command, args }).to.deep.equal({ command: ['/bin/sh', '-c'], args: ['ls'] });
  });
});

describe('overrides of the task definition', () => {
  const change = (path: string, value: string) =>
    webService(`taskdef_overrides: [{ path: "ContainerDefinitions[0].${path}", value: ${value} }]`);

  it('add a variable, or change its value', () => {
    const text = `${change('Environment[-]', '{ Name: MODE, Value: slow }')}\nvariables: { MODE: fast }`;
    expect(containerOf(text).env).to.deep.include({ name: 'MODE', value: 'slow' });
  });

  it('allow ingress to a port that they add, and add it to the Service', () => {
    const objects = objectsOf(change('PortMappings[-]', '{ ContainerPort: 9000 }'));
    expect(only(objects, 'NetworkPolicy').spec.ingress[0].ports).to.deep.include({ port: 9000, protocol: 'TCP' });
    const { ports } = only(objects, 'Service').spec;
    expect(ports.at(-1)).to.deep.include({ name: 'tcp-9000', port: 9000, targetPort: 9000 });
  });

  it('add a port to a container', () => {
    const { ports } = containerOf(change('PortMappings[-]', '{ ContainerPort: 9000, Protocol: udp }'));
    expect(ports).to.deep.include({ name: 'udp-9000', containerPort: 9000, protocol: 'UDP' });
  });

  it('set user and group', () => {
    const { securityContext } = containerOf(change('User', '"1000:2000"'));
    expect(securityContext).to.include({ runAsUser: 1000, runAsGroup: 2000 });
  });

  for (const [source, text] of [
    [`!Sub 'arn:\${AWS::Partition}:ssm:\${AWS::Region}:\${AWS::AccountId}:parameter/a/KEY'`, 'SSM /a/KEY'],
    [
      `{ 'Fn::Sub': 'arn:aws:secretsmanager:\${AWS::Region}:1:secret:db' }`,
      'Secrets Manager arn:aws:secretsmanager::1:secret:db',
    ],
    ['!ImportValue shop-key', 'CloudFormation export shop-key'],
  ] as const) {
    it(`add a secret whose source is ${source}`, () => {
      const secret = change('Secrets[-]', `{ Name: KEY, ValueFrom: ${source} }`);
      expect(environmentOf(containerOf(secret))).to.deep.include({ KEY: { name: 'api-secrets', key: 'KEY' } });
      expect(synthesisOf(secret).secrets.get('KEY')).to.equal(text);
      expect(synthesisOf(secret).unsupported).to.deep.equal([]);
    });
  }

  it('report a secret whose source only CloudFormation knows', () => {
    const { secrets, unsupported } = synthesisOf(change('Secrets[-]', '{ Name: KEY, ValueFrom: !Ref Key }'));
    expect([secrets.size, unsupported.map(({ path }) => path)]).to.deep.equal([0, ['taskdef_overrides[0]']]);
  });

  it('may name the user root', () => {
    const { securityContext } = containerOf(change('User', 'root'));
    expect(securityContext).to.include({ runAsUser: 0 });
    expect(synthesisOf(change('User', 'root')).maybeRoot.get('api')).to.contain('sets the user root');
  });

  it('set the working directory', () => {
    expect(containerOf(change('WorkingDirectory', '/srv'))).to.include({ workingDir: '/srv' });
  });

  it('set the image, of a sidecar too, which then is not built', () => {
    const text = webService(
      'sidecars: { s: { image: { build: S } } }',
      'taskdef_overrides:',
      '  - { path: "ContainerDefinitions[0].Image", value: other:1 }',
      '  - { path: "ContainerDefinitions[1].Image", value: proxy:2 }',
    );
    expect([containerOf(text).image, containerOf(text, {}, 's').image]).to.deep.equal(['other:1', 'proxy:2']);
    const { builtImages } = synthesisOf(text);
    expect([...builtImages]).to.deep.equal([]);
  });

  it('add a volume and mount it, in a sidecar too', () => {
    const text = webService(
      'sidecars: { s: { image: x, mount_points: [{ source_volume: scratch, path: /s }] } }',
      'taskdef_overrides:',
      '  - { path: "Volumes[-]", value: { Name: scratch } }',
      '  - { path: "ContainerDefinitions[0].MountPoints[-]", value: { ContainerPath: /m, SourceVolume: scratch } }',
    );
    expect(podOf(text).volumes).to.deep.equal([{ name: 'scratch', emptyDir: {} }]);
    expect(containerOf(text).volumeMounts).to.deep.equal([{ name: 'scratch', mountPath: '/m', readOnly: false }]);
  });

  it('add an item field by field, as Copilot documents it', () => {
    const text = webService(
      'taskdef_overrides:',
      '  - { path: "ContainerDefinitions[0].PortMappings[-].ContainerPort", value: 2056 }',
      '  - { path: "ContainerDefinitions[0].PortMappings[1].Protocol", value: udp }',
      '  - { path: "Volumes[-].Name", value: scratch }',
      '  - { path: "ContainerDefinitions[0].MountPoints[-].SourceVolume", value: scratch }',
      '  - { path: "ContainerDefinitions[0].MountPoints[0].ContainerPath", value: /m }',
      '  - { path: "ContainerDefinitions[0].Environment[-].Name", value: A }',
      '  - { path: "ContainerDefinitions[0].Environment[8].Value", value: a }',
      '  - { path: "ContainerDefinitions[0].Environment[-].Name", value: B }',
      '  - { path: "ContainerDefinitions[0].Environment[9].Value", value: b }',
    );
    const { ports, volumeMounts, env } = containerOf(text);
    expect(ports).to.deep.include({ name: 'udp-2056', containerPort: 2056, protocol: 'UDP' });
    expect(volumeMounts).to.deep.equal([{ name: 'scratch', mountPath: '/m', readOnly: false }]);
    expect(env).to.deep.include.members([
      { name: 'A', value: 'a' },
      { name: 'B', value: 'b' },
    ]);
    expect(synthesisOf(text).unsupported).to.deep.equal([]);
  });

  describe('that add a container', () => {
    const added = (container: string, ...more: string[]) =>
      webService('taskdef_overrides:', `  - { path: "ContainerDefinitions[-]", value: ${container} }`, ...more);

    it('are carried, with all that a container can have', () => {
      const text = added(
        '{ Name: proxy, Image: envoy, EntryPoint: [envoy], Command: [-c, a], User: "7", Environment: [{ Name: A, Value: b }], PortMappings: [{ ContainerPort: 81 }], Secrets: [{ Name: KEY, ValueFrom: /key }] }',
      );
      const proxy = containerOf(text, {}, 'proxy');
      expect(proxy).to.deep.include({
        image: 'envoy',
        command: ['envoy'],
        args: ['-c', 'a'],
        ports: [{ name: 'tcp-81', containerPort: 81, protocol: 'TCP' }],
      });
      expect(proxy.securityContext).to.include({ runAsUser: 7 });
      expect(environmentOf(proxy)).to.deep.include({ A: 'b', KEY: { name: 'api-secrets', key: 'proxy.KEY' } });
      expect(synthesisOf(text).unsupported).to.deep.equal([]);
    });

    it('are in the order that DependsOn says', () => {
      const text = added(
        '{ Name: init, Image: i, Essential: false }',
        '  - { path: "ContainerDefinitions[0].DependsOn", value: [{ ContainerName: init, Condition: COMPLETE }] }',
      );
      expect(podOf(text).initContainers?.map(({ name }) => name)).to.deep.equal(['init']);
      expect(containerOf(text, {}, 'init')).not.to.have.property('restartPolicy');
    });

    it('may have the image of the service', () => {
      const text = added('{ Name: migrate, Image: !Ref ContainerImage, Command: [migrate] }');
      expect(containerOf(text, {}, 'migrate').image).to.equal('api:dev');
    });

    it('are named where only CloudFormation knows their image, and so is what a pod does not have', () => {
      const reasons = (container: string) => synthesisOf(added(container)).unsupported.map(({ reason }) => reason);
      expect(reasons('{ Name: a, Image: !GetAtt A.B }').join()).to.contain('whose name or image');
      expect(reasons('{ Name: a, Image: a, Ulimits: [] }')).to.deep.equal([
        'ContainerDefinitions[-]/Ulimits is a field of an ECS task definition',
      ]);
    });
  });

  it('that change a sidecar reach it behind a container that is added in front of it', () => {
    const container = '/Resources/TaskDefinition/Properties/ContainerDefinitions';
    const changes: [string, unknown][] = [
      ['1/Essential', 'false'],
      ['1', { Name: 'first', Image: 'i' }],
      ['2/Command', ['late']],
    ];
    const task = readTaskChanges(
      changes.map(([path, value]) => {
        const segments = ['ContainerDefinitions', ...path.split('/')];
        return { segments, isRemoval: false, isInsertion: true, value, at: 'patches', path: `${container}/${path}` };
      }),
    );
    const text = webService('sidecars: { s: { image: x, port: 82 } }');
    const { manifest } = workloadOf(text);
    const workload = { manifest: { ...manifest, fields: withTaskOverrides(manifest.fields, task) } };
    const overrides = { ...noOverrides, task };
    expect(workload.manifest.fields.sidecars?.s).to.include({ essential: false });
    const { initContainers = [] } = podOf(text, { ...workload, overrides });
    expect(initContainers.map(({ name, args }) => [name, args])).to.deep.equal([
      ['first', undefined],
      ['s', ['late']],
    ]);
  });

  it('in patches have precedence over those of the manifest', () => {
    const overrides = overriding({ stopTimeout: 40 });
    expect(
      podOf(`${worker()}\ntaskdef_overrides: [{ path: "ContainerDefinitions[0].StopTimeout", value: 5 }]`, {
        overrides,
      }),
    ).to.have.property('terminationGracePeriodSeconds', 40);
  });

  for (const [path, value, reason] of [
    ['LogConfiguration.Options', '{ tag: x }', 'without log options'],
    ['Environment[-]', '{ Name: A, Value: !Ref B }', 'the value of A is known to CloudFormation only'],
    ['Ulimits[-]', '{ Name: nofile, HardLimit: 5 }', 'ContainerDefinitions[0].Ulimits[-] is a field'],
    ['PortMappings[-].ContainerPort', '"a"', 'is a field of an ECS task definition'],
    ['User', 'app', 'the number of the user'],
  ] as const) {
    it(`that a pod can't have are reported: ${path}`, () => {
      const { unsupported } = synthesisOf(change(path, value));
      expect(unsupported.find(({ path: at }) => at === 'taskdef_overrides[0]')?.reason).to.contain(reason);
    });
  }
});

describe('taskdef_overrides of the task', () => {
  it('are reported with the field of the manifest that says the same', () => {
    const { unsupported } = synthesisOf(webService('taskdef_overrides: [{ path: Memory, value: 1024 }]'));
    expect(unsupported).to.deep.equal([
      { path: 'taskdef_overrides[0]', reason: 'Memory: write it into the manifest, as memory' },
    ]);
  });
});

describe('taskdef_overrides with a value that must be a number', () => {
  for (const property of ['StopTimeout', 'User']) {
    it(`are reported, and do not change ${property}`, () => {
      const text = worker(`taskdef_overrides: [{ path: "ContainerDefinitions[0].${property}", value: app }]`);
      expect(podOf(text).terminationGracePeriodSeconds).to.equal(30);
      expect(containerOf(text).securityContext).not.to.have.property('runAsUser');
      expect(synthesisOf(text).unsupported.map(({ path }) => path)).to.deep.equal(['taskdef_overrides[0]']);
    });
  }
});
