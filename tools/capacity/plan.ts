/** What a number of users and requests needs on AWS: tasks, a database, connections, storage and money. */

export interface Demand {
  readonly users: number;
  /** Requests per second in the busiest minutes. */
  readonly peak: number;
  /** The share of the requests that write, 0 to 1. */
  readonly writes: number;
}

/** What one request and one user take. */
export interface Measured {
  /** Processor time of the service for a read and a write, in microseconds. */
  readonly service: { readonly read: number; readonly write: number };
  /** Processor time of the database, in microseconds. */
  readonly database: { readonly read: number; readonly write: number };
  /** The table with its index on disk, in bytes. */
  readonly bytesPerUser: number;
  /** The response to a read with its headers, in bytes. */
  readonly bytesPerResponse: number;
  /** The request's line in the log, in bytes. */
  readonly bytesPerLine: number;
}

/** A limit that the demand comes close to, and what removes it. */
export interface Limit {
  readonly what: string;
  /** In the same unit. */
  readonly used: number;
  readonly available: number;
  readonly remedy: string;
}

export interface Plan {
  /** Of 1 vCPU and 2 GB each. */
  readonly tasks: number;
  readonly instance: Instance;
  /** The table of users, in bytes. */
  readonly data: number;
  /** Allocated, in GB. */
  readonly storage: number;
  /** Pages that are read and written per second at the peak. */
  readonly operations: number;
  readonly connections: number;
  /** Dollars a month, by part. */
  readonly cost: Readonly<Record<string, number>>;
  /** The limit that more of the same demand reaches first comes first. A `used` above `available` is reached already. */
  readonly limits: readonly Limit[];
}

/** A class of RDS instances. */
export interface Instance {
  readonly name: string;
  readonly processors: number;
  readonly gibibytes: number;
  /** Dollars an hour, in two zones. */
  readonly price: number;
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.DBInstanceClass.Summary.html */
const INSTANCES: readonly [Instance, ...Instance[]] = [
  { name: 'db.t4g.medium', processors: 2, gibibytes: 4, price: 0.13 },
  { name: 'db.r6g.large', processors: 2, gibibytes: 16, price: 0.48 },
  { name: 'db.r6g.xlarge', processors: 4, gibibytes: 32, price: 0.96 },
  { name: 'db.r6g.2xlarge', processors: 8, gibibytes: 64, price: 1.92 },
  { name: 'db.r6g.4xlarge', processors: 16, gibibytes: 128, price: 3.84 },
  { name: 'db.r6g.8xlarge', processors: 32, gibibytes: 256, price: 7.68 },
  { name: 'db.r6g.16xlarge', processors: 64, gibibytes: 512, price: 15.36 },
];

/** A vCPU of Fargate or RDS is a hyperthread, or a slower core than that of the measurement. */
const PROCESSOR_SHARE = 0.5;
/** The target of `cpu_percentage` in the manifest. */
const TASK_UTILIZATION = 0.7;
/** Room for backups, migrations and the failover's cold cache. */
const DATABASE_UTILIZATION = 0.5;
/** In two zones. */
const LEAST_TASKS = 2;
/** Targets of a target group, and tasks of an ECS service: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html */
const MOST_TASKS = 1_000;
/** Two statements that read and one that writes, at once: src/database/store.ts. */
const CONNECTIONS_PER_TASK = 3;
/** One for each power of two up to 256 users, reading and writing, and two for single users; on each connection. */
const STATEMENTS_PER_CONNECTION = 20;
/** The defaults of max_prepared_stmt_count, and of max_connections on RDS: one for this many bytes. */
const PREPARED_STATEMENTS = 16_382;
const BYTES_PER_CONNECTION = 12_582_880;
/** The share of the memory that RDS gives the buffer pool. */
const BUFFER_POOL = 0.75;
/** Logs and temporary tables of MySQL, and what is free. */
const STORAGE_FACTOR = 2;
const LEAST_STORAGE_GB = 20;
const MOST_STORAGE_GB = 65_536;
/** gp3: below 400 GB, from there on without and with provisioned operations. https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html */
const OPERATIONS = { small: 3_000, large: 12_000, most: 64_000, largeFromGb: 400 } as const;
/** A changed page is written twice, to the doublewrite buffer and to its place; the log is shared by the commits of a moment. */
const WRITES_PER_CHANGE = 2;

/** The average rate of a month as a share of the peak. */
const AVERAGE = 1 / 3;
const HOURS = 730;
const SECONDS = HOURS * 3_600;
/** Dollars, us-east-1 and us-west-2, on demand, 2026, rounded; storage in two zones. */
const PRICES = {
  taskHour: 0.04048 + 2 * 0.004445,
  storageGb: 0.23,
  operation: 0.04,
  balancerHour: 0.0225,
  balancerUnitHour: 0.008,
  logGb: 0.5,
  outGb: 0.09,
} as const;
/** A unit of the load balancer: a gigabyte an hour. https://aws.amazon.com/elasticloadbalancing/pricing/ */
const UNIT_BYTES_PER_HOUR = 1e9;

/**
 * What the demand needs, what it costs a month and which limit comes next. It assumes that users are asked for evenly, and
 * that the average rate is a third of the peak.
 */
export function plan({ users, peak, writes }: Demand, measured: Measured): Plan {
  const perRequest = ({ read, write }: { read: number; write: number }) =>
    (read * (1 - writes) + write * writes) / 1e6 / PROCESSOR_SHARE;
  const tasksFor = (rate: number) =>
    Math.max(LEAST_TASKS, Math.ceil((rate * perRequest(measured.service)) / TASK_UTILIZATION));
  const tasks = tasksFor(peak);
  const data = users * measured.bytesPerUser;
  const processors = (peak * perRequest(measured.database)) / DATABASE_UTILIZATION;
  const connections = tasks * CONNECTIONS_PER_TASK;
  const fits = ({ processors: available, gibibytes }: Instance) =>
    available >= processors && bufferPool(gibibytes) >= data && mostConnections(gibibytes) >= connections;
  const instance = INSTANCES.find(fits) ?? INSTANCES.at(-1) ?? INSTANCES[0];
  const inMemory = Math.min(1, bufferPool(instance.gibibytes) / Math.max(1, data));
  const storage = Math.max(LEAST_STORAGE_GB, Math.ceil((data * STORAGE_FACTOR) / 1e9));
  const operations = Math.ceil(peak * (1 - inMemory) + peak * writes * WRITES_PER_CHANGE);
  const included = storage < OPERATIONS.largeFromGb ? OPERATIONS.small : OPERATIONS.large;
  // Only volumes of 400 GB and more take more than the included operations.
  const allocated = operations > OPERATIONS.small ? Math.max(storage, OPERATIONS.largeFromGb) : storage;

  const average = peak * AVERAGE;
  const bytesOut = average * measured.bytesPerResponse;
  const units = (bytesOut * 3_600) / UNIT_BYTES_PER_HOUR;
  const extra = Math.max(
    0,
    Math.min(operations, OPERATIONS.most) - (allocated === storage ? included : OPERATIONS.large),
  );
  return {
    tasks,
    instance,
    data,
    storage: allocated,
    operations,
    connections,
    cost: {
      tasks: tasksFor(average) * PRICES.taskHour * HOURS,
      database: instance.price * HOURS,
      storage: allocated * PRICES.storageGb + extra * PRICES.operation,
      'load balancer': (PRICES.balancerHour + units * PRICES.balancerUnitHour) * HOURS,
      logs: ((average * measured.bytesPerLine * SECONDS) / 1e9) * PRICES.logGb,
      'data out': ((bytesOut * SECONDS) / 1e9) * PRICES.outGb,
    },
    limits: [
      {
        what: 'tasks of a target group',
        used: tasks,
        available: MOST_TASKS,
        remedy: 'ask for a higher quota, or give the tasks more than one service',
      },
      {
        what: 'prepared statements of MySQL',
        used: connections * STATEMENTS_PER_CONNECTION,
        available: PREPARED_STATEMENTS,
        remedy: 'raise max_prepared_stmt_count in the parameter group of database.yml (4,194,304 at most)',
      },
      {
        what: `connections of a ${instance.name}`,
        used: connections,
        available: mostConnections(instance.gibibytes),
        remedy: 'a larger class, or RDS Proxy',
      },
      {
        what: `processors of a ${instance.name}`,
        used: processors,
        available: instance.processors,
        remedy: isLargest(instance) ? SPLIT : 'a larger class',
      },
      {
        what: `memory of a ${instance.name} for the table, in GB`,
        used: data / 1e9,
        available: bufferPool(instance.gibibytes) / 1e9,
        remedy: isLargest(instance) ? 'reads from disk, as counted above; or several databases' : 'a larger class',
      },
      {
        what: 'operations of gp3 storage per second',
        used: operations,
        available: operations > OPERATIONS.small ? OPERATIONS.most : OPERATIONS.small,
        remedy: operations > OPERATIONS.small ? 'io2 storage (256,000), or Aurora' : 'a volume of 400 GB has 12,000',
      },
      {
        what: 'storage of an RDS instance, in GB',
        used: allocated,
        available: MOST_STORAGE_GB,
        remedy: 'Aurora (131,072 GB), or several databases',
      },
    ].toSorted((one, other) => other.used / other.available - one.used / one.available),
  };
}

const SPLIT = 'several databases, each with a part of the names: a request is for one name only';

function isLargest(instance: Instance): boolean {
  return instance === INSTANCES.at(-1);
}

function bufferPool(gibibytes: number): number {
  return gibibytes * 2 ** 30 * BUFFER_POOL;
}

function mostConnections(gibibytes: number): number {
  return Math.floor((gibibytes * 2 ** 30) / BYTES_PER_CONNECTION);
}
