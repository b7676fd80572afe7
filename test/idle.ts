/** The statistics of a database before its first statement. */
export const idleDatabase = {
  used: 0,
  free: 0,
  waitingForConnection: 0,
  statements: 0,
  statementSeconds: 0,
  statementBuckets: [],
  failures: 0,
};

/** The same with the queues of the user repository, as for the metrics. */
export const idle = { ...idleDatabase, reads: 0, writes: 0, executing: 0 };
