import { existsSync, readFileSync } from 'node:fs';
import { readSettings, SettingsError } from '../../functions/settings.ts';
import { type Overrides, readOverrides } from '../../manifest/cfn-patches.ts';
import { STOP_TIMEOUT, TARGET_GROUP_DEFAULTS, TASK_DEFAULTS } from '../../manifest/defaults.ts';
import { nodeAt, parseAny, Scalar, Sequence } from '../../manifest/document.ts';
import { readManifest } from '../../manifest/manifest.ts';
import { VARIABLES } from '../../src/config.ts';
import { Refusal } from '../terminal/refusal.ts';
import type { Target } from './command.ts';

/** MiB of memory by CPU units: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html */
const fargateMemory: Readonly<Record<number, readonly number[]>> = {
  256: [512, 1024, 2048],
  512: steps(1024, 4096, 1024),
  1024: steps(2048, 8192, 1024),
  2048: steps(4096, 16384, 1024),
  4096: steps(8192, 30720, 1024),
  8192: steps(16384, 61440, 4096),
  16384: steps(32768, 122880, 8192),
};

interface HttpHealthcheck {
  path?: string | undefined;
  interval?: number | undefined;
  timeout?: number | undefined;
  healthy_threshold?: number | undefined;
  unhealthy_threshold?: number | undefined;
}

function steps(from: number, to: number, by: number): number[] {
  return Array.from({ length: (to - from) / by + 1 }, (_, i) => from + i * by);
}

/**
 * What Copilot accepts but AWS would refuse or do otherwise: sizes that Fargate doesn't have, values of health checks that
 * are out of range, and a container that would be killed before its grace period ends. Returns a line for each. The ranges
 * are those in the CloudFormation reference of AWS::ECS::TaskDefinition HealthCheck and
 * AWS::ElasticLoadBalancingV2::TargetGroup.
 * @throws {DocumentError} for an invalid manifest
 */
export function broken(
  manifest: string,
  overrides: Pick<Overrides, 'task'>,
  target: Pick<Target, 'application' | 'environment'>,
): string[] {
  const { fields } = readManifest(manifest, 'copilot/plusone/manifest.yml', { ...target, shell: process.env });
  const found: string[] = [];
  const expect = (holds: boolean, problem: string) => {
    if (!holds) found.push(`${target.environment}: ${problem}`);
  };
  const within = (name: string, value: number | undefined, least: number, most: number) =>
    expect(
      value === undefined || (value >= least && value <= most),
      `${name} is ${value}; it must be from ${least} to ${most}`,
    );

  const { cpu = TASK_DEFAULTS.cpu, memory = TASK_DEFAULTS.memory } = fields;
  const sizes = fargateMemory[cpu];
  expect(sizes !== undefined, `cpu is ${cpu}; Fargate has ${Object.keys(fargateMemory).join(', ')}`);
  expect(!sizes || sizes.includes(memory), `memory is ${memory}; Fargate has ${sizes?.join(', ')} with cpu ${cpu}`);

  const container = fields.image?.healthcheck;
  within('image.healthcheck.interval', container?.interval, 5, 300);
  within('image.healthcheck.timeout', container?.timeout, 2, 60);
  within('image.healthcheck.retries', container?.retries, 1, 10);
  within('image.healthcheck.start_period', container?.start_period, 0, 300);

  const { http } = fields;
  if (typeof http === 'object') {
    within('http.deregistration_delay', http.deregistration_delay, 0, 3600);
    const check: HttpHealthcheck = http.healthcheck ?? {};
    const { interval = TARGET_GROUP_DEFAULTS.interval, timeout = TARGET_GROUP_DEFAULTS.timeout } = check;
    within('http.healthcheck.interval', interval, 5, 300);
    within('http.healthcheck.timeout', timeout, 2, 120);
    within('http.healthcheck.healthy_threshold', check.healthy_threshold, 2, 10);
    within('http.healthcheck.unhealthy_threshold', check.unhealthy_threshold, 2, 10);
    expect(
      timeout < interval,
      `http.healthcheck.timeout is ${timeout} s, which is not less than the interval of ${interval} s`,
    );
  }

  const budget = Number(fields.variables?.SHUTDOWN_GRACE_SECONDS ?? VARIABLES.SHUTDOWN_GRACE_SECONDS.parse(undefined));
  const stop = overrides.task.containers.get(0)?.stopTimeout ?? STOP_TIMEOUT;
  expect(
    stop > budget,
    `StopTimeout is ${stop} s, and SHUTDOWN_GRACE_SECONDS is ${budget}: ECS would kill a task that still answers`,
  );
  for (const { stopTimeout } of overrides.task.containers.values()) within('StopTimeout', stopTimeout, 2, 120);
  return found;
}

/**
 * What the scaler would refuse of its settings, when it first runs: a line for each problem of SCALER_METRICS and
 * SCALER_THRESHOLDS in this template; none without a scaler.
 * @throws {DocumentError} if the template is no YAML
 */
export function brokenScaler(template: string, file: string): string[] {
  const variables = nodeAt(parseAny(template, file), ['Resources', 'Scaler', 'Properties', 'Environment', 'Variables']);
  const textOf = (name: string) => {
    const node = nodeAt(variables, [name, 'Fn::Sub']) ?? nodeAt(variables, [name]);
    const text = node instanceof Sequence ? node.items[0] : node;
    return text instanceof Scalar ? text.text : undefined;
  };
  const SCALER_METRICS = textOf('SCALER_METRICS');
  if (SCALER_METRICS === undefined) return [];
  const known = { SCALER_CLUSTER: 'cluster', SCALER_SERVICE_PREFIX: 'service' };
  try {
    readSettings({ ...known, SCALER_METRICS, SCALER_THRESHOLDS: textOf('SCALER_THRESHOLDS') });
    return [];
  } catch (error) {
    if (error instanceof SettingsError) return error.message.split('\n');
    throw error;
  }
}

/**
 * Checks the limits of AWS for the target's environment, and the settings of the scaler.
 * @throws {Refusal} with everything that AWS or the scaler would refuse
 */
export function requireLimits(target: Target): void {
  const folder = `copilot/${target.service}`;
  const patches = `${folder}/overrides/cfn.patches.yml`;
  const scaler = `${folder}/addons/scaler.yml`;
  const refuse = (what: string, found: readonly string[]) => {
    if (found.length > 0) throw new Refusal(`${what}:\n${found.map((line) => `  ${line}`).join('\n')}`);
  };
  const manifest = readFileSync(`${folder}/manifest.yml`, 'utf8');
  refuse(`AWS would refuse ${folder}/`, broken(manifest, readOverrides(patches, patches), target));
  if (existsSync(scaler))
    refuse(`the scaler would refuse ${scaler}`, brokenScaler(readFileSync(scaler, 'utf8'), scaler));
}
