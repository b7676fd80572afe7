import { z } from 'zod';
import { type Run, readRun } from '../../functions/scaler-runs.ts';
import { aws, environmentStack, serviceStack, stack } from './cloud.ts';
import type { Target } from './command.ts';

/** The running, desired and allowed numbers of tasks of a service. */
export interface Scale {
  readonly cluster: string;
  /** The name of the service in ECS. */
  readonly service: string;
  readonly desired: number;
  readonly running: number;
  /** The limits of the scalable target; undefined if the count is fixed. */
  readonly bounds: { readonly min: number; readonly max: number } | undefined;
}

/** The function's name in copilot/plusone/addons/scaler.yml. */
export function scalerFunction(target: Target): string {
  return `${serviceStack(target)}-scaler`;
}

/** The service's current scale; undefined if it is not deployed. */
export async function currentScale(target: Target): Promise<Scale | undefined> {
  const cluster = (await stack(environmentStack(target)))?.outputs.ClusterId;
  if (cluster === undefined) return undefined;
  const list = z.object({ serviceArns: z.array(z.string()) });
  const { serviceArns } = await aws(list, 'ecs', 'list-services', '--cluster', cluster);
  const prefix = `${serviceStack(target)}-Service`;
  const names = serviceArns.map((arn) => arn.slice(arn.lastIndexOf('/') + 1));
  const service = names.find((name) => name.startsWith(prefix));
  if (service === undefined) return undefined;
  const counts = z.object({ services: z.array(z.object({ desiredCount: z.number(), runningCount: z.number() })) });
  const described = await aws(counts, 'ecs', 'describe-services', '--cluster', cluster, '--services', service);
  const [found] = described.services;
  if (found === undefined) return undefined;
  const limits = z.object({ ScalableTargets: z.array(z.object({ MinCapacity: z.number(), MaxCapacity: z.number() })) });
  const resource = ['--service-namespace', 'ecs', '--resource-ids', `service/${cluster}/${service}`];
  const [bounds] = (await aws(limits, 'application-autoscaling', 'describe-scalable-targets', ...resource))
    .ScalableTargets;
  return {
    cluster,
    service,
    desired: found.desiredCount,
    running: found.runningCount,
    bounds: bounds && { min: bounds.MinCapacity, max: bounds.MaxCapacity },
  };
}

/**
 * The scaler's runs since a time (milliseconds since the Unix epoch), oldest first.
 * @throws {Failed} if it has no log
 */
export async function scalerRuns(target: Target, since: number): Promise<Run[]> {
  const answer = z.object({ events: z.array(z.object({ message: z.string() })) });
  const group = ['--log-group-name', `/aws/lambda/${scalerFunction(target)}`, '--start-time', String(since)];
  const { events } = await aws(answer, 'logs', 'filter-log-events', ...group);
  // Lambda logs lines of its own.
  return events.flatMap(({ message }) => readRun(message) ?? []);
}
