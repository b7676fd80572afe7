/** The running cluster of a workspace, as the commands on it find and ask it. */
import { z } from 'zod';
import { UsageError } from '../../k8s/errors.ts';
import { objectName } from '../../manifest/names.ts';
import { openWorkspace } from '../../manifest/workspace.ts';
import { attached, Failed } from '../terminal/programs.ts';
import { requireTools } from '../terminal/requirements.ts';
import { AFTER_INSTALLING, clusterOption, workspaceOptions } from './command.ts';
import { exitCodes } from './exit.ts';

/** The options that name the workspace and its cluster. */
export const common = { workspace: workspaceOptions.workspace, cluster: clusterOption } as const;
export const { help } = workspaceOptions;

interface Place {
  workspace?: string | undefined;
  cluster?: string | undefined;
}

/** Opens the workspace and connects to its running cluster. Throws a Refusal if it is not up. */
export async function connect({ workspace, cluster }: Place) {
  const found = openWorkspace(workspace);
  await requireTools(['docker', 'kind', 'kubectl'], AFTER_INSTALLING);
  const { connect: connectTo } = await import('../../local-kind/application.ts');
  return { ...(await connectTo(found, cluster)), found };
}

/** The name of a workload as its objects have it. Throws a UsageError for one that the workspace has not got. */
export function workloadNamed(given: string, { workloads }: { workloads: readonly string[] }): string {
  if (!workloads.includes(given))
    throw new UsageError(`there is no workload "${given}"; found: ${workloads.join(', ') || 'none'}`);
  return objectName(given);
}

/** Runs kubectl attached to this terminal and gives back its exit code; it prints its errors itself. */
export async function shown(args: readonly string[]): Promise<number> {
  try {
    await attached('kubectl', args);
    return exitCodes.done;
  } catch (error) {
    if (error instanceof Failed && error.code !== undefined) return error.code;
    throw error;
  }
}

/** The CronJobs that `kubectl get cronjobs -o json` prints. */
export const cronJobList = z.object({
  items: z.array(z.object({ metadata: z.object({ name: z.string() }), spec: z.object({ schedule: z.string() }) })),
});

/** The pods that `kubectl get pods -o json` prints. */
export const podList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }),
      status: z.object({
        phase: z.string().default('Unknown'),
        containerStatuses: z
          .array(
            z.object({
              ready: z.boolean(),
              restartCount: z.number(),
              state: z
                .looseObject({ waiting: z.looseObject({ reason: z.string().optional() }).optional() })
                .default({}),
            }),
          )
          .default([]),
      }),
    }),
  ),
});
