/**
 * The definition of all panels, from which the Grafana dashboard (grafana.ts), its CloudWatch equivalent (cloudwatch.ts) and
 * the picture (picture.ts) are generated. A panel that is missing in one of them has the reason.
 */
import { DEFAULT_THRESHOLDS } from '../../functions/decide.ts';

/** The rows of the dashboards, from top to bottom. */
export const SECTIONS = ['What callers see', 'The service', 'MySQL', 'Scaling', 'The platform'] as const;
export type Section = (typeof SECTIONS)[number];

/** The unit of a graph. */
export type Unit = 'perSecond' | 'share' | 'seconds' | 'bytes' | 'cpus' | 'count';

/** A value to be compared with, drawn as a line across the graph. */
export interface Limit {
  readonly value: number;
  readonly label: string;
}

/** A query of Prometheus and how its series are called; `{{name}}` stands for the value of a label. */
export interface Query {
  /** PromQL. `$__rate_interval` is Grafana's: a few scrapes, or what one point of the graph covers if that is more. */
  readonly expression: string;
  readonly legend: string;
}

export interface PrometheusGraph {
  readonly unit: Unit;
  readonly queries: readonly Query[];
  readonly limit?: Limit;
  /** For values that differ by powers of ten. */
  readonly logarithmic?: boolean;
}

/** Whose metric it is; cloudwatch.ts knows the dimensions. */
export type Owner = 'loadBalancer' | 'tasks' | 'database' | 'service';

export interface CloudWatchMetric {
  readonly of: Owner;
  readonly name: string;
  /** CloudWatch's statistic: Sum, Average, p99, … over a minute. */
  readonly statistic: string;
  readonly legend: string;
}

/** Metric mathematics on the graph's `operands`. */
export interface CloudWatchMath {
  readonly expression: string;
  readonly legend: string;
}

export interface CloudWatchGraph {
  /** The label of the axis. */
  readonly axis: string;
  readonly series: readonly (CloudWatchMetric | CloudWatchMath)[];
  /** Metrics that are not drawn, by their ids in expressions. */
  readonly operands?: Readonly<Record<string, Omit<CloudWatchMetric, 'legend'>>>;
  readonly limit?: Limit;
}

/** A CloudWatch Logs Insights query on the log lines of the service, or of its scaler, command by command. */
export interface LogQuery {
  readonly of?: 'scaler';
  readonly query: readonly string[];
  readonly view: 'table' | 'timeSeries';
}

/** A saved search of the log lines in OpenSearch, which shows the lines behind a panel. */
export interface Search {
  /** The name for `make search` and `make logs-search`. */
  readonly name: string;
  readonly title: string;
  /** https://docs.opensearch.org/latest/query-dsl/full-text/query-string/ */
  readonly query: string;
  /** The fields that are shown. */
  readonly columns: readonly string[];
}

/** Why a panel is not on one of the dashboards. */
export interface Missing {
  readonly missing: string;
}

export interface Panel {
  readonly title: string;
  /** What it shows, and how to interpret it. */
  readonly description: string;
  readonly section: Section;
  readonly prometheus: PrometheusGraph | Missing;
  readonly cloudwatch: CloudWatchGraph | LogQuery | Missing;
  readonly search?: Search;
}

/** The routes for users: probes are frequent and always fast, so they would distort the figures. */
const CALLS = 'http_request_duration_seconds_count{route!~"/livez|/readyz"}';
const callsBy = (condition: string) => CALLS.replace('}', `,${condition}}`);
/** Requests that need MySQL, and those of them with an answer of MySQL. */
const USER_CALLS = 'http_request_duration_seconds_count{route="/hello/:username"}';
const ANSWERED_USER_CALLS = 'http_request_duration_seconds_count{route="/hello/:username",status!="503"}';
const rate = (metric: string) => `rate(${metric}[$__rate_interval])`;

const { waitingPerExecuting, databaseMilliseconds } = DEFAULT_THRESHOLDS;

const NOT_COLLECTED = 'Only /metrics has it, and nothing collects /metrics on AWS';

/** The load balancer's number of requests of a kind. */
const counted = (name: string) => ({ of: 'loadBalancer', name, statistic: 'Sum' }) as const;

function latency(quantile: number): Query {
  const buckets = rate(CALLS.replace('_count', '_bucket'));
  return { expression: `histogram_quantile(${quantile}, sum by (le) (${buckets}))`, legend: `p${quantile * 100}` };
}

function shareOfAnswers(condition: string, legend: string): Query {
  // Without `or vector(0)` there is no line, instead of one at zero, before the first such answer.
  return { expression: `(sum(${rate(callsBy(condition))}) or vector(0)) / sum(${rate(CALLS)})`, legend };
}

/** The limit of the service's response time. */
const SLOW: Limit = { value: 0.5, label: '500 ms' };

export const PANELS: readonly Panel[] = [
  {
    section: 'What callers see',
    title: 'Traffic',
    description: 'Answers by route and status, without the probes.',
    search: {
      name: 'requests',
      title: 'Requests',
      query: 'msg:request',
      columns: ['method', 'route', 'status', 'milliseconds', 'requestId'],
    },
    prometheus: {
      unit: 'perSecond',
      queries: [
        {
          expression: `sum by (method, route, status) (${rate(CALLS)})`,
          legend: '{{method}} {{route}} {{status}}',
        },
      ],
    },
    cloudwatch: {
      axis: 'a minute',
      series: ['2XX', '3XX', '4XX', '5XX'].map((code) => ({
        ...counted(`HTTPCode_Target_${code}_Count`),
        legend: code.toLowerCase(),
      })),
    },
  },
  {
    section: 'What callers see',
    title: 'Errors',
    description:
      'The share of all answers. 503 comes with Retry-After: the database is unavailable or overloaded. ' +
      'Any other 5xx is an error in the service. 4xx are client errors, unknown users among them.',
    search: {
      name: 'errors',
      title: 'Errors and crashes',
      query: 'level:(error OR fatal)',
      columns: ['level', 'msg', 'err.type', 'err.message', 'requestId'],
    },
    prometheus: {
      unit: 'share',
      queries: [
        shareOfAnswers('status="503"', '503'),
        shareOfAnswers('status=~"5..",status!="503"', 'other 5xx'),
        shareOfAnswers('status=~"4.."', '4xx'),
      ],
    },
    cloudwatch: {
      axis: '%',
      operands: {
        requests: counted('RequestCount'),
        errors: counted('HTTPCode_Target_5XX_Count'),
        unreached: counted('HTTPCode_ELB_5XX_Count'),
        mistakes: counted('HTTPCode_Target_4XX_Count'),
      },
      series: [
        { expression: '100 * FILL(errors, 0) / requests', legend: '5xx' },
        { expression: '100 * FILL(unreached, 0) / requests', legend: '5xx of the load balancer itself' },
        { expression: '100 * FILL(mistakes, 0) / requests', legend: '4xx' },
      ],
    },
  },
  {
    section: 'What callers see',
    title: 'Latency',
    description:
      'Half, 95 and 99 of a hundred answers came within this time; the alarm is on p99. ' +
      'The service has finer buckets around 500 ms; what lies between two buckets is interpolated.',
    search: {
      name: 'slow',
      title: 'Requests above 500 ms',
      query: 'milliseconds:>500',
      columns: ['method', 'route', 'status', 'milliseconds', 'requestId', 'traceId'],
    },
    prometheus: {
      unit: 'seconds',
      queries: [latency(0.5), latency(0.95), latency(0.99)],
      limit: SLOW,
      logarithmic: true,
    },
    cloudwatch: {
      axis: 'seconds',
      series: ['p50', 'p95', 'p99'].map((statistic) => ({
        of: 'loadBalancer' as const,
        name: 'TargetResponseTime',
        statistic,
        legend: statistic,
      })),
      limit: SLOW,
    },
  },
  {
    section: 'What callers see',
    title: 'Routes, from the log',
    description: 'What each route was asked and how long it took, in milliseconds.',
    prometheus: { missing: 'The panel Traffic has the routes already' },
    cloudwatch: {
      query: [
        'filter msg = "request"',
        'stats count(*) as requests, pct(milliseconds, 50) as p50, pct(milliseconds, 99) as p99, max(milliseconds) as slowest by method, route, status',
        'sort requests desc',
        'limit 50',
      ],
      view: 'table',
    },
  },
  {
    section: 'What callers see',
    title: 'Why requests failed, from the log',
    description: 'The reasons of all answers with 5xx.',
    search: {
      name: 'failed',
      title: 'Requests that failed',
      query: 'status:>=500',
      columns: ['status', 'reason', 'err.message', 'route', 'requestId'],
    },
    prometheus: { missing: 'Metrics have no reasons; the log has them: make logs' },
    cloudwatch: {
      query: [
        'filter msg = "request" and status >= 500',
        'fields coalesce(reason, err.message) as why',
        'stats count(*) as requests, earliest(@timestamp) as firstSeen, latest(@timestamp) as lastSeen by status, why',
        'sort requests desc',
        'limit 50',
      ],
      view: 'table',
    },
  },

  {
    section: 'The service',
    title: 'Event loop lag',
    description:
      'How late the event loop was for its timers, at worst in 99 of 100 cases between two scrapes. ' +
      'Above some 50 ms every request waits for it.',
    prometheus: {
      unit: 'seconds',
      queries: [{ expression: 'nodejs_eventloop_lag_p99_seconds', legend: '{{instance}}' }],
    },
    cloudwatch: { missing: `${NOT_COLLECTED}; callers see it as latency` },
  },
  {
    section: 'The service',
    title: 'CPU',
    description:
      'CPUs that each process keeps busy. JavaScript runs on one of them. Above its target the autoscaler adds a pod.',
    prometheus: {
      unit: 'cpus',
      queries: [
        { expression: rate('process_cpu_seconds_total'), legend: '{{instance}}' },
        {
          expression:
            'max(kube_horizontalpodautoscaler_spec_target_metric{metric_name="cpu",metric_target_type="average"})',
          legend: 'target of the autoscaler',
        },
      ],
    },
    cloudwatch: {
      axis: '% of the task',
      series: [
        { of: 'tasks', name: 'CPUUtilization', statistic: 'Average', legend: 'average' },
        { of: 'tasks', name: 'CPUUtilization', statistic: 'Maximum', legend: 'busiest task' },
      ],
    },
  },
  {
    section: 'The service',
    title: 'Memory',
    description: 'What each process has in memory. At the limit the platform kills it.',
    prometheus: {
      unit: 'bytes',
      queries: [
        { expression: 'process_resident_memory_bytes', legend: '{{instance}}' },
        {
          expression: 'max(kube_pod_container_resource_limits{container="plusone",resource="memory"})',
          legend: 'limit',
        },
      ],
    },
    cloudwatch: {
      axis: '% of the task',
      series: [
        { of: 'tasks', name: 'MemoryUtilization', statistic: 'Average', legend: 'average' },
        { of: 'tasks', name: 'MemoryUtilization', statistic: 'Maximum', legend: 'largest task' },
      ],
    },
  },

  {
    section: 'MySQL',
    title: 'Connections',
    description:
      'Of all processes together: connections that run a statement, that are idle, and statements that wait for one. ' +
      'Statements that wait all the time mean that the pool is too small or MySQL too slow.',
    prometheus: {
      unit: 'count',
      queries: [
        { expression: 'sum(plusone_database_connections_used)', legend: 'used' },
        { expression: 'sum(plusone_database_connections_free)', legend: 'free' },
        { expression: 'sum(plusone_database_connection_waits)', legend: 'statements that wait' },
      ],
    },
    cloudwatch: {
      axis: 'connections',
      series: [{ of: 'database', name: 'DatabaseConnections', statistic: 'Maximum', legend: 'open' }],
    },
  },
  {
    section: 'MySQL',
    title: 'Requests and statements',
    description:
      'Requests that need MySQL, and statements that it got. Requests that arrive together share a statement.',
    prometheus: {
      unit: 'perSecond',
      queries: [
        { expression: `sum(${rate(USER_CALLS)})`, legend: 'requests' },
        { expression: `sum(${rate('plusone_database_statements_total')})`, legend: 'statements' },
      ],
    },
    cloudwatch: { missing: `${NOT_COLLECTED}; RDS has no count of statements among its CloudWatch metrics` },
  },
  {
    section: 'MySQL',
    title: 'Requests per statement',
    description:
      'Near 1 when there is little to do. It grows with the load: that is what keeps MySQL from being the limit.',
    prometheus: {
      unit: 'count',
      queries: [
        {
          expression: `sum(${rate(ANSWERED_USER_CALLS)}) / sum(${rate('plusone_database_statements_total')})`,
          legend: 'answered requests per statement',
        },
      ],
    },
    cloudwatch: { missing: `${NOT_COLLECTED}; see Requests and statements` },
  },
  {
    section: 'MySQL',
    title: 'Waiting for MySQL',
    description:
      'Requests whose answer from MySQL is still to come. Past DATABASE_QUEUE_LIMIT further ones get 503 at once.',
    prometheus: {
      unit: 'count',
      queries: [
        { expression: 'sum(plusone_reads_waiting)', legend: 'reads' },
        { expression: 'sum(plusone_writes_waiting)', legend: 'writes' },
      ],
    },
    cloudwatch: { missing: NOT_COLLECTED },
  },
  {
    section: 'MySQL',
    title: 'Time of a statement',
    description:
      'On average, the wait for a connection included. What is given up counts as well, after a second or two.',
    prometheus: {
      unit: 'seconds',
      queries: [
        {
          expression: `sum(${rate('plusone_database_statement_seconds_total')}) / sum(${rate('plusone_database_statements_total')})`,
          legend: 'mean',
        },
      ],
      logarithmic: true,
    },
    cloudwatch: {
      axis: 'seconds',
      series: [
        { of: 'database', name: 'ReadLatency', statistic: 'Average', legend: 'a read from its disk' },
        { of: 'database', name: 'WriteLatency', statistic: 'Average', legend: 'a write to its disk' },
      ],
    },
  },
  {
    section: 'MySQL',
    title: 'Failures',
    description: 'Statements that failed and connections that could not be made: 0 as long as MySQL is there.',
    search: {
      name: 'database',
      title: 'Requests that failed because of MySQL',
      query: 'reason:(database* OR TLS*)',
      columns: ['status', 'reason', 'requestId'],
    },
    prometheus: {
      unit: 'perSecond',
      queries: [{ expression: `sum(${rate('plusone_database_failures_total')})`, legend: 'failures' }],
    },
    cloudwatch: {
      query: ['filter reason like /^(database unavailable|TLS connection)/', 'stats count(*) as requests by bin(1m)'],
      view: 'timeSeries',
    },
  },
  {
    section: 'MySQL',
    title: 'CPU of MySQL',
    description: 'An alarm rings above 80 % for ten minutes.',
    prometheus: {
      missing: 'In the cluster MySQL is a stand-in that nothing measures; kubectl top pods -n plusone shows it',
    },
    cloudwatch: {
      axis: '%',
      series: [{ of: 'database', name: 'CPUUtilization', statistic: 'Maximum', legend: 'CPU' }],
      limit: { value: 80, label: 'alarm' },
    },
  },
  {
    section: 'MySQL',
    title: 'Free storage of MySQL',
    description: 'It grows by itself when it gets short; an alarm rings below 2 GB.',
    prometheus: { missing: 'In the cluster MySQL is a stand-in with a folder of this machine' },
    cloudwatch: {
      axis: 'bytes',
      series: [{ of: 'database', name: 'FreeStorageSpace', statistic: 'Minimum', legend: 'free' }],
      limit: { value: 2_000_000_000, label: 'alarm' },
    },
  },

  {
    section: 'Scaling',
    title: 'Autoscaler',
    description:
      'How many pods or tasks are wanted and how many run, between the least and the most that the manifest allows.',
    prometheus: {
      unit: 'count',
      queries: [
        {
          expression: 'max(kube_horizontalpodautoscaler_status_desired_replicas{horizontalpodautoscaler="plusone"})',
          legend: 'wanted',
        },
        {
          expression: 'max(kube_horizontalpodautoscaler_status_current_replicas{horizontalpodautoscaler="plusone"})',
          legend: 'running',
        },
        {
          expression: 'max(kube_horizontalpodautoscaler_spec_min_replicas{horizontalpodautoscaler="plusone"})',
          legend: 'least',
        },
        {
          expression: 'max(kube_horizontalpodautoscaler_spec_max_replicas{horizontalpodautoscaler="plusone"})',
          legend: 'most',
        },
      ],
    },
    cloudwatch: {
      axis: 'tasks',
      series: [
        // ECS counts a sample a minute for each task: the documented way to their number without Container Insights.
        { of: 'tasks', name: 'CPUUtilization', statistic: 'SampleCount', legend: 'running' },
        { of: 'tasks', name: 'DesiredTaskCount', statistic: 'Average', legend: 'wanted (Container Insights, in prod)' },
      ],
    },
  },
  {
    section: 'Scaling',
    title: 'Waiting and executing',
    description:
      'What the scaler goes by: requests whose statement has not begun, and those whose statement runs. ' +
      'The mean of the samples of a minute; of all pods together, or of a task.',
    prometheus: {
      unit: 'count',
      queries: [
        { expression: 'max(scaler_waiting)', legend: 'waiting' },
        { expression: 'max(scaler_executing)', legend: 'executing' },
      ],
    },
    cloudwatch: {
      axis: 'requests of a task',
      series: [
        { of: 'service', name: 'Waiting', statistic: 'Average', legend: 'waiting' },
        { of: 'service', name: 'Executing', statistic: 'Average', legend: 'executing' },
      ],
    },
  },
  {
    section: 'Scaling',
    title: 'Waiting per executing',
    description: `Above ${waitingPerExecuting.out} the scaler adds a task, below ${waitingPerExecuting.in} it removes one; by default.`,
    prometheus: {
      unit: 'count',
      queries: [
        {
          expression: 'max(scaler_waiting) / clamp_min(max(scaler_executing), 1)',
          legend: 'waiting per executing',
        },
      ],
      limit: { value: waitingPerExecuting.out, label: 'adds a pod' },
    },
    cloudwatch: {
      axis: 'waiting per executing',
      operands: {
        waiting: { of: 'service', name: 'Waiting', statistic: 'Average' },
        executing: { of: 'service', name: 'Executing', statistic: 'Average' },
      },
      series: [{ expression: 'IF(executing > 0, waiting / executing, 0)', legend: 'waiting per executing' }],
      limit: { value: waitingPerExecuting.out, label: 'adds a task' },
    },
  },
  {
    section: 'Scaling',
    title: 'Statements, as the scaler sees them',
    description: `The p99 of statements. From ${databaseMilliseconds} ms by default the database is what is slow, and no task is added.`,
    prometheus: {
      unit: 'seconds',
      queries: [{ expression: 'max(scaler_database_milliseconds) / 1000', legend: 'p99' }],
      limit: { value: databaseMilliseconds / 1000, label: 'adds no pod' },
    },
    cloudwatch: {
      axis: 'milliseconds',
      series: [{ of: 'service', name: 'DatabaseMilliseconds', statistic: 'Average', legend: 'p99' }],
      limit: { value: databaseMilliseconds, label: 'adds no task' },
    },
  },
  {
    section: 'Scaling',
    title: 'Desired and running, as the scaler sees them',
    description:
      'How many pods or tasks the service is told to run, and how many do, between the bounds; once a minute.',
    prometheus: {
      unit: 'count',
      queries: [
        { expression: 'max(scaler_desired)', legend: 'desired' },
        { expression: 'max(scaler_running)', legend: 'running' },
        { expression: 'max(scaler_min)', legend: 'least' },
        { expression: 'max(scaler_max)', legend: 'most' },
      ],
    },
    cloudwatch: {
      of: 'scaler',
      query: [
        'filter ispresent(seen.desired)',
        'stats latest(seen.desired) as desired, latest(seen.running) as running, latest(seen.min) as least, latest(seen.max) as most by bin(1m)',
      ],
      view: 'timeSeries',
    },
  },
  {
    section: 'Scaling',
    title: 'What the scaler decided, from its log',
    description:
      'Its last runs, with what it saw and why it changed something, or did not. make scale-status shows the same.',
    prometheus: { missing: 'Metrics have no reasons: make scale-status TARGET=kind shows them' },
    cloudwatch: {
      of: 'scaler',
      query: [
        'filter ispresent(reason)',
        'fields @timestamp, decision.desired as wanted, seen.desired as was, reason',
        'sort @timestamp desc',
        'limit 50',
      ],
      view: 'table',
    },
  },

  {
    section: 'The platform',
    title: 'Pods or tasks',
    description: 'Those that are there and those that take requests.',
    search: {
      name: 'text',
      title: 'Lines that are no JSON, as of MySQL and of crashes',
      query: '_exists_:message',
      columns: ['message', 'group', 'stream'],
    },
    prometheus: {
      unit: 'count',
      queries: [
        { expression: 'max(kube_deployment_status_replicas{deployment="plusone"})', legend: 'there' },
        { expression: 'max(kube_deployment_status_replicas_ready{deployment="plusone"})', legend: 'ready' },
        { expression: 'sum(up{job="plusone"})', legend: 'answer on /metrics' },
      ],
    },
    cloudwatch: {
      axis: 'tasks',
      series: [
        { of: 'loadBalancer', name: 'HealthyHostCount', statistic: 'Minimum', legend: 'healthy' },
        { of: 'loadBalancer', name: 'UnHealthyHostCount', statistic: 'Maximum', legend: 'unhealthy' },
      ],
    },
  },
  {
    section: 'The platform',
    title: 'Releases and restarts',
    description: 'The commits that run, and how often containers were started again: a step up is a crash or a kill.',
    search: {
      name: 'starts',
      title: 'Starts of the service',
      query: 'msg:listening',
      columns: ['version', 'revision', 'stream'],
    },
    prometheus: {
      unit: 'count',
      queries: [
        {
          expression:
            'count by (version, revision) (label_replace(plusone_build_info, "revision", "$1$2", "revision", "(.{7}).*?(-changed)?"))',
          legend: '{{version}} {{revision}}',
        },
        { expression: 'sum(kube_pod_container_status_restarts_total{container="plusone"})', legend: 'restarts' },
      ],
    },
    cloudwatch: {
      query: [
        'filter msg = "listening"',
        'stats count(*) as starts, earliest(@timestamp) as firstStart, latest(@timestamp) as lastStart by version, revision',
        'sort lastStart desc',
        'limit 20',
      ],
      view: 'table',
    },
  },
];
