/**
 * What Copilot 1.34.1, or AWS where Copilot says nothing, takes for a field that a manifest leaves out: the one place of
 * each. Durations are in seconds. Copilot's own are in
 * https://github.com/aws/copilot-cli/tree/v1.34.1/internal/pkg/manifest (the New… functions and their templates) and in
 * https://aws.github.io/copilot-cli/docs/manifest/overview/
 */

/** The size of a task: CPU units, MiB, and GiB of ephemeral storage, which is what a task on Fargate has. */
export const TASK_DEFAULTS = { cpu: 256, memory: 512, ephemeralStorage: 20 } as const;

/** Copilot's `image.healthcheck`, once any of its fields is stated. */
export const CONTAINER_CHECK_DEFAULTS = {
  command: ['CMD-SHELL', 'curl -f http://localhost/ || exit 1'],
  interval: 10,
  timeout: 5,
  retries: 2,
  start_period: 0,
} as const;

/**
 * A load balancer's health check. Copilot sets the unhealthy threshold and leaves the interval and the timeout to Elastic
 * Load Balancing:
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-elasticloadbalancingv2-targetgroup.html
 */
export const TARGET_GROUP_DEFAULTS = { interval: 30, timeout: 5, unhealthyThreshold: 2 } as const;

/**
 * App Runner's health check.
 * https://docs.aws.amazon.com/apprunner/latest/api/API_HealthCheckConfiguration.html
 */
export const APP_RUNNER_DEFAULTS = { interval: 5, timeout: 2, unhealthyThreshold: 5 } as const;

/** How long ECS ignores the load balancer's health check of a new task: Copilot's `http.healthcheck.grace_period`. */
export const GRACE_PERIOD = 60;

/** https://aws.github.io/copilot-cli/docs/manifest/lb-web-service/#http-deregistration-delay */
export const DEREGISTRATION_DELAY = 60;

/**
 * From SIGTERM to SIGKILL on Fargate.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html#container_definition_timeout
 */
export const STOP_TIMEOUT = 30;

/** Copilot's cooldowns, for each thing that it scales by. */
export const COOLDOWN = { in: 120, out: 60 } as const;

/** Days that the log group keeps a line: Copilot's `logging.retention`. */
export const LOG_RETENTION_DAYS = 30;
