import { UsageError } from './errors.ts';
import { oneOf, wholeNumber } from './usage.ts';
import { securityLevels } from './workload.ts';

/** The names of the files with the routes of a whole workspace, and with its missing secrets and values. */
export const files = {
  // A workload's name starts with a letter, so no workload can have these.
  routes: '_routes.k8s.yaml',
  secrets: '_secrets.env',
  values: '_values.env',
} as const;

export const layouts = ['workload', 'kind', 'one'] as const;
export const routeKinds = ['ingress', 'gateway', 'none'] as const;
export const accessModes = ['ReadWriteOnce', 'ReadWriteMany'] as const;

const localNodePort = 30500;
const defaultKubectlImage = 'registry.k8s.io/kubectl:v1.34.2';

/** The options as typed: see tools/cli/synth.ts. */
export interface SynthValues {
  workspace?: string | undefined;
  service?: string | undefined;
  environment?: string | undefined;
  output?: string | undefined;
  layout?: string | undefined;
  image?: string | undefined;
  'platform-env'?: string | undefined;
  'node-port'?: string | undefined;
  namespace?: string | undefined;
  security?: string | undefined;
  routes?: string | undefined;
  gateway?: string | undefined;
  'secrets-from'?: string | undefined;
  'external-secrets'?: boolean | undefined;
  values?: string | undefined;
  'volume-size'?: string | undefined;
  'access-mode'?: string | undefined;
  'pull-secret'?: string | undefined;
  'kubectl-image'?: string | undefined;
  reserve?: string | undefined;
  strict?: boolean | undefined;
  json?: boolean | undefined;
}

export type Options = ReturnType<typeof readOptions>;

/** Checks the options and adds the defaults. Throws a UsageError. */
export function readOptions(given: SynthValues) {
  const values = {
    ...given,
    environment: given.environment ?? 'local',
    'kubectl-image': given['kubectl-image'] ?? defaultKubectlImage,
    'volume-size': given['volume-size'] ?? '1Gi',
    'external-secrets': given['external-secrets'] ?? false,
    strict: given.strict ?? false,
    json: given.json ?? false,
  };
  const local = values.environment === 'local';
  const toFile = values.output !== '-';
  const port = values['node-port'];
  const mode = values['access-mode'] ?? (local ? 'ReadWriteOnce' : undefined);
  const name = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
  const expectName = 'at most 63 lowercase letters, digits and "-"';
  matching('namespace', values.namespace, name, expectName);
  matching('pull-secret', values['pull-secret'], name, expectName);
  matching('gateway', values.gateway, /^([a-z0-9-]+\/)?[a-z0-9.-]+$/, 'NAME or NAMESPACE/NAME');
  matching('volume-size', values['volume-size'], /^[1-9]\d*(Mi|Gi|Ti)$/, 'a size such as 500Mi or 20Gi');
  if (!toFile && values['secrets-from'] !== undefined)
    throw new UsageError('--secrets-from with --output -: secrets are written to files only');
  if (values['external-secrets'] && values['secrets-from'] !== undefined)
    throw new UsageError('--secrets-from with --external-secrets: expected one of them');
  const layout = oneOf('--layout', values.layout ?? (toFile ? 'workload' : 'one'), layouts);
  if (!toFile && layout !== 'one') throw new UsageError(`--layout ${layout} with --output -: expected one`);
  return {
    ...values,
    layout,
    security: values.security === undefined ? undefined : oneOf('--security', values.security, securityLevels),
    routes: oneOf('--routes', values.routes ?? (local ? 'none' : 'ingress'), routeKinds),
    // https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport
    nodePort: port === undefined ? (local ? localNodePort : undefined) : wholeNumber('--node-port', port, 30000, 32767),
    accessMode: mode === undefined ? undefined : oneOf('--access-mode', mode, accessModes),
    reserve: wholeNumber('--reserve', values.reserve ?? '10', 1, 100),
  };
}

function matching(option: string, text: string | undefined, pattern: RegExp, expected: string) {
  if (text !== undefined && !pattern.test(text)) throw new UsageError(`--${option} ${text}: expected ${expected}`);
}
