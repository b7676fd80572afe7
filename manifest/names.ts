/** A name of Copilot's as Kubernetes allows it: `firelens_log_router` is `firelens-log-router`. */
export function objectName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

/** The name of the Secret that holds what the manifest of a workload lists as `secrets`. */
export function secretName(workload: string): string {
  return `${workload}-secrets`;
}
