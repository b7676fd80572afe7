import { Testing } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import { synthesize } from '../../k8s/chart.ts';
import type { Workload } from '../../k8s/workload.ts';
import type { Overrides } from '../../manifest/cfn-patches.ts';
import { located } from '../../manifest/document.ts';
import { type Manifest, readManifest } from '../../manifest/manifest.ts';
import { type ContainerOverride, readTaskChanges } from '../../manifest/task-overrides.ts';

const noTaskOverrides = readTaskChanges([]);

export const noOverrides: Overrides = { task: noTaskOverrides, healthcheck: {}, scheduledActions: [], unsupported: [] };

/** Overrides of the main container alone. */
export function overriding(container: Partial<ContainerOverride>): Overrides {
  const own = { environment: new Map(), ports: [], mounts: [], ...container };
  return { ...noOverrides, task: { ...noTaskOverrides, containers: new Map([[0, own]]) } };
}

/** The manifest of that text as the environment `test` of the application `shop` sees it, with its warnings as lines. */
export function read(text: string, environment = 'test', shell: Record<string, string> = {}) {
  const manifest = manifestOf(text, environment, shell);
  return { ...manifest, warnings: located(manifest.file, manifest.warnings) };
}

function manifestOf(text: string, environment = 'test', shell: Record<string, string> = {}): Manifest {
  return readManifest(text, 'manifest.yml', { application: 'shop', environment, shell });
}

/** What reading the text is refused with; fails when it isn't. */
export function refusal(text: string, shell: Record<string, string> = {}): string {
  try {
    read(text, 'test', shell);
  } catch (error) {
    if (error instanceof Error) return error.message;
  }
  throw new Error('the manifest was accepted');
}

/** A Load Balanced Web Service with the least there has to be, and these lines. */
export function webService(...lines: string[]): string {
  const required = ['name: api', 'type: Load Balanced Web Service'];
  const image = lines.some((line) => line.startsWith('image:')) ? [] : ['image: { build: Dockerfile, port: 8080 }'];
  const http = lines.some((line) => line.startsWith('http:')) ? [] : ['http: { path: / }'];
  return [...required, ...image, ...http, ...lines].join('\n');
}

/** An object as cdk8s gives it back, for tests to look into. */
type Synthesized = ReturnType<typeof Testing.synth>[number];

/** The objects that a manifest becomes. */
export function objectsOf(text: string, input: Partial<Workload> = {}): Synthesized[] {
  return synthesisOf(text, input).objects;
}

/** The workload of a manifest, in the environment `test` of the application `shop`. */
export function workloadOf(text: string, input: Partial<Workload> = {}): Workload {
  return {
    application: 'shop',
    environment: 'test',
    namespace: 'shop',
    manifest: manifestOf(text),
    overrides: noOverrides,
    cloudFormationOnly: [],
    image: 'api:dev',
    imageUsers: new Map([['api', '1000']]),
    security: undefined,
    siteFiles: new Map(),
    environmentFiles: new Map(),
    platformVariables: new Map(),
    nodePorts: { first: 30500, step: 1 },
    addons: [],
    environmentAddons: [],
    values: {},
    externalSecrets: false,
    sharedFileSystems: new Set(),
    namespaceLevel: 'baseline',
    dottedAliases: new Map(),
    takenNames: new Set(),
    volumeSize: '1Gi',
    accessMode: undefined,
    pullSecret: undefined,
    secretValues: undefined,
    kubectlImage: 'kubectl:test',
    reserve: 10,
    ...input,
  };
}

export function synthesisOf(text: string, input: Partial<Workload> = {}) {
  const synthesis = synthesize(workloadOf(text, input));
  const objects: Synthesized[] = synthesis.charts.flatMap((chart) => Testing.synth(chart));
  return { ...synthesis, objects };
}

/** The one object of that kind; fails when there is none. */
export function only(objects: readonly Synthesized[], kind: string, name?: string): Synthesized {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  const [object] = found;
  if (!object || found.length > 1)
    throw new Error(`${found.length} objects of kind ${kind} among ${objects.map((o) => o.kind).join(', ')}`);
  return object;
}

/** The pod of the Deployment or CronJob that a manifest of the workload `api` becomes. */
export function podOf(text: string, input: Partial<Workload> = {}): k8s.PodSpec {
  const objects = objectsOf(text, input);
  const workload = objects.find(
    ({ kind, metadata }) => ['Deployment', 'CronJob'].includes(kind) && metadata.name === 'api',
  );
  return workload.kind === 'CronJob' ? workload.spec.jobTemplate.spec.template.spec : workload.spec.template.spec;
}

/** The main container of that pod, or another one by its name. */
export function containerOf(text: string, input: Partial<Workload> = {}, name = 'api'): k8s.Container {
  const { containers, initContainers = [] } = podOf(text, input);
  const container = [...containers, ...initContainers].find((candidate) => candidate.name === name);
  if (!container) throw new Error(`no container ${name}`);
  return container;
}

/** The environment of a container as a map; the value of a secret is where it comes from. */
export function environmentOf(container: k8s.Container): Record<string, unknown> {
  return Object.fromEntries(
    (container.env ?? []).map(({ name, value, valueFrom }) => [name, value ?? valueFrom?.secretKeyRef]),
  );
}
