import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { UsageError } from '../../k8s/errors.ts';
import { attached } from '../terminal/programs.ts';
import { common, connect, cronJobList, help, podList, workloadNamed } from './cluster.ts';
import { command } from './command.ts';
import { exitCodes } from './exit.ts';

const jobStatus = z.object({
  status: z.object({
    failed: z.number().default(0),
    conditions: z.array(z.object({ type: z.string() })).default([]),
  }),
});

export const jobRunCommand = command({
  name: 'job run',
  summary: 'Run a Scheduled Job now, and show what it logs',
  operands: 'NAME',
  completes: 'workloads',
  options: { ...common, help },
  examples: [['plusone job run report', 'as copilot job run, with the log; the exit code says whether it succeeded']],
  async run(values, [name = '']) {
    const { kubectl, connection, namespace, found } = await connect(values);
    const workload = workloadNamed(name, found);
    const cronJobs = cronJobList.parse(JSON.parse(await kubectl(['get', 'cronjobs', '-n', namespace, '-o', 'json'])));
    const jobs = cronJobs.items.map(({ metadata }) => metadata.name);
    if (!jobs.includes(workload))
      throw new UsageError(`there is no Scheduled Job "${name}" in the cluster; found: ${jobs.join(', ') || 'none'}`);
    const job = `${workload.slice(0, 45)}-run-${Date.now().toString(36)}`;
    await kubectl(['create', 'job', job, `--from=cronjob/${workload}`, '-n', namespace]);
    // Each attempt is a pod of its own.
    const shown = new Set<string>();
    for (;;) {
      const pods = podList.parse(
        JSON.parse(await kubectl(['get', 'pods', '-n', namespace, '-l', `job-name=${job}`, '-o', 'json'])),
      ).items;
      for (const { metadata, status: pod } of pods) {
        if (shown.has(metadata.name) || pod.phase === 'Pending') continue;
        shown.add(metadata.name);
        await attached('kubectl', [
          ...connection,
          'logs',
          '-n',
          namespace,
          metadata.name,
          '--all-containers',
          '--follow',
        ]);
      }
      const { status } = jobStatus.parse(JSON.parse(await kubectl(['get', 'job', job, '-n', namespace, '-o', 'json'])));
      const conditions = status.conditions.map(({ type }) => type);
      if (conditions.includes('Complete')) return exitCodes.done;
      if (conditions.includes('Failed')) {
        console.error(`the job ${name} failed after ${status.failed} attempts`);
        return exitCodes.failed;
      }
      await sleep(500);
    }
  },
});
