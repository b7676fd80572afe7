/** The definition of panels → an addon of the service with an AWS::CloudWatch::Dashboard. */
import { GRID_WIDTH, onGrid, PANEL_WIDTH } from './grid.ts';
import type { CloudWatchGraph, CloudWatchMetric, LogQuery, Owner } from './panels.ts';

const HEIGHT = 6;
const PERIOD_SECONDS = 60;

/** CloudFormation substitutes `${…}`: parameters of the addon, and exports of the environment. */
const LOG_GROUPS = {
  service: `/copilot/\${App}-\${Env}-\${Name}`,
  scaler: `/aws/lambda/\${App}-\${Env}-\${Name}-scaler`,
} as const;

interface Widget {
  readonly type: 'metric' | 'log' | 'text';
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly properties: Readonly<Record<string, unknown>>;
}

/**
 * What a `DashboardBody` holds:
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
 */
export interface DashboardBody {
  readonly start: string;
  readonly periodOverride: 'inherit';
  readonly widgets: readonly Widget[];
}

/** The dashboard's body, before CloudFormation substitutes names. */
export function dashboardBody(): DashboardBody {
  const widgets: Widget[] = [];
  for (const { section, y, panels } of onGrid(({ cloudwatch }) => cloudwatch, HEIGHT)) {
    widgets.push({ type: 'text', x: 0, y, width: GRID_WIDTH, height: 1, properties: { markdown: `## ${section}` } });
    for (const { panel, graph, x, y } of panels) {
      const place = { x, y, width: PANEL_WIDTH, height: HEIGHT };
      widgets.push(
        'query' in graph
          ? { type: 'log', ...place, properties: logProperties(panel.title, graph) }
          : { type: 'metric', ...place, properties: graphProperties(panel.title, graph) },
      );
    }
  }
  return { start: '-PT3H', periodOverride: 'inherit', widgets };
}

function logProperties(title: string, { of, query, view }: LogQuery) {
  return {
    title,
    region: `\${AWS::Region}`,
    view,
    query: [`SOURCE '${LOG_GROUPS[of ?? 'service']}'`, ...query].join('\n| '),
  };
}

function graphProperties(title: string, { axis, series, operands = {}, limit }: CloudWatchGraph) {
  return {
    title,
    region: `\${AWS::Region}`,
    view: 'timeSeries',
    period: PERIOD_SECONDS,
    yAxis: { left: { min: 0, label: axis, showUnits: false } },
    metrics: [
      ...Object.entries(operands).map(([id, metric]) => line(metric, { id, visible: false })),
      ...series.map((one) =>
        'expression' in one ? [{ expression: one.expression, label: one.legend }] : line(one, { label: one.legend }),
      ),
    ],
    ...(limit ? { annotations: { horizontal: [{ value: limit.value, label: limit.label }] } } : {}),
  };
}

/** One entry of `metrics`. */
function line({ of, name, statistic }: Omit<CloudWatchMetric, 'legend'>, how: Readonly<Record<string, unknown>>) {
  if (of === 'tasks') {
    // CloudFormation generates the end of a service's name, and an addon cannot refer to the service, which depends on it.
    const namespace = name === 'DesiredTaskCount' ? 'ECS/ContainerInsights' : 'AWS/ECS';
    const terms = `MetricName="${name}" ClusterName="\${Cluster}" ServiceName=\${App}-\${Env}-\${Name}-Service`;
    const search = `SEARCH('{${namespace},ClusterName,ServiceName} ${terms}', '${statistic}', ${PERIOD_SECONDS})`;
    return [{ expression: search, ...how }];
  }
  const [namespace, ...dimensions] = DIMENSIONS[of];
  return [namespace, name, ...dimensions, { stat: statistic, ...how }];
}

const DIMENSIONS: Readonly<Record<Exclude<Owner, 'tasks'>, readonly string[]>> = {
  loadBalancer: ['AWS/ApplicationELB', 'LoadBalancer', `\${LoadBalancer}`, 'TargetGroup', `\${TargetGroup}`],
  database: ['AWS/RDS', `\${DatabaseDimension}`, `\${Database}`],
  // As src/operations/pulse.ts logs them.
  service: ['Plusone', 'Application', `\${App}`, 'Environment', `\${Env}`, 'Service', `\${Name}`],
};

/** The addon: its parameters are those that Copilot gives every addon, and those of addons.parameters.yml. */
export function cloudWatchAddon(): string {
  const body = JSON.stringify(dashboardBody(), null, 2).replaceAll(/^/gm, ' '.repeat(10));
  return `# Made from tools/dashboard/panels.ts by \`npm run dashboard:build\`: change that, not this.
# The equivalent of the Grafana dashboard of the kind cluster: the same panels, as far as AWS knows the numbers.
Parameters:
  App: { Type: String }
  Env: { Type: String }
  Name: { Type: String }
  LoadBalancer: { Type: String }
  TargetGroup: { Type: String }

Resources:
  Dashboard:
    Type: AWS::CloudWatch::Dashboard
    Properties:
      DashboardName: !Sub \${App}-\${Env}-\${Name}
      DashboardBody: !Sub
        - |
${body}
        - Cluster: !ImportValue { 'Fn::Sub': '\${App}-\${Env}-ClusterId' }
          Database: !ImportValue { 'Fn::Sub': '\${App}-\${Env}-Database' }
          DatabaseDimension: !ImportValue { 'Fn::Sub': '\${App}-\${Env}-DatabaseDimension' }
`;
}
