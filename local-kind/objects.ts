import { parseAllDocuments } from 'yaml';
import { z } from 'zod';

const container = z.looseObject({
  name: z.string(),
  image: z.string(),
  env: z
    .array(
      z.looseObject({
        name: z.string(),
        valueFrom: z
          .looseObject({ secretKeyRef: z.looseObject({ name: z.string(), key: z.string() }).optional() })
          .optional(),
      }),
    )
    .default([]),
});
type Container = z.infer<typeof container>;

const podTemplate = z.looseObject({
  metadata: z
    .looseObject({
      annotations: z.record(z.string(), z.string()).optional(),
      labels: z.record(z.string(), z.string()).optional(),
    })
    .optional(),
  spec: z.looseObject({ containers: z.array(container), initContainers: z.array(container).default([]) }),
});
type PodTemplate = z.infer<typeof podTemplate>;

/** A Kubernetes object; only the fields that are used here are typed. */
export const kubernetesObject = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
  spec: z
    .looseObject({
      template: podTemplate.optional(),
      jobTemplate: z.looseObject({ spec: z.looseObject({ template: podTemplate }) }).optional(),
    })
    .optional(),
});
export type KubernetesObject = z.infer<typeof kubernetesObject>;

/** The objects of a YAML file, one per document. Throws if one of them is not a Kubernetes object. */
export function parseObjects(yaml: string): KubernetesObject[] {
  return parseAllDocuments(yaml).map((document) => kubernetesObject.parse(document.toJS()));
}

/** The objects as a List, for the stdin of kubectl. */
export function list(items: readonly KubernetesObject[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

/** The images of all containers, including init containers. */
export function imagesOf(objects: readonly KubernetesObject[]): string[] {
  return allContainers(objects).map(({ image }) => image);
}

/** The pod of a workload or a scheduled job; undefined for other objects. */
export function podTemplateOf({ spec }: KubernetesObject): PodTemplate | undefined {
  return spec?.template ?? spec?.jobTemplate?.spec.template;
}

/** All containers of all workloads, including init containers. */
export function allContainers(objects: readonly KubernetesObject[]): Container[] {
  return objects.flatMap((object) => {
    const pod = podTemplateOf(object)?.spec;
    return pod ? [...pod.initContainers, ...pod.containers] : [];
  });
}

/** A copy in which the image `from` is replaced by `to`. */
export function withImage(objects: readonly KubernetesObject[], from: string, to: string): KubernetesObject[] {
  const copy = structuredClone([...objects]);
  for (const one of allContainers(copy)) if (one.image === from) one.image = to;
  return copy;
}

/** A copy in which variables refer to the Secret `to` instead of `from`. */
export function withSecret(objects: readonly KubernetesObject[], from: string, to: string): KubernetesObject[] {
  const copy = structuredClone([...objects]);
  for (const { env } of allContainers(copy)) {
    for (const { valueFrom } of env) {
      if (valueFrom?.secretKeyRef?.name === from) valueFrom.secretKeyRef.name = to;
    }
  }
  return copy;
}
