import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';

/** What the stand-in answers; tests change it. */
export interface State {
  hpa: Hpa | undefined;
  deployment: { spec: { replicas: number }; status: { readyReplicas?: number } } | undefined;
  /** By query: values with their age in seconds, or a status. */
  metrics: Record<string, [age: number, value: string][][] | number>;
  /** Statuses of the next calls that change something. */
  refusals: number[];
  /** The status of every call of Kubernetes instead of an answer. */
  down: number | undefined;
}

export interface Hpa {
  metadata: { name: string; resourceVersion: string; annotations?: Record<string, string>; deletionTimestamp?: string };
  spec: { minReplicas: number; maxReplicas: number; scaleTargetRef: { name: string }; metrics?: object[] };
  status: { desiredReplicas: number; currentMetrics?: object[]; conditions?: { type: string; status: string }[] };
}

export interface StandIn {
  readonly url: string;
  readonly tokenFile: string;
  readonly state: State;
  /** The patches that were accepted, and the queries of Prometheus. */
  readonly patches: object[];
  readonly queries: URLSearchParams[];
  /** Changes the autoscaler as others do, and tells those who watch it. */
  change(minReplicas: number, annotations?: Record<string, string>): void;
  stop(): void;
}

const TOKEN = 'token-of-the-test';

export function calm(): State {
  return {
    hpa: {
      metadata: { name: 'web', resourceVersion: '1' },
      spec: { minReplicas: 1, maxReplicas: 4, scaleTargetRef: { name: 'web-pods' } },
      status: { desiredReplicas: 2 },
    },
    deployment: { spec: { replicas: 2 }, status: { readyReplicas: 2 } },
    metrics: { waiting: [[[0, '40']]], executing: [[[0, '10']]] },
    refusals: [],
    down: undefined,
  };
}

/** A server that answers like the Kubernetes API for one autoscaler and its Deployment, and like Prometheus. */
export async function standIn(): Promise<StandIn> {
  const folder = mkdtempSync(join(tmpdir(), 'plusone-scaler-'));
  const tokenFile = join(folder, 'token');
  writeFileSync(tokenFile, `${TOKEN}\n`);
  const state = calm();
  const patches: object[] = [];
  const queries: URLSearchParams[] = [];
  const watchers = new Set<ServerResponse>();

  function write({ metadata, spec }: { metadata?: { annotations?: Record<string, string> }; spec?: object }): void {
    const { hpa } = state;
    if (hpa === undefined) return;
    Object.assign(hpa.spec, spec);
    hpa.metadata.annotations = { ...hpa.metadata.annotations, ...metadata?.annotations };
    hpa.metadata.resourceVersion = String(Number(hpa.metadata.resourceVersion) + 1);
    for (const one of watchers) one.write(`${JSON.stringify({ type: 'MODIFIED', object: hpa })}\n`);
  }

  async function kubernetes(request: IncomingMessage, url: URL): Promise<[status: number, body: unknown]> {
    if (request.headers.authorization !== `Bearer ${TOKEN}`) return [401, {}];
    if (state.down !== undefined) return [state.down, { message: 'the API server is down' }];
    if (url.pathname === '/apis/apps/v1/namespaces/shop/deployments/web-pods') {
      return state.deployment ? [200, state.deployment] : [404, {}];
    }
    if (url.pathname !== '/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/web') return [403, {}];
    if (state.hpa === undefined) return [404, {}];
    if (request.method === 'PATCH') {
      const patch = Object(await json(request));
      const refusal = state.refusals.shift();
      if (refusal !== undefined) return [refusal, { message: 'refused' }];
      if (patch.metadata.resourceVersion !== state.hpa.metadata.resourceVersion) return [409, {}];
      patches.push(patch);
      write(patch);
    }
    return [200, state.hpa];
  }

  function prometheus(url: URL): [status: number, body: unknown] {
    queries.push(url.searchParams);
    const series = state.metrics[url.searchParams.get('query') ?? ''] ?? [];
    if (typeof series === 'number') return [series, { status: 'error', error: 'bad_data: parse error' }];
    const now = Number(url.searchParams.get('end'));
    const result = series.map((points) => ({ metric: {}, values: points.map(([age, value]) => [now - age, value]) }));
    return [200, { status: 'success', data: { resultType: 'matrix', result } }];
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost');
    if (url.searchParams.get('watch') === 'true' && state.down === undefined) {
      response.write(`${JSON.stringify({ type: 'ADDED', object: state.hpa })}\n`);
      watchers.add(response);
      return;
    }
    const isPrometheus = url.pathname.startsWith('/api/v1/');
    const [status, body] = isPrometheus ? prometheus(url) : await kubernetes(request, url);
    response.statusCode = status;
    response.end(JSON.stringify(body));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tokenFile,
    state,
    patches,
    queries,
    change: (minReplicas, annotations = {}) => write({ metadata: { annotations }, spec: { minReplicas } }),
    stop() {
      server.close();
      server.closeAllConnections();
      rmSync(folder, { recursive: true });
    },
  };
}
