/** The local load balancer: nginx with the routes of all workloads, by host and path. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Route, routesOf, withoutHidden } from '../k8s/routes.ts';
import type { Workload } from '../k8s/workload.ts';
import { type KubernetesObject, kubernetesObject } from './objects.ts';

export const ROUTER_IMAGE = 'nginx:1.27-alpine';
const PORT = 8080;
const NO_POD = 'no pod of this service answers';
/** Looking up the pods takes one, and DNS a moment. */
const REACHED_SECONDS = 15;

/**
 * The routes of these workloads. One whose host and path are taken gets the name of its workload as its host: on AWS a
 * second Static Site, for example, has a domain of its own.
 */
export function localRoutes(workloads: readonly Workload[]): Route[] {
  const { routes, hidden } = withoutHidden(routesOf(workloads));
  return [...routes, ...hidden.map((route) => ({ ...route, host: route.service }))];
}

/**
 * The configuration of nginx. A path matches like a listener rule of Copilot: the path itself and everything below it;
 * the longest match wins. localhost serves the rules of all hosts; each host also has a name below it, such as
 * shop.example.com.localhost. As the load balancer on AWS does, nginx keeps connections to the pods and takes the next pod
 * for each request. It asks the DNS server with the address `dns` for the pods that are ready, again and again, so only a
 * service without any answers 503, and nginx starts without them.
 */
export function routerConfiguration(routes: readonly Route[], namespace: string, dns: string): string {
  const hosts = [...new Set(routes.map(({ host }) => host))];
  const named = hosts.filter((host) => host !== undefined);
  // A path without a rule for the host uses the rules for any host, as on a load balancer.
  const targets = targetsOf(routes);
  const servers = named.map((host) =>
    server(`${host} ${host}.localhost`, [...routes.filter((route) => route.host === host), ...common()]),
  );
  return `worker_processes 1;
pid /tmp/nginx.pid;
events { worker_connections 8192; }
http {
  access_log off;
  server_tokens off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  client_max_body_size 0;
  server_names_hash_bucket_size 128;
  resolver ${dns} valid=1s;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  proxy_http_version 1.1;
  proxy_connect_timeout 2s;
  proxy_buffering off;
  proxy_request_buffering off;
  proxy_read_timeout 60s;
  proxy_set_header Host $http_host;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto http;
  proxy_set_header X-Forwarded-Port $server_port;
${[...targets.map(upstream), ...servers, server('_', [...common(), ...routes])].join('\n')}
}
`;

  function common() {
    return routes.filter(({ host }) => host === undefined);
  }

  function server(name: string, own: readonly Route[]): string {
    const isDefault = name === '_';
    const seen = new Map<string, Route>();
    for (const route of own) {
      const path = route.path === '/' ? '/' : route.path.replace(/\/+$/, '');
      if (!seen.has(path)) seen.set(path, route);
    }
    const locations = [...seen].flatMap(([path, route]) => location(path, route));
    const hasRoot = seen.has('/');
    return [
      '  server {',
      `    listen ${PORT}${isDefault ? ' default_server' : ''};`,
      `    server_name ${name};`,
      '    error_page 502 504 = @none;',
      `    location @none { return 503 '${NO_POD}\\n'; }`,
      "    location = /_plusone/health { return 200 'ok\\n'; }",
      ...(isDefault ? targets.map(reached) : []),
      ...locations,
      ...(hasRoot ? [] : ["    location / { return 404 'no route for this path\\n'; }"]),
      '  }',
    ].join('\n');
  }

  /** Its idle connections end before those of the usual servers, so that no request is sent on one that just closed. */
  function upstream(route: Route): string {
    const host = `${podsName(route.service)}.${namespace}.svc.cluster.local`;
    return [
      `  upstream ${target(route)} {`,
      `    zone ${target(route)} 64k;`,
      `    server ${host}:${route.port} resolve max_fails=0;`,
      '    keepalive 64;',
      '    keepalive_timeout 1s;',
      '  }',
    ].join('\n');
  }

  /** A path that shows whether the router reaches a service: the answer is NO_POD only if it does not. */
  function reached(route: Route): string {
    return `    location = ${reachedPath(route)} { proxy_pass http://${target(route)}; }`;
  }

  function location(path: string, route: Route): string[] {
    const pass = `proxy_pass http://${target(route)};`;
    if (path === '/') return [`    location / { ${pass} }`];
    return [`    location = ${quoted(path)} { ${pass} }`, `    location ${quoted(`${path}/`)} { ${pass} }`];
  }
}

function target({ service, port }: Route): string {
  return `${service}_${port}`;
}

/** One route for each port of a service, however many paths and hosts lead to it. */
function targetsOf(routes: readonly Route[]): Route[] {
  return [...new Map(routes.map((route) => [target(route), route])).values()];
}

function reachedPath(route: Route): string {
  return `/_plusone/reached/${target(route)}`;
}

/**
 * Waits until the router at that URL reaches pods of each of these routes, which it does a moment after they are ready.
 * Gives back those that it did not reach in time, one for each port of a service.
 */
export async function untilReached(
  url: string,
  routes: readonly Route[],
  seconds = REACHED_SECONDS,
): Promise<readonly Route[]> {
  let missing = targetsOf(routes);
  for (const end = performance.now() + seconds * 1000; ; await sleep(200)) {
    const found = await Promise.all(missing.map((route) => isReached(`${url}${reachedPath(route)}`)));
    missing = missing.filter((_, i) => !found[i]);
    if (missing.length === 0 || performance.now() > end) return missing;
  }
}

async function isReached(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    return !(response.status === 503 && (await response.text()).startsWith(NO_POD));
  } catch (error) {
    // A pod that takes long has the request.
    return error instanceof DOMException && error.name === 'TimeoutError';
  }
}

/** A text as one parameter in nginx's configuration. */
function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}

/** The Service whose name has the addresses of the pods of this one, for the router. */
export function podsService({ metadata, spec, ...service }: KubernetesObject): KubernetesObject {
  return {
    ...service,
    metadata: { ...metadata, name: podsName(metadata.name) },
    spec: { selector: spec?.selector, ports: spec?.ports, clusterIP: 'None' },
  };
}

/** The name of that Service: like no workload's, and short, because a workload may have all 63 characters of a name. */
function podsName(service: string): string {
  return `pods-${createHash('sha256').update(service).digest('hex').slice(0, 12)}`;
}

/** The router's objects, behind that port of every node; `dns` is the address of the cluster's DNS server. */
export function routerObjects(
  namespace: string,
  nodePort: number,
  routes: readonly Route[],
  application: string,
  dns: string,
): KubernetesObject[] {
  const configuration = routerConfiguration(routes, application, dns);
  const labels = { 'app.kubernetes.io/name': 'router', 'app.kubernetes.io/part-of': 'local-kind' };
  const metadata = { name: 'router', namespace, labels };
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'nginx.conf': configuration } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        type: 'NodePort',
        selector: { 'app.kubernetes.io/name': 'router' },
        ports: [{ name: 'http', port: 80, targetPort: PORT, nodePort }],
      },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: { 'app.kubernetes.io/name': 'router' } },
        template: {
          metadata: {
            labels,
            // nginx reads its configuration only when it starts.
            annotations: { configuration: createHash('sha256').update(configuration).digest('hex').slice(0, 16) },
          },
          spec: {
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            securityContext: {
              runAsNonRoot: true,
              runAsUser: 101,
              runAsGroup: 101,
              seccompProfile: { type: 'RuntimeDefault' },
            },
            containers: [
              {
                name: 'nginx',
                image: ROUTER_IMAGE,
                imagePullPolicy: 'IfNotPresent',
                command: ['nginx', '-g', 'daemon off;', '-c', '/etc/router/nginx.conf'],
                env: [],
                ports: [{ containerPort: PORT }],
                readinessProbe: { httpGet: { path: '/_plusone/health', port: PORT }, periodSeconds: 1 },
                resources: { requests: { cpu: '10m', memory: '16Mi' }, limits: { memory: '128Mi' } },
                securityContext: {
                  allowPrivilegeEscalation: false,
                  readOnlyRootFilesystem: true,
                  capabilities: { drop: ['ALL'] },
                },
                volumeMounts: [
                  { name: 'configuration', mountPath: '/etc/router', readOnly: true },
                  { name: 'tmp', mountPath: '/tmp' },
                ],
              },
            ],
            volumes: [
              { name: 'configuration', configMap: { name: 'router' } },
              { name: 'tmp', emptyDir: {} },
            ],
          },
        },
      },
    },
  ].map((object) => kubernetesObject.parse(object));
}
