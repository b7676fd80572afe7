/** Variables that this project's programs read, and those that affect Node and the clock. */
const READ_BY_PROGRAMS = new Set([
  'AWS_ACCOUNT',
  'CLUSTER',
  'CONNECTIONS',
  'DATABASE',
  'DOMAIN',
  'DRILL',
  'DURATION',
  'EJECTED',
  'ENV',
  'FOR',
  'LOAD_BALANCER',
  'LOG_LEVEL',
  'METRICS_PORT',
  'NODE_OPTIONS',
  'PAGERDUTY_KEY',
  'PAGER_ENDPOINT',
  'PINGDOM_TOKEN',
  'PINGDOM_URL',
  'PORT',
  'PULSE_SECONDS',
  'QUERY',
  'QUICK',
  'REVISION',
  'SEARCH',
  'SECRETS_PATH',
  'SINCE',
  'TAG',
  'TARGET',
  'TZ',
  'VERBOSE',
  'WORKERS',
  'WRITE_TOKEN',
  'YES',
]);
/** Manifests refer to those of Copilot. */
const PREFIXES = ['COPILOT_', 'DATABASE_', 'OTEL_', 'SHUTDOWN_'];

/**
 * Returns a copy of an environment without the variables that this project's programs read, for a child process whose
 * result must not depend on the shell that starts it. Variables for AWS, Docker and proxies are kept.
 */
export function cleanEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isReadByPrograms(name)));
}

function isReadByPrograms(name: string): boolean {
  return READ_BY_PROGRAMS.has(name) || PREFIXES.some((prefix) => name.startsWith(prefix));
}
