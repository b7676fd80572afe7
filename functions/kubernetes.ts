import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { Tracked } from './decide.ts';
import { readPrometheus } from './prometheus.ts';
import { reasonOf } from './reason.ts';
import type { Cloud } from './scale.ts';
import type { PodSettings } from './settings.ts';

/**
 * The annotations of the autoscaler that are the scaler's state: the lower bound that was set by others, that of the scaler
 * itself, and the time of its last change. k8s/scaling.ts sets the first in the manifest and with a scheduled change.
 */
export const ANNOTATIONS = {
  minimum: 'scaler/minimum',
  desired: 'scaler/desired',
  lastChange: 'scaler/last-change',
} as const;

/** The annotations with the targets of the manifest that no autoscaler measures (`count.requests`, `count.response_time`). */
const TARGETS = [
  { query: 'requests', annotation: 'scaler/requests', name: 'requests a minute and task' },
  { query: 'responseSeconds', annotation: 'scaler/response-seconds', name: 'response time in seconds' },
] as const;

const REQUEST_MILLISECONDS = 10_000;
/** The API server ends a watch after this time, and the next one begins. */
const WATCH_SECONDS = 240;

/** The API server refused a call. */
export class KubernetesError extends Error {
  override readonly name = 'KubernetesError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const count = z.int().nonnegative();
const amounts = z.object({ averageValue: z.string().optional(), averageUtilization: z.number().optional() });
const autoscaler = z.object({
  metadata: z.object({
    name: z.string(),
    resourceVersion: z.string(),
    deletionTimestamp: z.string().optional(),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.object({
    minReplicas: count.default(1),
    maxReplicas: count,
    scaleTargetRef: z.object({ name: z.string() }),
    metrics: z.array(z.object({ resource: z.object({ name: z.string(), target: amounts }).optional() })).default([]),
  }),
  status: z
    .object({
      desiredReplicas: count.default(0),
      currentMetrics: z
        .array(z.object({ resource: z.object({ name: z.string(), current: amounts }).optional() }))
        .nullish(),
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
    })
    .prefault({}),
});
/** The fields of a HorizontalPodAutoscaler that the scaler needs. */
export type Autoscaler = z.output<typeof autoscaler>;
/** Those with its lower bound. */
export interface Bounded {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
  readonly spec: { readonly minReplicas: number };
}

const deployment = z.object({
  spec: z.object({ replicas: count.default(1) }),
  status: z.object({ readyReplicas: count.default(0) }).prefault({}),
});
const watchEvent = z.object({ type: z.string(), object: z.unknown() });

/** A scaled service of Kubernetes, whose desired count is changed by the lower bound of its HorizontalPodAutoscaler. */
export interface KubernetesCloud extends Cloud<string> {
  /**
   * Calls back whenever others have changed the lower bound, such as a release that applied the manifest again; until the
   * API server ends it, after some minutes.
   */
  watch(changed: () => void): Promise<void>;
}

/**
 * The scaler's calls of the Kubernetes API and of Prometheus. The desired count of a service is the lower bound of its
 * autoscaler, or what the autoscaler itself keeps, if that is more. A call that finds the autoscaler changed since
 * `findServices` is refused with 409, so that no change of somebody else is lost.
 */
export function kubernetesCloud(settings: PodSettings): KubernetesCloud {
  const { cluster: namespace, servicePrefix: name } = settings;
  const all = `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers`;
  /** As it was last read or written. */
  let current: Autoscaler | undefined;

  async function call(path: string, patch?: object, milliseconds = REQUEST_MILLISECONDS): Promise<Response> {
    // The kubelet replaces the token from time to time.
    const token = await readFile(settings.tokenFile, 'utf8');
    const response = await fetch(`${settings.kubernetes}${path}`, {
      method: patch === undefined ? 'GET' : 'PATCH',
      headers: { authorization: `Bearer ${token.trim()}`, 'content-type': 'application/merge-patch+json' },
      ...(patch === undefined ? {} : { body: JSON.stringify(patch) }),
      signal: AbortSignal.timeout(milliseconds),
    }).catch((error: unknown) => {
      throw new Error(`the API server cannot be reached at ${settings.kubernetes}: ${reasonOf(error)}`, {
        cause: error,
      });
    });
    if (response.ok) return response;
    const text = (await response.text()).slice(0, 300);
    throw new KubernetesError(response.status, `${path} answered ${response.status}: ${text}`);
  }

  /** The object; undefined if there is none. */
  async function find<S extends z.ZodType>(schema: S, path: string): Promise<z.output<S> | undefined> {
    try {
      return schema.parse(await (await call(path)).json());
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return undefined;
      throw error;
    }
  }

  async function change(annotations: Readonly<Record<string, string>>, minReplicas?: number): Promise<void> {
    const resourceVersion = current?.metadata.resourceVersion;
    const spec = minReplicas === undefined ? {} : { spec: { minReplicas } };
    const answer = await call(`${all}/${name}`, { metadata: { annotations, resourceVersion }, ...spec });
    current = autoscaler.parse(await answer.json());
  }

  return {
    lastChangeTag: ANNOTATIONS.lastChange,

    async findServices() {
      current = await find(autoscaler, `${all}/${name}`);
      if (current === undefined) return [];
      const { deletionTimestamp } = current.metadata;
      const workload = await find(
        deployment,
        `/apis/apps/v1/namespaces/${namespace}/deployments/${current.spec.scaleTargetRef.name}`,
      );
      if (workload === undefined) return [];
      if (deletionTimestamp === undefined && wasChangedByOthers(current)) {
        const { minReplicas: minimum } = current.spec;
        const desired = lowerBound(current);
        await change({ [ANNOTATIONS.minimum]: String(minimum), [ANNOTATIONS.desired]: String(desired) }, desired);
      }
      const { spec, status, metadata } = current;
      const kept = Math.min(status.desiredReplicas, spec.maxReplicas);
      return [
        {
          arn: name,
          name,
          status: deletionTimestamp === undefined ? 'ACTIVE' : 'DELETING',
          // Without pods an autoscaler is off: somebody stopped the service.
          desired: workload.spec.replicas === 0 ? 0 : Math.max(spec.minReplicas, kept),
          running: workload.status.readyReplicas,
          ...(kept > spec.minReplicas ? { keptByAutoscaling: kept } : {}),
          tags: metadata.annotations,
        },
      ];
    },

    async bounds() {
      return current && { min: minimumOf(current), max: current.spec.maxReplicas };
    },

    async tracked() {
      if (current === undefined) return [];
      const { annotations } = current.metadata;
      const ours = TARGETS.flatMap(({ query, annotation, name }) => {
        const { [annotation]: text } = annotations;
        const { [query]: metric } = settings.tracked;
        if (text === undefined || metric === undefined) return [];
        const target = quantity(text) ?? 0;
        // At any load more than 0 would be above it.
        if (target === 0) throw new Error(`the annotation ${annotation} is "${text}"; it must be a number above 0`);
        return [{ name, target, metric, reading: undefined, isOurs: true }];
      });
      return [...trackedBy(current).map((one) => ({ ...one, metric: undefined })), ...ours];
    },

    read: (queries, now, minuteSeconds) => readPrometheus(settings.prometheus, queries, now, minuteSeconds),

    async tag(_, key, value) {
      await change({ [key]: value });
    },

    async setDesired(_, __, desired) {
      const minimum = current === undefined ? desired : minimumOf(current);
      await change({ [ANNOTATIONS.minimum]: String(minimum), [ANNOTATIONS.desired]: String(desired) }, desired);
    },

    async watch(changed) {
      const parameters = new URLSearchParams({
        watch: 'true',
        fieldSelector: `metadata.name=${name}`,
        timeoutSeconds: String(WATCH_SECONDS),
      });
      const { body } = await call(`${all}?${parameters}`, undefined, (WATCH_SECONDS + 30) * 1000);
      if (body === null) return;
      let rest = '';
      for await (const text of body.pipeThrough(new TextDecoderStream())) {
        const lines = `${rest}${text}`.split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const { type, object } = watchEvent.parse(JSON.parse(line));
          if ((type === 'ADDED' || type === 'MODIFIED') && wasChangedByOthers(autoscaler.parse(object))) changed();
        }
      }
    },
  };
}

/** Whether the lower bound is no longer the one that the scaler set; false if it never set one. */
export function wasChangedByOthers({ metadata, spec }: Autoscaler): boolean {
  const set = integer(metadata.annotations[ANNOTATIONS.desired]);
  return set !== undefined && set !== spec.minReplicas;
}

/** The lower bound that others have set: that of the manifest or of the schedule. */
export function minimumOf({ metadata, spec }: Bounded): number {
  const isOwn = integer(metadata.annotations[ANNOTATIONS.desired]) === spec.minReplicas;
  const minimum = isOwn ? integer(metadata.annotations[ANNOTATIONS.minimum]) : undefined;
  return minimum === undefined || minimum > spec.minReplicas ? spec.minReplicas : minimum;
}

/** The lower bound after others have changed it: theirs, but not fewer pods than the scaler keeps running. */
function lowerBound({ metadata, spec }: Autoscaler): number {
  const set = integer(metadata.annotations[ANNOTATIONS.desired]) ?? 0;
  return Math.min(spec.maxReplicas, Math.max(spec.minReplicas, set));
}

/** CPU in cores or memory in MiB per pod, or either in percent of what the pods request, with the autoscaler's target. */
export function trackedBy({ spec, status }: Autoscaler): Tracked[] {
  // Otherwise it could not read its metrics, and those in its status are old.
  const isActive = status.conditions.some(({ type, status }) => type === 'ScalingActive' && status === 'True');
  return spec.metrics.flatMap(({ resource }) => {
    const found = (status.currentMetrics ?? []).find((one) => one.resource?.name === resource?.name)?.resource?.current;
    const isShare = resource?.target.averageUtilization !== undefined;
    const unit = isShare ? 1 : resource?.name === 'memory' ? 2 ** 20 : 1;
    const amountOf = (of: z.output<typeof amounts> | undefined) =>
      isShare ? of?.averageUtilization : of?.averageValue === undefined ? undefined : quantity(of.averageValue);
    const target = amountOf(resource?.target);
    if (resource === undefined || target === undefined) return [];
    const value = isActive ? amountOf(found) : undefined;
    const label = isShare ? '%' : resource.name === 'memory' ? 'MiB' : 'cores';
    return [
      {
        name: `${resource.name} (${label})`,
        target: target / unit,
        reading: value === undefined ? undefined : { value: value / unit, ageMilliseconds: 0 },
      },
    ];
  });
}

const SUFFIXES: Readonly<Record<string, number>> = {
  ...{ n: 1e-9, u: 1e-6, m: 1e-3, '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 },
};

/**
 * The number that a quantity stands for, such as 0.7 for `700m`; undefined if it is none.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
export function quantity(text: string): number | undefined {
  const { digits, suffix = '' } = /^(?<digits>\d+(\.\d+)?)(?<suffix>[a-zA-Z]*)$/.exec(text)?.groups ?? {};
  const factor = SUFFIXES[suffix];
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}

function integer(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
