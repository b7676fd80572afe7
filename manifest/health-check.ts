/**
 * What a load balancer's health check is when `http.healthcheck` leaves it out, in seconds and counts. Copilot 1.34.1 sets
 * the unhealthy threshold and leaves the interval and the timeout to Elastic Load Balancing:
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-elasticloadbalancingv2-targetgroup.html
 */
export const TARGET_GROUP_DEFAULTS = { interval: 30, timeout: 5, unhealthyThreshold: 2 } as const;
