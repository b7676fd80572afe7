/** Converts a name of Copilot to one that Kubernetes allows: `firelens_log_router` is `firelens-log-router`. */
export function objectName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

/** What Kubernetes adds to the name of a CronJob for each job takes 11 of the 63 characters of a label. */
export const CRON_JOB_NAME = 52;

/** Converts a name, such as that of a volume, to a label: letters, digits and hyphens, without a hyphen at its ends. */
export function labelName(name: string, most = 63): string {
  return objectName(name)
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^-/, '')
    .slice(0, most)
    .replace(/-$/, '');
}

/** The name of the Secret with the `secrets` in the manifest of a workload. */
export function secretName(workload: string): string {
  return `${workload}-secrets`;
}

/** Converts a name to a part of a logical id, as Copilot does. */
export function logicalName(name: string): string {
  return name.replaceAll(/[^a-zA-Z0-9]/g, '');
}

/**
 * The key of the own queue of a topic in COPILOT_TOPIC_QUEUE_URIS. Copilot makes the topic lower-case but for its first
 * letter: generateQueueURIJSON in internal/pkg/template of v1.34.1.
 */
export function topicQueueKey(service: string, topic: string): string {
  const word = logicalName(topic);
  return `${logicalName(service)}${word.charAt(0).toUpperCase()}${word.slice(1).toLowerCase()}EventsQueue`;
}
