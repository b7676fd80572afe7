/** Converts a name of Copilot to one that Kubernetes allows: `firelens_log_router` is `firelens-log-router`. */
export function objectName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

/** The name of the Secret with the `secrets` in the manifest of a workload. */
export function secretName(workload: string): string {
  return `${workload}-secrets`;
}
